"""Distinct: each row once, as long as it is there at all.

    SELECT DISTINCT * FROM t        a count per row; a change is emitted when a count crosses from <= 0 to > 0 or back

Always true: every diff of the collection is +1. A row with a negative count is absent and no error: `distinct(a - b)` is
how EXCEPT is written. Rows are equal as in GROUP BY: NULL equals NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.base import Operator, Spec, Types, arrangement_of


@dataclass(frozen=True, slots=True)
class DistinctSpec:
    """The support of the positive part; the input is arranged by all of its columns."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Distinct(self, types, inputs)

    def __str__(self) -> str:
        return "distinct"


class Distinct(Operator):
    """The counts are the diffs of the input's arrangement."""

    consolidates = True

    def __init__(self, spec: Spec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._counts = arrangement_of(inputs[0])

    def step(self, *_: Delta) -> Delta:
        delta = self.inputs[0].consolidated()
        if not len(delta):
            return delta
        probe = self._counts.before.probe(delta.columns, nulls_match=True, rows=len(delta))
        before = np.zeros(len(delta), np.int64)
        np.add.at(before, probe.probe_rows, probe.diffs)
        change = self.weight(before + delta.diffs) - self.weight(before)
        changed = change != 0
        if changed.all():
            return Delta(delta.columns, change)
        return Delta(rows.filter_rows(delta.columns, changed), change[changed])

    @staticmethod
    def weight(counts: Diffs) -> Diffs:
        """The diff in the output of rows with these counts in the input."""
        return (counts > 0).astype(np.int64)
