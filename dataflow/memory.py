"""A limit for the memory of state: which runs move to files, and when.

Always true: answers do not depend on it; snapshots taken before a run moves keep the run as it was; a run that cannot be moved
stays in memory, which `MemoryLimit.status` says, and far above the limit `settle` fails. Runs count as in memory until a reader
of the moved one can be had. The largest runs of a collection are its oldest and least often merged, so the largest move first,
older ones before younger ones.
Deliberately unknown: files. Whoever sets the limit hands in the store.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from dataflow.kernels import _rows
from dataflow.layout import Layout
from dataflow.rows import Columns, _columns
from dataflow.spine import Spine

LEAST_BYTES = 1 << 20
"""Smaller runs stay in memory: they are merged soon, and a file for each would cost more than it saves."""

SCRATCH_SHARE = 8
"""A merge whose result may be larger than this part of the limit, and above it with all else, is made outside memory."""

SLACK = 4
"""A step waits for runs under way to files once memory is above the limit by more than this part of it."""

FAR = 2
"""Above the limit by more than this part of it is far above: runs that cannot be written then end the service, cleanly."""

PATIENCE = 256
"""Calls of `settle`, a second or less apart, between two tries to write where the last one failed and nothing has grown."""

LEAST_CHANGE = 4 << 20
"""Bytes of runs that must have been freed before unused memory is given back: looking for it takes milliseconds."""

BUSY_CHANGE = 64 << 20
"""The same right after a step: the next one would have the system clear the pages again that it is about to need."""


class NoRoomError(Exception):
    """The state needs much more memory than it may have, and the store takes nothing; the text says both."""


class Ledger:
    """Bytes of many spines, kept by looking only at those that changed. For one thread."""

    def __init__(self, spines: Iterable[Spine]) -> None:
        self.spines = tuple(spines)
        self._changed = set(self.spines)
        self._seen = dict.fromkeys(self.spines, (0, 0))
        self._memory = self._freed = 0
        for spine in self.spines:
            spine.lists += (self._changed,)

    def close(self) -> None:
        """Look no more."""
        for spine in self.spines:
            spine.lists = tuple(found for found in spine.lists if found is not self._changed)

    @property
    def memory_bytes(self) -> int:
        """Bytes of runs in memory, now."""
        self._look()
        return self._memory

    @property
    def freed(self) -> int:
        """Bytes of memory of runs that others have taken the place of, ever."""
        self._look()
        return self._freed

    def _look(self) -> None:
        while self._changed:
            spine = self._changed.pop()
            memory, freed = self._seen[spine]
            now = spine.snapshot().memory_bytes, spine.freed
            self._seen[spine] = now
            self._memory += now[0] - memory
            self._freed += now[1] - freed


class Allocator:
    """Gives memory that freed runs left in the allocators back to the system, when they come to an eighth of what is held."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._freed = 0

    def settle(self, idle: bool) -> bool:
        """Called when a round of merging has ended; says whether to call again when idle.

        idle: nothing was inserted since the last call.
        """
        held, freed = self._ledger.memory_bytes, self._ledger.freed - self._freed
        if freed <= max(held // 8, LEAST_CHANGE):
            return False
        if not idle and freed <= BUSY_CHANGE:
            return True
        self._freed += freed
        _rows.trim()
        pa.default_memory_pool().release_unused()
        return False


@dataclass(frozen=True, slots=True)
class RunColumns:
    """All of a run that is to be kept: its columns, and uint64, uint64 and int64 beside them. diffs: None when all are 1."""

    columns: Columns
    hashes: pa.Array
    seconds: pa.Array
    diffs: pa.Array | None


def columns_of(run: _rows.Run) -> RunColumns:
    """All of a run, sharing its memory."""
    diffs = None if run.ones() else pa.array(run.diffs())
    return RunColumns(_columns(run.columns()), pa.array(run.hashes()), pa.array(run.seconds()), diffs)


def open_run(layout: Layout, kept: RunColumns) -> _rows.Run:
    """The run of this layout, read where `kept` lies; ValueError when it is no run of it."""
    return _rows.Run.open(layout.shape, kept.columns, kept.hashes, kept.seconds, kept.diffs)


class StoredRun(Protocol):
    """A run that was written."""

    @property
    def run(self) -> RunColumns:
        """The run as it was written, read where it lies."""
        ...

    def release(self) -> None:
        """Nothing will read it any more, but for what is reading it already. Called once, from any thread."""
        ...


_STORED: weakref.WeakKeyDictionary[_rows.Run, StoredRun] = weakref.WeakKeyDictionary()
"""Runs that are read where a store wrote them."""


def stored(run: _rows.Run) -> StoredRun | None:
    """What a store made of the run that this one took the place of; None for one that no store has written. Any thread."""
    return _STORED.get(run)


class RunStore(Protocol):
    """Where runs are written. A Future may fail with OSError: the run then stays where it is."""

    def write(self, run: RunColumns) -> Future[StoredRun]:
        """Begin to write a run, which never changes; returns at once."""
        ...

    def scratch(self, nbytes: int) -> AbstractContextManager[int | None]:
        """The descriptor of a new, nameless file of this size whose blocks exist, or None where there is no room."""
        ...


@dataclass(frozen=True, slots=True)
class _Writing:
    spine: Spine
    run: _rows.Run
    written: Future[StoredRun]


@dataclass(frozen=True, slots=True)
class MemoryStatus:
    """How the state stands to its limit, in bytes. trouble: why runs cannot be moved out of memory; empty while they can."""

    limit: int
    state_bytes: int
    trouble: str = ""


class MemoryLimit:
    """Keeps the runs of some spines within `limit` bytes of memory, as far as the store takes them. For one thread."""

    def __init__(self, store: RunStore, limit: int, least_bytes: int = LEAST_BYTES) -> None:
        """ValueError when the limit is negative."""
        if limit < 0:
            raise ValueError(f"a memory limit of {limit} bytes is negative")
        self.limit = limit
        self._store = store
        self._least = least_bytes
        self._ledger = Ledger(())
        self._changed: set[Spine] = set()
        self._movable: set[Spine] = set()
        self._writing: list[_Writing] = []
        self._refused: int | None = None
        self._skipped = 0
        self._trouble = ""
        self.status = MemoryStatus(limit, 0)
        """As of the last `settle`; replaced whole, for any thread to read."""

    def watch(self, spines: Iterable[Spine]) -> None:
        """Keep these within the limit from now on, instead of others."""
        for spine in self._ledger.spines:
            spine.lists = tuple(found for found in spine.lists if found is not self._changed)
        self._ledger.close()
        self._ledger = Ledger(spines)
        self._changed = set(self._ledger.spines)
        self._movable &= self._changed
        for spine in self._ledger.spines:
            spine.scratch = self._scratch
            spine.lists += (self._changed,)

    @property
    def memory_bytes(self) -> int:
        """Bytes of runs in memory."""
        return self._ledger.memory_bytes

    def settle(self, wait: bool = False) -> None:
        """Take runs that were written, and have as many more written as are needed. Called between steps.

        wait: until all of them are in files. NoRoomError when runs cannot be written and the state is far above the limit.
        """
        self._collect(wait)
        far = self.memory_bytes > self.limit + self.limit // FAR
        if self._refused is None or far or self._worth_another_try():
            self._refused, self._skipped = None, 0
            self._write(self.memory_bytes - self.limit)
            if wait or self.memory_bytes > self.limit + self.limit // SLACK:
                self._collect(wait=True)
        memory = self.memory_bytes
        if memory <= self.limit:
            self._trouble = ""
        self.status = MemoryStatus(self.limit, memory, self._trouble)
        if self._trouble and memory > self.limit + self.limit // FAR:
            raise NoRoomError(
                f"state takes {memory >> 20} MiB of memory where {self.limit >> 20} MiB are allowed, and it cannot be moved to "
                f"files: {self._trouble}"
            )

    def _worth_another_try(self) -> bool:
        """Whether the state has grown since a run could not be written, or enough calls have gone by."""
        memory = self.memory_bytes
        self._refused = min(memory if self._refused is None else self._refused, memory)
        self._skipped += 1
        return memory >= self._refused + self.limit // SLACK or self._skipped >= PATIENCE

    def _write(self, excess: int) -> None:
        """Begin to write the largest runs until `excess` bytes are on their way, and all that merges left in their scratch."""
        for spine in self._changed:
            movable = any(self._candidate(run) for run in spine.settled_runs())
            (self._movable.add if movable else self._movable.discard)(spine)
        under_way = {id(writing.run) for writing in self._writing}
        excess -= sum(writing.run.bytes - writing.run.stored_bytes for writing in self._writing)
        candidates = [
            (spine, run)
            for spine in (self._movable if excess > 0 else self._movable & self._changed)
            for run in spine.settled_runs()
            if self._candidate(run) and id(run) not in under_way
        ]
        self._changed.clear()
        for spine, run in sorted(candidates, key=lambda candidate: -candidate[1].bytes):
            if excess <= 0 and not run.stored_bytes:
                continue
            self._writing.append(_Writing(spine, run, self._store.write(columns_of(run))))
            excess -= run.bytes - run.stored_bytes

    def _candidate(self, run: _rows.Run) -> bool:
        return run.bytes >= self._least and not run.named

    def _collect(self, wait: bool) -> None:
        """Put what was written in place of what is in memory."""
        waiting = []
        for writing in self._writing:
            if not (wait or writing.written.done()):
                waiting.append(writing)
                continue
            try:
                written = writing.written.result()
            except OSError as error:
                self._refused, self._trouble = self.memory_bytes, str(error)
                continue
            self._trouble = ""
            moved = open_run(writing.spine.layout, written.run)
            _STORED[moved] = written
            weakref.finalize(moved, written.release)
            writing.spine.replace(writing.run, moved)
        self._writing = waiting

    def _scratch(self, nbytes: int) -> AbstractContextManager[int | None] | None:
        large = nbytes > max(self._least, self.limit // SCRATCH_SHARE)
        return self._store.scratch(nbytes) if large and self.memory_bytes + nbytes > self.limit else None
