"""Access to jsonb: `->` (jsonb) and `->>` (text) by key or by index (from 0; negative counts from the end).

Always true: a missing key or index, or a step into a value of another kind, is NULL; `->>` of a JSON null is NULL and of a
string is the string itself. Values are canonical text (see `dataflow.types.ColumnType`).
"""

from __future__ import annotations

from dataflow.types import INTEGER, JSONB, TEXT, Kind
from planner.functions.registry import Function, predicate

_J = Kind.JSONB

FUNCTIONS: tuple[Function, ...] = (
    Function("->", (_J, Kind.TEXT), JSONB),
    Function("->", (_J, Kind.INTEGER), JSONB),
    Function("->>", (_J, Kind.TEXT), TEXT),
    Function("->>", (_J, Kind.INTEGER), TEXT),
    predicate("?", _J, Kind.TEXT),
    Function("jsonb_typeof", (_J,), TEXT),
    Function("jsonb_array_length", (_J,), INTEGER),
)
