"""A model of the reading side of the broker: topics with transactions' gaps, and a reader in the place of `ingest.reader.Reader`.

Always true: `partitions` are the truth, which never changes; while a topic is `harmed`, readers see something else.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dataflow.types import BIGINT, TEXT, Column, Schema
from ingest.chunks import Chunk, ReadAhead
from ingest.ranges import FRAMES
from tests.sim.chance import Chance

TRANSFERS: Schema = tuple(Column(name, BIGINT) for name in ("id", "src", "dst", "amount", "at"))
ACCOUNTS: Schema = (Column("account", BIGINT), Column("owner", TEXT))

Row = tuple[Any, ...]
Harm = Literal["", "recreated", "expired", "compacted"]


@dataclass
class Topic:
    """Partitions of rows; None is an offset without a record, such as the end of a transaction."""

    schema: Schema
    partitions: list[list[Row | None]]
    harmed: Harm = ""
    gone: dict[int, int] = field(default_factory=dict)
    """Partition to the exclusive offset up to which the harm goes: records before it expired, or every other is compacted away."""
    kept: bool = False
    """Whether the broker says that it compacts this one: only another topic in its place is a harm then."""
    compacted: dict[int, int] = field(default_factory=dict)
    """Partition to the exclusive offset up to which it did, for good: every other record is gone."""

    @property
    def id(self) -> str:
        """The broker's id of the topic."""
        return ("bb" if self.harmed == "recreated" else "aa") * 16

    def low(self, partition: int) -> int:
        """The first offset that there is."""
        return self.gone.get(partition, 0) if self.harmed == "expired" else 0

    def seen(self, partition: int, begin: int, end: int) -> list[Row | None]:
        """What a reader is given of these offsets."""
        records = self.partitions[partition][begin:end]
        last = self.gone.get(partition, 0) if self.harmed == "compacted" else self.compacted.get(partition, 0)
        if last > begin:
            return [None if at < last and at % 2 else row for at, row in enumerate(records, begin)]
        return records

    def ends(self) -> dict[int, int]:
        """Partition to the offset after its last record."""
        return {number: len(records) for number, records in enumerate(self.partitions)}

    def rows(self, positions: Mapping[int, int]) -> list[Row]:
        """What a reader has that read up to these offsets, partition after partition."""
        found = (self.partitions[number][:end] for number, end in sorted(positions.items()) if number != FRAMES)
        return [row for records in found for row in records if row]


class Reader:
    """Reads a topic into `ahead` when the world lets it; what `Source` sees is as of `ingest.reader.Reader`."""

    def __init__(self, topic: Topic, ahead: ReadAhead, wake: Callable[[], None], chance: Chance) -> None:
        self.topic, self._ahead, self._wake, self._chance = topic, ahead, wake, chance
        self._next: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self.state, self.reason = "connecting", "connecting"
        self.topic_id = self._expected_id = ""
        self.target: dict[int, int] | None = None
        self.floor: dict[int, int] = {}
        self.watermarks: dict[int, tuple[int, int]] = {}
        self.records = self.bytes = self.errors = 0
        self._started, self.ask_policy, self.compacted = False, False, topic.kept
        self._leaderless: dict[int, int] = {}

    def start(self, positions: Mapping[int, int]) -> None:
        self._starts, self._started = dict(positions), True

    @property
    def resumed(self) -> bool:
        """Whether it did not begin at the beginning."""
        return bool(self._starts)

    def expect(self, topic_id: str) -> None:
        self._expected_id = topic_id
        if topic_id and self.topic_id not in ("", topic_id):
            self._ahead.close()
            self.halt("the topic was deleted and created again")

    def stop(self) -> None:
        self.state = "stopped"

    def halt(self, reason: str) -> None:
        self.state, self.reason = "halted", reason
        self._wake()

    def pump(self) -> None:
        """Do a little: connect, follow new partitions, or read some records of one partition."""
        if not self._started or self.state in ("halted", "stopped"):
            return
        if self._chance.fault("source broker away"):
            self.state = "connecting"
            return
        known = self._expected_id or self.topic_id
        if known and known != self.topic.id:
            self._ahead.close()
            self.halt("the topic was deleted and created again")
            return
        self._follow()
        partition = self._chance.random.choice(sorted(self._next))
        if self._chance.fault("partition without leader", str(partition)):
            self._leaderless[partition] = self._chance.random.randint(2, 20)
        if self._leaderless.get(partition, 0) > 0:
            self._leaderless[partition] -= 1
        elif self._next[partition] < self.topic.low(partition):
            self.halt("records expired before they were read")
        elif self.state != "halted":
            self._read(partition)

    def _read(self, partition: int) -> None:
        begin, high = self._next[partition], len(self.topic.partitions[partition])
        if begin < high and not self._ahead.full:
            # What is there already comes in large pieces.
            end = min(
                high, begin + self._chance.random.randint(1, 40 if begin >= self.floor.get(partition, 0) else 400)
            )
            self._ahead.add(self._chunk(partition, begin, end))
            self._next[partition] = end
            self.watermarks[partition] = (self.topic.low(partition), high)
            self._wake()

    def _follow(self) -> None:
        ends = self.topic.ends()
        new = {p: self._starts.get(p, self.topic.low(p)) for p in ends if p not in self._next}
        if new:
            self._ahead.open(new)
            self._next.update(new)
            self.watermarks.update({p: (0, ends[p]) for p in new})
        if self.target is None:
            self.target = ends
        self.topic_id = self.topic.id
        if self.state != "reading":
            self.state, self.reason = "reading", ""
            self._wake()

    def _chunk(self, partition: int, begin: int, end: int) -> Chunk:
        records = self.topic.seen(partition, begin, end)
        found = [(begin + i, row) for i, row in enumerate(records) if row is not None]
        columns = tuple(
            pa.array([row[i] for _, row in found], column.type.arrow) for i, column in enumerate(self.topic.schema)
        )
        gone = [len(row) == 2 and row[1] is None for _, row in found]
        self.records += len(found)
        return Chunk(
            np.full(len(found), partition, np.int32),
            np.array([offset for offset, _ in found], np.int64),
            np.array([zlib.crc32(repr((partition, at, row)).encode()) for at, row in found], np.uint64),
            np.full(len(found), 10, np.int64),
            columns,
            np.where(gone, -1, 1).astype(np.int64),
            np.arange(len(found)),
            (),
            {partition: end},
        )
