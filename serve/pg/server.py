"""The PostgreSQL door: listens, in a thread and an event loop of its own, and keeps the list of who is connected.

Always true: queries are computed in THREADS other threads, so that a lookup never waits for a scan; a cancel request needs both
numbers that its session was given. Deliberately unknown: what messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from serve.pg.connection import Connection
from serve.pg.frontend import Startup
from serve.pg.inserts import Inserts
from serve.pg.scram import Verifier
from serve.pg.session import Session
from serve.pg.settings import Settings
from serve.pg.state import FAILED, IDLE, INSIDE, State
from serve.recency import Recency
from serve.sql.errors import QueryError
from serve.sql.queries import Queries
from serve.status import SessionStatus
from serve.subscribe.hub import Hub
from serve.tcp import listen

log = structlog.get_logger(__name__)

THREADS = 4
"""Queries that are computed at the same time; more wait their turn."""

MAX_CONNECTIONS = 2000
"""Clients at the same time."""

STOP_SECONDS = 1.0

FAREWELL_SECONDS = 0.3
"""How long a client that does not read is waited for at the end."""


def tls_context(certificate_and_key: tuple[Path, Path]) -> ssl.SSLContext:
    """What TLS needs. OSError (ssl.SSLError is one) when the files cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate_and_key)
    return context


class PgServer:
    """Serves the PostgreSQL protocol. `start`, then `stop`; not to be started twice."""

    def __init__(
        self,
        host: str,
        port: int,
        queries: Queries,
        users: Mapping[str, str],
        tls: ssl.SSLContext | None,
        service: str,
        version: str,
        hub: Hub,
        recency: Recency | None = None,
    ) -> None:
        """users: name to password; without any, everybody may come in. service: the database's name; version: Headwater's own.
        recency: who waits for reads that have to be recent, used by this server only."""
        self._host, self._port = host, port
        self._queries = queries
        self._hub, self._recency = hub, recency
        self._inserts = Inserts(queries)
        self.users = {name: Verifier.of(password) for name, password in users.items()}
        self.tls = tls
        self._service, self._version = service, version
        self._threads = ThreadPoolExecutor(THREADS, "queries")
        self._connections: dict[Connection, int] = {}
        self._sessions: dict[int, tuple[int, Session]] = {}
        self._last = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._left: asyncio.Event | None = None
        self._ready = threading.Event()

    def start(self) -> tuple[str, int]:
        """Listen, and return the address that was bound: port 0 takes a free one. OSError when it cannot be."""
        bound = listen(self._host, self._port)
        address = bound.getsockname()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(bound)), name="postgres", daemon=True)
        self._thread.start()
        self._ready.wait()
        return str(address[0]), int(address[1])

    def stop(self) -> None:
        """Tell the clients, and end. Safe to call twice or before start."""
        if self._thread is None or self._loop is None or self._stopped is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(STOP_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # What connections ask for.

    def arrived(self, connection: Connection) -> None:
        """See `connection.Host`."""
        self._connections[connection] = 0

    def open(self, connection: Connection, startup: Startup) -> tuple[Session, int]:
        """See `connection.Host`."""
        if len(self._sessions) >= MAX_CONNECTIONS:
            raise QueryError("53300", f"sorry, too many clients already: {MAX_CONNECTIONS}")
        self._last = process = self._last % 0x7FFFFFFF + 1
        secret = secrets.randbits(31)
        parameters = dict(startup.parameters)
        user = parameters.pop("user")
        parameters.pop("database", None)
        parameters |= _options(parameters.pop("options", ""))
        state = State(
            queries=self._queries,
            settings=Settings(
                {name: value for name, value in parameters.items() if not name.startswith("_pq_.")},
                user,
                self._service,
            ),
            user=user,
            database=self._service,
            version=self._version,
            process=process,
        )
        session = Session(state, connection, self._threads, self._hub, self._recency, self._inserts)
        self._sessions[process] = (secret, session)
        self._connections[connection] = process
        return session, secret

    def closed(self, connection: Connection) -> None:
        """See `connection.Host`."""
        self._sessions.pop(self._connections.pop(connection, 0), None)
        if self._left is not None and not self._connections:
            self._left.set()

    def cancel(self, process: int, secret: int) -> None:
        """See `connection.Host`."""
        known, session = self._sessions.get(process, (None, None))
        if session is not None and known == secret:
            session.cancel()

    @property
    def sessions(self) -> int:
        """How many clients are connected and authenticated."""
        return len(self._sessions)

    def status(self) -> list[SessionStatus]:
        """The clients of now. Any thread."""
        found = []
        for connection, process in list(self._connections.items()):
            session = connection.session
            if session is not None and process:
                state, settings = session.state, session.state.settings
                idle = {IDLE: "idle", INSIDE: "idle in transaction", FAILED: "idle in transaction (aborted)"}
                shown = "active" if connection.working else idle[state.transaction]
                application = settings.show("application_name")
                found.append(SessionStatus(process, state.user, application, connection.address, state.since, shown))
        return found

    async def _serve(self, bound: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), sock=bound)
        self._ready.set()
        await self._stopped.wait()
        server.close()
        for connection in list(self._connections):
            if connection.session is not None:
                connection.session.cancel()
            connection.end(QueryError("57P01", "terminating connection due to administrator command"))
        if self._connections:
            self._left = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), FAREWELL_SECONDS)
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)  # what was closed ends in the loop's next round


def _options(text: str) -> dict[str, str]:
    """Settings in the start-up option `options`: `-c name=value --name=value`."""
    found: dict[str, str] = {}
    words = text.replace("-c ", "-c").split()
    for word in words:
        name, _, value = word.removeprefix("-c").removeprefix("--").partition("=")
        if name and value:
            found[name.replace("-", "_")] = value
    return found
