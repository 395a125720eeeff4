"""Positive: the part of a collection whose counts are above zero, with these counts.

    a EXCEPT ALL b          positive(a - b)
    a INTERSECT ALL b       a - positive(a - b)

Always true: no diff of the collection is negative. Rows are equal as in GROUP BY: NULL equals NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataflow import rows
from dataflow.delta import Delta
from dataflow.operators.base import Operator, Types, arrangement_of


@dataclass(frozen=True, slots=True)
class PositiveSpec:
    """The positive part; the input is arranged by all of its columns."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Positive(self, types, inputs)

    def __str__(self) -> str:
        return "positive part"


class Positive(Operator):
    """The counts are the diffs of the input's arrangement."""

    consolidates = True

    def __init__(self, spec: PositiveSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._counts = arrangement_of(inputs[0])

    def step(self, *_: Delta) -> Delta:
        delta = self.inputs[0].consolidated()
        if not len(delta):
            return delta
        probe = self._counts.before.probe(delta.columns, nulls_match=True, rows=len(delta))
        before = np.zeros(len(delta), np.int64)
        np.add.at(before, probe.probe_rows, probe.diffs)
        change = np.maximum(before + delta.diffs, 0) - np.maximum(before, 0)
        changed = np.flatnonzero(change)
        return Delta(rows.take(delta.columns, changed), change[changed])
