"""Functions of text and bytea. Positions and lengths count characters (Unicode code points), from 1.

Regular expressions (`~` `~*` `!~` `!~*`) are RE2's: no back references and no look-around. LIKE: `like`, `ilike`, `not_like`,
`not_ilike` take the escape character as an optional third argument (default `\\`, empty for none). Case mapping follows
Unicode, code point by code point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import TextFunction
from dataflow.types import BYTEA, INTEGER, STRINGS, TEXT, ColumnType, Kind
from planner.functions.constants import specialised
from planner.functions.logic import first_errors
from planner.functions.registry import (
    Function,
    Implementation,
    Kernel,
    Operands,
    Parameter,
    Pattern,
    Site,
    fixed,
    predicate,
)
from planner.functions.types import FunctionError

_BLANK = pa.array([" "], pa.large_string())


def _arrow(name: str) -> Implementation:
    """A function of one argument that pyarrow has."""
    function = pc.get_function(name)
    return fixed(lambda operands, _rows: (function.call(list(operands)), None))


def _native(function: TextFunction, last: pa.Array | None = None) -> Implementation:
    """A kernel function; `last` stands for a last argument that was left out of two (or of more, where there are more)."""
    op, full = int(function), {TextFunction.LPAD: 3, TextFunction.RPAD: 3}.get(function, 2)

    def build(site: Site) -> Kernel:
        if last is not None and len(site.operands) < full:
            return lambda operands, rows: scalars.text(op, [*operands, last], rows)
        return lambda operands, rows: scalars.text(op, operands, rows)

    return Implementation(build)


def _like(site: Site) -> Kernel:
    fold, negated = site.name.endswith("ilike"), site.name.startswith("not_")
    lower, escape = pc.get_function("utf8_lower"), int(TextFunction.LIKE_ESCAPE)

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        value, pattern, errors = _padded(operands[0], site.operands[0].type), operands[1], None
        if len(operands) == 3:
            pattern, errors = scalars.text(escape, operands[1:], rows)
        if fold:
            value, pattern = lower.call([value]), lower.call([pattern])
        values, own = scalars.like(value, pattern, rows, negated)
        return values, first_errors([errors, own])

    return kernel


def _regex(site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    # In PostgreSQL a dot also matches a line break.
    options = pc.MatchSubstringOptions("(?s)" + pattern, ignore_case=site.name.endswith("*"))
    match, negated = pc.get_function("match_substring_regex"), site.name.startswith("!")
    type_ = site.operands[0].type
    try:
        match.call([_BLANK], options)
    except pa.ArrowInvalid as error:
        raise FunctionError(
            f"invalid regular expression: {str(error).rpartition(': ')[2] or error}",
            "regular expressions are RE2's, without back references and look-around",
        ) from None

    def kernel(values: Any, _rows: int) -> tuple[Any, Any]:
        found = match.call([_padded(values, type_)], options)
        return (pc.invert(found) if negated else found), None

    return kernel


def _join(site: Site) -> Kernel:
    data = site.result.arrow
    return lambda operands, rows: (scalars.concat(operands, rows, True, None, data), None)


def _padded(value: Any, type_: ColumnType) -> Any:
    """A char(n) with the blanks that belong to it: where they count, which is not in comparisons."""
    return value if type_.kind is not Kind.CHAR or type_.length is None else pc.utf8_rpad(value, type_.length)


def shown(type_: ColumnType) -> Callable[[Any, int], Any]:
    """A value's text as concat prints it."""
    if type_.kind is Kind.CHAR and type_.length is not None:
        return lambda value, _rows: _padded(value, type_)
    if type_.kind in (*STRINGS, Kind.JSONB):
        return lambda value, _rows: value
    return lambda value, _rows: scalars.format(value, len(value), type_, short_boolean=True)


def _concat(site: Site) -> Kernel:
    separated = site.name == "concat_ws"
    shows = [shown(operand.type) for operand in site.operands]
    data = TEXT.arrow

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        texts = [show(operand, rows) for show, operand in zip(shows, operands, strict=True)]
        if separated:
            return scalars.concat(texts[1:], rows, False, texts[0], data), None
        return scalars.concat(texts, rows, False, None, data), None

    return kernel


