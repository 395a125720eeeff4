"""What is written in one way here and in another in PostgreSQL, and functions in Python with what they stand for.

Always true: a text of `either` means the same in both ways of writing it. Deliberately unknown: queries.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from planner.functions.user import Functions, read_signature

_OPEN, _BETWEEN, _CLOSE = "\x01", "\x02", "\x03"
_INNERMOST = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_BETWEEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")


def either(ours: str, theirs: str) -> str:
    """A text that is read in two ways; each may hold others."""
    return f"{_OPEN}{ours}{_BETWEEN}{theirs}{_CLOSE}"


def ours(text: str) -> str:
    """As it is written here."""
    return _chosen(text, 1)


def theirs(text: str) -> str:
    """As PostgreSQL reads it."""
    return _chosen(text, 2)


def _chosen(text: str, way: int) -> str:
    while _OPEN in text:
        text = _INNERMOST.sub(lambda found: found[way], text)
    return text


def _masked(values: pa.Array, *of: pa.Array) -> pa.Array:
    """The values, NULL where one of the others is."""
    for other in of:
        values = pc.if_else(pc.is_valid(other), values, pa.scalar(None, values.type))
    return values


def _shorter(a: pa.Array, b: pa.Array) -> pa.Array:
    return _masked(pc.less(pc.utf8_length(a), pc.utf8_length(b)), a, b)


def _known(a: pa.Array) -> pa.Array:
    return pc.is_valid(a)


def _half(a: pa.Array) -> tuple[pa.Array, pa.Array]:
    odd = pc.equal(pc.bit_wise_and(a, 1), 1)
    errors = pc.if_else(
        pc.fill_null(odd, False), pa.scalar("odd", pa.large_string()), pa.scalar(None, pa.large_string())
    )
    return pc.shift_right(pc.if_else(odd, pc.subtract(a, 1), a), 1), errors


FUNCTIONS: Functions = {
    made.name: (made,)
    for made in (
        read_signature("shorter(a text, b text) returns boolean", _shorter, "1"),
        read_signature("known(a bigint) returns boolean", _known, "1"),
        read_signature("half(a bigint) returns bigint", _half, "1"),
    )
}


def shorter(a: str, b: str) -> str:
    """Whether a text is shorter than another."""
    return either(f"shorter({a}, {b})", f"(length({a}) < length({b}))")


def known(a: str) -> str:
    """Whether an integer is not NULL."""
    return either(f"known(({a})::bigint)", f"(({a}) IS NOT NULL)")


def half(a: str) -> str:
    """Half of an even integer; NULL of others, of which the function would have errors."""
    return either(
        f"CASE WHEN ({a}) % 2 = 0 THEN half(({a})::bigint) END", f"CASE WHEN ({a}) % 2 = 0 THEN (({a}) / 2)::bigint END"
    )
