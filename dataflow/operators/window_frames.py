"""Frames: which rows a window function sees from each row, and the order of rows in which that is said.

    SUM(x) OVER (ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)      the row and the two before it

Always true: rows are laid out in stretches of neighbours of one partition, a row that is there n times at n places; a frame is a
few ranges of places, low to high - 1, in order, none of which leaves the row's stretch. Deliberately unknown here: functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow import rows
from dataflow.layout import Order
from dataflow.operators.exact import Wide, fits_long, limbs, longs, ranks, saturating_add
from dataflow.rows import Int64s
from dataflow.snapshot import Around

Unit = Literal["rows", "range", "groups"]
Exclusion = Literal["no others", "current row", "group", "ties"]
Ranges = tuple[tuple[Int64s, Int64s], ...]
"""(lows, highs) of each range, by row; a range whose low is not below its high is empty."""


@dataclass(frozen=True, slots=True)
class Frame:
    """From `start` to `end`, relative to the row: in rows, groups of peers, or units of the order's one column.

    None: to the partition's end on that side. With `range` and `groups` 0 is the row's group of peers. Units of a numeric are those
    of its last digit, of a timestamp microseconds, of a date days.
    """

    unit: Unit = "range"
    start: int | float | None = None
    end: int | float | None = 0
    exclude: Exclusion = "no others"

    def __str__(self) -> str:
        def bound(offset: int | float | None, end: str) -> str:
            if offset is None:
                return f"unbounded {end}"
            return "current row" if offset == 0 else f"{abs(offset)} {'preceding' if offset < 0 else 'following'}"

        without = "" if self.exclude == "no others" else f" exclude {self.exclude}"
        return f"{self.unit} {bound(self.start, 'preceding')} to {bound(self.end, 'following')}{without}"


DEFAULT = Frame()
"""What SQL means where no frame is written: from the partition's beginning through the row's peers."""


class Places:
    """The places of the rows that `Around` found, each as often as it is there: before a change, or after it."""

    def __init__(self, around: Around, counts: Int64s, peers: Sequence[int]) -> None:
        """counts: how often each row is there; at most 0 is not at all. peers: the columns within which rows are peers."""
        counts = np.where(around.bases, np.minimum(counts, 1), np.maximum(counts, 0))
        self._around = around
        self._peers = tuple(peers)
        self.rows: Int64s = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        """Which of the found rows is at each place."""
        self.ends: Int64s = np.cumsum(counts)
        """One past the last place of each found row."""
        stretches = around.stretches[self.rows]
        self._edges = np.flatnonzero(np.diff(stretches, prepend=-1))
        self.bases: Int64s = self._edges[around.bases[self.rows[self._edges]]]
        """The places of rows in front of stretches."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, column: int) -> pa.Array:
        """A column of the rows, by place."""
        return rows.take((self._around.columns[column],), self.rows)[0]

    @cached_property
    def index(self) -> Int64s:
        """0, 1, 2, ..."""
        return np.arange(len(self), dtype=np.int64)

    @cached_property
    def begin(self) -> Int64s:
        """The first place of each place's stretch."""
        return np.repeat(self._edges, np.diff(self._edges, append=len(self)))

    @cached_property
    def end(self) -> Int64s:
        """One past the last place of each place's stretch."""
        sizes = np.diff(self._edges, append=len(self))
        return np.repeat(self._edges + sizes, sizes)

    @cached_property
    def _group_edges(self) -> Int64s:
        """The first place of each group of peers."""
        if not self._peers:
            return self._edges
        ids, _ = rows.group(tuple(self._around.columns[column] for column in self._peers), len(self._around.counts))
        other = np.flatnonzero(np.diff(ids[self.rows])) + 1
        return np.union1d(self._edges, other)

    @cached_property
    def group(self) -> Int64s:
        """The number of each place's group of peers, over all stretches."""
        edges = self._group_edges
        return np.repeat(np.arange(len(edges), dtype=np.int64), np.diff(edges, append=len(self)))

    @property
    def peers_begin(self) -> Int64s:
        """The first place of each place's group."""
        return self._group_edges[self.group]

    @property
    def peers_end(self) -> Int64s:
        """One past the last place of each place's group."""
        return np.append(self._group_edges, len(self))[self.group + 1]

    def groups_around(self, at: Int64s, before: int, after: int) -> tuple[Int64s, Int64s]:
        """The places from so many groups before some places up to so many groups after them."""
        edges = np.append(self._group_edges, len(self))
        low = np.maximum(self.group[at] - before, 0)
        return edges[low], edges[np.minimum(self.group[at] + after + 1, len(edges) - 1)]

    def whole(self) -> Ranges:
        """From the beginning of the stretch through each place."""
        return ((self.begin, self.index + 1),)

    def frame(self, frame: Frame, order: Sequence[Order]) -> Ranges:
        """The frame of each place."""
        low, high = self._bounds(frame, order)
        high = np.maximum(low, high)
        if frame.exclude == "no others":
            return ((low, high),)
        if frame.exclude == "current row":
            first, last = self.index, self.index + 1
        else:
            first, last = self.peers_begin, self.peers_end
        before = low, np.clip(first, low, high)
        after = np.clip(last, low, high), high
        if frame.exclude != "ties":
            return before, after
        own = np.clip(self.index, low, high), np.clip(self.index + 1, low, high)
        return before, own, after

    def _bounds(self, frame: Frame, order: Sequence[Order]) -> tuple[Int64s, Int64s]:
        start, end = frame.start, frame.end
        if frame.unit == "range" and (start or end):
            return self._value_bounds(frame, order[0])
        if frame.unit == "rows":
            low = self.begin if start is None else np.clip(self.index + int(start), self.begin, self.end)
            high = self.end if end is None else np.clip(self.index + int(end) + 1, self.begin, self.end)
            return low, high
        edges = np.append(self._group_edges, len(self))
        low = self.begin if start is None else self._group_at(edges, int(start))
        high = self.end if end is None else self._group_at(edges, int(end) + 1)
        return low, high

    def _group_at(self, edges: Int64s, offset: int) -> Int64s:
        """The first place of the group so many groups on, or the end of the stretch on that side."""
        wanted = np.clip(self.group + offset, 0, len(edges) - 1)
        return np.clip(edges[wanted], self.begin, self.end)

    def _value_bounds(self, frame: Frame, order: Order) -> tuple[Int64s, Int64s]:
        """Bounds by the value of the order's column; rows without a value see each other alone, and what is unbounded."""
        column = self.take(order.column)
        nulls = column.is_null().to_numpy(zero_copy_only=False)
        values = numbers(column)
        # Places with a value lie side by side in each stretch: NULLs are at one end.
        known = np.concatenate([[0], np.cumsum(~nulls)])
        missing = self.end - self.begin - (known[self.end] - known[self.begin])
        first = self.begin + (missing if order.nulls_first else 0)
        last = self.end - (0 if order.nulls_first else missing)
        low, high = self.begin, self.end
        if frame.start is not None:
            low = np.where(nulls, self.peers_begin, _search(values, frame.start, order.descending, first, last, False))
        if frame.end is not None:
            high = np.where(nulls, self.peers_end, _search(values, frame.end, order.descending, first, last, True))
        return low, high


Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64] | Wide


