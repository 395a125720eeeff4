"""Makes docs/functions.md of the registry: `python -m planner.document` (`make generate`).

Always true: every function is on the page with all its signatures, and each example's result is what the engine computes
while the page is made. The test of the page makes it again and compares; another asks PostgreSQL for every example.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dataflow.types import Kind
from planner.functions import (
    SCALARS,
    arrays,
    degrees,
    described_rows,
    documents,
    hashes,
    octets,
    paths,
    patterns,
    quoting,
    reading,
    small,
    strings,
    tables,
    transcendental,
)
from planner.functions.aggregates import AGGREGATES
from planner.functions.described import DESCRIBED
from planner.functions.described_rows import AGGREGATES_TABLE, TABLE, TABLES_TABLE, WINDOWS_TABLE, queries
from planner.functions.registry import Function, Pattern, describe, is_operator
from planner.functions.types import NUMBERS
from planner.ordered_aggregates import WITHIN
from planner.views import build_dataflow, plan_views

_HEAD = """# Functions and operators

Made by `make generate` from the registry; do not edit. Every example runs in the tests, here and on PostgreSQL 15.

Names and results are PostgreSQL's, those of lists and maps Materialize's. An operand in brackets may be left out, `...` repeats
the last one. Functions marked with * are Python for each different row of arguments; all others work on whole columns.
"""

_AGGREGATES = """
## Aggregates

All take FILTER; those without WITHIN GROUP take ORDER BY and, but for those of pairs, DISTINCT, and may have OVER with any frame,
which string_agg, array_agg, list_agg, map_agg, jsonb_agg and jsonb_object_agg take in the window's order. The examples are over
these rows:

    {}

| signatures | what it does | example | result |
|---|---|---|---|"""

_WINDOWS = """
## Window functions

All take OVER with PARTITION BY, ORDER BY and a frame. The results are those of the rows above, one after the other.

| signatures | what it does | example | result |
|---|---|---|---|"""

_TABLES = """
## Table functions

They stand in FROM, also WITH ORDINALITY, and in select lists. A result's rows are apart by semicolons.

| signatures | what it does | example | result |
|---|---|---|---|"""


def result_of(example: str) -> str | None:
    """What the engine makes of `SELECT (example)::text`, as a view without tables."""
    planned = plan_views({}, {"example": f"SELECT ({example})::text AS x"})
    flow = build_dataflow(planned, {}, {}, {"example": (0,)}, lambda: 0.0)
    flow.step({})
    errors = flow.view("example").errors().rows()
    if len(errors):
        raise ValueError(f"{example}: {errors.columns[0][0]}")
    value: str | None = flow.view("example").snapshot().rows().columns[0][0].as_py()
    return value


def rows_of(query: str) -> list[tuple[str | None, ...]]:
    """The rows of a query of texts over no tables, as a view would hold them, in the order of the texts."""
    planned = plan_views({}, {"example": query})
    flow = build_dataflow(planned, {}, {}, {"example": (0,)}, lambda: 0.0)
    flow.step({})
    errors = flow.view("example").errors().rows()
    if len(errors):
        raise ValueError(f"{query}: {errors.columns[0][0]}")
    rows = flow.view("example").snapshot().rows()
    found = [column.to_pylist() for column in rows.columns]
    repeated = [row for row, diff in zip(zip(*found, strict=True), rows.diffs, strict=True) for _ in range(diff)]
    return sorted(repeated, key=repr)


def _signature(function: Function) -> str:
    name, shown = function.name, [describe(parameter) for parameter in function.parameters]
    if is_operator(name) and len(shown) <= 2:
        return " ".join([*shown[:-1], name, *shown[-1:]])
    kept = len(shown) - function.optional
    parts = [*shown[:kept], *(f"[{one}]" for one in shown[kept:])]
    return f"{name}({', '.join([*parts, '...'] if function.variadic else parts)})"


_PER_ROW = hashes.PER_ROW | paths.PER_ROW | quoting.PER_ROW
_PER_ROW |= small.PER_ROW | strings.PER_ROW | arrays.PER_ROW | documents.PER_ROW | reading.PER_ROW
_DIGITS = transcendental.PER_ROW


def _mark(name: str, function: Function) -> str:
    if Pattern.MAP in function.parameters:
        return ""
    exact = name in _DIGITS and Kind.NUMERIC in function.parameters
    read = name == "to_timestamp" and Kind.TEXT in function.parameters
    document = name == "-" and function.parameters[0] is Kind.JSONB
    own = function in (*octets.FUNCTIONS, *degrees.FUNCTIONS, *patterns.FUNCTIONS) and name != "similar_to"
    number = (name == "to_char" and function.parameters[0] in NUMBERS) or name == "to_number"
    return "\\*" if name in _PER_ROW or exact or document or read or number or own else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def page() -> str:
    """The page's text."""
    lines, heading = [_HEAD], ""
    for name, entry in DESCRIBED.items():
        if entry.heading != heading:
            heading = entry.heading
            lines.append(f"\n## {heading}\n\n| signatures | what it does | example | result |\n|---|---|---|---|")
        forms = "<br>".join(
            dict.fromkeys(f"`{_cell(_signature(function))}`{_mark(name, function)}" for function in SCALARS[name])
        )
        result = result_of(entry.example)
        shown = "NULL" if result is None else f"`{_cell(result)}`"
        lines.append(f"| {forms} | {_cell(entry.meaning)} | `{_cell(entry.example)}` | {shown} |")
    return "\n".join([*lines, *_rows()]) + "\n"


def _rows() -> list[str]:
    """The sections about functions of more than one row, and of none."""
    asked = queries()
    made = [_AGGREGATES.format(TABLE)]
    for name, meaning, example in described_rows.lines(AGGREGATES_TABLE):
        forms = [_aggregate(function) for function in AGGREGATES if function.name == name]
        ((value,),) = rows_of(asked[name])
        made.append(_line(forms, meaning, example, "NULL" if value is None else value))
    made.append(_WINDOWS)
    for form, meaning, example in described_rows.lines(WINDOWS_TABLE):
        values = [value or "NULL" for _, value in rows_of(asked[form.partition("(")[0]])]
        made.append(_line([form], meaning, example, ", ".join(values)))
    made.append(_TABLES)
    for name, meaning, example in described_rows.lines(TABLES_TABLE):
        forms = [_signature(function.typing) for function in tables.FUNCTIONS if function.typing.name == name]
        rows = "; ".join(", ".join(value or "NULL" for value in row) for row in rows_of(asked[name]))
        made.append(_line(forms, meaning, f"FROM {example}", rows))
    return made


def _aggregate(function: Function) -> str:
    if function.name not in WITHIN:
        return _signature(function) if function.parameters else f"{function.name}(*)"
    fraction = "" if function.name == "mode" else "fraction"
    return f"{function.name}({fraction}) WITHIN GROUP (ORDER BY {describe(function.parameters[0])})"


def _line(forms: Sequence[str], meaning: str, example: str, result: str) -> str:
    shown = "<br>".join(f"`{_cell(form)}`" for form in forms)
    return f"| {shown} | {_cell(meaning)} | `{_cell(example)}` | `{_cell(result)}` |"


if __name__ == "__main__":
    sys.stdout.write(page())
