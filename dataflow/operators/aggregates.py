"""Aggregate functions: their types, and how a result is made of a group's accumulators.

Always true: a result is a function of the accumulators alone, correctly rounded once; NULL when no value was seen (count: 0).
A result that does not fit its type is marked, never raised. Deliberately unknown here: rows, spines and groups' keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow import rows
from dataflow.operators.accumulators import ExactSums, FloatSums, IntervalSums, MomentSums, Sums
from dataflow.operators.base import Types
from dataflow.operators.exact import WORD, Longs, Mask, decimals, fits_decimal, fits_long, limbs, longs, quotients
from dataflow.rows import Columns, Int64s
from dataflow.scalars import interval_scale
from dataflow.scalars.moments import statistic
from dataflow.types import DOUBLE, NUMERIC_PRECISION, ColumnType, Kind

Spread = Literal["var_pop", "var_samp", "stddev_pop", "stddev_samp"]
Pairwise = Literal[
    "covar_pop", "covar_samp", "corr", "regr_slope", "regr_intercept", "regr_r2", "regr_sxx", "regr_syy", "regr_sxy"
]
Function = Literal["count_star", "count", "sum", "avg", "min", "max"] | Spread | Pairwise

SPREADS: tuple[Spread, ...] = get_args(Spread)
PAIRWISE: tuple[Pairwise, ...] = get_args(Pairwise)
"""The functions of pairs (x, y), where SQL writes (y, x). A pair counts where neither is NULL."""

EXTREMES = ("min", "max")
"""The functions that read an ordered arrangement; the others read accumulators."""

BIGINT_RANGE = "bigint out of range"
NUMERIC_RANGE = "numeric field overflow"
INTERVAL_RANGE = "interval out of range"
FLOAT_RANGE = "value out of range: overflow"
NEGATIVE_COUNT = "a group has fewer than zero rows: more rows were taken away than were ever added"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate of a reduce. `column` is a position in the input (None for count_star); `type` is the result's type.

    other: of PAIRWISE functions the second column. Invariant: it is NULL where `column` is, and the other way round.
    """

    function: Function
    column: int | None
    type: ColumnType
    other: int | None = None

    def __str__(self) -> str:
        more = "" if self.other is None else f", #{self.other}"
        return "count(*)" if self.column is None else f"{self.function}(#{self.column}{more})"


class Result(NamedTuple):
    """values: the aggregate by group. bad: where it has no value but an error (None: nowhere)."""

    values: pa.Array
    bad: Mask | None


class Finisher(NamedTuple):
    """How sums become results: `finish(sums, counts)`, where counts are of non-NULL values, and the message where it fails."""

    finish: Callable[[Columns, Longs], Result]
    message: str


_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
_FLOATS = (Kind.REAL, Kind.DOUBLE)


def check_aggregate(aggregate: Aggregate, column: ColumnType | None, other: ColumnType | None = None) -> None:
    """ValueError unless the function takes the columns' types and gives the aggregate's."""
    function, result = aggregate.function, aggregate.type
    if (function in PAIRWISE) != (other is not None):
        raise ValueError(f"{function} takes {'a second' if other is None else 'one'} column")
    if (function == "count_star") != (column is None):
        raise ValueError(f"{function} takes {'no column' if column is not None else 'a column'}")
    if function in ("count", "count_star"):
        fits = result.kind is Kind.BIGINT
    elif function in PAIRWISE:
        fits = column == other == result == DOUBLE
    elif function in EXTREMES:
        fits = column is not None and result.arrow == column.arrow
    else:
        fits = column is not None and _sums_to(function, column, result)
    if not fits:
        raise ValueError(f"{aggregate} over {column} cannot have the type {result}")


def _sums_to(function: Function, column: ColumnType, result: ColumnType) -> bool:
    if column.kind in _FLOATS:
        return result.kind in _FLOATS
    if column.kind is Kind.INTERVAL:
        return result.kind is Kind.INTERVAL and function not in SPREADS
    if function in SPREADS:
        return result.kind is Kind.NUMERIC and column.kind in (Kind.NUMERIC, *_INTEGERS)
    if column.kind is Kind.NUMERIC:
        return result.kind is Kind.NUMERIC and (function == "avg" or result.decimal_scale == column.decimal_scale)
    if column.kind not in _INTEGERS:
        return False
    if function == "avg":
        return result.kind is Kind.NUMERIC
    return result.kind is Kind.BIGINT or (result.kind is Kind.NUMERIC and result.decimal_scale == 0)


Needed = tuple[tuple[int, ...], type[Sums]]
"""Which columns have to be added up, and the kind of accumulator."""


def needed(aggregate: Aggregate, types: Types) -> Needed | None:
    """What a result is made of besides counts; None where that is enough, and for min and max."""
    if aggregate.column is None or aggregate.function in ("count", *EXTREMES):
        return None
    if aggregate.other is not None:
        return (aggregate.column, aggregate.other), MomentSums
    if aggregate.function in SPREADS:
        return (aggregate.column,), MomentSums
    kind = types[aggregate.column].kind
    return (aggregate.column,), FloatSums if kind in _FLOATS else IntervalSums if kind is Kind.INTERVAL else ExactSums


def sums_for(need: Needed, types: Types) -> Sums:
    """The accumulator that does this."""
    columns, kind = need
    if kind is MomentSums:
        return MomentSums(tuple(types[column] for column in columns))
    return ExactSums(types[columns[0]]) if kind is ExactSums else kind()


