"""The spine: a collection as levels of immutable, sorted runs.

A run is sorted by (hash of the key, second, full comparison), where `second` is the row's hash, or, in an ordered layout,
an order-preserving prefix of the first order column. The collection is the sum of the runs, so runs may be merged in any
grouping. Runs of about the same size are merged a few at a time, in slices, so that a row moves about log(n) times and
no call pays for a big merge. Large inserts and slices go on beside the thread that inserts (`dataflow.beside`).
Always true: a snapshot never changes, and reading it needs no lock; runs with no rows are dropped.
Deliberately unknown: time, who reads, and which runs lie in files (`dataflow.memory` puts them there).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.beside import THREADS, Beside
from dataflow.delta import Delta, Diffs
from dataflow.kernels import _rows
from dataflow.rows import Columns, Int64s, _columns, concat_deltas, consolidate
from dataflow.types import ColumnType

FAN_IN = 4
"""Runs of one tier that are merged together. Measured best between sorting cost and the number of runs to probe."""

TINY_ROWS = 1024
"""Runs below this many rows are tier 0: merging them costs less than keeping many of them apart."""

TINY_RUNS = 8
"""Runs of tier 0 that are merged together."""

LARGE_ROWS = 1 << 17
"""From this many rows on it is the memory that a merge writes for the first time that costs, more than the comparing."""

LARGE_FAN_IN = 8
"""Runs of one tier of large runs that are merged together."""

LARGE_TIER = 16
"""The tier of the smallest large runs: above all others."""

LOOSE_RUNS = 48
"""With more runs than this an insert merges along, even when nobody calls `maintain`."""

CROWDED_RUNS = 16
"""Each time the runs are this many more, merging gets as much fuel again: it must outrun what comes in."""

SLICE_ROWS = 1 << 15
"""Rows that a merge beside moves at a time: who needs its result waits for one such slice, some milliseconds, then goes on."""

Scratch = Callable[[int], AbstractContextManager[int | None] | None]
"""For the bytes of a merge: None where memory will do, else the descriptor of a file as large (None in it: there is no room)."""

WHOLE = 1 << 62
"""Fuel that suffices for any merge."""


@dataclass(frozen=True, slots=True)
class Order:
    """One term of an order. Values ascend (PostgreSQL's order: NaN is greatest, text bytewise) unless `descending`."""

    column: int
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True)
class Layout:
    """What the rows of a spine are and how they are sorted.

    key: columns that probes look up, in the order of a probe's key columns; empty: every row has the same key.
    order: how rows of one key are sorted; ties are broken by the other columns, ascending. Without it: by row hash.
    """

    types: tuple[ColumnType, ...]
    key: tuple[int, ...]
    order: tuple[Order, ...] = ()

    @cached_property
    def shape(self) -> _rows.Shape:
        """The kernels' form of it; ValueError when a column does not exist."""
        empty = [pa.array([], type=t.arrow) for t in self.types]
        return _rows.Shape.make(empty, self.key, [(o.column, o.descending, o.nulls_first) for o in self.order])

    def sort(self, delta: Delta) -> _rows.Run:
        """The delta as a run; ValueError when its columns are not of the layout's types."""
        return _rows.Run.make(self.shape, delta.columns, delta.diffs)

    @cached_property
    def arrow_types(self) -> list[pa.DataType]:
        """The Arrow types of the columns."""
        return [kind.arrow for kind in self.types]

    @cached_property
    def all_columns(self) -> tuple[int, ...]:
        """The indices of every column."""
        return tuple(range(len(self.types)))


