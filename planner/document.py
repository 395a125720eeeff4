"""Makes docs/functions.md of the registry: `python -m planner.document` (`make generate`).

Always true: every scalar function is on the page with all its signatures, and each example's result is what the engine computes
while the page is made. The test of the page makes it again and compares; another asks PostgreSQL for every example.
"""

from __future__ import annotations

import sys

from dataflow.types import Kind
from planner.functions import SCALARS, documents, strings, transcendental
from planner.functions.described import DESCRIBED
from planner.functions.registry import Function, Parameter, is_operator
from planner.views import build_dataflow, plan_views

_HEAD = """# Functions and operators

Made by `make generate` from the registry; do not edit. Every example runs in the tests, here and on PostgreSQL 15.

Names and results are PostgreSQL's. An operand in brackets may be left out, `...` repeats the last one. Functions marked with * are
Python for each different row of arguments; all others work on whole columns. Aggregates, window functions and table functions are
not on this page yet.
"""


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


def _parameter(parameter: Parameter) -> str:
    return parameter.value if isinstance(parameter, Kind) else "any"


def _signature(function: Function) -> str:
    name, shown = function.name, [_parameter(parameter) for parameter in function.parameters]
    if is_operator(name) and len(shown) <= 2:
        return " ".join([*shown[:-1], name, *shown[-1:]])
    kept = len(shown) - function.optional
    parts = [*shown[:kept], *(f"[{one}]" for one in shown[kept:])]
    return f"{name}({', '.join([*parts, '...'] if function.variadic else parts)})"


_PER_ROW = strings.PER_ROW | documents.PER_ROW
_DIGITS = transcendental.PER_ROW


def _mark(name: str, function: Function) -> str:
    exact = name in _DIGITS and Kind.NUMERIC in function.parameters
    document = name == "-" and function.parameters[0] is Kind.JSONB
    return "\\*" if name in _PER_ROW or exact or document else ""


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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
