"""A model of the writing side of Kafka, as `sinks.session` and `sinks.progress` see it: producers, the progress topic, topics.

Topics of one partition hold records, some of transactions that are open, and the marks that end transactions. A committed reader
sees nothing from the first open transaction on. Always true, as Kafka promises: after `init_transactions` of an id its earlier
transactions have ended, one way or the other, and its earlier producers can neither write nor commit; a transaction whose commit
was asked for and not answered is decided at the latest then; one that stays open too long is aborted, its producer fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sinks.producer import FencedError, ProducerError
from tests.sim.chance import Chance


@dataclass(eq=False)
class Transaction:
    """What one producer writes at once."""

    id: str
    until: float
    state: Literal["open", "committed", "aborted"] = "open"
    asked: bool = False
    """Whether its commit is on the way."""
    records: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)


@dataclass
class Cluster:
    """Topics, and for each transactional id its epoch and open transaction.

    committed: called after each transaction that became visible. clock: seconds.
    """

    chance: Chance
    committed: Callable[[Transaction], None]
    clock: Callable[[], float]
    topics: dict[str, list[tuple[bytes, bytes | None, Transaction] | None]] = field(default_factory=dict)
    """Topic to records; None is a mark."""
    epochs: dict[str, int] = field(default_factory=dict)
    open: dict[str, list[Transaction]] = field(default_factory=dict)

    def init(self, id_: str) -> int:
        """Fence; returns the epoch."""
        for transaction in list(self.open.get(id_, [])):
            self.end(transaction, transaction.asked and self.chance.random.random() < 0.5)
        self.epochs[id_] = self.epochs.get(id_, 0) + 1
        return self.epochs[id_]

    def end(self, transaction: Transaction, commit: bool) -> None:
        """Make a transaction visible, or void."""
        self.open[transaction.id].remove(transaction)
        transaction.state = "committed" if commit else "aborted"
        for topic in {topic for topic, _, _ in transaction.records}:
            self.topics[topic].append(None)
        if commit:
            self.committed(transaction)

    def go_on(self) -> None:
        """Decide, now and then, what was asked for; abort what was open for too long."""
        for transactions in self.open.values():
            for transaction in list(transactions):
                if transaction.asked and self.chance.random.random() < 0.02:
                    self.end(transaction, True)
                elif transaction.until < self.clock():
                    self.epochs[transaction.id] += 1
                    self.end(transaction, False)

    def stable(self, topic: str) -> int:
        """The last stable offset."""
        records = self.topics[topic]
        places = (place for place, record in enumerate(records) if record is not None and record[2].state == "open")
        return next(places, len(records))


class Producer:
    """In the place of `sinks.producer.TransactionalProducer`."""

    def __init__(self, cluster: Cluster, settings: Mapping[str, str]) -> None:
        self._cluster, self._id = cluster, settings["transactional.id"]
        self._timeout = int(settings["transaction.timeout.ms"]) / 1000
        self._epoch = -1
        self._queued: list[tuple[str, bytes, bytes | None]] = []
        self._transaction: Transaction | None = None

    def init_transactions(self, _: float) -> None:
        self._fault("sink broker away")
        self._epoch = self._cluster.init(self._id)

    def begin(self) -> None:
        self._queued, self._transaction = [], None

    def produce(
        self, topic: str, keys: pa.Array, values: pa.Array, times: np.ndarray[Any, Any], start: int, _: float
    ) -> tuple[int, int]:
        more = [(topic, key, value) for key, value in zip(keys.to_pylist(), values.to_pylist(), strict=True)][start:]
        self._queued += more
        if self._cluster.chance.fault("records sent in part"):
            self._send(len(self._queued) // 2 + 1)
            self._cluster.chance.point("S7 amid a sink's records")
        return len(times), sum(len(key) + len(value or b"") for _, key, value in more)

    def produce_one(self, topic: str, _: int, key: bytes, value: bytes, __: float) -> None:
        self._queued.append((topic, key, value))

    def flush(self, _: float) -> None:
        self._send(len(self._queued))

    def commit(self, _: float) -> None:
        cluster = self._cluster
        cluster.chance.point("S7 before a sink's commit")
        self._fault("commit lost before")
        self._send(len(self._queued))
        transaction = self._transaction
        assert transaction is not None
        if cluster.chance.fault("commit in doubt"):
            transaction.asked = True
            raise _away()
        if transaction.state != "open":
            raise FencedError(-144, "_FENCED", "another producer", False)
        cluster.end(transaction, True)
        cluster.chance.point("S7 after a sink's commit")
        self._fault("commit lost after")

    def abort(self, _: float) -> None:
        if self._transaction is not None and self._transaction.state == "open":
            self._cluster.end(self._transaction, False)

    def close(self) -> None:
        """What is open stays open."""

    def _fault(self, kind: str) -> None:
        if self._cluster.chance.fault(kind):
            raise _away()

    def _send(self, count: int) -> None:
        cluster = self._cluster
        if cluster.epochs[self._id] != self._epoch:
            raise FencedError(-144, "_FENCED", "another producer", False)
        if self._transaction is None:
            self._transaction = Transaction(self._id, cluster.clock() + self._timeout)
            cluster.open.setdefault(self._id, []).append(self._transaction)
        for topic, key, value in self._queued[:count]:
            self._transaction.records.append((topic, key, value))
            cluster.topics[topic].append((key, value, self._transaction))
        del self._queued[:count]


class Topics:
    """In the place of `sinks.topics.Topics`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ensure(self, topic: str, *_: Any) -> str:
        if topic in self._cluster.topics:
            return "existing"
        self._cluster.topics[topic] = []
        return "created"

    def find(self, topic: str) -> str:
        return "existing" if topic in self._cluster.topics else "missing"

    def identity(self, topic: str) -> str:
        return f"id of {topic}"


@dataclass(frozen=True)
class _Message:
    _offset: int
    _key: bytes | None = None
    _value: bytes | None = None
    _error: KafkaError | None = None

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return self._error


class Consumer:
    """In the place of confluent_kafka's, for the progress topic. `wait`: what happens while it waits, for so many seconds."""

    def __init__(self, cluster: Cluster, wait: Callable[[float], None], _: Mapping[str, Any]) -> None:
        self._cluster, self._wait, self._next, self._topic = cluster, wait, 0, ""

    def get_watermark_offsets(self, partition: TopicPartition, **_: Any) -> tuple[int, int]:
        if self._cluster.chance.fault("sink broker away"):
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return 0, len(self._cluster.topics[partition.topic])

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._topic = partitions[0].topic

    def poll(self, timeout: float) -> _Message:
        records, end = self._cluster.topics[self._topic], self._cluster.stable(self._topic)
        while self._next < end:
            offset, record = self._next, records[self._next]
            self._next += 1
            if record is not None and record[2].state == "committed":
                return _Message(offset, *record[:2])
        self._wait(timeout)
        return _Message(end, _error=KafkaError(KafkaError._PARTITION_EOF))

    def close(self) -> None:
        """Nothing is held."""


def _away() -> ProducerError:
    return ProducerError(-195, "_TRANSPORT", "no answer", False)
