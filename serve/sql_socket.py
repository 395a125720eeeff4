"""`/api/experimental/sql`: statements over a WebSocket, in Materialize's messages; subscriptions stream.

    {"user": "ada", "password": "...", "options": {"application_name": "x"}}        first; both may be left out without users
    {"query": "SELECT 1; SELECT 2"} | {"queries": [{"query": "SELECT $1", "params": ["1"]}]}
    {"type": "CommandStarting", "payload": {"has_rows": true, "is_streaming": false}}, Rows, Row, CommandComplete, Notice, Error,
    ParameterStatus; ReadyForQuery when a request is over

Always true: a socket is a session of the PostgreSQL wire, one for as long as it is open; requests are answered in their order. A
client that does not read is waited for, so that what is sent to it is bounded; what a subscription misses is added up. It ends with
the socket. A page of another origin is refused: a browser would let it speak for whoever looks at it.
Deliberately unknown: what statements do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec

from planner.lexer import statements
from serve.answers import Scope, Send
from serve.api import Asked, SqlApi, asked_for, check_origin
from serve.errors import INVALID_PARAMETER, NOT_SUPPORTED, Refused
from serve.pg.as_json import columns_of, error_of, fields_of, parts, row_of, written
from serve.pg.commands import Copy, CopyFrom, Subscribe
from serve.pg.frontend import Message
from serve.pg.parse import parse_command
from serve.pg.session import Session
from serve.pg.settings import REPORTED
from serve.sql.errors import QueryError

Receive = Callable[[], Awaitable[Any]]

PATH = "/api/experimental/sql"
AHEAD = 4
"""Requests that a client may send before the first is answered; then its socket is not read."""

GREETING_SECONDS = 30.0
"""How long a client may take to say who it is."""

REFUSED = 1008
"""The close code for who may not, as Materialize's."""


