"""Functions of text and bytea. Positions and lengths count characters (Unicode code points), from 1.

Regular expressions (`~` `~*` `!~` `!~*`) are RE2's: no back references and no look-around. LIKE: `like`, `ilike`, `not_like`,
`not_ilike` take the escape character as an optional third argument (default `\\`, empty for none). Case mapping follows
Unicode, code point by code point.
"""

from __future__ import annotations

from dataflow.types import BYTEA, INTEGER, TEXT, Kind
from planner.functions.registry import Function, Parameter, Pattern, predicate

_T, _I, _Y = Kind.TEXT, Kind.INTEGER, Kind.BYTEA
LIKE = ("like", "ilike", "not_like", "not_ilike")
REGEX = ("~", "~*", "!~", "!~*")


def _text(name: str, *parameters: Parameter, optional: int = 0, variadic: bool = False) -> Function:
    return Function(name, parameters, TEXT, variadic, optional)


FUNCTIONS: tuple[Function, ...] = (
    _text("||", _T, _T),
    _text("||", _T, Pattern.AS_TEXT),
    _text("||", Pattern.AS_TEXT, _T),
    Function("||", (_Y, _Y), BYTEA),
    *(predicate(name, _T, _T, _T, optional=1) for name in LIKE),
    *(predicate(name, _T, _T) for name in REGEX),
    _text("upper", _T),
    _text("lower", _T),
    *(Function(name, (_T,), INTEGER) for name in ("length", "char_length", "character_length", "octet_length")),
    *(Function(name, (_Y,), INTEGER) for name in ("length", "octet_length")),
    _text("substring", _T, _I, _I, optional=1),
    _text("substr", _T, _I, _I, optional=1),
    _text("left", _T, _I),
    _text("right", _T, _I),
    *(_text(name, _T, _T, optional=1) for name in ("btrim", "trim", "ltrim", "rtrim")),
    _text("replace", _T, _T, _T),
    _text("split_part", _T, _T, _I),
    *(Function(name, (_T, _T), INTEGER) for name in ("strpos", "position")),
    _text("concat", Pattern.ANYTHING, variadic=True),
    _text("concat_ws", _T, Pattern.ANYTHING, variadic=True),
    predicate("starts_with", _T, _T),
    *(_text(name, _T, _I, _T, optional=1) for name in ("lpad", "rpad")),
    _text("repeat", _T, _I),
    _text("reverse", _T),
    _text("md5", _T),
    _text("md5", _Y),
    Function("sha256", (_Y,), BYTEA),
)
