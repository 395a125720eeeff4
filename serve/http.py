"""The HTTP door: one ASGI app, and the server that runs it in its own thread.

Always true: requests below `/views` and `/sources` go straight to `serve.views` and `serve.sources`, plain reads of one key before
that to `serve.keyed`; health, metrics and the index are Starlette's. The server has its own event loop and touches no signal
handlers, so the process stays the caller's.
Deliberately unknown: how ticks happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serve.answers import Scope, Send
from serve.api import MAX_BODY_BYTES, SqlApi
from serve.errors import NOT_SUPPORTED, UNDEFINED_PATH, error_body
from serve.events import Events
from serve.front import front
from serve.keyed import Keyed
from serve.metrics import Metrics
from serve.reads import Publication
from serve.recency import Probe, Recency
from serve.sources import Sources
from serve.sql_socket import SqlSocket
from serve.status import SourceStatus, StatusSource
from serve.tcp import listen
from serve.views import Views

log = structlog.get_logger(__name__)

START_SECONDS = 10.0
STOP_SECONDS = 1.0
"""How long a stop waits for answers under way; then their connections are cut."""

ENDPOINTS = [
    "/views",
    "/views/{view}",
    "/views/{view}/{key}",
    "/views/{view}/errors",
    "/views/{view}/changes",
    "/sources",
    "/sources/{source}",
    "/sources/{source}/errors",
    "/api/sql",
    "/api/experimental/sql",
    "/livez",
    "/readyz",
    "/metrics",
]

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class App:
    """An ASGI app. keyed: what it answers to the plainest of its requests, for a server that reads them itself."""

    answer: Callable[[Scope, Receive, Send], Awaitable[None]]
    keyed: Keyed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.answer(scope, receive, send)


def make_app(
    publication: Publication, status: StatusSource, metrics: Metrics, probe: Probe, events: Events, sql: SqlApi
) -> App:
    """The ASGI app over what the tick thread publishes. `metrics` shows the same publication and status; `probe` asks where a
    source's topic ends now."""
    metrics.watch(publication)
    views, sources = Views(publication, status, Recency(publication, probe)), Sources(status)
    rest, sql_socket = _Rest(status, metrics).app(), SqlSocket(sql)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "websocket":
            await sql_socket(scope, receive, send)
        elif scope["type"] == "http" and path.startswith("/views/") and (view := _followed(scope)) is not None:
            await events(view, scope, receive, send)
        elif scope["type"] == "http" and path == "/api/sql":
            await sql(scope, receive, send)
        elif scope["type"] == "http" and (path == "/views" or path.startswith("/views/")):
            await views(scope, send)
        elif scope["type"] == "http" and (path == "/sources" or path.startswith("/sources/")):
            await sources(scope, send)
        else:
            await rest(scope, receive, send)

    return App(app, Keyed(publication))


def _followed(scope: Scope) -> str | None:
    """The view whose changes are asked for; None for any other request. A key that reads so is found by `?column=changes`."""
    parts = scope["raw_path"].split(b"/")
    if len(parts) != 4 or parts[3] != b"changes" or scope["method"] != "GET":
        return None
    return unquote(parts[2].decode("latin-1"), errors="replace")


class _Rest:
    """Health, metrics, the index."""

    def __init__(self, status: StatusSource, metrics: Metrics) -> None:
        self._status = status
        self._metrics = metrics

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/livez", self.live),
                Route("/readyz", self.ready),
                Route("/metrics", self.show_metrics),
            ],
            exception_handlers={HTTPException: _refuse},
        )

    async def index(self, _: Request) -> Response:
        """What there is to ask for."""
        return JSONResponse({"service": "headwater", "endpoints": ENDPOINTS})

    async def live(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        """200 when every view answers; else 503 with the reason of each source and sink."""
        status = self._status()
        body: dict[str, Any] = {
            "ready": status.ready,
            "reason": None if status.ready else status.reason or None,
            "sources": {name: _source(source) for name, source in status.sources.items()},
            "sinks": {n: {"state": s.state, "reason": s.reason or None} for n, s in status.sinks.items()},
        }
        if (memory := status.memory) is not None:
            body["memory"] = {
                "state": "above the limit" if memory.trouble else "ok",
                "reason": memory.trouble or None,
                "limit_bytes": memory.limit,
                "state_bytes": memory.state_bytes,
            }
        return JSONResponse(body, 200 if status.ready else 503, {"cache-control": "no-store"})

    async def show_metrics(self, request: Request) -> Response:
        """The exposition, in the form that the scraper accepts."""
        body, content_type = await run_in_threadpool(self._metrics.exposition, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


def _source(source: SourceStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": source.state, "reason": source.reason or None}
    if source.state == "hydrating":
        done, total = source.hydration
        shown["hydration"] = {"offsets": done, "of": total, "percent": round(100 * done / max(total, 1), 1)}
    return shown


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        body = error_body(f"{request.method} is not possible here", NOT_SUPPORTED)
    else:
        body = error_body(
            f"there is nothing at {request.url.path}", UNDEFINED_PATH, hint="views are at /views, sources at /sources"
        )
    return Response(body, error.status_code, error.headers, "application/json")


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: they would end the process before the service has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Runs an ASGI app in a thread of its own. `start`, then `stop`; not to be started twice."""

    def __init__(self, host: str, port: int, app: App) -> None:
        self._host = host.strip("[]")
        self._port = port
        config = uvicorn.Config(
            app,
            http=front(app.keyed),
            ws="websockets-sansio",
            ws_max_size=MAX_BODY_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            log_level="error",  # it warns of every request that is no HTTP
            access_log=False,
            server_header=False,
            # Longer than clients' pools keep a connection: a server that closes first makes their next request fail.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(STOP_SECONDS),
        )
        self._server = _Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> tuple[str, int]:
        """Listen, and return the address that was bound: port 0 takes a free one. OSError when it cannot be."""
        bound = listen(self._host, self._port)
        address = bound.getsockname()
        self._thread = threading.Thread(target=self._run, args=(bound,), name="http", daemon=True)
        self._thread.start()
        return str(address[0]), int(address[1])

    def stop(self) -> None:
        """Take no more requests, finish those under way, at most STOP_SECONDS. Safe to call twice or before start."""
        self._server.should_exit = True
        if self._thread is None:
            return
        self._thread.join(STOP_SECONDS / 2)
        self._server.force_exit = True
        self._thread.join(STOP_SECONDS / 2)
        if self._thread.is_alive():
            log.warning("requests under way were cut at the stop")

    def _run(self, bound: socket.socket) -> None:
        with bound:
            asyncio.run(self._server.serve([bound]))
