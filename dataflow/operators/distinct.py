"""Distinct: each row once, as long as it is there at all.

    SELECT DISTINCT * FROM t        a count per row; a change is emitted when a count crosses from <= 0 to > 0 or back

Always true: every diff of the collection is +1. A row with a negative count is absent, and no error unless the spec says so:
`distinct(a - b)` is how EXCEPT is written. Rows are equal as in GROUP BY: NULL equals NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.aggregates import NEGATIVE_COUNT
from dataflow.operators.base import Operator, Spec, Types, arrangement_of

_NEGATIVE = pa.array([NEGATIVE_COUNT], pa.large_string())


@dataclass(frozen=True, slots=True)
class DistinctSpec:
    """The support of the positive part; the input is arranged by all of its columns.

    reports: whether a negative count is an error, as it is where the input is a table or what a query made of some.
    """

    reports: bool = False

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
        self._reports = isinstance(spec, DistinctSpec) and spec.reports

    def step(self, *_: Delta) -> Delta:
        delta = self.inputs[0].consolidated()
        if not len(delta):
            return delta
        probe = self._counts.before.probe(delta.columns, nulls_match=True, rows=len(delta))
        before = np.zeros(len(delta), np.int64)
        np.add.at(before, probe.probe_rows, probe.diffs)
        if self._reports:
            self._report_negatives(before, before + delta.diffs)
        change = self.weight(before + delta.diffs) - self.weight(before)
        changed = change != 0
        if changed.all():
            return Delta(delta.columns, change)
        return Delta(rows.filter_rows(delta.columns, changed), change[changed])

    def _report_negatives(self, before: Diffs, after: Diffs) -> None:
        change = int(np.count_nonzero(after < 0)) - int(np.count_nonzero(before < 0))
        if change:
            self.report(_NEGATIVE, np.array([change], np.int64))

    @staticmethod
    def weight(counts: Diffs) -> Diffs:
        """The diff in the output of rows with these counts in the input."""
        return (counts > 0).astype(np.int64)
