"""Accumulators: what a group remembers of its rows for count, sum, avg and statistics, stored as rows of a spine.

Always true: each kind is a commutative group (so that retraction is exact, floats included), zero is stored as no row, and
nothing overflows here: a result that is too large is an error of the result alone and goes away with the input.
An accumulator of g groups is a column set aligned to those groups. Deliberately unknown here: how results are made of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.base import Types
from dataflow.operators.exact import Longs, Mask, Wide, add, decimals, limbs, split, unsplit
from dataflow.rows import INTERVAL_PARTS, Columns, Int64s, interval_parts
from dataflow.scalars.moments import moments_add, moments_of
from dataflow.types import BIGINT, BYTEA, ColumnType, Kind

INTEGER_SUM = ColumnType(Kind.NUMERIC, scale=0)

_LONG_DIGITS = 18
"""Digits of a decimal whose unscaled value surely fits into 64 bits: its sum needs one part, not two."""


class Sums(ABC):
    """The kind of the accumulator of one summed column, or of a few together."""

    stored: Types
    """The columns it takes in a spine."""

    @abstractmethod
    def of(self, ids: Int64s, groups: int, values: Columns, diffs: Diffs) -> Columns:
        """The sums of values * diffs per group; NULLs count for nothing."""

    @abstractmethod
    def add(self, left: Columns, right: Columns) -> Columns:
        """The sum, group by group."""

    @abstractmethod
    def nonzero(self, sums: Columns) -> Mask:
        """Which groups' sums are worth storing."""

    def zero(self, columns: Types) -> Columns:
        """The sums of no rows, for one group."""
        none = np.empty(0, np.int64)
        return self.of(none, 1, tuple(pa.array([], column.arrow) for column in columns), none)


class ExactSums(Sums):
    """Integers and decimals, as one 128-bit integer, or as two parts where values have more than 18 digits."""

    def __init__(self, column: ColumnType) -> None:
        self._wide = column.kind is Kind.NUMERIC and (column.precision is None or column.precision > _LONG_DIGITS)
        self.scale = column.decimal_scale if column.kind is Kind.NUMERIC else 0
        self.stored = (INTEGER_SUM, INTEGER_SUM) if self._wide else (INTEGER_SUM,)

    def of(self, ids: Int64s, groups: int, values: Columns, diffs: Diffs) -> Columns:
        # 2^64 * 5 * 10^18 rows fit into 38 digits, so the kernel's overflow flags stay clear.
        parts = split(values[0]) if self._wide else values
        return tuple(decimals(limbs(rows.sum_by(ids, groups, part, diffs)[0]), 0) for part in parts)

    def add(self, left: Columns, right: Columns) -> Columns:
        return _added(left, right)

    def nonzero(self, sums: Columns) -> Mask:
        return _some(sums)

    def totals(self, sums: Columns) -> tuple[Wide, Mask | None]:
        """The unscaled sums, and where they are beyond 128 bits (None: nowhere)."""
        if self._wide:
            return unsplit(limbs(sums[0]), limbs(sums[1]))
        return limbs(sums[0]), None

    def number(self, sums: Columns, group: int) -> int:
        """The unscaled sum of one group, of any size."""
        return sum(int(part[group].as_py()) << 64 * position for position, part in enumerate(sums))


class FloatSums(Sums):
    """Floats, as exact superaccumulators: adding and taking away in any order gives the same bits."""

    stored = (BYTEA,)

    def of(self, ids: Int64s, groups: int, values: Columns, diffs: Diffs) -> Columns:
        doubles = values[0] if values[0].type == pa.float64() else values[0].cast(pa.float64())
        return (rows.float_sums(ids, groups, doubles, diffs).cast(pa.large_binary()),)

    def add(self, left: Columns, right: Columns) -> Columns:
        return (rows.float_add(fixed(left[0]), fixed(right[0])).cast(pa.large_binary()),)

    def nonzero(self, sums: Columns) -> Mask:
        mask: Mask = np.logical_or.reduce(_words(sums) != 0, axis=1)
        return mask

    def totals(self, sums: Columns) -> tuple[npt.NDArray[np.float64], Mask | None]:
        """The sums, and where finite numbers add up to more than a float64 holds (None: nowhere)."""
        values = rows.float_round(fixed(sums[0])).to_numpy(zero_copy_only=False)
        infinite = np.isinf(values)
        if not infinite.any():
            return values, None
        # The last three words count NaN, +infinity and -infinity; an infinite sum with none of them is too large.
        return values, infinite & ~_words(sums)[:, -3:].any(axis=1)


class IntervalSums(Sums):
    """Intervals, part by part: months, days, microseconds."""

    stored = (INTEGER_SUM, INTEGER_SUM, INTEGER_SUM)

    def of(self, ids: Int64s, groups: int, values: Columns, diffs: Diffs) -> Columns:
        (column,) = values
        parts, nulls = interval_parts(column), column.is_null().to_numpy(zero_copy_only=False)
        return tuple(rows.sum_by(ids, groups, pa.array(parts[name], mask=nulls), diffs)[0] for name in INTERVAL_PARTS)

    def add(self, left: Columns, right: Columns) -> Columns:
        return _added(left, right)

    def nonzero(self, sums: Columns) -> Mask:
        return _some(sums)


