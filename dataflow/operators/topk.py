"""Top-k: the first rows of each group by an order, and their numbers.

    SELECT * FROM t ORDER BY a DESC LIMIT 3 OFFSET 1                  one group, rows 2 to 4
    SELECT DISTINCT ON (k) * FROM t ORDER BY k, a                     the first row of each group
    SELECT *, row_number() OVER (PARTITION BY k ORDER BY a) FROM t    every row, numbered

Always true: the order is total, since ties are broken by all columns; a row that is there n times takes n places, and rows with
counts below one take none. The answers for each touched group before and after the step are both read from the ordered
arrangement, at most `offset + limit` rows of each, and only their difference is emitted. NULL keys are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Order
from dataflow.operators.base import Operator, Types, arrangement_of, names
from dataflow.rows import Columns
from dataflow.snapshot import Probe, Snapshot

_ALL = 1 << 62
"""More rows than any group has."""


@dataclass(frozen=True, slots=True)
class TopKSpec:
    """Places `offset + 1` to `offset + limit` (None: to the end) of each key. `numbered`: a last column has the place."""

    key: tuple[int, ...]
    order: tuple[Order, ...]
    limit: int | None
    offset: int = 0
    numbered: bool = False

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return TopK(self, types, inputs)

    def __str__(self) -> str:
        first = "all rows" if self.limit is None else f"first {self.limit} rows"
        after = f" after {self.offset}" if self.offset else ""
        numbered = ", numbered" if self.numbered else ""
        return f"{first}{after}{f' of each ({names(self.key)})' if self.key else ''}{numbered}"


class TopK(Operator):
    """Input: the rows, arranged by key and in order."""

    consolidates = True

    def __init__(self, spec: TopKSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._spec = spec
        self._end = _ALL if spec.limit is None else spec.offset + spec.limit
        self._trace = arrangement_of(inputs[0])

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        if not len(delta) or self._end == 0:
            return self._nothing
        keys = tuple(delta.columns[column] for column in self._spec.key)
        _, first = rows.group(keys, len(delta))
        touched = rows.take(keys, first)
        old = self._answer(self._trace.before, touched, len(first))
        new = self._answer(self._trace.after, touched, len(first))
        return rows.consolidate(rows.concat_deltas([Delta(old.columns, -old.diffs), new]))

    def _answer(self, trace: Snapshot, touched: Columns, groups: int) -> Delta:
        """The rows of the touched groups' places."""
        probe = trace.first(touched, self._end, rows=groups)
        return window(probe, self._spec.offset, self._end, self._spec.numbered)


def window(probe: Probe, offset: int, end: int, numbered: bool = False) -> Delta:
    """The rows at the places `offset + 1` to `end` of each group, from the first rows of each as `Snapshot.first` gives them."""
    through = np.cumsum(probe.diffs)
    starts = np.searchsorted(probe.probe_rows, probe.probe_rows, side="left")
    through -= (through - probe.diffs)[starts]
    # A row has the places above `begin` up to `through` of its group, of which those in the window count.
    begin = np.maximum(through - probe.diffs, offset)
    counts = np.maximum(np.minimum(through, end) - begin, 0)
    if not numbered:
        kept = np.flatnonzero(counts)
        return Delta(rows.take(probe.columns, kept), counts[kept])
    kept = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    within = np.arange(len(kept), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    places = begin[kept] + within + 1
    return Delta((*rows.take(probe.columns, kept), pa.array(places)), np.ones(len(kept), np.int64))