class _Talker:
    """A session's client that hands what it is sent on as messages of the socket."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[bytes] = []
        self._columns: list[dict[str, Any]] | None = None
        self.streaming: list[bool] = []
        """Whether each statement under way streams."""
        self.failed = False
        self.gone = False
        self.over = asyncio.Event()
        """Set when the session ends the connection: a subscription whose client is too far behind."""

    def send(self, data: bytes) -> None:
        """Put bytes behind those that wait to be sent."""
        self._waiting.append(data)

    async def drain(self) -> None:
        """Send what waits; return when the client has taken enough of it. ConnectionError when it is gone."""
        data, self._waiting = b"".join(self._waiting), []
        for kind, body in parts(data):
            if self.gone:
                break
            await self._part(kind, body)
        if self.gone:
            raise ConnectionResetError("the client is gone")

    @property
    def ready(self) -> bool:
        """Never: what is sent is waited for, by `drain`."""
        return False

    def push(self, data: bytes) -> None:
        """See `send`: whoever is never ready is not pushed to."""
        self.send(data)

    def next(self) -> Message | None:
        """A socket sends no rows."""
        return None

    async def more(self) -> None:
        """See `next`: nothing will come."""
        raise ConnectionError("a socket sends no rows")

    def close(self) -> None:
        """End it: what is sent next finds nobody."""
        self.gone = True
        self.over.set()

    async def tell(self, kind: str, payload: Any) -> None:
        """Send one message."""
        await self._send(
            {"type": "websocket.send", "text": msgspec.json.encode({"type": kind, "payload": payload}).decode()}
        )

    async def _part(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"T":
                self._columns = columns_of(body)
                await self._starting(True)
                await self.tell("Rows", {"columns": self._columns})
            case b"D" if self._columns is not None:
                await self.tell("Row", row_of(body, self._columns))
            case b"C":
                if self._columns is None:
                    await self._starting(False)
                self._columns = None
                self.streaming = self.streaming[1:]
                await self.tell("CommandComplete", body[:-1].decode())
            case b"N":
                fields = fields_of(body)
                await self.tell("Notice", {**error_of(body), "severity": fields["S"].lower()})
            case b"E":
                self._columns = None
                self.failed = True
                await self.tell("Error", error_of(body))
            case b"S":
                name, value, _ = body.decode().split("\0")
                await self.tell("ParameterStatus", {"name": name, "value": value})
            case _:
                pass  # what the wire says between statements has no message here

    async def _starting(self, rows: bool) -> None:
        streaming = bool(self.streaming and self.streaming[0])
        await self.tell("CommandStarting", {"has_rows": rows, "is_streaming": streaming})


class SqlSocket:
    """Answers the WebSockets at PATH, and closes those at other paths."""

    def __init__(self, sql: SqlApi) -> None:
        self._sql = sql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, to its end."""
        await receive()
        try:
            check_origin(scope)
        except Refused:
            await send({"type": "websocket.close", "code": REFUSED})
            return
        if scope["path"] != PATH:
            await send({"type": "websocket.close", "code": REFUSED})
            return
        await send({"type": "websocket.accept"})
        talker = _Talker(send)
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                greeting = await _text(receive)
            session = await self._greet(scope, greeting, talker)
        except Refused as refused:
            await talker.tell("Error", _error(refused))
            await send({"type": "websocket.close", "code": REFUSED, "reason": str(refused)[:100]})
            return
        except (ConnectionError, TimeoutError):
            return
        waiting: asyncio.Queue[str] = asyncio.Queue(AHEAD)
        running = asyncio.create_task(_answer_all(session, talker, waiting))
        reading = asyncio.create_task(_read(receive, waiting))
        ending = asyncio.create_task(talker.over.wait())
        try:
            await asyncio.wait((running, reading, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            talker.gone = True
            session.close()
            for task in (running, reading, ending):
                task.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await running

    async def _greet(self, scope: Scope, text: str, talker: _Talker) -> Session:
        """A session for who says a name and a password that are right."""
        found = _json(text)
        if not isinstance(found, dict) or found.keys() - {"user", "password", "options", "token"}:
            raise _unclear()
        user, password, options = found.get("user", ""), found.get("password", ""), found.get("options") or {}
        if "token" in found:
            user, _, password = str(found["token"]).partition(":")
        if not isinstance(options, dict) or not all(
            isinstance(one, str) for one in (user, password, *options.values())
        ):
            raise _unclear()
        session = self._sql.session(talker, self._sql.allowed(scope, user, password), options)
        for name in REPORTED:
            await talker.tell("ParameterStatus", {"name": name, "value": session.state.settings.show(name)})
        await talker.tell("ReadyForQuery", "I")
        return session


async def _read(receive: Receive, waiting: asyncio.Queue[str]) -> None:
    """Take requests until the client goes."""
    with suppress(ConnectionError):
        while True:
            await waiting.put(await _text(receive))


async def _answer_all(session: Session, talker: _Talker, waiting: asyncio.Queue[str]) -> None:
    """Answer requests one after the other."""
    while True:
        try:
            await _answer(session, talker, asked_for(await waiting.get()))
        except Refused as refused:
            await talker.tell("Error", _error(refused))
        await talker.tell("ReadyForQuery", session.state.transaction.decode())


async def _answer(session: Session, talker: _Talker, asked: Asked) -> None:
    """Run the statements of one request up to the first error."""
    for sql, params in asked:
        talker.failed = False
        try:
            talker.streaming = [_streams(text, session) for _, text in statements(sql)]
        except QueryError as error:
            told = {"message": error.message, "code": error.code, "detail": error.detail, "hint": error.hint}
            await talker.tell("Error", {name: text for name, text in told.items() if text})
            return
        for kind, body in written(sql, params):
            if (work := session.handle(Message(kind, body))) is not None:
                await work
            await talker.drain()
        if talker.failed:
            return


def _streams(text: str, session: Session) -> bool:
    """Whether a statement's rows come as they happen. QueryError for COPY, and for what is no statement."""
    command = parse_command(text, session.state.queries.object)
    if isinstance(command, Copy | CopyFrom):
        raise QueryError(NOT_SUPPORTED, "COPY is not possible over a WebSocket", hint="use the PostgreSQL wire")
    return isinstance(command, Subscribe)


async def _text(receive: Receive) -> str:
    """The next message. ConnectionError when the client is gone."""
    message = await receive()
    if message["type"] != "websocket.receive":
        raise ConnectionResetError("the client is gone")
    text: str | None = message.get("text")
    return text if text is not None else message["bytes"].decode(errors="replace")


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(400, f"the message is no JSON: {error}", INVALID_PARAMETER) from None


def _unclear() -> Refused:
    hint = 'write {"user": "ada", "password": "...", "options": {}}'
    return Refused(400, "the first message says who asks", INVALID_PARAMETER, hint=hint)


def _error(refused: Refused) -> dict[str, Any]:
    """A refusal as the payload of Error."""
    told: dict[str, Any] = msgspec.json.decode(refused.body)["error"]
    return {name: text for name, text in told.items() if text}
