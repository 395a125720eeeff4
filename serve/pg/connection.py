"""One connection: start-up, TLS, authentication, then messages to the session and its bytes to the socket.

Always true: what is read ahead and what waits to be sent are bounded: a client that sends while its query runs is paused, and a
query whose client does not read waits. Nothing is left when the client goes: what it was computing ends at its next check.
Deliberately unknown: SQL.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Protocol

import structlog

from serve.pg import messages
from serve.pg.execute import Work
from serve.pg.frontend import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    MAX_MESSAGE,
    PROTOCOL,
    SSL_REQUEST,
    Frontend,
    Message,
    ProtocolError,
    Reader,
    Startup,
)
from serve.pg.perform import error_message
from serve.pg.scram import MECHANISM, Exchange, ScramError, Verifier
from serve.pg.session import Session
from serve.sql.errors import QueryError

log = structlog.get_logger(__name__)

READ_AHEAD = 1 << 20
"""Bytes of messages that may wait while one is being handled."""

WRITE_AHEAD = 1 << 20
"""Bytes that may wait in the socket's buffer before a query waits too."""

STARTUP_SECONDS = 30.0
"""How long a client may take until it is authenticated."""


class Host(Protocol):
    """What a connection needs of the server."""

    @property
    def users(self) -> dict[str, Verifier]: ...
    @property
    def tls(self) -> ssl.SSLContext | None: ...
    def arrived(self, connection: Connection) -> None:
        """The connection is there."""
        ...

    def open(self, connection: Connection, startup: Startup) -> tuple[Session, int]:
        """A session for an authenticated client, and the secret of its cancel requests. QueryError when there are too many."""
        ...

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        ...

    def cancel(self, process: int, secret: int) -> None:
        """A cancel request."""
        ...


