"""The oracle: Z-sets as Python dicts, and each operator as the obvious query over a whole collection.

A row is a tuple; equal rows are one key, where NaN equals NaN and 0.0 equals -0.0 (see `canonical`). Positions are typed, so the
trap that dict keys merge 1, True and 1.0 cannot spring. A query returns (rows, errors), errors being a Z-set of messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.graph import Aggregate
from dataflow.operators.aggregates import (
    BIGINT_RANGE,
    FLOAT_RANGE,
    NEGATIVE_COUNT,
    NUMERIC_RANGE,
    PAIRWISE,
    SPREADS,
)
from dataflow.types import BIGINT, NUMERIC, ColumnType, Kind

Row = tuple[Any, ...]
Weighted = tuple[Row, int]
ZSet = dict[Row, int]
Answer = tuple[ZSet, ZSet]

NAN = "NaN!"


def canonical(value: Any) -> Any:
    """A value whose equality is that of rows."""
    if isinstance(value, float):
        return NAN if math.isnan(value) else value + 0.0
    return value


def add(target: ZSet, pairs: Iterable[Weighted]) -> ZSet:
    """Add weighted rows to a Z-set, in place; zero weights are no rows."""
    for row, diff in pairs:
        row = tuple(map(canonical, row))
        total = target.pop(row, 0) + diff
        if total:
            target[row] = total
    return target


def zset(pairs: Iterable[Weighted]) -> ZSet:
    return add({}, pairs)


def rows_of(delta: Delta) -> list[Weighted]:
    columns = [column.to_pylist() for column in delta.columns]
    diffs = delta.diffs.tolist()
    return list(zip(zip(*columns, strict=True) if columns else [()] * len(diffs), diffs, strict=True))


def delta_of(types: Sequence[ColumnType], pairs: Sequence[Weighted]) -> Delta:
    columns = tuple(pa.array([row[i] for row, _ in pairs], type=t.arrow) for i, t in enumerate(types))
    return Delta(columns, np.array([diff for _, diff in pairs], np.int64))


class RowError(Exception):
    """A scalar function failed on a row; the message is the row error."""


def linear(z: ZSet, predicates: Sequence[Callable[[Row], Any]], outputs: Sequence[Callable[[Row], Any]]) -> Answer:
    rows: ZSet = {}
    errors: ZSet = {}
    for row, diff in z.items():
        verdicts = [_attempt(predicate, row) for predicate in predicates]
        if any(not isinstance(verdict, RowError) and verdict is not True for verdict in verdicts):
            continue
        values = [_attempt(output, row) for output in outputs]
        failed = [str(value) for value in (*verdicts, *values) if isinstance(value, RowError)]
        add(errors, [((failed[0],), diff)]) if failed else add(rows, [(tuple(values), diff)])
    return rows, errors


def flat_map(z: ZSet, functions: Sequence[Callable[[Row], Any]], widths: int, ordinality: bool, keeps: bool) -> Answer:
    """widths: how many columns each function makes."""
    rows: ZSet = {}
    errors: ZSet = {}
    for row, diff in z.items():
        made = [_attempt(function, row) for function in functions]
        failed = [str(value) for value in made if isinstance(value, RowError)]
        if failed:
            add(errors, [((failed[0],), diff)])
            continue
        most = max(map(len, made))
        for place in range(max(most, 1) if keeps else most):
            parts = [part[place] if place < len(part) else (None,) * widths for part in made]
            last = ((place + 1 if place < most else None),) if ordinality else ()
            add(rows, [(row + tuple(value for part in parts for value in part) + last, diff)])
    return rows, errors


def _attempt(function: Callable[[Row], Any], row: Row) -> Any:
    try:
        return function(row)
    except RowError as error:
        return error


def _matches(x: Row, y: Row, left: Sequence[int], right: Sequence[int], nulls: bool) -> bool:
    return all((nulls or x[i] is not None) and x[i] == y[j] for i, j in zip(left, right, strict=True))


def join(a: ZSet, b: ZSet, left: Sequence[int], right: Sequence[int], nulls: bool = False) -> ZSet:
    return zset((x + y, p * q) for x, p in a.items() for y, q in b.items() if _matches(x, y, left, right, nulls))


def semi_join(
    a: ZSet, b: ZSet, left: Sequence[int], right: Sequence[int], anti: bool = False, nulls: bool = False
) -> ZSet:
    def present(x: Row) -> bool:
        return sum(q for y, q in b.items() if _matches(x, y, left, right, nulls)) > 0

    return {x: p for x, p in a.items() if present(x) != anti}


def outer_join(
    a: ZSet,
    b: ZSet,
    keys: tuple[Sequence[int], Sequence[int]],
    widths: tuple[int, int],
    passes: Callable[[Row], bool] = lambda row: True,
    full: bool = False,
) -> ZSet:
    """For collections without negative counts."""
    pairs = {row: d for row, d in join(a, b, *keys).items() if passes(row)}
    left = {row[: widths[0]] for row in pairs}
    right = {row[widths[0] :] for row in pairs}
    rows = add(dict(pairs), [(x + (None,) * widths[1], p) for x, p in a.items() if x not in left])
    return add(rows, [((None,) * widths[0] + y, q) for y, q in b.items() if y not in right]) if full else rows


def positive(z: ZSet) -> ZSet:
    return {row: diff for row, diff in z.items() if diff > 0}


Term = tuple[int, bool, bool]
"""Column, descending, NULLs first."""


def top_k(z: ZSet, key: Sequence[int], order: Sequence[Term], limit: int | None, offset: int, numbered: bool) -> ZSet:
    groups: dict[Row, list[Row]] = {}
    for row, diff in z.items():
        groups.setdefault(tuple(row[i] for i in key), []).extend([row] * max(diff, 0))
    rows: ZSet = {}
    for members in groups.values():
        for term in ((i, False, False) for i in reversed(range(len(members[0]) if members else 0))):
            members.sort(key=lambda row, term=term: rank(row[term[0]], *term[1:]))
        for column, descending, nulls_first in reversed(order):
            # Stable also when descending: equal values keep their order.
            members.sort(key=lambda row, c=column, d=descending, n=nulls_first: rank(row[c], d, n), reverse=descending)
        places = list(enumerate(members, 1))[offset : None if limit is None else offset + limit]
        add(rows, [((*row, place) if numbered else row, 1) for place, row in places])
    return rows


def rank(value: Any, descending: bool, nulls_first: bool) -> Any:
    """A sort key: NULLs at the wanted end after the reversal of a descending order, NaN above all numbers."""
    if value is None:
        return (-1 if nulls_first != descending else 2, 0)
    return (1, 0) if value == NAN else (0, value.encode() if isinstance(value, str) else value)


def distinct(z: ZSet) -> ZSet:
    return {row: 1 for row, diff in z.items() if diff > 0}


def union(*zs: ZSet) -> ZSet:
    return zset(pair for z in zs for pair in z.items())


def negate(z: ZSet) -> ZSet:
    return {row: -diff for row, diff in z.items()}


def upsert(stream: Iterable[Weighted], key: Sequence[int]) -> ZSet:
    state: dict[Row, Row] = {}
    for row, diff in stream:
        of = tuple(canonical(row[i]) for i in key)
        state.pop(of, None)
        if diff > 0:
            state[of] = row
    return zset((row, 1) for row in state.values())


def reduce(z: ZSet, key: Sequence[int], aggregates: Sequence[Aggregate], default: bool = False) -> Answer:
    groups: dict[Row, list[Weighted]] = {(): []} if default else {}
    for row, diff in z.items():
        groups.setdefault(tuple(row[i] for i in key), []).append((row, diff))
    rows: ZSet = {}
    errors: ZSet = {}
    for group, members in groups.items():
        total = sum(diff for _, diff in members)
        try:
            _refuse_negative(aggregates, members, total)
            values = [_aggregate(aggregate, members, total) for aggregate in aggregates]
            if total > 0 or default:
                add(rows, [(group + tuple(values), 1)])
        except RowError as error:
            add(errors, [((str(error),), 1)])
    return rows, errors


def _refuse_negative(aggregates: Sequence[Aggregate], members: list[Weighted], total: int) -> None:
    """RowError if what is counted shows that some row is there fewer than zero times."""
    columns = {a.column for a in aggregates if a.column is not None and a.function not in ("min", "max")}
    present = [sum(diff for row, diff in members if row[c] is not None) for c in columns]
    if total < 0 or any(not 0 <= count <= total for count in present):
        raise RowError(NEGATIVE_COUNT)


def _aggregate(aggregate: Aggregate, members: list[Weighted], total: int) -> Any:
    if aggregate.column is None:
        return total
    if aggregate.function in (*SPREADS, *PAIRWISE):
        return _statistic(aggregate, members)
    by_value = zset(((row[aggregate.column],), diff) for row, diff in members if row[aggregate.column] is not None)
    values = [(value, diff) for (value,), diff in by_value.items()]
    count = sum(diff for _, diff in values)
    if aggregate.function == "count":
        return count
    if aggregate.function in ("min", "max"):
        live = sorted((value for value, diff in values if diff > 0), key=lambda v: (v == NAN, 0 if v == NAN else v))
        return (live[0] if aggregate.function == "min" else live[-1]) if live else None
    if not count:
        return None
    if aggregate.type.kind in (Kind.DOUBLE, Kind.REAL):
        return _float(values, count if aggregate.function == "avg" else 1, aggregate.type.kind is Kind.REAL)
    exact = sum((Fraction(value) * diff for value, diff in values), Fraction(0))
    if aggregate.function == "avg":
        exact /= count
    if aggregate.type == BIGINT:
        if not -(2**63) <= exact < 2**63:
            raise RowError(BIGINT_RANGE)
        return int(exact)
    unscaled = abs(exact) * 10**aggregate.type.decimal_scale
    digits = int(unscaled + Fraction(1, 2))
    if digits >= 10**38:
        raise RowError(NUMERIC_RANGE)
    return Decimal((int(exact < 0), tuple(map(int, str(digits))), -aggregate.type.decimal_scale))


def _statistic(aggregate: Aggregate, members: list[Weighted]) -> Any:
    """By the textbook's formulas, in fractions."""
    columns = [aggregate.column] if aggregate.other is None else [aggregate.column, aggregate.other]
    rows = [(tuple(row[c] for c in columns), diff) for row, diff in members if None not in [row[c] for c in columns]]
    n = sum(diff for _, diff in rows)
    samp = aggregate.function.endswith("_samp")
    if n < 1 or (samp and n == 1):
        return None
    special = sum(diff for values, diff in rows if any(v in (NAN, math.inf, -math.inf) for v in values))
    finite = [(tuple(map(Fraction, v)), d) for v, d in rows if not any(x in (NAN, math.inf, -math.inf) for x in v)]
    square, root = _ratio(aggregate.function, finite, n)
    if special:
        return NAN
    if square is None:
        return None
    if aggregate.type == NUMERIC:
        size = abs(square) * 10 ** (32 if root else 16)
        digits = (math.isqrt(4 * size.numerator // size.denominator) + 1) // 2 if root else round_half_up(size)
        if digits >= 10**38:
            raise RowError(NUMERIC_RANGE)
        return Decimal((int(square < 0), tuple(map(int, str(digits))), -16))
    if not root:
        return canonical(_double(square))
    exact = abs(square) * Fraction(4) ** 2400
    value = Fraction(math.isqrt(exact.numerator // exact.denominator), 2**2400)
    return canonical(_double(-value if square < 0 else value))


def round_half_up(size: Fraction) -> int:
    return int(size + Fraction(1, 2))


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise RowError(FLOAT_RANGE) from None


def _ratio(function: str, rows: list[Any], n: int) -> tuple[Fraction | None, bool]:
    """The statistic, or its square with its sign and TRUE."""
    sx, sxx = (sum((v[0] ** power * d for v, d in rows), Fraction(0)) for power in (1, 2))
    sy, syy = (sum((v[-1] ** power * d for v, d in rows), Fraction(0)) for power in (1, 2))
    xx, yy = sxx - sx * sx / n, syy - sy * sy / n
    xy = sum((v[0] * v[-1] * d for v, d in rows), Fraction(0)) - sx * sy / n
    match function:
        case "var_pop" | "stddev_pop":
            return xx / n, function == "stddev_pop"
        case "var_samp" | "stddev_samp":
            return xx / (n - 1), function == "stddev_samp"
        case "covar_pop":
            return xy / n, False
        case "covar_samp":
            return xy / (n - 1), False
        case "regr_sxx" | "regr_syy" | "regr_sxy":
            return {"x": xx, "y": yy}[function[-1]] if function != "regr_sxy" else xy, False
        case "corr":
            return (None if not xx or not yy else abs(xy) * xy / (xx * yy)), True
    if not xx:
        return None, False
    if function == "regr_r2":
        return (xy * xy / (xx * yy) if yy else Fraction(1)), False
    return (xy / xx if function == "regr_slope" else sy / n - xy / xx * sx / n), False


def _float(values: list[tuple[Any, int]], divisor: int, real: bool) -> Any:
    special = {name: sum(d for v, d in values if v == name) for name in (NAN, math.inf, -math.inf)}
    if special[NAN] or (special[math.inf] and special[-math.inf]):
        return NAN
    for infinity in (math.inf, -math.inf):
        if special[infinity]:
            return infinity
    finite = [(v, d) for v, d in values if v not in (NAN, math.inf, -math.inf)]
    try:
        result = float(sum((Fraction(v) * d for v, d in finite), Fraction(0))) / divisor
    except OverflowError:
        raise RowError(FLOAT_RANGE) from None
    if real:
        with np.errstate(over="ignore"):
            narrow = float(np.float32(result))
        if math.isinf(narrow):
            raise RowError(FLOAT_RANGE)
        return canonical(narrow)
    return canonical(result)
