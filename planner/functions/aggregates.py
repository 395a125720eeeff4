"""Typing of the aggregates. `count` without arguments is count(*).

Result types are PostgreSQL's: sums widen (smallint and integer to bigint, bigint to numeric), averages of exact numbers are
unconstrained numerics, floats stay floats. Deliberately unknown here: how they are maintained.
"""

from __future__ import annotations

from dataflow.operators.aggregates import PAIRWISE, SPREADS
from dataflow.types import BIGINT, BOOLEAN, DOUBLE, INTERVAL, JSONB, NUMERIC, TEXT, ColumnType, Kind
from planner.functions.registry import Function, Pattern
from planner.functions.types import FLOATS, INTEGERS, NUMBERS, TIMES, array_of, derived_numeric


def _sum(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    type_ = arguments[0]
    if type_.kind in (Kind.SMALLINT, Kind.INTEGER):
        return BIGINT
    if type_.kind is Kind.BIGINT:
        return derived_numeric(0)
    if type_.kind is Kind.NUMERIC:
        return NUMERIC if type_.trims else derived_numeric(type_.decimal_scale)
    return type_


def _same(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _array(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return array_of(arguments[0])


def _list(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0].list


def _map(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[1].map


AGGREGATES: tuple[Function, ...] = (
    Function("count", (), BIGINT),
    Function("count", (Pattern.ANYTHING,), BIGINT),
    *(Function("sum", (kind,), _sum) for kind in NUMBERS),
    *(Function("avg", (kind,), DOUBLE if kind in FLOATS else NUMERIC) for kind in NUMBERS),
    *(Function(name, (Kind.INTERVAL,), INTERVAL) for name in ("sum", "avg")),
    *(
        Function(name, (kind,), DOUBLE if kind in FLOATS else NUMERIC)
        for name in (*SPREADS, "stddev", "variance")
        for kind in NUMBERS
    ),
    *(Function(name, (Kind.DOUBLE, Kind.DOUBLE), DOUBLE) for name in (*PAIRWISE, "regr_avgx", "regr_avgy")),
    Function("regr_count", (Kind.DOUBLE, Kind.DOUBLE), BIGINT),
    *(Function(name, (Kind.BOOLEAN,), BOOLEAN) for name in ("bool_and", "bool_or", "every")),
    Function("string_agg", (Kind.TEXT, Kind.TEXT), TEXT),
    Function("array_agg", (Pattern.ANYTHING,), _array),
    Function("list_agg", (Pattern.ANYTHING,), _list),
    Function("map_agg", (Kind.TEXT, Pattern.ANYTHING), _map),
    Function("jsonb_agg", (Pattern.ANYTHING,), JSONB),
    Function("jsonb_object_agg", (Pattern.ANYTHING, Pattern.ANYTHING), JSONB),
    *(
        Function(name, (Pattern.ANYTHING, Pattern.ANYTHING), _same)
        for name in ("max_by", "min_by", "arg_max", "arg_min")
    ),
    *(Function(name, (kind,), _same) for name in ("bit_and", "bit_or", "bit_xor") for kind in INTEGERS),
    Function("percentile_cont", (Kind.DOUBLE,), DOUBLE),
    *(Function(name, (Pattern.ANYTHING,), _same) for name in ("percentile_disc", "mode")),
    *(
        Function(name, (kind,), _same)
        for name in ("min", "max")
        for kind in (*NUMBERS, *TIMES, Kind.TEXT, Kind.INTERVAL, Kind.TIME, Kind.ARRAY)
    ),
)
"""The overloads; the names are unique against the scalar functions."""