class Connection(asyncio.Protocol):
    """The socket's side of a session. Everything runs on the event loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frontend = Frontend()
        self._out: list[bytes] = []
        self._waiting = 0  # bytes in it
        self._startup: Startup | None = None
        self._exchange: Exchange | None = None
        self._started_exchange = False
        self._secure = False
        self.session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._held = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._arrived = asyncio.Event()
        self._timer = self._loop.call_later(STARTUP_SECONDS, self.close)

    @property
    def working(self) -> bool:
        """Whether a message is being handled."""
        return self._task is not None or self._held

    @property
    def _free(self) -> bool:
        """Whether a message may be handled: none is, and the client takes what it is sent."""
        return not self.working and self._writable.is_set()

    @property
    def address(self) -> str:
        """Where the client is; empty when it is gone."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"{peer[0]}:{peer[1]}" if peer else ""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_AHEAD)
        self._host.arrived(self)

    def data_received(self, data: bytes) -> None:
        if self._free and self.session is not None and not self._frontend.waiting:
            answer = self.session.quick(data, self)
            if answer is not None:
                self._held = not answer
                self._reply(answer)
                return
        self._frontend.feed(data)
        self._arrived.set()
        self._pump()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
        if self._task is None:
            self._loop.call_soon(self._pump)  # not now: TLS may call this within a write

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._timer.cancel()
        self._writable.set()
        self._arrived.set()
        if self.session is not None:
            self.session.close()
        if self._task is not None:
            # Not before its first step: a task that never began would leave the work inside it neither done nor closed.
            self._loop.call_soon(self._task.cancel)
        self._host.closed(self)

    # What others call.

    def send(self, data: bytes) -> None:
        """Put bytes behind those that wait to be sent."""
        self._out.append(data)
        self._waiting += len(data)

    async def drain(self) -> None:
        """Send what waits; return when the client has taken enough of it. ConnectionError when it is gone."""
        self._flush()
        await self._writable.wait()
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")

    @property
    def ready(self) -> bool:
        """Whether `drain` would return at once: the client is there and has room."""
        return self._writable.is_set() and self._transport is not None and not self._transport.is_closing()

    def push(self, data: bytes) -> None:
        """Send bytes now, behind those that wait to be sent."""
        self._out.append(data)
        self._flush()

    def next(self) -> Message | None:
        """The client's next message, for work that is under way; None when it is not whole yet. ProtocolError when it is none."""
        message = self._frontend.next()
        if message is None:
            self._arrived.clear()  # at once: what comes before `more` begins to wait must not be missed
        return message

    async def more(self) -> None:
        """Send what waits; return when the client has sent something since `next`. ConnectionError when it is gone."""
        self._flush()
        if self._transport is not None and not self._transport.is_closing():
            if not self._transport.is_reading():
                self._transport.resume_reading()
            await self._arrived.wait()
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")

    def answered(self, answer: bytes) -> None:
        """See `inserts.Writing`."""
        self._held = False
        self._reply(answer)
        if self._frontend.waiting:
            self._pump()

    def again(self, data: bytes) -> None:
        """See `inserts.Writing`."""
        self._held = False
        self._frontend.put_back(data)
        self._pump()

    def close(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def end(self, error: QueryError) -> None:
        """Tell the client why, and end the connection."""
        self.send(error_message(error, fatal=True))
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # Messages.

    def _pump(self) -> None:
        """Handle every whole message; stop at one that takes long, and go on when it is done."""
        try:
            while self._free and self._transport is not None:
                if self.session is None:
                    if not self._begin():
                        break
                    continue
                message = self._frontend.next()
                if message is None:
                    break
                if message.kind == b"X":
                    self._flush()
                    self._transport.close()
                    return
                if (work := self.session.handle(message)) is not None:
                    self._task = self._loop.create_task(self._finish(work))
                elif self._waiting > WRITE_AHEAD:
                    self._flush()
        except (ProtocolError, ScramError) as error:
            self.end(QueryError("08P01", str(error)))
        except QueryError as error:
            self.end(error)
        except Exception as error:
            log.error("a connection failed", exc_info=error)
            self.end(QueryError("XX000", "internal error; the log says why"))
        if self._task is None or self.session is None or not self.session.brief:
            self._flush()
        if self._transport is not None:
            if not self._free and self._frontend.waiting > READ_AHEAD:
                self._transport.pause_reading()
            elif not self._transport.is_reading():
                self._transport.resume_reading()

    async def _finish(self, work: Work) -> None:
        try:
            await work
        except ConnectionError:
            return
        finally:
            self._task = None
        self._pump()

    def _reply(self, answer: bytes) -> None:
        """Send an answer. Nothing waits to be sent before it."""
        if answer and self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        self._waiting = 0

    # Start-up. Each step answers whether it did something.

    def _begin(self) -> bool:
        if self._startup is not None:
            return self._authenticate()
        startup = self._frontend.startup()
        if startup is None:
            return False
        if startup.code == CANCEL_REQUEST:
            self._host.cancel(*startup.cancel)
            self.close()
        elif startup.code == SSL_REQUEST and self._host.tls is not None and not self._secure:
            self._start_tls(self._host.tls)
        elif startup.code in (SSL_REQUEST, GSS_REQUEST):
            self.send(b"N")
        elif startup.code >> 16 != PROTOCOL >> 16:
            major, minor = startup.code >> 16, startup.code & 0xFFFF
            raise QueryError("0A000", f"unsupported frontend protocol {major}.{minor}: server supports 3.0")
        else:
            self._greeted(startup)
        return True

    def _greeted(self, startup: Startup) -> None:
        if not startup.parameters.get("user"):
            raise QueryError("28000", "no PostgreSQL user name specified in startup packet")
        options = [name for name in startup.parameters if name.startswith("_pq_.")]
        if startup.code != PROTOCOL or options:
            self.send(messages.message(b"v", _negotiated(options)))
        self._startup = startup
        if not self._host.users:
            self._welcome()
            return
        self._exchange = Exchange(self._host.users.get(startup.parameters["user"]))
        self.send(messages.mechanisms([MECHANISM]))

    def _authenticate(self) -> bool:
        message = self._frontend.next()
        if message is None:
            return False
        assert self._exchange is not None
        if message.kind != b"p":
            raise ProtocolError(f"expected SASL response, got message type {message.kind[0]}")
        if not self._started_exchange:
            reader = Reader(message.body)
            if reader.string() != MECHANISM:
                raise ProtocolError("client selected an invalid SASL authentication mechanism")
            first = reader.bytes(max(0, reader.int32()))
            self.send(messages.authentication(11, self._exchange.first(first)))
            self._started_exchange = True
            return True
        answer = self._exchange.final(message.body)
        if answer is None:
            assert self._startup is not None
            user = self._startup.parameters["user"]
            raise QueryError("28P01", f'password authentication failed for user "{user}"')
        self.send(messages.authentication(12, answer))
        self._welcome()
        return True

    def _welcome(self) -> None:
        assert self._startup is not None
        self._timer.cancel()
        self.session, secret = self._host.open(self, self._startup)
        self._frontend.most = MAX_MESSAGE
        self.send(messages.AUTHENTICATED)
        self.session.greet(secret)

    def _start_tls(self, context: ssl.SSLContext) -> None:
        """Answer S and let TLS take over; what came behind the request in plain text is refused, as it may be an attacker's."""
        if self._frontend.waiting or self._transport is None:
            raise ProtocolError("received unencrypted data after SSL request")
        self._transport.pause_reading()
        self._transport.write(b"S")
        self._task = self._loop.create_task(self._upgrade(context, self._transport))

    async def _upgrade(self, context: ssl.SSLContext, plain: asyncio.Transport) -> None:
        try:
            secured: Any = await self._loop.start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=STARTUP_SECONDS
            )
        except (OSError, ssl.SSLError):  # the client went, or does not want this certificate: its own log says so
            self.close()
            return
        finally:
            self._task = None
        if secured is not None:
            self._secure = True
            self._transport = secured
            secured.set_write_buffer_limits(WRITE_AHEAD)
            self._pump()


def _negotiated(options: list[str]) -> bytes:
    names = b"".join(name.encode() + b"\0" for name in options)
    return (0).to_bytes(4, "big") + len(options).to_bytes(4, "big") + names