def _length(in_bytes: bool) -> Implementation:
    return fixed(lambda operands, rows: scalars.length(operands[0], rows, in_bytes))


def _octets(site: Site) -> Kernel:
    type_ = site.operands[0].type
    return lambda operands, rows: scalars.length(_padded(operands[0], type_), rows, True)


def _digest(sha256: bool) -> Implementation:
    return fixed(lambda operands, rows: scalars.digest(operands[0], rows, sha256))


_JOIN, _CONCAT, _LIKE, _REGEX = (
    Implementation(_join),
    Implementation(_concat),
    Implementation(_like),
    specialised(1, 0, _regex),
)
_POSITION = fixed(lambda operands, rows: scalars.position(operands[0], operands[1], rows))
_STARTS = fixed(lambda operands, rows: scalars.starts_with(operands[0], operands[1], rows))
_SUBSTRING = _native(TextFunction.SUBSTRING)
_TRIMS = {
    "btrim": TextFunction.BTRIM,
    "trim": TextFunction.BTRIM,
    "ltrim": TextFunction.LTRIM,
    "rtrim": TextFunction.RTRIM,
}
_PADS = {"lpad": TextFunction.LPAD, "rpad": TextFunction.RPAD}
_T, _I, _Y, _C = Kind.TEXT, Kind.INTEGER, Kind.BYTEA, Kind.CHAR


def _text(
    name: str, implementation: Implementation, *parameters: Parameter, optional: int = 0, variadic: bool = False
) -> Function:
    return Function(name, parameters, TEXT, implementation, variadic, optional)


FUNCTIONS: tuple[Function, ...] = (
    _text("||", _JOIN, _T, _T),
    _text("||", _JOIN, _T, Pattern.AS_TEXT),
    _text("||", _JOIN, Pattern.AS_TEXT, _T),
    Function("||", (_Y, _Y), BYTEA, _JOIN),
    *(
        predicate(name, _LIKE, s, _T, _T, optional=1)
        for s in (_T, _C)
        for name in ("like", "ilike", "not_like", "not_ilike")
    ),
    *(predicate(name, _REGEX, s, _T) for s in (_T, _C) for name in ("~", "~*", "!~", "!~*")),
    _text("upper", _arrow("utf8_upper"), _T),
    _text("lower", _arrow("utf8_lower"), _T),
    *(Function(name, (_T,), INTEGER, _length(False)) for name in ("length", "char_length", "character_length")),
    Function("octet_length", (_T,), INTEGER, _length(True)),
    Function("octet_length", (_C,), INTEGER, Implementation(_octets)),
    *(Function(name, (_Y,), INTEGER, _length(True)) for name in ("length", "octet_length")),
    *(_text(name, _SUBSTRING, _T, _I, _I, optional=1) for name in ("substring", "substr")),
    _text("left", _native(TextFunction.LEFT), _T, _I),
    _text("right", _native(TextFunction.RIGHT), _T, _I),
    *(_text(name, _native(op, _BLANK), _T, _T, optional=1) for name, op in _TRIMS.items()),
    _text("replace", _native(TextFunction.REPLACE), _T, _T, _T),
    _text("split_part", _native(TextFunction.SPLIT_PART), _T, _T, _I),
    *(Function(name, (_T, _T), INTEGER, _POSITION) for name in ("strpos", "position")),
    _text("concat", _CONCAT, Pattern.ANYTHING, variadic=True),
    _text("concat_ws", _CONCAT, _T, Pattern.ANYTHING, variadic=True),
    predicate("starts_with", _STARTS, _T, _T),
    *(_text(name, _native(op, _BLANK), _T, _I, _T, optional=1) for name, op in _PADS.items()),
    _text("repeat", _native(TextFunction.REPEAT), _T, _I),
    _text("reverse", _native(TextFunction.REVERSE), _T),
    _text("md5", _digest(False), _T),
    _text("md5", _digest(False), _Y),
    Function("sha256", (_Y,), BYTEA, _digest(True)),
)
