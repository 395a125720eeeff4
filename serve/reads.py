"""Reads of published views: by key through the index, or by equality over the rows, as of the last complete tick.

Always true: a read takes one `Published`, so everything it returns is of one time; it holds no lock, and the tick thread goes
on meanwhile (snapshots are immutable). A scan holds one window of rows at a time, never the view.
Deliberately unknown: HTTP, and how values are written.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.delta import Delta
from dataflow.kernels import _rows
from dataflow.layout import Run
from dataflow.rows import concat_deltas, consolidate
from dataflow.snapshot import Snapshot
from dataflow.types import Schema
from serve.definitions import Definitions
from serve.past import NotKeptError, Past

SMALL_WINDOW = 256
LARGE_WINDOW = 65_536
"""Rows of each run that a scan looks at at once: few at first, for a small limit; more while nothing is found."""

Filter = tuple[int, pa.Array]
"""A column's position and the value, an array of one, that it has to equal."""


@dataclass(frozen=True, slots=True)
class PublishedView:
    """A view at a time. `key`: positions of the columns that the index is by; `errors`: rows of one text column; `sources`: what
    it reads, directly or through other views.

    state: `hydrating` while a source's past is not in the view yet, for `reason`; its rows are not an answer then.
    """

    name: str
    schema: Schema
    key: tuple[int, ...]
    rows: Snapshot
    errors: Snapshot
    state: Literal["ready", "hydrating"] = "ready"
    reason: str = ""
    sources: frozenset[str] = frozenset()
    past: Past | None = None

    def as_of(self, time: int, now: int) -> PublishedView:
        """The view at another time than `now`, which this is of. NotKeptError when that is not kept."""
        since = now if self.past is None or self.state != "ready" else self.past.since(now)
        if not since <= time <= now:
            raise NotKeptError(self.name, time, since, now)
        if self.past is None or time == now:
            return self
        return replace(
            self, rows=self.past.rows(time, self.rows), errors=self.past.errors(time, self.errors), past=None
        )


class Rewound(Mapping[str, PublishedView]):
    """Views as of another time, each made when it is asked for; NotKeptError then, when that time is not kept."""

    def __init__(self, views: Mapping[str, PublishedView], time: int, now: int) -> None:
        self._views, self._time, self._now = views, time, now
        self._made: dict[str, PublishedView] = {}

    def __getitem__(self, name: str) -> PublishedView:
        if name not in self._made:
            self._made[name] = self._views[name].as_of(self._time, self._now)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, name: object) -> bool:
        return name in self._views


NOTHING = Definitions()


