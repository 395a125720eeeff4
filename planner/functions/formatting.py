"""format(): texts by a pattern, which is a constant and is taken apart once; rows are computed column by column.

Always true: %s shows a value as concat does, NULL as nothing; %L shows it as a literal in quotes, NULL as NULL; %I as a name, of
which NULL is none. Positions (`%2$s`) and widths (`%-10s`) are PostgreSQL's. Deliberately absent: widths that are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.operators.linear import messages
from dataflow.types import TEXT, Kind
from planner.functions import quoting
from planner.functions.logic import first_errors
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site
from planner.functions.text import shown
from planner.functions.types import FunctionError

Piece = Callable[[Operands, int], tuple[Any, Any]]
"""(operands, rows) -> texts without NULLs, and errors, where there are some."""

_SPECIFIER = re.compile(r"%(?:(\d+)\$)?(-?)(\d*)(.?)", re.DOTALL)
_EMPTY = pa.scalar("", TEXT.arrow)
_NO_NAME = "null values cannot be formatted as an SQL identifier"


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
        if letter == "*":
            raise FunctionError("format() with a width that is an argument is not supported", "use lpad or rpad")
        if letter not in "sLI":
            raise FunctionError(f'unrecognized format() type specifier "{letter}"', 'for a single "%" use "%%"')
        if position == "0":
            raise FunctionError("format specifies argument 0, but arguments are numbered from 1")
        place = int(position) if position else place + 1
        if place >= len(site.operands):
            raise FunctionError("too few arguments for format()", f"the pattern asks for {place}")
        pieces.append(_value(site, place, letter, int(width or 0), bool(left)))
    return [*pieces, pattern[begin:]]


def _value(site: Site, place: int, letter: str, width: int, left: bool) -> Piece:
    show = shown(site.operands[place].type)

    def piece(operands: Operands, rows: int) -> tuple[Any, Any]:
        texts = show(operands[place], rows)
        nameless = texts.is_null() if letter == "I" and texts.null_count else None
        texts = quoting.names(texts) if letter == "I" else quoting.nullable(texts) if letter == "L" else texts
        texts = pc.fill_null(texts, _EMPTY)
        if width:
            texts = pc.utf8_rpad(texts, width=width) if left else pc.utf8_lpad(texts, width=width)
        return texts, None if nameless is None else messages(nameless, _NO_NAME)

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
        made = [(pa.array([one], TEXT.arrow), None) if isinstance(one, str) else one(operands, rows) for one in pieces]
        texts = [text for text, _ in made]
        errors = first_errors([wrong for _, wrong in made])
        return scalars.concat([*texts, pa.array([""], TEXT.arrow)], rows, True, None, TEXT.arrow), errors

    return kernel


FUNCTIONS: tuple[Function, ...] = (
    Function("format", (Kind.TEXT, Pattern.ANYTHING), TEXT, Implementation(_format), variadic=True, optional=1),
)
