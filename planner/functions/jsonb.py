"""Access to jsonb: `->` (jsonb) and `->>` (text) by key or by index (from 0; negative counts from the end).

Always true: a missing key or index, or a step into a value of another kind, is NULL; `->>` of a JSON null is NULL and of a
string is the string itself; `@>` (and `<@`) is containment. Values are canonical text (see `dataflow.types.ColumnType`).
"""

from __future__ import annotations

from dataflow import scalars
from dataflow.types import INTEGER, JSONB, TEXT, Kind
from planner.functions.registry import Function, Implementation, fixed, predicate


def _get(as_text: bool) -> Implementation:
    return fixed(lambda args, rows: (scalars.json_get(args[0], args[1], rows, as_text), None))


_EXISTS = fixed(lambda args, rows: scalars.json_exists(args[0], args[1], rows))
_CONTAINS = fixed(lambda args, rows: scalars.json_contains(args[0], args[1], rows))
_WITHIN = fixed(lambda args, rows: scalars.json_contains(args[1], args[0], rows))
_TYPEOF = fixed(lambda args, rows: (scalars.json_typeof(args[0], rows), None))
_LENGTH = fixed(lambda args, rows: scalars.json_array_length(args[0], rows))
_J = Kind.JSONB

FUNCTIONS: tuple[Function, ...] = (
    Function("->", (_J, Kind.TEXT), JSONB, _get(False)),
    Function("->", (_J, Kind.INTEGER), JSONB, _get(False)),
    Function("->>", (_J, Kind.TEXT), TEXT, _get(True)),
    Function("->>", (_J, Kind.INTEGER), TEXT, _get(True)),
    predicate("?", _EXISTS, _J, Kind.TEXT),
    predicate("@>", _CONTAINS, _J, _J),
    predicate("<@", _WITHIN, _J, _J),
    Function("jsonb_typeof", (_J,), TEXT, _TYPEOF),
    Function("jsonb_array_length", (_J,), INTEGER, _LENGTH),
)
