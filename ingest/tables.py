"""Tables: rows that clients write, as sources that ticks take from.

Always true: only the tick thread stages and takes; what was taken as a new frame is durable before it counts (`ingest.table_log`).
Deliberately unknown: SQL, constraints, times, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate
from dataflow.types import TEXT, Schema
from ingest.chunks import Taken
from ingest.frames import Staged
from ingest.ranges import Range
from ingest.remap import RemapError
from ingest.source import PartitionStatus, SourceStatus, State
from ingest.table_log import TableLog

NO_ERRORS = Delta.empty((TEXT,))


@dataclass(frozen=True, slots=True)
class _Settings:
    topic: str


class TableSource:
    """One table as a source: `ingest.source.Source`'s contract, over a log."""

    topic_id = ""

    def __init__(self, name: str, shown: str, schema: Schema, log: TableLog) -> None:
        self.name, self.settings = name, _Settings(shown)
        self._types = tuple(column.type for column in schema)
        self._log = log
        self._pending: list[Delta] = []
        self._at = self._end = log.count(name)
        self._rows = 0
        self.changed_after = 0
        """Rows of this time, and of earlier ones, are not those of now."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Go on from this frame. RemapError when the log is folded over it."""
        self._check(positions.get(0, 0))
        self._at = positions.get(0, 0)

    def _check(self, number: int) -> None:
        if not self._log.begins_at(self.name, number):
            raise RemapError(
                f"what {self.name} was at its frame {number} is folded into a later time; restore the state folder"
            )

    def replay_to(self, ends: Mapping[int, int], _topic_id: str = "") -> None:
        """Nothing to do: what is bound is in the log."""

    @property
    def hydrated(self) -> bool:
        """Whether every bound frame was taken."""
        return self._at >= self._end

    def write(self, delta: Delta, now: int) -> None:
        """Have a change taken by the coming tick; `now` is the time before that."""
        self._pending.append(delta)
        self.changed_after = now

    def reached(self, until: Mapping[int, int]) -> bool:
        """Whether every frame before these numbers was taken."""
        return all(self._at >= end for end in until.values())

    def take(self, limit_rows: int, until: Mapping[int, int] | None = None) -> Taken | None:
        """Frames of the log that were not taken yet; when there are none, what was written since the last tick, as a new one."""
        start = self._at
        most = self._end if until is None else min(self._end, until.get(0, 0))
        if start < most:
            self._check(most)
        parts: list[Delta] = []
        rows = 0
        while self._at < most and rows < limit_rows:
            delta, self._at = self._log.read(self.name, self._at)
            parts.append(delta)
            rows += len(delta)
        if not parts and until is None and self._pending:
            delta = consolidate(concat_deltas(self._pending)) if len(self._pending) > 1 else self._pending[0]
            self._pending = []
            self._log.stage(Staged(self.name, self._at, delta))
            self._at += 1
            self._end = self._at
            parts.append(delta)
        if self._at == start:
            return None
        delta = concat_deltas(parts)
        self._rows += len(delta)
        size = sum(int(column.nbytes) for column in delta.columns)
        return Taken(delta, NO_ERRORS, (Range(0, start, self._at, self._at - start, 0),), len(delta), size)

    def halt(self, reason: str) -> None:
        """A table's log is checked as a whole when it is opened."""
        raise RemapError(f"{self.name}: {reason}")

    def stop(self) -> None:
        """Nothing runs."""

    def status(self) -> SourceStatus:
        """How it is doing."""
        state: State = "running" if self.hydrated else "hydrating"
        return SourceStatus(state, "", {0: PartitionStatus(self._at, 0, self._end)}, self._rows, 0, 0)
