"""The registry of scalar functions and operators, their typing, and the casts between types.

In: a name and the types of its arguments. Out: the overload, the types to cast the arguments to, the type of the result.
One module for each family holds the entries; `planner.compile` turns a typed `Scalar` into something that evaluates.

Names are SQL's own spelling: `+ - * / % ^` and `& | # << >>` (one operand: `+ - ~`), `= <> < <= > >=`, `||`,
`~ ~* !~ !~*`, `like ilike not_like not_ilike` (text, pattern, optional escape), `in` (value, then the list), `and or`
(n-ary), `not`, `is_null is_not_null is_true is_not_true is_false is_not_false is_unknown is_not_unknown is_distinct_from
is_not_distinct_from`, `-> ->> ? @> <@`; functions by their lower-case PostgreSQL name. BETWEEN is two comparisons under
`and`; CASE is a plan node.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from dataflow.types import ColumnType
from planner.functions import (
    arithmetic,
    arrays,
    bits,
    calendar,
    comparison,
    degrees,
    documents,
    formatting,
    hashes,
    interval_patterns,
    intervals,
    jsonb,
    logic,
    nested,
    number_patterns,
    number_reading,
    octets,
    paths,
    patterns,
    quoting,
    reading,
    reals,
    small,
    strings,
    system,
    text,
    time,
)
from planner.functions.aggregates import AGGREGATES
from planner.functions.registry import Function, Resolved, choose
from planner.functions.types import FunctionError, can_cast, common_type, implicit_cast, type_name

__all__ = [
    "AGGREGATE_NAMES",
    "SCALARS",
    "Function",
    "FunctionError",
    "Resolved",
    "can_cast",
    "common_type",
    "implicit_cast",
    "resolve",
    "resolve_aggregate",
    "type_name",
]


def _by_name(functions: Sequence[Function]) -> dict[str, tuple[Function, ...]]:
    ordered = sorted(functions, key=attrgetter("name"))
    return {name: tuple(group) for name, group in groupby(ordered, attrgetter("name"))}


SCALARS = _by_name(
    (
        *logic.FUNCTIONS,
        *comparison.FUNCTIONS,
        *arithmetic.FUNCTIONS,
        *bits.FUNCTIONS,
        *text.FUNCTIONS,
        *time.FUNCTIONS,
        *intervals.FUNCTIONS,
        *calendar.FUNCTIONS,
        *jsonb.FUNCTIONS,
        *system.ENTRIES,
        *documents.FUNCTIONS,
        *formatting.FUNCTIONS,
        *number_patterns.FUNCTIONS,
        *number_reading.FUNCTIONS,
        *interval_patterns.FUNCTIONS,
        *small.FUNCTIONS,
        *reading.FUNCTIONS,
        *reals.FUNCTIONS,
        *strings.FUNCTIONS,
        *arrays.FUNCTIONS,
        *quoting.FUNCTIONS,
        *hashes.FUNCTIONS,
        *paths.FUNCTIONS,
        *nested.FUNCTIONS,
        *octets.FUNCTIONS,
        *degrees.FUNCTIONS,
        *patterns.FUNCTIONS,
    )
)
"""Every overload of every scalar function and operator, by name."""

_AGGREGATES = _by_name(AGGREGATES)
AGGREGATE_NAMES = frozenset(_AGGREGATES)


def resolve(name: str, args: Sequence[ColumnType | None], literals: Sequence[object] = ()) -> Resolved:
    """Choose the overload of a scalar function or operator for arguments of these types.

    None among `args` is an untyped NULL or string literal, which takes the type that the overload asks for. `literals` may
    give the values of arguments that are literals (None elsewhere): round(x, 2) and extract('epoch', t) get their exact
    scale from them. FunctionError, worded as PostgreSQL does, with a hint, when nothing or more than one overload matches.
    """
    return choose(SCALARS, name, args, literals)


def resolve_aggregate(name: str, args: Sequence[ColumnType | None]) -> Resolved:
    """Choose the overload of an aggregate; no arguments is count(*). FunctionError as for `resolve`."""
    if name not in _AGGREGATES:
        names = ", ".join(sorted(_AGGREGATES))
        inner = ", ".join(map(type_name, args))
        raise FunctionError(f"aggregate {name}({inner}) does not exist", f"the aggregates are {names}")
    return choose(_AGGREGATES, name, args)