class MomentSums(Sums):
    """Numbers with their squares, or pairs of doubles with their products, as exact moments (`dataflow.scalars.moments`)."""

    stored = (BYTEA,)

    def __init__(self, columns: Types) -> None:
        """columns: one, or the pair's first and second."""
        self.pairs = len(columns) == 2
        kind = columns[0].kind
        real = kind in (Kind.REAL, Kind.DOUBLE)
        self.scale = None if real else columns[0].decimal_scale if kind is Kind.NUMERIC else 0

    def of(self, ids: Int64s, groups: int, values: Columns, diffs: Diffs) -> Columns:
        return (moments_of(ids, groups, values[0], values[1] if self.pairs else None, diffs),)

    def add(self, left: Columns, right: Columns) -> Columns:
        return (moments_add(left[0], right[0], self.pairs),)

    def nonzero(self, sums: Columns) -> Mask:
        mask: Mask = pc.binary_length(sums[0]).to_numpy() != 0
        return mask


def _added(left: Columns, right: Columns) -> Columns:
    return tuple(decimals(add(limbs(a), limbs(b)), 0) for a, b in zip(left, right, strict=True))


def _some(sums: Columns) -> Mask:
    mask: Mask = reduce(np.bitwise_or, [word for part in sums for word in limbs(part).T]) != 0
    return mask


def _words(sums: Columns) -> npt.NDArray[np.uint64]:
    bits = fixed(sums[0])
    width = bits.type.byte_width // 8
    flat = np.frombuffer(bits.buffers()[1], np.uint64) if len(bits) else np.empty(0, np.uint64)
    return flat[bits.offset * width : (bits.offset + len(bits)) * width].reshape(-1, width)


def fixed(accumulators: pa.Array) -> pa.Array:
    """Stored float accumulators as the kernels take them: binary of one width."""
    return accumulators.cast(_FIXED)


_FIXED = rows.float_sums(np.empty(0, np.int64), 0, pa.array([], pa.float64()), np.empty(0, np.int64)).type


class Accumulators:
    """The layout of all accumulators of a reduction, as columns: rows of the group, non-NULL values, sums.

    columns: the input's types; counted: the columns whose non-NULL values are counted; summed: those that are added up, alone or
    together, each with its kind.
    """

    def __init__(self, columns: Types, counted: Sequence[int], summed: Sequence[tuple[tuple[int, ...], Sums]]) -> None:
        self.counted = tuple(counted)
        self.summed = tuple(summed)
        self._empty = [kind.zero(tuple(columns[one] for one in of)) for of, kind in summed]
        self.stored: Types = (BIGINT,) * (1 + len(self.counted)) + tuple(t for _, s in self.summed for t in s.stored)

    def of(self, delta: Delta, ids: Int64s, groups: int) -> State:
        """What a delta adds to each group."""
        total = _count(ids, groups, delta.diffs)
        counts = []
        for column in self.counted:
            values = delta.columns[column]
            if values.null_count:
                valid = values.is_valid().to_numpy(zero_copy_only=False)
                counts.append(_count(ids[valid], groups, delta.diffs[valid]))
            else:
                counts.append(total)
        sums = [kind.of(ids, groups, tuple(delta.columns[one] for one in of), delta.diffs) for of, kind in self.summed]
        return State(total, counts, sums)

    def read(self, found: Int64s, stored: Columns, groups: int) -> State:
        """The state of each group from the stored rows, at most one for each group; `found` says of which group each is."""
        slots = np.full(groups, len(found), np.int64)
        slots[found] = np.arange(len(found), dtype=np.int64)
        counters = [_scatter(column, found, groups) for column in stored[: 1 + len(self.counted)]]
        sums: list[Columns] = []
        position = len(counters)
        for (_, kind), empty in zip(self.summed, self._empty, strict=True):
            width = len(kind.stored)
            padded = rows.concat([stored[position : position + width], empty])
            sums.append(rows.take(padded, slots))
            position += width
        return State(counters[0], counters[1:], sums)

    def add(self, left: State, right: State) -> State:
        """left + right, group by group."""
        return State(
            left.total + right.total,
            [a + b for a, b in zip(left.counts, right.counts, strict=True)],
            [k.add(a, b) for (_, k), a, b in zip(self.summed, left.sums, right.sums, strict=True)],
        )

    def stack(self, above: State, below: State) -> State:
        """The groups of both, one after the other."""
        return State(
            np.concatenate([above.total, below.total]),
            [np.concatenate(pair) for pair in zip(above.counts, below.counts, strict=True)],
            [rows.concat(pair) for pair in zip(above.sums, below.sums, strict=True)],
        )

    def nonzero(self, state: State) -> Mask:
        """Which groups have anything to store: a group without rows may still hold a sum if the input is faulty."""
        mask: Mask = state.total != 0
        for count in state.counts:
            mask = mask | (count != 0)
        for (_, kind), sums in zip(self.summed, state.sums, strict=True):
            mask = mask | kind.nonzero(sums)
        return mask

    def columns(self, state: State) -> Columns:
        """The state as the columns of `stored`."""
        counters = tuple(pa.array(count) for count in (state.total, *state.counts))
        return counters + tuple(part for sums in state.sums for part in sums)


class State:
    """The accumulators of g groups: `total` rows, `counts` of non-NULL values, `sums`, in the order of `Accumulators`."""

    __slots__ = ("counts", "sums", "total")

    def __init__(self, total: Longs, counts: list[Longs], sums: list[Columns]) -> None:
        self.total = total
        self.counts = counts
        self.sums = sums


def _count(ids: Int64s, groups: int, diffs: Diffs) -> Longs:
    counts: Longs = rows.sum_by(ids, groups, None, diffs)[0].to_numpy(zero_copy_only=False, writable=True)
    return counts


def _scatter(column: pa.Array, found: Int64s, groups: int) -> Longs:
    out = np.zeros(groups, np.int64)
    out[found] = column.to_numpy()
    return out
