"""Inner equi-join, and the cross join as the join on no columns.

    SELECT * FROM a JOIN b ON a.k = b.k        change of the output: dA x B.before + A.after x dB

The two terms together are A.after x B.after - A.before x B.before: each pair of changed rows is met once, in the second term.
Always true: NULL keys never match, unless the spec says so; output columns are the left ones, then the right ones. The state is
the two shared arrangements of the inputs; the join itself keeps none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.operators.base import Operator, Types, arrangement_of, combine, names
from dataflow.rows import Columns
from dataflow.snapshot import Snapshot

PIECE_ROWS = 1 << 18
"""Pairs that are made at a time: bounds the temporary arrays of a key with many rows. As many as the rows of a step that catches
up, whose pairs are then made where they stay."""

STREAM_ROWS = 1 << 18
"""Pairs that go on at a time where the consumer takes pieces: few enough for memory, enough to cost the consumer nothing."""

MOST_MATCHES = 1 << 20
"""Matches that a probe may note at a time; each takes some 20 bytes."""

SAMPLES = (4, 64, 1024)
"""Rows of a large delta by which its matches are guessed, few first, as each may have as many as there are rows. A key of one
row in a hundred is missed once in 30,000 times."""


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

    multiplies = True

    def __init__(self, spec: JoinSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._left_key, self._right_key = spec.left_key, spec.right_key
        self._left, self._right = map(arrangement_of, inputs)
        self._nulls_match = spec.nulls_match

    def step(self, *deltas: Delta) -> Delta:
        left, right = deltas
        return combine(list(self._pairs(left, right)), self.types)

    def stream(self) -> Iterator[Delta]:
        """The pairs, some `STREAM_ROWS` at a time."""
        left, right = (source.delta for source in self.inputs)
        self.rows_in += len(left) + len(right)
        return in_pieces(self._pairs(left, right), self.types)

    def _pairs(self, left: Delta, right: Delta) -> Iterator[Delta]:
        left, right = self._left.in_order(left), self._right.in_order(right)
        for mine, theirs, diffs in matches(left, self._left_key, self._right.before, self._nulls_match):
            yield Delta(mine + theirs, diffs)
        for mine, theirs, diffs in matches(right, self._right_key, self._left.after, self._nulls_match):
            yield Delta(theirs + mine, diffs)


def in_pieces(parts: Iterable[Delta], types: Types) -> Iterator[Delta]:
    """The sum of the parts in pieces of some `STREAM_ROWS`."""
    waiting: list[Delta] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= STREAM_ROWS:
            yield combine(waiting, types)
            waiting = []
    yield combine(waiting, types)


def matches(
    delta: Delta, key: tuple[int, ...], trace: Snapshot, nulls_match: bool
) -> Iterator[tuple[Columns, Columns, Diffs]]:
    """The pairs of a changed row and a row of the trace with an equal key, in pieces: (changed, traced, products of diffs)."""
    if not len(delta) or not trace.count:
        return
    for part in _parts(delta, key, trace, nulls_match):
        keys = [part.columns[column] for column in key]
        for probe in trace.probe_pieces(keys, nulls_match=nulls_match, limit=PIECE_ROWS, rows=len(part)):
            mine = rows.take_delta(part, probe.probe_rows)
            yield mine.columns, probe.columns, mine.diffs * probe.diffs


def _parts(delta: Delta, key: tuple[int, ...], trace: Snapshot, nulls_match: bool) -> Iterator[Delta]:
    """The delta in parts that have some `MOST_MATCHES` matches each: a probe notes all of its matches before the first is taken."""
    if len(delta) * trace.count <= MOST_MATCHES:
        yield delta
        return
    keys = tuple(delta.columns[column] for column in key)
    # Counting every key's matches costs as much as probing, so it is done where a sample says that they may be many.
    if not _many(keys, len(delta), trace, nulls_match):
        yield delta
        return
    ids, first = rows.group(keys, len(delta))
    found = np.zeros(len(first), np.int64)
    for probe in trace.probe_pieces(rows.take(keys, first), nulls_match=nulls_match, limit=PIECE_ROWS, rows=len(first)):
        found += np.bincount(probe.probe_rows, minlength=len(first))
    place = np.cumsum(found[ids]) // MOST_MATCHES
    cuts = np.flatnonzero(np.diff(place)) + 1
    for begin, end in pairwise([0, *cuts.tolist(), len(delta)]):
        yield Delta(tuple(column.slice(begin, end - begin) for column in delta.columns), delta.diffs[begin:end])


def _many(keys: Columns, count: int, trace: Snapshot, nulls_match: bool) -> bool:
    """Whether a sample of the keys has so many matches that all may have more than `MOST_MATCHES`."""
    for size in dict.fromkeys(min(size, count) for size in SAMPLES):
        places = np.linspace(0, count - 1, size, dtype=np.int64)
        if trace.count_matches(rows.take(keys, places), nulls_match, rows=size) * count > MOST_MATCHES * size:
            return True
    return False
