"""Bytes of protocol 3.0 that the server sends: type(1) length(4) ...

Numbers are in network order, strings end with a zero byte. Deliberately unknown: when a message is sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_INT16, _INT32 = struct.Struct("!h"), struct.Struct("!i")


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message of this type."""
    return kind + _INT32.pack(len(body) + 4) + body


def _string(text: str) -> bytes:
    return text.encode().replace(b"\0", b"") + b"\0"


PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
EMPTY_QUERY = message(b"I")
PORTAL_SUSPENDED = message(b"s")
COPY_DONE = message(b"c")
AUTHENTICATED = message(b"R", _INT32.pack(0))


def ready(status: bytes) -> bytes:
    """ReadyForQuery: `I` outside a transaction, `T` inside, `E` in one that failed."""
    return message(b"Z", status)


def complete(tag: str) -> bytes:
    """CommandComplete, with a tag such as `SELECT 3`."""
    return message(b"C", _string(tag))


def parameter_status(name: str, value: str) -> bytes:
    """A setting that clients want to know of."""
    return message(b"S", _string(name) + _string(value))


def key_data(process: int, secret: int) -> bytes:
    """What a cancel request has to name."""
    return message(b"K", struct.pack("!ii", process, secret))


def authentication(code: int, data: bytes = b"") -> bytes:
    """A step of authentication: 10 names the mechanisms, 11 and 12 carry SCRAM's messages."""
    return message(b"R", _INT32.pack(code) + data)


def mechanisms(names: Sequence[str]) -> bytes:
    """AuthenticationSASL."""
    return authentication(10, b"".join(map(_string, names)) + b"\0")


def notice(fields: Iterable[tuple[str, str | None]], error: bool) -> bytes:
    """An ErrorResponse or NoticeResponse; fields without a value are left out."""
    body = b"".join(letter.encode() + _string(text) for letter, text in fields if text is not None)
    return message(b"E" if error else b"N", body + b"\0")


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """A column of a result, as clients learn of it. modifier: of a numeric its precision and scale; format: 0 text, 1 binary."""

    name: str
    oid: int
    size: int
    modifier: int
    format: int


def row_description(fields: Sequence[FieldDescription]) -> bytes:
    """RowDescription."""
    parts = [_INT16.pack(len(fields))]
    for field in fields:
        parts += (
            _string(field.name),
            struct.pack("!ihihih", 0, 0, field.oid, field.size, field.modifier, field.format),
        )
    return message(b"T", b"".join(parts))


def parameter_description(oids: Sequence[int]) -> bytes:
    """ParameterDescription."""
    return message(b"t", struct.pack(f"!H{len(oids)}i", len(oids), *oids))


def copy_out(columns: int, format_: int = 0) -> bytes:
    """CopyOutResponse, in text or binary."""
    return message(b"H", _copy(columns, format_))


def copy_in(columns: int, format_: int) -> bytes:
    """CopyInResponse: the client is to send rows, in text or binary."""
    return message(b"G", _copy(columns, format_))


def _copy(columns: int, format_: int) -> bytes:
    return struct.pack(f"!bh{columns}h", format_, columns, *([format_] * columns))


def copy_data(data: bytes) -> bytes:
    """CopyData."""
    return message(b"d", data)
