"""Reading dates and times by a pattern: to_date and to_timestamp of texts. The pattern is a constant and is taken apart once.

Always true: as lenient as PostgreSQL: a separator stands for any one, or none; spaces before fields count for nothing; what follows
the pattern, and what of it the text does not reach, is passed over. Python for each different text (`PER_ROW`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dataflow import scalars
from dataflow.types import DATE, TEXT, TIMESTAMPTZ, ColumnType, Kind
from planner.functions.by_row import RowError, by_row
from planner.functions.logic import first_errors
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site
from planner.functions.types import FunctionError

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DIGITS = {
    **{"YYYY": 4, "YYY": 3, "YY": 2, "MM": 2, "DDD": 3, "DD": 2},
    **{"HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "MS": 3, "US": 6},
}
"""The fields that are digits, and how many."""
_NAMED = ("MONTH", "MON", "A.M.", "P.M.", "AM", "PM")
_WORD = re.compile(
    "|".join(sorted(map(re.escape, (*_DIGITS, *_NAMED)), key=len, reverse=True)) + r'|"([^"]*)"|([A-Za-z]+)|(.)',
    re.I | re.S,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST_DATE, _LAST_TIMESTAMP = 5_874_897, 294_276
"""Years beyond which PostgreSQL has none."""
_INTEGER = re.compile(r"\s*[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class _Node:
    """A field by its name, and as it is written; or with `name` empty one character of the pattern.

    free: nothing behind it could be its digits.
    """

    name: str
    character: str = ""
    free: bool = True

    @property
    def separates(self) -> bool:
        return not self.name and (self.character.isspace() or _is_separator(self.character))


@dataclass(slots=True)
class _Parts:
    """What was read so far."""

    fields: dict[str, int] = field(default_factory=dict)
    afternoon: bool = False
    twelve: bool = False


def _is_separator(character: str) -> bool:
    return " " < character < "\x7f" and not character.isalnum()


def _nodes(pattern: str) -> list[_Node]:
    found: list[_Node] = []
    for match in _WORD.finditer(pattern):
        quoted, unknown, plain = match.groups()
        if unknown:
            fields = ", ".join((*_DIGITS, *_NAMED))
            raise FunctionError(f'"{unknown}" cannot be read by a pattern here', f"the fields are {fields}")
        if quoted is not None or plain:
            found += [_Node("", character) for character in (plain or quoted)]
        else:
            found.append(_Node(match[0].upper(), match[0]))
    nodes = []
    for node, following in zip(found, [*found[1:], None], strict=True):
        digits = following is not None and (following.name in _DIGITS or following.character.isdigit())
        nodes.append(_Node(node.name, node.character, not digits))
    return nodes


def _reader(pattern: str, target: ColumnType) -> Callable[[str], str]:
    """Texts to the text of a timestamp."""
    nodes = _nodes(pattern)

    def read(text: str) -> str:
        parts, at, extra = _Parts(), 0, 0
        for number, node in enumerate(nodes):
            if at >= len(text):
                break
            if node.name or not number:
                at, extra = _blanks(text, at, extra)
            if at >= len(text) and not node.name:
                break
            if node.separates:
                extra -= 1
                if text[at].isspace() or _is_separator(text[at]):
                    at, extra = at + 1, extra + 1
            elif not node.name:
                at, extra = (at, extra - 1) if extra > 0 else (at + 1, extra)
            else:
                at = _digits(node, text, at, parts) if node.name in _DIGITS else _name(node, text, at, parts)
                at, extra = _blanks(text, at, 0)
        return _written(parts, text, target)

    return read


def _blanks(text: str, at: int, extra: int) -> tuple[int, int]:
    while at < len(text) and text[at].isspace():
        at, extra = at + 1, extra + 1
    return at, extra


def _digits(node: _Node, text: str, at: int, parts: _Parts) -> int:
    width, name = _DIGITS[node.name], node.name
    copy = text[at : at + width]
    if not node.free and len(copy) < width:
        raise RowError(f'source string too short for "{node.character}" formatting field')
    found = _INTEGER.match(text if node.free else text[: at + width], at)
    if found is None or (not node.free and found.end() < at + width):
        raise RowError(f'invalid value "{copy}" for "{node.character}"')
    value, used = int(found[0]), found.end() - at
    if name in ("YY", "YYY") and used < 4:
        value += 2000 if value < 70 else 1900 if value < 100 else 2000 if value < 520 else 1000 if value < 1000 else 0
    if name in ("MS", "US"):
        value *= 10 ** max(width - used, 0)
    parts.twelve = parts.twelve or name in ("HH", "HH12")
    kept = {"YYY": "YYYY", "YY": "YYYY", "HH": "HH24", "HH12": "HH24"}.get(name, name)
    if parts.fields.setdefault(kept, value) != value:
        raise RowError(f'conflicting values for "{node.character}" field in formatting string')
    return found.end()


def _name(node: _Node, text: str, at: int, parts: _Parts) -> int:
    rest = text[at:].lower()
    if node.name in ("MONTH", "MON"):
        for number, month in enumerate(_MONTHS, 1):
            word = month if node.name == "MONTH" else month[:3]
            if rest.startswith(word):
                parts.fields["MM"] = number
                return at + len(word)
    else:
        for half in ("am", "pm") if len(node.name) == 2 else ("a.m.", "p.m."):
            if rest.startswith(half):
                parts.afternoon, parts.twelve = half[0] == "p", True
                return at + len(half)
    shown = text[at:].split()[0]
    raise RowError(f'invalid value "{shown}" for "{node.character}"')


def _written(parts: _Parts, text: str, target: ColumnType) -> str:
    get = parts.fields.get
    hour = get("HH24", 0)
    if parts.twelve:
        if not 1 <= hour <= 12 and "HH24" in parts.fields:
            raise RowError(f'hour "{hour}" is invalid for the 12-hour clock')
        hour = hour % 12 + 12 * parts.afternoon
    year, month, day = get("YYYY", 0), get("MM", 0) or 1, get("DD", 0) or 1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if "DDD" in parts.fields and "DD" not in parts.fields:
        month, day = 1, get("DDD", 1)
        while month < 12 and day > (length := _DAYS[month - 1] + (month == 2 and leap)):
            month, day = month + 1, day - length
    minute, second = get("MI", 0), get("SS", 0)
    micros = get("MS", 0) * 1000 + get("US", 0)
    fits = 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] + (month == 2 and leap)
    if not fits or not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60 and 0 <= micros < 1_000_000):
        raise RowError(f'date/time field value out of range: "{text}"')
    if target == DATE and year > _LAST_DATE:
        raise RowError(f'date out of range: "{text}"')
    if target != DATE and year > _LAST_TIMESTAMP:
        raise RowError("timestamp out of range")
    shown = (
        f"{1 - year if year < 1 else year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}.{micros:06d}"
    )
    return f"{shown} BC" if year < 1 else shown


def _read(target: ColumnType) -> Implementation:
    def build(site: Site) -> Kernel:
        constant = site.operands[1].constant
        if constant is None:
            raise FunctionError(
                f"{site.name} needs a constant pattern", "write it as a text in quotes, such as 'YYYY-MM-DD'"
            )
        read = _reader(constant.as_py() or "", target)
        texts = by_row(lambda text, _pattern: read(text)).build(Site(site.name, site.operands, TEXT))

        def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
            found, errors = texts(operands, rows)
            values, wrong = scalars.parse(found, rows, target)
            return values, first_errors([errors, wrong])

        return kernel

    return Implementation(build)


FUNCTIONS: tuple[Function, ...] = (
    Function("to_date", (Kind.TEXT, Kind.TEXT), DATE, _read(DATE)),
    Function("to_timestamp", (Kind.TEXT, Kind.TEXT), TIMESTAMPTZ, _read(TIMESTAMPTZ)),
)

PER_ROW = frozenset(("to_date",))
"""Functions that are Python for each different text; to_timestamp of a text too."""
