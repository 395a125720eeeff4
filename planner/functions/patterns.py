"""SIMILAR TO, and what regular expressions find in a text: its part, and its place.

Always true: as in `planner.functions.text`, regular expressions are RE2's. SQL's patterns match whole texts; `%` and `_` are
LIKE's, `| * + ? {m} ()` and brackets a regular expression's. All but SIMILAR TO are Python for each different row of arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.types import INTEGER, TEXT, Kind
from planner.functions.arrays import groups_of, read_pattern
from planner.functions.by_row import RowError, by_row
from planner.functions.constants import specialised
from planner.functions.registry import Function, Implementation, Kernel, Site, predicate
from planner.functions.strings import compiled, constant_of, flags_of
from planner.functions.types import FunctionError

_T, _I = Kind.TEXT, Kind.INTEGER
_PLAIN = ".^$\\"
_SAME = {"%": ".*", "_": ".", "(": "(?:"}


def _regular(pattern: str, escape: str) -> str:
    """The regular expression of SQL's pattern. escape: the character that makes the next one plain; empty for none."""
    made, inside, place = [], False, 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == escape:
            if place == len(pattern):
                break
            made.append(_quoted(pattern[place]))
            place += 1
        elif inside:
            inside = letter != "]"
            made.append("\\\\" if letter == "\\" else letter)
        elif letter == "[":
            inside = True
            made.append(letter)
            # The first ] in brackets is one of their characters.
            for first in ("^", "]"):
                if pattern[place : place + 1] == first:
                    made.append(first)
                    place += 1
        else:
            made.append("\\" + letter if letter in _PLAIN else _SAME.get(letter, letter))
    return f"^(?:{''.join(made)})$"


def _quoted(letter: str) -> str:
    return letter if letter.isalnum() or ord(letter) > 127 else "\\" + letter


def _matches(pattern: str, escape: str) -> Callable[[Any, int], tuple[Any, Any]]:
    if len(escape) > 1:
        raise FunctionError("invalid escape string", "the escape string is empty or one character")
    text = compiled(_regular(pattern, escape), "")
    return lambda values, _rows: (pc.match_substring_regex(values, pattern=text), None)


def _similar(site: Site) -> Kernel:
    if len(site.operands) == 2:
        return specialised(1, 0, lambda _site, pattern: _matches(pattern, "\\")).build(site)
    pattern, escape = constant_of(site, 1, "pattern"), constant_of(site, 2, "escape character")
    if pattern is None or escape is None:
        return lambda _operands, rows: (pa.nulls(rows, pa.bool_()), None)
    found = _matches(pattern, escape)
    return lambda operands, rows: found(operands[0], rows)


def _part(text: str, pattern: str) -> str | None:
    found = _read(pattern, "").search(text)
    return None if found is None else groups_of(found)[0]


def _read(pattern: str, flags: str) -> Any:
    try:
        return read_pattern(pattern, flags)[0]
    except FunctionError as error:
        raise RowError(error.message) from None


def _place(
    text: str, pattern: str, start: int = 1, number: int = 1, end: int = 0, flags: str = "", group: int = 0
) -> int:
    most = 2**31 - 1
    limits = (("start", start, 1, most), ("n", number, 1, most), ("endoption", end, 0, 1), ("subexpr", group, 0, most))
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise RowError(f'invalid value for parameter "{name}": {value}')
    compiled_pattern = _read(pattern, flags)
    if flags_of(flags)[0]:
        raise RowError('regexp_instr() does not support the "global" option')
    if group > compiled_pattern.groups:
        return 0
    if start > len(text) + 1:
        return 0
    for count, found in enumerate(compiled_pattern.finditer(text, start - 1), 1):
        if count == number:
            place: int = found.end(group) if end else found.start(group)
            return place + 1
    return 0


FUNCTIONS: tuple[Function, ...] = (
    predicate("similar_to", Implementation(_similar), _T, _T, _T, optional=1),
    Function("substring", (_T, _T), TEXT, by_row(_part)),
    Function("regexp_instr", (_T, _T, _I, _I, _I, _T, _I), INTEGER, by_row(_place), optional=5),
)
