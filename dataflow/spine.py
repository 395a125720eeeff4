"""The spine: a collection as levels of immutable, sorted runs.

The collection is the sum of the runs, so runs may be merged in any grouping (merging.py says which). Large inserts and slices
of merging go on beside the thread that inserts (`dataflow.beside`).
Always true: a snapshot never changes, and reading it needs no lock; runs with no rows are dropped.
Deliberately unknown: time, who reads, and which runs lie in files (`dataflow.memory` puts them there).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dataflow.beside import THREADS, Beside
from dataflow.delta import Delta
from dataflow.kernels import _rows
from dataflow.layout import Layout
from dataflow.merging import TINY_ROWS, Merging, Scratch, full, tier_of
from dataflow.snapshot import Snapshot

LOOSE_RUNS = 48
"""With more runs than this an insert merges along, even when nobody calls `maintain`."""

CROWDED_RUNS = 16
"""Each time the runs are this many more, merging gets as much fuel again: it must outrun what comes in."""


class Spine:
    """A collection that is inserted into by one thread and read through snapshots by any.

    Invariant: the sum of the runs is the sum of all inserted deltas. Invariant: no run is empty.
    """

    __slots__ = ("_coming", "_debt", "_merging", "_runs", "_snapshot", "freed", "layout", "lists", "scratch")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._runs: tuple[_rows.Run, ...] = ()
        self._coming: list[Beside[_rows.Run]] = []
        self._merging: list[Merging] = []
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

    def insert(self, delta: Delta, at_once: bool = False) -> None:
        """Add a delta; ValueError when its columns are not of the layout's types.

        at_once: somebody is about to read it, so that sorting it beside the caller would gain nothing.
        """
        if not len(delta):
            return
        if (
            not at_once
            and THREADS.large(len(delta))
            and [column.type for column in delta.columns] == self.layout.arrow_types
        ):
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
        self._debt += run.rows * (1 + max(0, tier_of(self.rows) - tier_of(run.rows)))
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

    def _finish(self, merging: Merging) -> None:
        self._merging.remove(merging)
        merged = merging.merge.finish()
        self.freed += sum(run.bytes - run.stored_bytes for run in merging.inputs)
        kept = tuple(run for run in self._runs if not any(run is old for old in merging.inputs))
        self._set((*kept, merged) if merged.rows else kept)

    def _plan(self, idle: bool) -> None:
        """Start the merges that are due: one for each tier that is full, or one of everything full of retractions."""
        tiers: dict[int, list[_rows.Run]] = {}
        for run in self.settled_runs():
            tiers.setdefault(tier_of(run.rows), []).append(run)
        for tier, runs in tiers.items():
            if full(tier, len(runs)):
                self._merging.append(Merging(tuple(runs), self.scratch))
        if not self._merging and self._cancelling(idle):
            self._merging.append(Merging(self._runs, self.scratch))

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
