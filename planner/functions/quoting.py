"""Names and texts as SQL writes them: quote_ident, quote_literal, quote_nullable, parse_ident.

Always true: a name in quotes is read back as the same name; keywords are PostgreSQL 15's. Whole columns at once, but for what is in
`PER_ROW`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.scalars import arrays
from dataflow.types import TEXT, Kind
from planner.functions.arrays import texts_to_arrays
from planner.functions.registry import Function, Operands, Pattern, fixed

_WORDS = """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit localtime
localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer
overlaps overlay placing position precision primary real references returning right row select session_user setof similar
smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using
values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces
xmlparse xmlpi xmlroot xmlserialize xmltable
"""
_RESERVED = pa.array(_WORDS.split(), TEXT.arrow)
"""Words that cannot stand for a name everywhere."""

_EMPTY = pa.scalar("", TEXT.arrow)


def _around(before: Any, values: Any, after: str) -> Any:
    return pc.binary_join_element_wise(before, values, pa.scalar(after, TEXT.arrow), _EMPTY)


def names(values: Any) -> Any:
    """Texts as names, in quotes where they need them."""
    plain = pc.match_substring_regex(values, pattern=r"^[a-z_][a-z0-9_]*\z")
    plain = pc.and_(plain, pc.invert(pc.is_in(values, value_set=_RESERVED)))
    doubled = pc.replace_substring(values, pattern='"', replacement='""')
    return pc.if_else(plain, values, _around(pa.scalar('"', TEXT.arrow), doubled, '"'))


def literals(values: Any) -> Any:
    """Texts in quotes: quotes twice, and where there is a backslash E and backslashes twice; NULL stays NULL."""
    doubled = pc.replace_substring(values, pattern="'", replacement="''")
    doubled = pc.replace_substring(doubled, pattern="\\", replacement="\\\\")
    opening = pc.if_else(pc.match_substring(values, pattern="\\"), "E'", "'").cast(TEXT.arrow)
    return _around(opening, doubled, "'")


def nullable(values: Any) -> Any:
    """As `literals`, and NULL as the word."""
    return pc.fill_null(literals(values), pa.scalar("NULL", TEXT.arrow))


def _of_texts(name: str, taken: Kind | Pattern, made: Callable[[Any], Any]) -> Function:
    return Function(name, (taken,), TEXT, fixed(lambda operands, _rows: (made(operands[0]), None)))


_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*))\s*')


def _parts(text: str, strict: bool) -> tuple[list[str] | None, str | None]:
    """The names between points, or what is wrong."""
    wrong = f'string is not a valid identifier: "{text}"'
    found, at = [], 0
    while True:
        part = _PART.match(text, at)
        if part is None or part[1] == "":
            return None, wrong
        found.append(part[1].replace('""', '"') if part[1] is not None else _lower(part[2]))
        at = part.end()
        if at < len(text) and text[at] == ".":
            at += 1
        else:
            return (None, wrong) if strict and at < len(text) else (found, None)


def _lower(name: str) -> str:
    """As PostgreSQL reads a name without quotes: letters beyond ASCII stay."""
    return re.sub("[A-Z]+", lambda letters: letters[0].lower(), name)


def _parse_ident(operands: Operands, rows: int) -> tuple[Any, Any]:
    texts, strict = (one.to_pylist() * (rows if len(one) == 1 else 1) for one in (*operands, pa.array([True]))[:2])
    found = [
        (None, None) if text is None or whole is None else _parts(text, whole)
        for text, whole in zip(texts, strict, strict=True)
    ]
    errors = [message for _, message in found]
    return texts_to_arrays(parts for parts, _ in found), pa.array(errors, TEXT.arrow) if any(errors) else None


FUNCTIONS: tuple[Function, ...] = (
    _of_texts("quote_ident", Kind.TEXT, names),
    _of_texts("quote_literal", Pattern.AS_TEXT, literals),
    _of_texts("quote_nullable", Pattern.AS_TEXT, nullable),
    Function("parse_ident", (Kind.TEXT, Kind.BOOLEAN), arrays.TEXTS, fixed(_parse_ident), optional=1),
)

PER_ROW = frozenset(("parse_ident",))
"""Functions that are Python for each row."""
