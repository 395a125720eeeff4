"""Folds of what can be put together two by two but not taken apart: statistics from moments, and bits.

Always true: a fold over ranges is that of their rows together, exact. It is made of the folds of 1, 2, 4, ... neighbours, so that
n rows cost n log n, whatever their frames. Deliberately unknown here: frames, and results' types.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.operators.accumulators import MomentSums
from dataflow.operators.base import Types
from dataflow.operators.window_folds import Fold, based
from dataflow.operators.window_frames import Places, Ranges
from dataflow.rows import Columns, Int64s
from dataflow.types import BIGINT, BYTEA


class Tree(Fold):
    """A fold whose values any two neighbours' can be added to."""

    @abstractmethod
    def values(self, places: Places) -> pa.Array:
        """The fold of each place's row alone."""

    @abstractmethod
    def add(self, left: pa.Array, right: pa.Array) -> pa.Array:
        """The folds of both, one by one."""

    @abstractmethod
    def nothing(self) -> pa.Array:
        """The fold of no rows, once."""

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        level = based(self.values(places), stored[0], places.bases)
        lows, highs = (np.stack(ends) if ends else np.empty((0, 0), np.int64) for ends in zip(*ranges, strict=True))
        (total,) = rows.take((self.nothing(),), np.zeros(len(ranges[0][0]), np.int64))
        # What each range takes of a level are its first place, where that is odd, and its last one, where that is even: the
        # others are pairs, of which the next level has the folds.
        while len(level) and (lows < highs).any():
            for low, high in zip(lows, highs, strict=True):
                first = np.flatnonzero((low < high) & (low & 1 == 1))
                total = self._add_at(total, first, level, low[first])
                low[first] += 1
                last = np.flatnonzero((low < high) & (high & 1 == 1))
                high[last] -= 1
                total = self._add_at(total, last, level, high[last])
            half = np.arange(len(level) // 2, dtype=np.int64) * 2
            level = self.add(*rows.take((level,), half), *rows.take((level,), half + 1))
            lows, highs = lows >> 1, highs >> 1
        return (total,)

    def _add_at(self, total: pa.Array, where: Int64s, level: pa.Array, places: Int64s) -> pa.Array:
        """The folds, some of them with those of some places added."""
        if not len(where):
            return total
        sums = self.add(*rows.take((total,), where), *rows.take((level,), places))
        slots = np.arange(len(total), dtype=np.int64)
        slots[where] = len(total) + np.arange(len(where), dtype=np.int64)
        return rows.take((pa.concat_arrays([total, sums]),), slots)[0]


@dataclass(frozen=True, slots=True)
class Moments(Tree):
    """The exact sums that statistics of a column, or of two, are made of."""

    columns: tuple[int, ...]
    kind: MomentSums

    @property
    def stored(self) -> Types:
        return (BYTEA,)

    def values(self, places: Places) -> pa.Array:
        taken = tuple(places.take(column) for column in self.columns)
        return self.kind.of(places.index, len(places), taken, np.ones(len(places), np.int64))[0]

    def add(self, left: pa.Array, right: pa.Array) -> pa.Array:
        return self.kind.add((left,), (right,))[0]

    def nothing(self) -> pa.Array:
        return pa.array([b""], BYTEA.arrow)


_NEUTRAL = {"bit_and": -1, "bit_or": 0, "bit_xor": 0}
_UFUNCS = {"bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor}


@dataclass(frozen=True, slots=True)
class Bits(Tree):
    """The bits of integers, by and, or, xor; those of no value are the operation's neutral ones."""

    column: int
    function: str

    @property
    def stored(self) -> Types:
        return (BIGINT,)

    def values(self, places: Places) -> pa.Array:
        return places.take(self.column).cast(pa.int64()).fill_null(_NEUTRAL[self.function])

    def add(self, left: pa.Array, right: pa.Array) -> pa.Array:
        return pa.array(_UFUNCS[self.function](left.to_numpy(), right.to_numpy()))

    def nothing(self) -> pa.Array:
        return pa.array([_NEUTRAL[self.function]], pa.int64())
