"""Aggregate functions: their types, and how a result is made of a group's accumulators.

Always true: a result is a function of the accumulators alone, correctly rounded once; NULL when no value was seen (count: 0).
A result that does not fit its type is marked, never raised. Deliberately unknown here: rows, spines and groups' keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.operators.accumulators import ExactSums, FloatSums
from dataflow.operators.exact import WORD, Longs, Mask, decimals, fits_decimal, fits_long, limbs, longs, quotients
from dataflow.rows import Columns, Int64s
from dataflow.types import NUMERIC_PRECISION, ColumnType, Kind

Function = Literal["count_star", "count", "sum", "avg", "min", "max"]

EXTREMES = ("min", "max")
"""The functions that read an ordered arrangement; the others read accumulators."""

BIGINT_RANGE = "bigint out of range"
NUMERIC_RANGE = "numeric field overflow"
FLOAT_RANGE = "value out of range: overflow"
NEGATIVE_COUNT = "a group has fewer than zero rows: more rows were taken away than were ever added"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate of a reduce. `column` is a position in the input (None for count_star); `type` is the result's type."""

    function: Function
    column: int | None
    type: ColumnType

    def __str__(self) -> str:
        return "count(*)" if self.column is None else f"{self.function}(#{self.column})"


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


def check_aggregate(aggregate: Aggregate, column: ColumnType | None) -> None:
    """ValueError unless the function takes the column's type and gives the aggregate's."""
    function, result = aggregate.function, aggregate.type
    if (function == "count_star") != (column is None):
        raise ValueError(f"{function} takes {'no column' if column is not None else 'a column'}")
    if function in ("count", "count_star"):
        fits = result.kind is Kind.BIGINT
    elif function in EXTREMES:
        fits = column is not None and result.arrow == column.arrow
    else:
        fits = column is not None and _sums_to(function, column, result)
    if not fits:
        raise ValueError(f"{aggregate} over {column} cannot have the type {result}")


def _sums_to(function: Function, column: ColumnType, result: ColumnType) -> bool:
    if column.kind in _FLOATS:
        return result.kind in _FLOATS
    if column.kind is Kind.NUMERIC:
        return result.kind is Kind.NUMERIC and (function == "avg" or result.decimal_scale == column.decimal_scale)
    if column.kind not in _INTEGERS:
        return False
    if function == "avg":
        return result.kind is Kind.NUMERIC
    return result.kind is Kind.BIGINT or (result.kind is Kind.NUMERIC and result.decimal_scale == 0)


def sums_for(column: ColumnType) -> ExactSums | FloatSums:
    """The kind of accumulator that adds up a column of this type."""
    return FloatSums() if column.kind in _FLOATS else ExactSums(column)


def finisher(aggregate: Aggregate, sums: ExactSums | FloatSums) -> Finisher:
    """How a sum or avg is made of its accumulators."""
    result = aggregate.type
    average = aggregate.function == "avg"
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


def _some(mask: Mask) -> Mask | None:
    return mask if mask.any() else None