class Run:
    """An immutable, sorted, consolidated piece of a collection."""

    __slots__ = ("_run",)

    def __init__(self, run: _rows.Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return self._run.rows

    @property
    def nbytes(self) -> int:
        """Bytes of its columns and of the 16 to 25 per row beside them: fewest where all diffs are 1."""
        return self._run.bytes

    @property
    def columns(self) -> Columns:
        """The columns, in sorted order; they share the run's memory."""
        return _columns(self._run.columns())

    @property
    def diffs(self) -> Diffs:
        """int64, shape (n,), none of them 0."""
        return self._run.diffs()

    @property
    def key_hashes(self) -> npt.NDArray[np.uint64]:
        """uint64, shape (n,), ascending: the hash of each row's key."""
        return self._run.hashes()

    @property
    def seconds(self) -> npt.NDArray[np.uint64]:
        """uint64, shape (n,), ascending within equal key hashes."""
        return self._run.seconds()


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

    __slots__ = ("_memory_bytes", "_runs", "layout")

    def __init__(self, layout: Layout, runs: tuple[_rows.Run, ...]) -> None:
        self.layout = layout
        self._runs = runs
        self._memory_bytes: int | None = None

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

    def first(self, keys: Sequence[pa.Array], limit: int, rows: int | None = None) -> Probe:
        """The first `limit` distinct live rows of each key, by the layout's order; NULL equals NULL.

        A row is live when its diffs add up to more than 0; the result's diffs are those sums. The result is sorted by the
        probe's row, then by the order. ValueError when the layout has no order.
        """
        if not self.layout.order:
            raise ValueError("the layout has no order; build the spine with one to ask for first rows")
        count = len(keys[0]) if keys else 1 if rows is None else rows
        matches = _rows.first(self.layout.shape, self._runs, keys, count, limit)
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


def _tier(rows: int) -> int:
    """0 for tiny runs, then one tier for each factor of FAN_IN, and from LARGE_ROWS on of LARGE_FAN_IN."""
    if rows < TINY_ROWS:
        return 0
    if rows < LARGE_ROWS:
        return 1 + ((rows // TINY_ROWS).bit_length() - 1) // (FAN_IN.bit_length() - 1)
    return LARGE_TIER + ((rows // LARGE_ROWS).bit_length() - 1) // (LARGE_FAN_IN.bit_length() - 1)


@dataclass(slots=True)
class _Merging:
    """A merge under way; its inputs stay among the spine's runs until it ends."""

    inputs: tuple[_rows.Run, ...]
    scratch: Scratch | None
    merge: _rows.Merge = field(init=False)
    remaining: int = field(init=False)
    fuel: int = 0
    hurried: bool = False
    beside: Beside[None] | None = None

    def __post_init__(self) -> None:
        needed = _rows.Merge.most_bytes(self.inputs) if self.scratch is not None else 0
        outside = self.scratch(needed) if self.scratch is not None else None
        if outside is None:
            self.merge = _rows.Merge(self.inputs)
        else:
            with outside as file:
                self.merge = _rows.Merge(self.inputs, None if file is None else (file, needed))
        self.remaining = sum(run.rows for run in self.inputs)

    def start(self, fuel: int) -> None:
        """Move up to `fuel` rows beside whatever comes next, until `end`."""
        self.fuel = fuel
        self.beside = Beside(self.work)

    def end(self) -> None:
        """Move what is left of the fuel that was started with."""
        if self.beside is not None:
            self.hurried = True
            self.beside.result()
            self.hurried, self.beside = False, None
            self.work()

    def work(self) -> None:
        """Move what is left of the fuel, unless others need the result at once."""
        while self.fuel > 0 and self.remaining > 0 and not self.hurried:
            before = self.remaining
            self.remaining = self.merge.step(min(self.fuel, SLICE_ROWS))
            self.fuel -= before - self.remaining


class Spine:
    """A collection that is inserted into by one thread and read through snapshots by any.

    Invariant: the sum of the runs is the sum of all inserted deltas. Invariant: no run is empty.
    """

    __slots__ = ("_coming", "_debt", "_merging", "_runs", "_snapshot", "freed", "layout", "lists", "scratch")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._runs: tuple[_rows.Run, ...] = ()
        self._coming: list[Beside[_rows.Run]] = []
        self._merging: list[_Merging] = []
        self._debt = 0
        self._snapshot = Snapshot(layout, ())
        self.freed = 0
        """Bytes of memory of runs that others have taken the place of, ever."""
        self.scratch: Scratch | None = None
        """Where merges too large for memory are made."""
        self.lists: tuple[set[Spine], ...] = ()
        """Where it puts itself whenever its snapshot is another one: who keeps sums over many spines looks at those only."""

    # What any thread may ask is of the runs that are there; those that are still being sorted come with the next snapshot.

    @property
    def rows(self) -> int:
        """Rows of all runs: at least the number of distinct rows."""
        return sum(run.rows for run in self._runs)

    @property
    def empty(self) -> bool:
        """Whether nothing is in it, and nothing is being sorted for it."""
        return not self._runs and not self._coming

    @property
    def nbytes(self) -> int:
        """Bytes of all runs."""
        return sum(run.bytes for run in self._runs)

    @property
    def file_bytes(self) -> int:
        """Of these, bytes that lie in files."""
        return self._snapshot.file_bytes

    @property
    def run_count(self) -> int:
        """Runs that a probe must look at."""
        return len(self._runs)

    def settled_runs(self) -> list[_rows.Run]:
        """The runs that no merge is reading, oldest first."""
        self._take()
        busy = {id(run) for merging in self._merging for run in merging.inputs}
        return [run for run in self._runs if id(run) not in busy]

    def replace(self, run: _rows.Run, same: _rows.Run) -> None:
        """Put an equal run in the place of one. Nothing happens when that one is gone, or is being merged."""
        if any(settled is run for settled in self.settled_runs()):
            self.freed += run.bytes - run.stored_bytes
            self._set(tuple(same if old is run else old for old in self._runs))

    def resume(self, runs: Sequence[_rows.Run]) -> None:
        """Begin with runs of this layout that were taken from another spine. ValueError unless this one is empty."""
        if self._runs:
            raise ValueError("only an empty spine can take runs over")
        self._set(tuple(run for run in runs if run.rows))

    def clear(self) -> None:
        """Drop every row."""
        self._take()
        self._end_started()
        self.freed += sum(run.bytes - run.stored_bytes for run in self._runs)
        self._merging = []
        self._debt = 0
        self._set(())

    def snapshot(self) -> Snapshot:
        """The collection as it is now; later inserts and merges leave it as it is. For the thread that inserts."""
        self._take()
        return self._snapshot

    def insert(self, delta: Delta) -> None:
        """Add a delta; ValueError when its columns are not of the layout's types."""
        if not len(delta):
            return
        if THREADS.large(len(delta)) and [column.type for column in delta.columns] == self.layout.arrow_types:
            self._coming.append(Beside(partial(self.layout.sort, delta)))
            self._note()
            return
        self.add(self.layout.sort(delta))

    def add(self, run: _rows.Run) -> None:
        """Add a delta that the layout has sorted."""
        self._take()
        self._add(run)

    def maintain(self, fuel_rows: int) -> bool:
        """Merge up to `fuel_rows` rows, or what the inserted rows owe if that is more; True while work is left.

        A call may always spend TINY_ROWS, some tens of microseconds, and it spends a multiple when runs have piled up.

        Call it after ticks and while idle, until it returns False: only then is what was deleted out of memory.
        """
        self._take()
        fuel = max(fuel_rows, self._debt, TINY_ROWS) * (1 + len(self._runs) // CROWDED_RUNS)
        idle = self._debt == 0
        self._debt = 0
        self._end_started()
        self._plan(idle)
        while fuel > 0 and (waiting := [merging for merging in self._merging if merging.beside is None]):
            smallest = min(waiting, key=lambda merging: merging.remaining)
            before = smallest.remaining
            if THREADS.large(min(fuel, before)):
                smallest.start(fuel)
                fuel -= before
                continue
            smallest.remaining = smallest.merge.step(fuel)
            fuel -= before - smallest.remaining
            if smallest.remaining == 0:
                self._finish(smallest)
                self._plan(idle)
        return bool(self._merging) or self._cancelling(idle=True)

    def _take(self) -> None:
        """Add the runs that were made beside."""
        while self._coming:
            self._add(self._coming.pop(0).result())

    def _add(self, run: _rows.Run) -> None:
        if not run.rows:
            return
        # Each row pays for the tiers that it will pass through.
        self._debt += run.rows * (1 + max(0, _tier(self.rows) - _tier(run.rows)))
        self._set((*self._runs, run))
        if len(self._runs) > LOOSE_RUNS:
            self.maintain(0)

    def _end_started(self) -> None:
        """End what the last call started. The last ones first: nobody else may have begun them."""
        started = [merging for merging in self._merging if merging.beside is not None]
        for merging in reversed(started):
            merging.end()
        for merging in started:
            if merging.remaining == 0:
                self._finish(merging)

    def _set(self, runs: tuple[_rows.Run, ...]) -> None:
        self._runs = runs
        self._snapshot = Snapshot(self.layout, runs)
        self._note()

    def _note(self) -> None:
        for changed in self.lists:
            changed.add(self)

    def _finish(self, merging: _Merging) -> None:
        self._merging.remove(merging)
        merged = merging.merge.finish()
        self.freed += sum(run.bytes - run.stored_bytes for run in merging.inputs)
        kept = tuple(run for run in self._runs if not any(run is old for old in merging.inputs))
        self._set((*kept, merged) if merged.rows else kept)

    def _plan(self, idle: bool) -> None:
        """Start the merges that are due: one for each tier that is full, or one of everything full of retractions."""
        tiers: dict[int, list[_rows.Run]] = {}
        for run in self.settled_runs():
            tiers.setdefault(_tier(run.rows), []).append(run)
        for tier, runs in tiers.items():
            if len(runs) >= (TINY_RUNS if tier == 0 else FAN_IN if tier < LARGE_TIER else LARGE_FAN_IN):
                self._merging.append(_Merging(tuple(runs), self.scratch))
        if not self._merging and self._cancelling(idle):
            self._merging.append(_Merging(self._runs, self.scratch))

    def _cancelling(self, idle: bool) -> bool:
        """Whether a quarter of the rows may cancel rows of the largest run; few rows are looked through whenever idle."""
        if len(self._runs) < 2:
            return False
        base = max(self._runs, key=lambda run: run.rows)
        positive, negative = base.negatives < base.rows, base.negatives > 0
        rows, opposing = base.rows, 0
        for run in self._runs:
            if run is not base:
                rows += run.rows
                opposing += positive * run.negatives + negative * (run.rows - run.negatives)
        return opposing * 4 >= rows or (idle and opposing > 0 and rows < TINY_ROWS)
