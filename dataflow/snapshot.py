"""Reading a collection as it was at one moment: probes by key, first rows by order, rows around others, all rows.

The collection is the sum of its runs. Always true: a snapshot never changes, and any thread may read it without locks; keys are
compared in full. Deliberately unknown: who makes runs and when they are merged (spine.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.delta import Delta, Diffs
from dataflow.kernels import _rows
from dataflow.layout import Layout, Run
from dataflow.rows import Columns, Int64s, _columns, concat_deltas, consolidate

WHOLE = 1 << 62
"""Fuel that suffices for any merge."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Rows that were found: match i belongs to row probe_rows[i] of the probe."""

    probe_rows: Int64s
    columns: Columns
    diffs: Diffs

    def __len__(self) -> int:
        return len(self.diffs)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far around a changed row others matter, in an ordered layout.

    own: the first columns, which are the row itself; the others say more about it. terms: terms of the order within which rows
    are peers. before, after: rows, or with `groups` groups of peers; None: to the end. whole_groups: no group of peers is cut.
    base: one row more in front.
    """

    own: int
    terms: int
    before: int | None
    after: int | None
    groups: bool = False
    whole_groups: bool = False
    base: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """Rows around changed ones: stretches of neighbours, each in order; a row is in it once, whatever its columns beyond `own`.

    stretches: the number of each row's stretch, ascending. columns: those of the layout. counts: how often the row is there;
    changes: how often more after the change. bases: whether it is the row more in front of its stretch.
    """

    stretches: Int64s
    columns: Columns
    counts: Diffs
    changes: Diffs
    bases: npt.NDArray[np.bool_]


class Snapshot:
    """A collection as it was at one moment: an immutable tuple of runs. Any thread may read it, without locks."""

    __slots__ = ("_finder", "_memory_bytes", "_runs", "layout")

    def __init__(self, layout: Layout, runs: tuple[_rows.Run, ...]) -> None:
        self.layout = layout
        self._runs = runs
        self._memory_bytes: int | None = None
        self._finder: _rows.Finder | None = None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, in no particular order."""
        return tuple(Run(run) for run in self._runs)

    @property
    def kernel_runs(self) -> tuple[_rows.Run, ...]:
        """The kernels' objects of the runs: a run stays the same object as long as it is part of the collection."""
        return self._runs

    def beyond(self, earlier: Snapshot) -> Run | None:
        """The one run that was added since an earlier snapshot; None when that is not all that happened."""
        same, added = self._runs[: len(earlier._runs)], self._runs[len(earlier._runs) :]
        if len(added) == 1 and all(run is old for run, old in zip(same, earlier._runs, strict=True)):
            return Run(added[0])
        return None

    @property
    def count(self) -> int:
        """At least the number of distinct rows; equal to it when there is one run."""
        return sum(run.rows for run in self._runs)

    @property
    def total(self) -> int:
        """The sum of all diffs: how many rows there are, each counted with its copies. Costs nothing per row."""
        return sum(run.total for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes of the runs."""
        return sum(run.bytes for run in self._runs)

    @property
    def file_bytes(self) -> int:
        """Of these, bytes that lie in files and are in memory only while they are read."""
        return sum(run.stored_bytes for run in self._runs)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the runs that are not in files."""
        if self._memory_bytes is None:
            self._memory_bytes = self.nbytes - self.file_bytes
        return self._memory_bytes

    @property
    def finder(self) -> _rows.Finder:
        """The kernels' object that reads the rows of one key; made by the first who asks."""
        if self._finder is None:
            self._finder = _rows.finder(self.layout.shape, self._runs)
        return self._finder

    def find(self, key: Sequence[pa.Array | bytes]) -> Delta:
        """The rows of one key, consolidated. key: for each of its columns an array of one, or the value's bytes; a NULL matches
        nothing.
        """
        pairs, diffs = self.finder.find(key).take(self.layout.all_columns, self.layout.shape)
        return Delta(_columns(pairs), diffs)

    def probe(self, keys: Sequence[pa.Array], nulls_match: bool, rows: int | None = None) -> Probe:
        """Every match of each key over all runs; equal rows of different runs are not added up.

        keys: one column for each key column of the layout; `rows` is needed only where the layout's key is empty.
        nulls_match: whether NULL equals NULL (grouping), or a key with a NULL matches nothing (joins).
        """
        matches = self._match(keys, nulls_match, rows)
        return self._take(matches, 0, len(matches))

    def probe_pieces(
        self, keys: Sequence[pa.Array], nulls_match: bool, limit: int = 65_536, rows: int | None = None
    ) -> Iterator[Probe]:
        """As `probe`, in pieces of at most `limit` matches: what a hot key costs at a time stays bounded."""
        matches = self._match(keys, nulls_match, rows)
        for begin in range(0, len(matches), limit):
            yield self._take(matches, begin, min(begin + limit, len(matches)))

    def count_matches(self, keys: Sequence[pa.Array], nulls_match: bool, rows: int | None = None) -> int:
        """How many matches `probe` would give; no row is gathered."""
        return len(self._match(keys, nulls_match, rows))

    def first(self, keys: Sequence[pa.Array], limit: int, rows: int | None = None, negatives: bool = False) -> Probe:
        """The first `limit` distinct live rows of each key, by the layout's order; NULL equals NULL.

        A row is live when its diffs add up to more than 0; the result's diffs are those sums. The result is sorted by the
        probe's row, then by the order. With `negatives` rows whose diffs add up to less than 0 are there too, as long as the limit
        is not reached; they do not count. ValueError when the layout has no order.
        """
        if not self.layout.order:
            raise ValueError("the layout has no order; build the spine with one to ask for first rows")
        count = len(keys[0]) if keys else 1 if rows is None else rows
        matches = _rows.first(self.layout.shape, self._runs, keys, count, limit, negatives)
        return self._take(matches, 0, len(matches))

    def around(self, delta: _rows.Run, reach: Reach) -> Around:
        """The rows within reach of those of a delta that the layout has sorted; its columns beyond `reach.own` mean nothing.

        Of the rows that are equal but for those columns one may be there at a time. NULL equals NULL. ValueError when the layout
        has no order.
        """
        before, after = (-1 if far is None else far for far in (reach.before, reach.after))
        matches, stretches, counts, changes, bases = _rows.stretches(
            self.layout.shape,
            self._runs,
            delta,
            reach.own,
            reach.terms,
            reach.groups,
            reach.whole_groups or reach.groups,
            reach.base,
            before,
            after,
        )
        return Around(stretches, self._take(matches, 0, len(matches)).columns, counts, changes, bases.view(np.bool_))

    def rows(self) -> Delta:
        """All rows, consolidated."""
        if not self._runs:
            return Delta.empty(self.layout.types)
        run = self._runs[0]
        if len(self._runs) > 1:
            merge = _rows.Merge(self._runs)
            merge.step(WHOLE)
            run = merge.finish()
        return Delta(_columns(run.columns()), run.diffs())

    def since(self, earlier: Snapshot) -> Delta:
        """What must be added to an earlier snapshot of the same spine to make this one, consolidated.

        Costs the rows of the runs that only one of them has: nothing of what was not merged in between.
        """
        mine, its = set(map(id, self._runs)), set(map(id, earlier._runs))
        added = Snapshot(self.layout, tuple(run for run in self._runs if id(run) not in its)).rows()
        taken = Snapshot(self.layout, tuple(run for run in earlier._runs if id(run) not in mine)).rows()
        return consolidate(concat_deltas([added, Delta(taken.columns, -taken.diffs)]))

    def _match(self, keys: Sequence[pa.Array], nulls_match: bool, rows: int | None) -> _rows.Matches:
        count = len(keys[0]) if keys else 1 if rows is None else rows
        return _rows.probe(self.layout.shape, self._runs, keys, count, nulls_match)

    def _take(self, matches: _rows.Matches, begin: int, end: int) -> Probe:
        rows, pairs, diffs = matches.take(self.layout.shape, self.layout.all_columns, begin, end)
        return Probe(rows, _columns(pairs), diffs)
