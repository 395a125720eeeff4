"""A model of the broker: topics with transactions' gaps, a reader in the place of `ingest.reader.Reader`, a transactional output.

Always true: a record never changes. An output's transaction whose outcome the producer was not told is decided at the latest
when the next producer of the sink fences it, as Kafka promises.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow.types import BIGINT, TEXT, Column, Schema
from ingest.chunks import Chunk, ReadAhead
from sinks.base import SinkHaltedError
from sinks.changes import Changes
from sinks.progress import Progress
from sinks.session import SessionLostError, Target, fenced
from tests.sim.chance import Chance

TRANSFERS: Schema = tuple(Column(name, BIGINT) for name in ("id", "src", "dst", "amount", "at"))
ACCOUNTS: Schema = (Column("account", BIGINT), Column("owner", TEXT))

Row = tuple[Any, ...]


@dataclass
class Topic:
    """Partitions of rows; None is an offset without a record, such as the end of a transaction."""

    schema: Schema
    partitions: list[list[Row | None]]
    id: str = "aa" * 16

    def ends(self) -> dict[int, int]:
        """Partition to the offset after its last record."""
        return {number: len(records) for number, records in enumerate(self.partitions)}

    def rows(self, positions: Mapping[int, int]) -> list[Row]:
        """What a reader has that read up to these offsets, partition after partition."""
        found = (self.partitions[number][:end] for number, end in sorted(positions.items()))
        return [row for records in found for row in records if row is not None]


class Reader:
    """Reads a topic into `ahead` when the world lets it; what `Source` sees is as of `ingest.reader.Reader`."""

    def __init__(self, topic: Topic, ahead: ReadAhead, wake: Callable[[], None], chance: Chance) -> None:
        self._topic, self._ahead, self._wake, self._chance = topic, ahead, wake, chance
        self._next: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self.state, self.reason = "connecting", "connecting"
        self.topic_id = self.expected_id = ""
        self.target: dict[int, int] | None = None
        self.floor: dict[int, int] = {}
        self.watermarks: dict[int, tuple[int, int]] = {}
        self.records = self.bytes = self.errors = 0
        self._started = False

    def start(self, positions: Mapping[int, int]) -> None:
        self._starts, self._started = dict(positions), True

    @property
    def resumed(self) -> bool:
        """Whether it did not begin at the beginning."""
        return bool(self._starts)

    def stop(self) -> None:
        self.state = "stopped"

    def halt(self, reason: str) -> None:
        self.state, self.reason = "halted", reason

    def pump(self) -> None:
        """Do a little: connect, follow new partitions, or read some records of one partition."""
        if not self._started or self.state in ("halted", "stopped"):
            return
        if self._chance.fault("source broker away"):
            self.state = "connecting"
            return
        self._follow()
        random = self._chance.random
        partition = random.choice(sorted(self._next))
        begin, high = self._next[partition], len(self._topic.partitions[partition])
        if begin < high and not self._ahead.full:
            end = min(high, begin + random.randint(1, 40))
            self._ahead.add(self._chunk(partition, begin, end))
            self._next[partition] = end
            self.watermarks[partition] = (0, high)
            self._wake()

    def _follow(self) -> None:
        ends = self._topic.ends()
        new = {p: self._starts.get(p, 0) for p in ends if p not in self._next}
        if new:
            self._ahead.open(new)
            self._next.update(new)
            self.watermarks.update({p: (0, ends[p]) for p in new})
        if self.target is None:
            self.target = ends
        self.topic_id = self._topic.id
        if self.state != "reading":
            self.state, self.reason = "reading", ""
            self._wake()

    def _chunk(self, partition: int, begin: int, end: int) -> Chunk:
        records = self._topic.partitions[partition][begin:end]
        found = [(begin + i, row) for i, row in enumerate(records) if row is not None]
        columns = tuple(
            pa.array([row[i] for _, row in found], column.type.arrow) for i, column in enumerate(self._topic.schema)
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


@dataclass
class Transaction:
    """What a sink wrote at once: keys to values (None: a tombstone), and its progress."""

    changes: dict[bytes, bytes | None]
    progress: Progress


@dataclass
class Output:
    """The topic and the progress of one sink. `check` is called after each transaction that became visible."""

    chance: Chance
    check: Callable[[Output], None]
    fences: bool = True
    epoch: int = 0
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    progress: Progress | None = None
    in_doubt: list[Transaction] = field(default_factory=list)
    transactions: int = 0

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction visible."""
        for key, value in transaction.changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.progress = transaction.progress
        self.transactions += 1
        self.check(self)

    def decide(self) -> None:
        """Transactions whose outcome nobody knows get one."""
        waiting, self.in_doubt = self.in_doubt, []
        for transaction in waiting:
            if self.chance.random.random() < 0.5:
                self.commit(transaction)


class Session:
    """In the place of `sinks.session.Session`."""

    def __init__(self, outputs: Mapping[str, Output], target: Target, timeout: float) -> None:
        self.timeout = timeout
        self._target = target
        self._output = outputs[target.sink]
        if self._output.chance.fault("sink broker away"):
            raise SessionLostError("away")
        if self._output.fences:
            self._output.decide()
        self._output.epoch += 1
        self._epoch = self._output.epoch
        self.progress = self._output.progress

    def commit(self, changes: Changes, frontier: int) -> int:
        """One transaction: whole, or not at all, and the caller may not be told which."""
        output, chance, target = self._output, self._output.chance, self._target
        if self._epoch != output.epoch:
            raise SinkHaltedError(fenced(target))
        chance.point("before a sink's commit")
        pairs = zip(changes.keys.to_pylist(), changes.values.to_pylist(), strict=True)
        progress = Progress(frontier, target.definition, target.sink, target.topic, target.instance, "")
        transaction = Transaction(dict(pairs), progress)
        if chance.fault("commit lost before"):
            raise SessionLostError("the request was lost")
        if chance.fault("commit in doubt"):
            output.in_doubt.append(transaction)
            raise SessionLostError("no answer")
        output.commit(transaction)
        chance.point("after a sink's commit")
        if chance.fault("commit lost after"):
            raise SessionLostError("the answer was lost")
        return 1

    def abort(self, timeout: float) -> None:
        """Nothing is open between calls."""

    def close(self) -> None:
        """Free it."""
