"""What text functions do, done to bytes: parts, places, trimming, one part in the place of another.

Always true: places count bytes from 1; a set of bytes to trim is any of them, in any order. All are Python for each different row
of arguments.
"""

from __future__ import annotations

from dataflow.types import BYTEA, INTEGER, Kind
from planner.functions.by_row import RowError, by_row
from planner.functions.registry import Function

_Y, _I = Kind.BYTEA, Kind.INTEGER
_MOST = 2**31 - 1


def _part(data: bytes, start: int, count: int | None = None) -> bytes:
    if count is not None and count < 0:
        raise RowError("negative substring length not allowed")
    end = len(data) if count is None else max(start + count - 1, 0)
    return data[max(start - 1, 0) : end]


def _place(data: bytes, part: bytes) -> int:
    return data.find(part) + 1


def _overlay(data: bytes, new: bytes, start: int, count: int | None = None) -> bytes:
    if start <= 0:
        raise RowError("negative substring length not allowed")
    behind = start + (len(new) if count is None else count)
    if behind > _MOST:
        raise RowError("integer out of range")
    return data[: start - 1] + new + data[max(behind - 1, 0) :]


FUNCTIONS: tuple[Function, ...] = (
    *(Function(name, (_Y, _I, _I), BYTEA, by_row(_part), optional=1) for name in ("substring", "substr")),
    Function("position", (_Y, _Y), INTEGER, by_row(_place)),
    Function("overlay", (_Y, _Y, _I, _I), BYTEA, by_row(_overlay), optional=1),
    *(Function(name, (_Y, _Y), BYTEA, by_row(bytes.strip)) for name in ("btrim", "trim")),
    Function("ltrim", (_Y, _Y), BYTEA, by_row(bytes.lstrip)),
    Function("rtrim", (_Y, _Y), BYTEA, by_row(bytes.rstrip)),
)
