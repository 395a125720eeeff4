"""Bytes of protocol 3.0 that a client sends, cut into messages and their fields. No sockets, no state but a buffer.

    client   start-up  length(4) code(4) ...          then  type(1) length(4) ...
    server                                                  type(1) length(4) ...

Always true: a length is checked before anything waits for its bytes; a message that does not hold what its type says is a
ProtocolError (08P01), never an IndexError. Numbers are in network order, strings end with a zero byte.
Deliberately unknown: what a message makes the server do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

PROTOCOL = 3 << 16
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102

MAX_STARTUP = 10_000
MAX_MESSAGE = 64 << 20
"""Bytes of a message that a client may send: SQL and parameters, nothing larger comes here."""

MAX_PASSWORD = 65_536

_INT16, _UINT16, _INT32 = struct.Struct("!h"), struct.Struct("!H"), struct.Struct("!i")
_HEAD = struct.Struct("!ci")


class ProtocolError(Exception):
    """Bytes that are no message; the connection ends."""


@dataclass(frozen=True, slots=True)
class Startup:
    """The first message. code: PROTOCOL's version, or one of the requests; parameters: user, database and settings."""

    code: int
    parameters: dict[str, str]
    cancel: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, a byte, and what stands behind the length."""

    kind: bytes
    body: bytes


class Frontend:
    """Cuts what a client sends into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # where the next message begins: what is before goes when nothing whole is left
        self.most = MAX_PASSWORD
        """Bytes that a message may have; little until the client has proved who it is."""

    def feed(self, data: bytes) -> None:
        """More bytes."""
        if self._at:
            self._forget()
        self._buffer += data

    def put_back(self, data: bytes) -> None:
        """Bytes that go before those that wait."""
        self._buffer[self._at : self._at] = data

    @property
    def waiting(self) -> int:
        """Bytes that are no whole message yet."""
        return len(self._buffer) - self._at

    def startup(self) -> Startup | None:
        """The next message before start-up is over; None until it is whole."""
        if len(self._buffer) < 8:
            return None
        length, code = struct.unpack_from("!ii", self._buffer)
        if not 8 <= length <= MAX_STARTUP:
            raise ProtocolError(f"invalid length of startup packet: {length}")
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[8:length])
        del self._buffer[:length]
        if code == CANCEL_REQUEST:
            if len(body) != 8:
                raise ProtocolError("invalid length of cancel request")
            process, secret = struct.unpack("!ii", body)
            return Startup(code, {}, (process, secret))
        if code in (SSL_REQUEST, GSS_REQUEST):
            return Startup(code, {})
        reader = Reader(body)
        parameters: dict[str, str] = {}
        while reader.left and (name := reader.string()):
            parameters[name] = reader.string()
        return Startup(code, parameters)

    def next(self) -> Message | None:
        """The next message; None until it is whole."""
        at, size = self._at, len(self._buffer)
        if size - at >= 5:
            kind, length = _HEAD.unpack_from(self._buffer, at)
            if not 4 <= length <= self.most:
                raise ProtocolError(f"invalid message length: {length}")
            if size - at > length:
                self._at = at + length + 1
                return Message(kind, bytes(self._buffer[at + 5 : self._at]))
        if at:
            self._forget()
        return None

    def _forget(self) -> None:
        del self._buffer[: self._at]
        self._at = 0


class Reader:
    """Reads the fields of one message's body."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._body) - self._at

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= self.left:
            raise ProtocolError("insufficient data left in message")
        self._at += count
        return self._body[self._at - count : self._at]

    def int16(self) -> int:
        """A signed number of two bytes."""
        value: int = _INT16.unpack(self.bytes(2))[0]
        return value

    def int32(self) -> int:
        """A signed number of four bytes."""
        value: int = _INT32.unpack(self.bytes(4))[0]
        return value

    def count(self) -> int:
        """How many items follow."""
        return self.int16() & 0xFFFF

    def string(self) -> str:
        """Text up to a zero byte."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolError("invalid string in message")
        data = self.bytes(end - self._at)
        self._at += 1
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ProtocolError('invalid byte sequence for encoding "UTF8"') from None

    def end(self) -> None:
        """ProtocolError unless everything was read."""
        if self.left:
            raise ProtocolError("invalid message format")


@dataclass(frozen=True, slots=True)
class Parse:
    """Prepare a statement."""

    name: str
    sql: str
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    """Make a portal of a statement and values; `None` is NULL. Formats: none, one for all, or one each."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    results: tuple[int, ...]


def read_parse(body: bytes) -> Parse:
    """The fields of Parse."""
    reader = Reader(body)
    found = Parse(reader.string(), reader.string(), tuple([reader.int32() for _ in range(reader.count())]))
    reader.end()
    return found


def read_bind(body: bytes) -> Bind:
    """The fields of Bind."""
    try:
        end = body.index(b"\0")
        at = body.index(b"\0", end + 1)
        portal, statement = body[:end].decode(), body[end + 1 : at].decode()
        formats, at = _codes(body, at + 1)
        values: list[bytes | None] = []
        (count,) = _UINT16.unpack_from(body, at)
        at += 2
        for _ in range(count):
            (length,) = _INT32.unpack_from(body, at)
            at += 4
            if length < -1:
                raise ProtocolError(f"invalid length of a parameter: {length}")
            if length > len(body) - at:
                raise ProtocolError("insufficient data left in message")
            values.append(None if length < 0 else body[at : at + length])
            at += max(length, 0)
        results, at = _codes(body, at)
    except struct.error:
        raise ProtocolError("insufficient data left in message") from None
    except UnicodeDecodeError:
        raise ProtocolError('invalid byte sequence for encoding "UTF8"') from None
    except ValueError:
        raise ProtocolError("invalid string in message") from None
    if at != len(body):
        raise ProtocolError("invalid message format")
    return Bind(portal, statement, formats, tuple(values), results)


def _codes(body: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Format codes, which begin with their number, and where they end."""
    (count,) = _UINT16.unpack_from(body, at)
    at += 2
    if not count:
        return (), at
    codes = struct.unpack_from(f"!{count}h", body, at)
    if any(code not in (0, 1) for code in codes):
        raise ProtocolError("a format code is 0 or 1")
    return codes, at + 2 * count


def read_named(body: bytes) -> tuple[str, str]:
    """The fields of Describe and Close: `S` or `P`, and a name."""
    reader = Reader(body)
    kind = reader.bytes(1).decode("latin-1")
    name = reader.string()
    reader.end()
    if kind not in ("S", "P"):
        raise ProtocolError(f"invalid subtype {kind!r}")
    return kind, name


def read_execute(body: bytes) -> tuple[str, int]:
    """The fields of Execute: a portal, and how many rows at most; 0 for all."""
    reader = Reader(body)
    found = reader.string(), reader.int32()
    reader.end()
    return found


def read_query(body: bytes) -> str:
    """The SQL of a simple query."""
    reader = Reader(body)
    sql = reader.string()
    reader.end()
    return sql
