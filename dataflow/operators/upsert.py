"""Upsert: a stream of "this key has this value now" and "this key is gone" into a collection of rows.

    +1 (7, 'a') · +1 (7, 'b') · -1 (7, NULL)        the row (7, 'a'), then (7, 'b') instead of it, then nothing

In: rows in arrival order, +1 a new value of its key, -1 a tombstone, whose other columns mean nothing.
Always true: each key has at most one row, with diff +1; within a step only the last row of a key counts; a tombstone of an
unknown key does nothing. A NULL in a key is a value like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.operators.base import Arrangement, Operator, Types, combine, names


@dataclass(frozen=True, slots=True)
class UpsertSpec:
    """The columns that say which row is replaced."""

    key: tuple[int, ...]

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Upsert(self, types, inputs)

    def __str__(self) -> str:
        return f"upsert by ({names(self.key)})"


class Upsert(Operator):
    """Its state is an arrangement of its own output, so others that need the rows by this key share it."""

    consolidates = True

    def __init__(self, spec: UpsertSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._key = spec.key
        self._state = self.arrangement = Arrangement(Layout(types, spec.key))

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        count = len(delta)
        keys = tuple(delta.columns[column] for column in self._key)
        ids, first = rows.group(keys, count)
        last = np.empty(len(first), np.int64)
        last[ids] = np.arange(count, dtype=np.int64)  # numpy assigns in order: the last row of a key stays
        old = self._state.after.probe(rows.take(keys, first), nulls_match=True, rows=len(first))
        new = last[delta.diffs[last] > 0]
        change = combine(
            [
                Delta(old.columns, -old.diffs),
                Delta(rows.take(delta.columns, new), np.ones(len(new), np.int64)),
            ],
            self.types,
        )
        change = rows.consolidate(change)
        if len(change):
            self._state.insert(change)
        return change
