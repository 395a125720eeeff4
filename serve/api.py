"""`POST /api/sql`: statements over HTTP, in Materialize's JSON.

    {"query": "SELECT 1; SELECT 2"}                                             the simple protocol
    {"queries": [{"query": "SELECT $1::int", "params": ["1"]}]}                 the extended one; params are texts or null
    {"results": [{"tag", "rows", "desc", "notices"} | {"ok", "notices"} | {"error": {...}, "notices"}]}

Always true: a request is a session of the PostgreSQL wire without a socket, so that a statement means the same at both doors; it
ends with the answer, and at the first error. Who may write over the wire may here: with `users` a request names one (basic
authentication), without them it comes from this machine. A result has at most MAX_RESULT_BYTES.
Deliberately unknown: sockets, and what statements do.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from planner.lexer import statements
from serve.answers import Scope, Send, respond
from serve.errors import INVALID_PARAMETER, NOT_SUPPORTED, Refused
from serve.pg.as_json import results, written
from serve.pg.commands import CloseCursor, Copy, CopyFrom, Declare, Fetch, Subscribe
from serve.pg.dml import Find
from serve.pg.follow import Client
from serve.pg.frontend import Message
from serve.pg.parse import parse_command
from serve.pg.session import Session
from serve.pg.settings import Settings
from serve.pg.state import State
from serve.recency import Recency
from serve.sql.errors import QueryError
from serve.sql.queries import Queries
from serve.subscribe.hub import Hub

Receive = Callable[[], Awaitable[Any]]

MAX_BODY_BYTES = 16 << 20
"""Bytes of a request."""

MAX_RESULT_BYTES = 64 << 20
"""Bytes of all results of a request, as the wire would send them. More is read over the wire, which streams."""

MAX_PARAMS = 65_535
"""Parameters of a statement: the wire counts them in 16 bits."""

THREADS = 2


class _Collected:
    """A session's client that keeps what it is sent."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def send(self, data: bytes) -> None:
        """Keep bytes."""
        self.parts.append(data)
        self._size += len(data)

    async def drain(self) -> None:
        """QueryError when they are too many."""
        if self._size > MAX_RESULT_BYTES:
            self.parts.clear()
            self._size = 0
            raise QueryError(
                "53400", f"the results have more than {MAX_RESULT_BYTES >> 20} MiB", hint="read them over the wire"
            )

    @property
    def ready(self) -> bool:
        """Whether there is room: `drain` says when there is none."""
        return True

    def push(self, data: bytes) -> None:
        """See `send`."""
        self.send(data)

    def next(self) -> Message | None:
        """A request has no more messages than its statements."""
        return None

    async def more(self) -> None:
        """See `next`: nothing will come."""
        raise ConnectionError("a request is whole when it is answered")

    def close(self) -> None:
        """There is no connection to end."""

    def taken(self) -> bytes:
        """What was sent since it was last asked for."""
        data = b"".join(self.parts)
        self.parts.clear()
        return data


