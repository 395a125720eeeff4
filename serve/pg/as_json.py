"""The wire for those who have JSON in its place: statements as its messages, and its answers as Materialize's JSON.

Always true: values are what the wire says in text, so that both doors write them alike. Deliberately unknown: sessions, HTTP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

_INT16, _INT32 = struct.Struct("!h"), struct.Struct("!i")
_JSON = frozenset((20, 21, 23, 26, 3802))
"""Whole numbers and jsonb: types whose text is JSON."""
_REAL = frozenset((700, 701))
_BOOLEAN = 16


def written(sql: str, params: list[str | None] | None) -> Iterator[tuple[bytes, bytes]]:
    """The wire's messages for a statement."""
    text = sql.encode().replace(b"\0", b" ") + b"\0"
    if params is None:
        yield b"Q", text
        return
    values = b"".join(
        _INT32.pack(-1) if value is None else _INT32.pack(len(value.encode())) + value.encode() for value in params
    )
    yield b"P", b"\0" + text + b"\0\0"
    yield b"B", b"\0\0\0\0" + struct.pack("!H", len(params)) + values + b"\0\0"
    yield b"D", b"P\0"
    yield b"E", b"\0" + _INT32.pack(0)
    yield b"S", b""


def parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The messages of the wire's answer: kinds and bodies."""
    at = 0
    while at < len(data):
        size = _INT32.unpack_from(data, at + 1)[0]
        yield data[at : at + 1], data[at + 5 : at + 1 + size]
        at += 1 + size


def results(data: bytes) -> list[dict[str, Any]]:
    """The wire's answer as results, for msgspec to encode."""
    found: list[dict[str, Any]] = []
    notices: list[dict[str, str]] = []
    columns: list[dict[str, Any]] | None = None
    rows: list[list[Any]] = []
    for kind, body in parts(data):
        if kind == b"T":
            columns, rows = columns_of(body), []
        elif kind == b"D" and columns is not None:
            rows.append(row_of(body, columns))
        elif kind == b"N":
            fields = fields_of(body)
            notices.append({"message": fields["M"], "severity": fields["S"].lower()})
        elif kind == b"C":
            tag = body[:-1].decode()
            if columns is None:
                found.append({"ok": tag, "notices": notices})
            else:
                found.append({"tag": tag, "rows": rows, "desc": {"columns": columns}, "notices": notices})
            notices, columns = [], None
        elif kind == b"E":
            error = error_of(body)
            found.append({"error": error, "notices": notices})
    return found


def error_of(body: bytes) -> dict[str, Any]:
    """An ErrorResponse as Materialize's JSON."""
    fields = fields_of(body)
    names = {"M": "message", "C": "code", "D": "detail", "H": "hint"}
    error: dict[str, Any] = {name: fields[letter] for letter, name in names.items() if letter in fields}
    if "P" in fields:
        error["position"] = int(fields["P"])
    return error


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def columns_of(body: bytes) -> list[dict[str, Any]]:
    """The columns of a RowDescription."""
    found, at = [], 2
    for _ in range(_INT16.unpack_from(body)[0]):
        end = body.index(b"\0", at)
        _, _, oid, size, modifier, _ = struct.unpack_from("!ihihih", body, end + 1)
        found.append({"name": body[at:end].decode(), "type_oid": oid, "type_len": size, "type_mod": modifier})
        at = end + 19
    return found


def row_of(body: bytes, columns: list[dict[str, Any]]) -> list[Any]:
    """The values of a DataRow."""
    values: list[Any] = []
    at = 2
    for column in columns:
        size = _INT32.unpack_from(body, at)[0]
        at += 4
        if size < 0:
            values.append(None)
            continue
        values.append(_value(body[at : at + size].decode(), column["type_oid"]))
        at += size
    return values


def _value(text: str, oid: int) -> Any:
    """Whole numbers and finite reals as numbers, jsonb as JSON, digit by digit; numeric and all others as PostgreSQL's text."""
    if oid == _BOOLEAN:
        return text == "t"
    if oid in _JSON or (oid in _REAL and text not in ("NaN", "Infinity", "-Infinity")):
        return msgspec.Raw(text.encode())
    return text