@dataclass(frozen=True, slots=True)
class Published:
    """Every view at one complete time, in milliseconds since 1970.

    ends: source to partition to the exclusive offset up to which its topic is in the views.
    definitions: what the views are, and those that are not kept. sources: those whose rows are kept. indexes: further ones, of
    views and sources, by the indexes' names. finders: kept for those who read by key, by relation and columns; None where such
    reads have more to look at.
    """

    time: int
    views: Mapping[str, PublishedView]
    ends: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    definitions: Definitions = NOTHING
    sources: Mapping[str, PublishedView] = field(default_factory=dict)
    indexes: Mapping[str, PublishedView] = field(default_factory=dict)
    finders: dict[tuple[str, tuple[int, ...]], _rows.Finder | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def relation(self, name: str) -> PublishedView | None:
        """A view or source whose rows are here; None for any other name."""
        return self.views.get(name) or self.sources.get(name)

    def as_of(self, time: int) -> Published:
        """Everything at another time, as far as it is kept: reading a relation of which it is not raises NotKeptError."""
        if time == self.time:
            return self
        views, sources, indexes = (Rewound(kind, time, self.time) for kind in (self.views, self.sources, self.indexes))
        return Published(time, views, {}, self.definitions, sources, indexes)


class Publication:
    """Where the tick thread leaves the last complete time and readers find it: one reference, swapped whole."""

    def __init__(self) -> None:
        self._current: Published | None = None
        self._told: deque[Callable[[], object]] = deque()

    def publish(self, published: Published) -> None:
        """Make a complete tick visible. Called by the tick thread only."""
        self._current = published
        for _ in range(len(self._told)):  # those that ask again meanwhile are told of the next
            self._told.popleft()()

    def tell(self, changed: Callable[[], object]) -> None:
        """Call this once, at the next tick that becomes visible, in the tick thread; it must return at once."""
        self._told.append(changed)

    def current(self) -> Published | None:
        """The last complete tick; None before the first. Any thread."""
        return self._current


def lookup(view: PublishedView, key: Sequence[pa.Array]) -> Delta:
    """The rows whose key columns have these values (arrays of one, in the order of `view.key`); consolidated."""
    return view.rows.find(key)


def scan(snapshot: Snapshot, filters: Sequence[Filter], limit: int, distinct: bool = False) -> Delta:
    """Rows that equal every (column, value), enough of them for `limit`; consolidated, in the order of the index.

    The limit counts each copy of a row, with `distinct` each different row. More rows than asked for may come back; when
    there is none, there are no columns either.
    """
    found: list[Delta] = []
    enough = 0
    for window in _windows(snapshot.runs):
        part = consolidate(_select(window, filters))
        if len(part):
            found.append(part)
            enough += len(part) if distinct else int(part.diffs.sum())
            if enough >= limit:
                break
    return concat_deltas(found) if found else Delta((), np.empty(0, np.int64))


def pieces(snapshot: Snapshot) -> Iterator[Delta]:
    """All rows, consolidated, some at a time: equal rows are in one piece."""
    for window in _windows(snapshot.runs):
        part = _select(window, ())
        if len(window) > 1:
            part = consolidate(part)
        if len(part):
            yield part


def copies(delta: Delta, limit: int) -> tuple[pa.Array, ...]:
    """The columns of a consolidated delta with each row as often as its diff says, at most `limit` rows."""
    if len(delta) <= limit and bool((delta.diffs == 1).all()):
        return delta.columns
    # A row counts at most `limit` times, so one row with a huge diff asks for no huge memory.
    diffs = np.clip(delta.diffs[:limit], 0, limit)
    indices = pa.array(np.repeat(np.arange(len(diffs)), diffs)[:limit])
    return tuple(column.take(indices) for column in delta.columns)


Window = list[tuple[Run, int, int]]


def _windows(runs: Sequence[Run]) -> Iterator[Window]:
    """The runs in slices of one range of (key hash, second) each: equal rows of different runs meet in one window."""
    starts = [0] * len(runs)
    step = SMALL_WINDOW
    while any(start < len(run) for run, start in zip(runs, starts, strict=True)):
        ends = [
            (run.key_hashes[start + step], run.seconds[start + step])
            for run, start in zip(runs, starts, strict=True)
            if start + step < len(run)
        ]
        bound = min(ends) if ends else None
        stops = [len(run) if bound is None else _behind(run, *bound) for run in runs]
        yield [piece for piece in zip(runs, starts, stops, strict=True) if piece[1] < piece[2]]
        starts = stops
        step = min(step * 4, LARGE_WINDOW)


def _behind(run: Run, key_hash: np.uint64, second: np.uint64) -> int:
    """How many rows of the run stand at or before this place of the order."""
    low = int(np.searchsorted(run.key_hashes, key_hash, "left"))
    high = int(np.searchsorted(run.key_hashes, key_hash, "right"))
    return low + int(np.searchsorted(run.seconds[low:high], second, "right"))


def _select(window: Window, filters: Sequence[Filter]) -> Delta:
    """The rows of a window that pass the filters, not consolidated."""
    parts = []
    for run, start, stop in window:
        columns = tuple(column.slice(start, stop - start) for column in run.columns)
        parts.append(equal_rows(Delta(columns, run.diffs[start:stop]), filters))
    return concat_deltas(parts)


def equal_rows(rows: Delta, filters: Sequence[Filter]) -> Delta:
    """The rows in which each (column, value) is equal."""
    if not filters:
        return rows
    mask = None
    for index, value in filters:
        # As in PostgreSQL, NaN equals NaN.
        column, scalar = rows.columns[index], value[0]
        nan = pa.types.is_floating(value.type) and math.isnan(scalar.as_py())
        equal = pc.is_nan(column) if nan else pc.equal(column, scalar)
        mask = equal if mask is None else pc.and_(mask, equal)
    mask = pc.fill_null(mask, False)
    return Delta(tuple(column.filter(mask) for column in rows.columns), rows.diffs[mask.to_numpy(zero_copy_only=False)])
