"""format(): texts by a pattern, which is a constant and is taken apart once; rows are computed column by column.

Always true: %s shows a value as concat does, NULL as nothing; %L shows it as a literal in quotes, NULL as NULL. Positions (`%2$s`)
and widths (`%-10s`) are PostgreSQL's. Deliberately absent: %I, for a view makes no names, and widths that are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import TEXT, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site
from planner.functions.text import shown
from planner.functions.types import FunctionError

Piece = Callable[[Operands, int], Any]
"""(operands, rows) -> texts without NULLs."""

_SPECIFIER = re.compile(r"%(?:(\d+)\$)?(-?)(\d*)(.?)", re.DOTALL)
_EMPTY, _NULL = pa.scalar("", TEXT.arrow), pa.scalar("NULL", TEXT.arrow)


def _literal(texts: Any) -> Any:
    """As quote_literal: quotes twice, and where there is a backslash E and backslashes twice."""
    twice = pc.replace_substring(texts, pattern="'", replacement="''")
    slashed = pc.match_substring(texts, "\\")
    twice = pc.replace_substring(twice, pattern="\\", replacement="\\\\")
    opening = pc.if_else(slashed, "E'", "'").cast(TEXT.arrow)
    return pc.fill_null(pc.binary_join_element_wise(opening, twice, pa.scalar("'", TEXT.arrow), _EMPTY), _NULL)


def _pieces(pattern: str, site: Site) -> list[str | Piece]:
    """Texts and columns in the order of the pattern."""
    pieces: list[str | Piece] = []
    begin, place = 0, 0
    for found in _SPECIFIER.finditer(pattern):
        pieces.append(pattern[begin : found.start()])
        begin = found.end()
        position, left, width, letter = found.groups()
        if letter == "%" and not (position or left or width):
            pieces.append("%")
            continue
        if not letter:
            raise FunctionError("unterminated format() type specifier", 'for a single "%" use "%%"')
        if letter == "I" or letter == "*":
            what = "%I" if letter == "I" else "a width that is an argument"
            raise FunctionError(f"format() with {what} is not supported in a view", "use %s, or quote_literal")
        if letter not in "sL":
            raise FunctionError(f'unrecognized format() type specifier "{letter}"', 'for a single "%" use "%%"')
        if position == "0":
            raise FunctionError("format specifies argument 0, but arguments are numbered from 1")
        place = int(position) if position else place + 1
        if place >= len(site.operands):
            raise FunctionError("too few arguments for format()", f"the pattern asks for {place}")
        pieces.append(_value(site, place, letter == "L", int(width or 0), bool(left)))
    return [*pieces, pattern[begin:]]


def _value(site: Site, place: int, quoted: bool, width: int, left: bool) -> Piece:
    show = shown(site.operands[place].type)

    def piece(operands: Operands, rows: int) -> Any:
        texts = show(operands[place], rows)
        texts = _literal(texts) if quoted else pc.fill_null(texts, _EMPTY)
        if not width:
            return texts
        return pc.utf8_rpad(texts, width=width) if left else pc.utf8_lpad(texts, width=width)

    return piece


def _format(site: Site) -> Kernel:
    constant = site.operands[0].constant
    if constant is None:
        raise FunctionError("format() needs a constant pattern", "write it as a text in quotes, such as '%s of %s'")
    pattern = constant.as_py()
    if pattern is None:
        return lambda _operands, rows: (pa.nulls(rows, TEXT.arrow), None)
    pieces = [piece for piece in _pieces(pattern, site) if piece != ""]

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        texts = [pa.array([piece], TEXT.arrow) if isinstance(piece, str) else piece(operands, rows) for piece in pieces]
        return scalars.concat([*texts, pa.array([""], TEXT.arrow)], rows, True, None, TEXT.arrow), None

    return kernel


FUNCTIONS: tuple[Function, ...] = (
    Function("format", (Kind.TEXT, Pattern.ANYTHING), TEXT, Implementation(_format), variadic=True, optional=1),
)