def finisher(aggregate: Aggregate, sums: Sums) -> Finisher:
    """How a sum, an avg or a statistic is made of its accumulators."""
    result = aggregate.type
    average = aggregate.function == "avg"
    if isinstance(sums, MomentSums):
        return _statistic(aggregate, sums)
    if isinstance(sums, IntervalSums):
        return Finisher(_interval_finish(average), INTERVAL_RANGE)
    assert isinstance(sums, ExactSums | FloatSums)
    if isinstance(sums, FloatSums):
        return Finisher(_float_finish(result, average, sums), FLOAT_RANGE)
    if average:
        return Finisher(_average_finish(result, sums), NUMERIC_RANGE)
    if result.kind is Kind.NUMERIC:
        return Finisher(_decimal_finish(result, sums), NUMERIC_RANGE)
    return Finisher(_long_finish(sums), BIGINT_RANGE)


def _long_finish(kind: ExactSums) -> Callable[[Columns, Longs], Result]:
    def finish(sums: Columns, counts: Longs) -> Result:
        totals, _ = kind.totals(sums)
        return Result(pa.array(longs(totals), mask=counts == 0), _some(~fits_long(totals)))

    return finish


def _decimal_finish(result: ColumnType, kind: ExactSums) -> Callable[[Columns, Longs], Result]:
    digits = NUMERIC_PRECISION if result.precision is None else result.precision

    def finish(sums: Columns, counts: Longs) -> Result:
        totals, beyond = kind.totals(sums)
        bad = ~fits_decimal(totals, digits)
        if beyond is not None:
            bad |= beyond
        return Result(decimals(totals, kind.scale, counts == 0), _some(bad))

    return finish


def _average_finish(result: ColumnType, kind: ExactSums) -> Callable[[Columns, Longs], Result]:
    digits = result.decimal_scale

    def finish(sums: Columns, counts: Longs) -> Result:
        totals, beyond = kind.totals(sums)
        large = ~fits_decimal(totals, NUMERIC_PRECISION)
        if beyond is not None:
            large |= beyond
        counts = np.maximum(counts, 0)
        if not large.any():
            values, bad = quotients(totals, kind.scale, counts, digits)
            return Result(values, bad)
        divisible = np.where(large[:, None], np.uint64(0), totals)
        values, bad = quotients(divisible, kind.scale, counts, digits)
        return finish_large(Result(values, bad), sums, counts, np.flatnonzero(large & (counts > 0)))

    def finish_large(known: Result, sums: Columns, counts: Longs, groups: Int64s) -> Result:
        """Sums of more than 38 digits, whose averages may well fit. So rare that they are done one by one."""
        averages = limbs(known.values).copy()
        bad = np.zeros(len(counts), np.bool_) if known.bad is None else known.bad
        for group in groups.tolist():
            total, divisor = kind.number(sums, group) * 10**digits, int(counts[group]) * 10**kind.scale
            size = (2 * abs(total) + divisor) // (2 * divisor)
            average = -size if total < 0 else size
            bad[group] = size >= 10**NUMERIC_PRECISION
            averages[group] = (average & WORD, average >> 64 & WORD)
        return Result(decimals(averages, digits, counts == 0), _some(bad))

    return finish


def _float_finish(result: ColumnType, average: bool, kind: FloatSums) -> Callable[[Columns, Longs], Result]:
    def finish(sums: Columns, counts: Longs) -> Result:
        return float_result(result, average, *kind.totals(sums), counts)

    return finish


def float_result(
    result: ColumnType, average: bool, values: npt.NDArray[np.float64], large: Mask | None, counts: Longs
) -> Result:
    """The sum or average of floats from exact sums that were rounded once; `large`: where they are beyond a float64."""
    empty = counts <= 0
    if average:
        values = values / np.where(empty, 1, counts)
    if result.kind is Kind.REAL:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        beyond = np.isinf(narrow) & ~np.isinf(values)
        large = beyond if large is None else large | beyond
        return Result(pa.array(narrow, mask=empty), large)
    return Result(pa.array(values, mask=empty), large)


def _statistic(aggregate: Aggregate, kind: MomentSums) -> Finisher:
    result = aggregate.type
    digits = 0 if kind.scale is None else result.decimal_scale

    def finish(sums: Columns, counts: Longs) -> Result:
        values, bad = statistic(aggregate.function, sums[0], counts, kind.pairs, kind.scale, digits)
        if result.kind is not Kind.REAL:
            return Result(values, _some(bad))
        return float_result(
            result, False, values.to_numpy(zero_copy_only=False), bad, values.is_valid().to_numpy(False) * 1
        )

    return Finisher(finish, FLOAT_RANGE if kind.scale is None else NUMERIC_RANGE)


def _interval_finish(average: bool) -> Callable[[Columns, Longs], Result]:
    def finish(sums: Columns, counts: Longs) -> Result:
        parts = np.zeros(len(counts), rows.INTERVAL)
        bad = np.zeros(len(counts), np.bool_)
        for name, column in zip(rows.INTERVAL_PARTS, sums, strict=True):
            whole = limbs(column)
            numbers = longs(whole)
            parts[name] = numbers
            bad |= ~fits_long(whole) | (parts[name] != numbers)
        validity = pa.array(counts > 0).buffers()[1]
        values = pa.Array.from_buffers(pa.month_day_nano_interval(), len(counts), [validity, pa.py_buffer(parts)])
        if average:
            divisors = pa.array(np.where(counts > 0, counts, 1).astype(np.float64))
            values, errors = interval_scale(values, divisors, True, len(counts))
            if errors is not None:
                bad |= errors.is_valid().to_numpy(zero_copy_only=False)
        return Result(values, _some(bad))

    return finish


def _some(mask: Mask) -> Mask | None:
    return mask if mask.any() else None
