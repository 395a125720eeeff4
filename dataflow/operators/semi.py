"""Semi-join and anti-join: the rows of one collection whose key is, or is not, among the keys of another.

    SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)     dA x present.after + A.before x (change of present)

Always true: rows keep their counts, however many partners they have. A key is present while the counts of its rows add up to
more than zero. With NULLs that do not match, a NULL key is never present, so that an anti-join keeps its rows. The state is
the two shared arrangements; counting the right rows of a key is cheap where the right side holds nothing but keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.operators.base import Operator, Types, arrangement_of, combine, names
from dataflow.operators.exact import Mask
from dataflow.operators.join import PIECE_ROWS
from dataflow.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SemiJoinSpec:
    """The keys of both sides, which are arranged by them. `anti`: rows without a partner instead of those with one."""

    left_key: tuple[int, ...]
    right_key: tuple[int, ...]
    anti: bool = False
    nulls_match: bool = False

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return SemiJoin(self, types, inputs)

    def __str__(self) -> str:
        word = "anti-join" if self.anti else "semi-join"
        nulls = ", NULL equal to NULL" if self.nulls_match else ""
        return f"{word} on left ({names(self.left_key)}) = right ({names(self.right_key)}){nulls}"


class SemiJoin(Operator):
    """Inputs: the left and the right arrangement."""

    def __init__(self, spec: SemiJoinSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._left_key, self._right_key = spec.left_key, spec.right_key
        self._anti, self._nulls_match = spec.anti, spec.nulls_match
        self._left, self._right = map(arrangement_of, inputs)

    def step(self, *deltas: Delta) -> Delta:
        left, right = deltas
        parts = []
        if len(left):
            keys = [left.columns[column] for column in self._left_key]
            kept = self._present(self._right.after, keys, len(left)) != self._anti
            if kept.all():
                parts.append(left)
            elif kept.any():
                parts.append(Delta(rows.filter_rows(left.columns, kept), left.diffs[kept]))
        if len(right) and self._left.before.count:
            parts += self._turned(right)
        return combine(parts, self.types)

    def _present(self, trace: Snapshot, keys: list[pa.Array], count: int) -> Mask:
        """Whether each key has rows in the trace."""
        probe = trace.probe(keys, nulls_match=self._nulls_match, rows=count)
        totals = np.zeros(count, np.int64)
        np.add.at(totals, probe.probe_rows, probe.diffs)
        present: Mask = totals > 0
        return present

    def _turned(self, right: Delta) -> list[Delta]:
        """The left rows, as they were, of the keys that came or went on the right."""
        keys = tuple(right.columns[column] for column in self._right_key)
        _, first = rows.group(keys, len(right))
        touched = list(rows.take(keys, first))
        before = self._present(self._right.before, touched, len(first))
        after = self._present(self._right.after, touched, len(first))
        changed = np.flatnonzero(before != after)
        if not len(changed):
            return []
        signs = np.where(after[changed] != self._anti, 1, -1)
        keys = rows.take(touched, changed)
        trace = self._left.before
        pieces = trace.probe_pieces(keys, nulls_match=self._nulls_match, limit=PIECE_ROWS, rows=len(changed))
        return [Delta(probe.columns, probe.diffs * signs[probe.probe_rows]) for probe in pieces]