def numbers(values: pa.Array) -> Numbers:
    """The numbers of a column to calculate with, 0 for NULL: unscaled ones of numerics, microseconds or days of times.

    Numerics of which one has more than 64 bits are `Wide`.
    """
    if pa.types.is_decimal(values.type):
        nulls = values.is_null().to_numpy(zero_copy_only=False)
        whole = np.where(nulls[:, None], np.uint64(0), limbs(values))
        return longs(whole) if fits_long(whole).all() else whole
    if pa.types.is_temporal(values.type):
        values = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64())
    plain: Numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    return plain.astype(np.float64) if pa.types.is_floating(values.type) else plain.astype(np.int64)


_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def _search(values: Numbers, offset: int | float, descending: bool, first: Int64s, last: Int64s, past: bool) -> Int64s:
    """For each place the first one from `first` to `last` whose value is not before its own shifted by `offset`; with `past` the
    first one whose value is after that."""
    keys, wanted = _ordered(values, _shifted(values, -offset if descending else offset))
    if descending:
        keys, wanted = -1 - keys, -1 - wanted
    low, high = first.copy(), np.maximum(first, last)
    while (open_ := low < high).any():
        middle = np.minimum((low + high) // 2, len(keys) - 1)
        before = keys[middle] <= wanted if past else keys[middle] < wanted
        low = np.where(open_ & before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low


def _shifted(values: Numbers, offset: int | float) -> Numbers:
    """values + offset; what does not fit is the nearest that does, which compares alike with all that do."""
    if values.dtype == np.float64:
        return values.astype(np.float64) + float(offset)
    if values.dtype == np.uint64:
        return saturating_add(values.astype(np.uint64, copy=False), int(offset))
    if not _LEAST <= offset <= _MOST:
        return np.full(len(values), _LEAST if offset < 0 else _MOST)
    whole = values.astype(np.int64, copy=False)
    moved = whole + np.int64(offset)
    wrapped = moved < whole if offset >= 0 else moved > whole
    return np.where(wrapped, _LEAST if offset < 0 else _MOST, moved)


def _ordered(values: Numbers, others: Numbers) -> tuple[Int64s, Int64s]:
    """Integers that compare as all these values do: NaN is the greatest of them, and 0.0 equals -0.0."""
    if values.dtype == np.uint64:
        numbered = ranks(np.concatenate([values, others]).astype(np.uint64, copy=False))
        return numbered[: len(values)], numbered[len(values) :]
    if values.dtype == np.float64:
        return _bits(values.astype(np.float64, copy=False)), _bits(others.astype(np.float64, copy=False))
    return values.astype(np.int64, copy=False), others.astype(np.int64, copy=False)


def _bits(values: npt.NDArray[np.float64]) -> Int64s:
    bits = (values + 0.0).view(np.int64)
    return np.where(np.isnan(values), _MOST, bits ^ ((bits >> 63) & _MOST))