class SqlApi:
    """Answers the requests to `/api/sql`."""

    def __init__(
        self,
        queries: Queries,
        hub: Hub,
        users: Mapping[str, str],
        service: str,
        version: str,
        recency: Recency | None = None,
    ) -> None:
        """recency: who waits for reads that have to be recent, on the loop of these requests."""
        self._queries, self._hub, self._recency = queries, hub, recency
        self._users = dict(users)
        self._service, self._version = service, version
        self._threads = ThreadPoolExecutor(THREADS, "sql")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: list[tuple[bytes, bytes]] = []
        try:
            if scope["method"] != "POST":
                headers.append((b"allow", b"POST"))
                raise Refused(405, f"{scope['method']} is not possible here", NOT_SUPPORTED, hint="POST a JSON body")
            check_origin(scope)
            user = self._user(scope)
            asked = asked_for(await _body(receive))
        except Refused as refused:
            if refused.status == 401:
                headers.append((b"www-authenticate", b'Basic realm="headwater"'))
            await respond(send, refused.status, refused.body, headers=headers)
            return
        client = _Collected()
        session = self.session(client, user, {})
        running = asyncio.create_task(_results(session, client, asked))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await respond(send, 200, msgspec.json.encode({"results": running.result()}))
        finally:
            session.close()
            for task in (running, gone):
                task.cancel()

    def session(self, client: Client, user: str, options: Mapping[str, str]) -> Session:
        """A new session. options: settings that it begins with."""
        state = State(
            self._queries, Settings(options, user, self._service), user, self._service, self._version, process=0
        )
        return Session(state, client, self._threads, self._hub, self._recency)

    def allowed(self, scope: Scope, name: str, password: str) -> str:
        """The name under which somebody asks. Refused when that is nobody who may."""
        if not self._users:
            host = (scope.get("client") or ("", 0))[0]
            try:
                near = ipaddress.ip_address(host).is_loopback
            except ValueError:
                near = False
            if not near:
                raise Refused(403, "SQL is for this machine only", "28000", hint="add users to the service's file")
            return "headwater"
        known = self._users.get(name, "")
        if not (hmac.compare_digest(known.encode(), password.encode()) and known):
            raise Refused(401, "a user and a password are needed", "28P01")
        return name

    def _user(self, scope: Scope) -> str:
        """Who asks. Refused when that is nobody who may."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        try:
            name, _, password = base64.b64decode(given.removeprefix(b"Basic "), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name, password = "", ""
        return self.allowed(scope, name, password)


def check_origin(scope: Scope) -> None:
    """Refused for what a page of another site sends: the user's browser is on this machine, or knows the password."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2].lower() != headers.get(b"host", b"").lower():
        raise Refused(403, "pages of other sites may not send SQL", "28000")


Asked = list[tuple[str, list[str | None] | None]]
"""Statements with their parameters; None for those of the simple protocol."""


def asked_for(body: bytes | str) -> Asked:
    """What a request asks for. Refused when it is not in this form."""
    try:
        asked = _statements(json.loads(body))
        for sql, params in asked:
            "".join((sql, *filter(None, params or ()))).encode()  # JSON may write half a character
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}", INVALID_PARAMETER) from None
    most = max((len(params) for _, params in asked if params), default=0)
    if most > MAX_PARAMS:
        raise Refused(400, f"a statement has {most} params, and may have {MAX_PARAMS}", INVALID_PARAMETER)
    return asked


def _statements(found: Any) -> Asked:
    match found:
        case {"query": str(query), **rest} if not rest:
            return [(query, None)]
        case {"queries": list(queries), **rest} if not rest:
            asked: Asked = []
            for one in queries:
                match one:
                    case {"query": str(query), "params": list(params), **more} if not more and _texts(params):
                        asked.append((query, params))
                    case {"query": str(query), **more} if not more:
                        asked.append((query, []))
                    case _:
                        raise _unclear()
            return asked
        case _:
            raise _unclear()


def _texts(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _unclear() -> Refused:
    return Refused(
        400, "the body is no request", INVALID_PARAMETER,
        hint='write {"query": "SELECT 1"} or {"queries": [{"query": "SELECT $1", "params": ["1"]}]}; params are texts or null',
    )  # fmt: skip


async def _results(session: Session, client: _Collected, asked: Asked) -> list[dict[str, Any]]:
    """Run the statements up to the first error; a result for each."""
    found: list[dict[str, Any]] = []
    for sql, params in asked:
        try:
            _check(sql, session.state.queries.object)
        except QueryError as error:
            fields = {"message": error.message, "code": error.code, "detail": error.detail, "hint": error.hint}
            return [*found, {"error": {name: text for name, text in fields.items() if text}, "notices": []}]
        for kind, body in written(sql, params):
            if (work := session.handle(Message(kind, body))) is not None:
                await work
        found += results(client.taken())
        if found and "error" in found[-1]:
            break
    return found


def _check(sql: str, find: Find) -> None:
    """QueryError for statements that need a session that goes on. find: the object of a name."""
    for _, text in statements(sql):
        if isinstance(parse_command(text, find), Copy | CopyFrom | Declare | Fetch | CloseCursor | Subscribe):
            word = text.split(maxsplit=1)[0].upper()
            raise QueryError(NOT_SUPPORTED, f"{word} is not possible over HTTP", hint="use the PostgreSQL wire")


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the client is gone", INVALID_PARAMETER)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise Refused(413, f"a request may have {MAX_BODY_BYTES >> 20} MiB", "54000")
        if not message.get("more_body"):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
