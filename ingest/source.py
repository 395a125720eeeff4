"""A source: one topic, read ahead by its own thread, taken by the ticks in exact ranges of offsets.

Always true: what `take` gives is each record once, in offset order for each partition, and its ranges say exactly which;
`hydrated` becomes true once, when everything that the topic held at the start (and everything bound before) was taken.
Deliberately unknown: times, the remap log, SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from config.settings import Source as Settings
from dataflow.types import Schema
from ingest.chunks import ReadAhead, Taken
from ingest.decode import Decoder
from ingest.frames import Staged
from ingest.kept import Keeping
from ingest.ranges import FRAMES, Range, ReplayMismatch
from ingest.reader import Reader
from ingest.watermarks import Watermarks, WatermarksUnavailable

__all__ = [
    "PartitionStatus",
    "Range",
    "ReplayMismatch",
    "Source",
    "SourceStatus",
    "Taken",
    "WatermarksUnavailable",
]

AHEAD_ROWS = 1_048_576
AHEAD_BYTES = 128 << 20
"""Read-ahead of one source: messages, and bytes of their decoded columns; librdkafka holds up to 64 MiB more."""

KEPT_ERRORS = 1000
"""Texts of bad messages that a source keeps; the counts count them all."""

State = Literal["connecting", "waiting", "hydrating", "running", "halted", "stopped"]


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition: everything before `offset` was taken; the broker has `low` up to, without, `high` (last stable)."""

    offset: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is doing; counts are since the start: messages read, their bytes, and those that could not be decoded.

    hydration: offsets taken and offsets to take until hydrated; (0, 0) before the broker answered.
    latest_errors: of the last bad messages that were taken, oldest first: topic, partition, offset and why.
    """

    state: State
    reason: str
    partitions: Mapping[int, PartitionStatus]
    records: int
    bytes: int
    errors: int
    latest_errors: tuple[str, ...] = ()
    hydration: tuple[int, int] = (0, 0)


class Source:
    """Reads the topic of `settings` into rows of `schema`.

    connection: librdkafka properties; `schema.registry.*` among them are ignored. group: the consumer group that is told how
    far ticks came, for lag tools. wake: called from the reader's thread whenever there is something to take or the state
    changed; it must return at once. keeping: keeps the rows, if the topic is one that does not; None where nothing can.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        connection: Mapping[str, str],
        schema: Schema,
        decoder: Decoder,
        group: str,
        wake: Callable[[], None],
        ahead_rows: int = AHEAD_ROWS,
        ahead_bytes: int = AHEAD_BYTES,
        keeping: Keeping | None = None,
    ) -> None:
        self.settings, self.name, self._keeping = settings, name, keeping
        self._ahead = ReadAhead(schema, ahead_rows, ahead_bytes)
        self._reader = Reader(settings, name, connection, decoder, group, self._ahead, wake)
        self._reader.ask_policy = keeping is not None and keeping.kept is None
        self._watermarks = Watermarks(connection, settings.topic)
        self._latest_errors: tuple[str, ...] = ()
        self._hydrated = False

    def start(self, positions: Mapping[int, int]) -> None:
        """Start reading: partitions that are named at these offsets, where an earlier run's state ends, others at their
        beginning. Returns at once. RemapError when kept rows cannot be told apart there."""
        if self._keeping is not None and self._keeping.kept:
            self._keeping.start(positions)
            positions = self._keeping.ends
        self._reader.start(positions)

    def replay_to(self, ends: Mapping[int, int], topic_id: str = "") -> None:
        """Say what was bound before: hydration reaches at least these offsets, in the topic of this id (if known).

        Call it before the first `take`, and where the start is not a partition's beginning, before `start`.
        """
        floor = {partition: end for partition, end in ends.items() if partition != FRAMES}
        self._ahead.resume(floor)
        self._reader.floor = floor
        self._reader.expect(topic_id)

    @property
    def topic_id(self) -> str:
        """The broker's id of the topic as 32 hex digits; empty before the first answer and where brokers have none."""
        return self._reader.topic_id

    @property
    def target(self) -> dict[int, int] | None:
        """Partition to the exclusive offset that hydration has to reach; None before the broker answered."""
        probed = self._reader.target
        if probed is None:
            return None
        floor = self._reader.floor
        return {p: max(probed.get(p, 0), floor.get(p, 0)) for p in probed.keys() | floor.keys()}

    @property
    def hydrated(self) -> bool:
        """Whether everything up to the target was taken."""
        if not self._hydrated and (target := self.target) is not None:
            reached = self._ahead.reached
            self._hydrated = all(reached.get(partition, 0) >= end for partition, end in target.items())
            self._hydrated = self._hydrated and (self._keeping is None or self._keeping.replayed)
        return self._hydrated

    @property
    def progress(self) -> tuple[int, int]:
        """Offsets taken and offsets to take until hydrated; (0, 0) before the broker answered."""
        target = self.target or {}
        reached = self._ahead.reached
        lows = {p: low for p, (low, _) in list(self._reader.watermarks.items())}
        total = sum(max(0, end - lows.get(p, 0)) for p, end in target.items())
        done = sum(max(0, min(reached.get(p, 0), end) - lows.get(p, 0)) for p, end in target.items())
        return done, total

    def ends(self, timeout: float) -> dict[int, int]:
        """Partition to the exclusive offset that the topic ends at now; asks the broker, one thread at a time.

        WatermarksUnavailable when it does not answer in `timeout` seconds.
        """
        return self._watermarks.ends(timeout)

    def reached(self, until: Mapping[int, int]) -> bool:
        """Whether everything before these offsets was taken."""
        if self._keeping is not None and self._keeping.kept:
            return self._keeping.reached(until)
        reached = self._ahead.reached
        return all(reached.get(partition, 0) >= end for partition, end in until.items())

    def take(self, limit_rows: int, until: Mapping[int, int] | None = None) -> Taken | None:
        """Up to `limit_rows` messages that were read ahead; never waits. None when there is nothing.

        until: partition to exclusive offset: nothing at or after it, nor of other partitions, is taken, and ranges also cover
        offsets without records up to it; `reached(until)` then says when all of it was taken.
        """
        keeping = self._keeping
        if keeping is not None and keeping.kept and (until is not None or not keeping.replayed):
            replayed = keeping.replay(limit_rows, until)
            if isinstance(replayed, str):
                self.halt(f"source {self.name}: {replayed}")
                return None
            return replayed
        taken = self._ahead.take(limit_rows, until)
        if taken is not None and keeping is not None:
            if keeping.kept is None:
                keeping.kept = self._reader.compacted
            taken = keeping.keep(taken) if keeping.kept else taken
        if taken is not None and len(taken.errors):
            texts = taken.errors.columns[0][-KEPT_ERRORS:].to_pylist()
            self._latest_errors = (*self._latest_errors, *texts)[
                -KEPT_ERRORS:
            ]  # replaced whole: others read it meanwhile
        return taken

    def staged(self) -> list[Staged]:
        """What has to be durable in the tables' log before what was taken is bound."""
        return self._keeping.staged() if self._keeping is not None else []

    def halt(self, reason: str) -> None:
        """Read no further; `reason` is shown."""
        self._reader.halt(reason)

    def stop(self) -> None:
        """Leave the broker; safe to call twice."""
        self._reader.stop()

    def status(self) -> SourceStatus:
        """How it is doing; never waits."""
        reader = self._reader
        state, reason = reader.state, reader.reason
        done, total = self.progress
        shown: State
        if state == "reading":
            shown = "running" if self.hydrated else "hydrating"
            reason = (
                ""
                if shown == "running"
                else f"{done} of {total} offsets of {self.settings.topic} ({_percent(done, total)} %)"
            )
        else:
            shown = state
        reached = self._ahead.reached
        partitions = {}
        for partition, (low, high) in sorted(reader.watermarks.copy().items()):
            offset = reached.get(partition, low)
            partitions[partition] = PartitionStatus(offset, low, max(high, offset))
        return SourceStatus(
            shown, reason, partitions, reader.records, reader.bytes, reader.errors, self._latest_errors, (done, total)
        )


def _percent(done: int, total: int) -> int:
    """Whole percent, rounded down: 100 only when nothing is left."""
    return 100 * done // total if total else 0
