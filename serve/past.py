"""What a view was at earlier times: what its rows changed by since, taken off what they are now.

    rows at t = rows now - changes of times after t

Always true: a `Past` never changes, whatever is recorded after it; a read of a time that is kept is exact, any other is refused.
Deliberately unknown: who records (`headwater.history`), and how long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate
from dataflow.snapshot import Snapshot
from serve.sql.errors import QueryError


class NotKeptError(QueryError):
    """A relation cannot be read as of a time; since, newest: the times that it can be read as of."""

    def __init__(self, name: str, time: int, since: int, newest: int) -> None:
        times = f"as of times from {since} to {newest}" if since < newest else f"as of its newest time {newest} only"
        hint = (
            "wait for that time, or leave AS OF out"
            if time > newest
            else f"read a later time, or retain more history of view {name} from now on"
        )
        super().__init__("22023", f"view {name} cannot be read as of time {time}: it is readable {times}", hint=hint)


@dataclass(frozen=True, slots=True)
class Change:
    """What one time changed (None: no rows), and the errors of before it."""

    time: int
    rows: Delta | None
    errors: Snapshot


@dataclass(frozen=True, slots=True)
class Piece:
    """The changes of several times as one. times: of each row, ascending. errors: from when on they were other ones than these."""

    last: int
    rows: Delta | None
    times: npt.NDArray[np.int64]
    errors: tuple[tuple[int, Snapshot], ...]

    def after(self, time: int) -> Delta | None:
        """What changed after a time."""
        if self.rows is None:
            return None
        begin = bisect_right(self.times, time)
        return Delta(tuple(column.slice(begin) for column in self.rows.columns), self.rows.diffs[begin:])


def piece(changes: Sequence[Change]) -> Piece:
    """Changes in order of time, as one."""
    parts = [(change.time, change.rows) for change in changes if change.rows is not None]
    times = np.repeat(np.array([time for time, _ in parts], np.int64), [len(rows) for _, rows in parts])
    rows = concat_deltas([rows for _, rows in parts]) if parts else None
    return Piece(changes[-1].time, rows, times, tuple(_distinct(changes)))


def _distinct(changes: Iterable[Change]) -> Iterator[tuple[int, Snapshot]]:
    """The last time of each row of changes that found the same errors, with them."""
    last: Change | None = None
    for change in changes:
        if last is not None and last.errors.kernel_runs != change.errors.kernel_runs:
            yield last.time, last.errors
        last = change
    if last is not None:
        yield last.time, last.errors


@dataclass(frozen=True, slots=True)
class Past:
    """How one view came to be what it is now.

    start: before this time nothing is known. length: milliseconds that are kept. pieces, latest: the changes, in order of time;
    of `latest`, which others append to, the first `count`.
    """

    start: int
    length: int
    pieces: tuple[Piece, ...] = ()
    latest: Sequence[Change] = ()
    count: int = 0

    def since(self, now: int) -> int:
        """The first time that can be read while `now` is the newest."""
        return max(self.start, now - self.length)

    def rows(self, time: int, now: Snapshot) -> Snapshot:
        """The rows at a time, of those that are there now."""
        found = [piece.after(time) for piece in self.pieces if piece.last > time]
        found += [change.rows for change in self.latest[: self.count] if change.time > time]
        later = [rows for rows in found if rows is not None and len(rows)]
        if not later:
            return now
        rows = consolidate(concat_deltas(later))
        taken_off = now.layout.sort(Delta(rows.columns, -rows.diffs))
        return Snapshot(now.layout, (*now.kernel_runs, taken_off)) if len(rows) else now

    def changes(self, after: int) -> Iterator[tuple[int, Delta]]:
        """What each time after this one changed, in order; times that changed no rows are left out."""
        for part in self.pieces:
            if part.rows is not None and part.last > after:
                begin = bisect_right(part.times, after)
                starts = begin + np.flatnonzero(np.diff(part.times[begin:], prepend=np.int64(-1)))
                for start, end in pairwise([*starts.tolist(), len(part.times)]):
                    columns = tuple(column.slice(start, end - start) for column in part.rows.columns)
                    yield int(part.times[start]), Delta(columns, part.rows.diffs[start:end])
        for change in self.latest[: self.count]:
            if change.rows is not None and change.time > after:
                yield change.time, change.rows

    def errors(self, time: int, now: Snapshot) -> Snapshot:
        """The errors at a time, which are these now."""
        for part in self.pieces:
            if part.last > time:
                return next(errors for until, errors in part.errors if until > time)
        return next((change.errors for change in self.latest[: self.count] if change.time > time), now)
