"""Inner equi-join, and the cross join as the join on no columns.

    SELECT * FROM a JOIN b ON a.k = b.k        change of the output: dA x B.before + A.after x dB

The two terms together are A.after x B.after - A.before x B.before: each pair of changed rows is met once, in the second term.
Always true: NULL keys never match, unless the spec says so; output columns are the left ones, then the right ones. The state is
the two shared arrangements of the inputs; the join itself keeps none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.base import Operator, Types, arrangement_of, combine, names
from dataflow.rows import Columns
from dataflow.spine import Snapshot

PIECE_ROWS = 1 << 16
"""Pairs that are made at a time: bounds the temporary arrays of a key with many rows."""


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """The keys of both sides; the inputs are arranged by them. `nulls_match`: NULL equals NULL, as in GROUP BY."""

    left_key: tuple[int, ...]
    right_key: tuple[int, ...]
    nulls_match: bool = False

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Join(self, types, inputs)

    def __str__(self) -> str:
        if not self.left_key:
            return "cross join"
        nulls = ", NULL equal to NULL" if self.nulls_match else ""
        return f"join on left ({names(self.left_key)}) = right ({names(self.right_key)}){nulls}"


class Join(Operator):
    """Inputs: the left and the right arrangement, which may be one and the same (a self join)."""

    def __init__(self, spec: JoinSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._left_key, self._right_key = spec.left_key, spec.right_key
        self._left, self._right = map(arrangement_of, inputs)
        self._nulls_match = spec.nulls_match

    def step(self, *deltas: Delta) -> Delta:
        left, right = deltas
        found = _matches(left, self._left_key, self._right.before, self._nulls_match)
        parts = [Delta(mine + theirs, diffs) for mine, theirs, diffs in found]
        found = _matches(right, self._right_key, self._left.after, self._nulls_match)
        parts += [Delta(theirs + mine, diffs) for mine, theirs, diffs in found]
        return combine(parts, self.types)


def _matches(
    delta: Delta, key: tuple[int, ...], trace: Snapshot, nulls_match: bool
) -> Iterator[tuple[Columns, Columns, Diffs]]:
    """The pairs of a changed row and a row of the trace with an equal key, in pieces: (changed, traced, products of diffs)."""
    if not len(delta) or not trace.count:
        return
    keys = [delta.columns[column] for column in key]
    for probe in trace.probe_pieces(keys, nulls_match=nulls_match, limit=PIECE_ROWS, rows=len(delta)):
        yield rows.take(delta.columns, probe.probe_rows), probe.columns, delta.diffs[probe.probe_rows] * probe.diffs
