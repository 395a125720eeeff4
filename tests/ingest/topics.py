"""What tests of sources share: writing to topics, and a source with its wake-up and a patient way of taking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Producer

from config.settings import Source as Settings
from dataflow.types import BIGINT, Column
from ingest.decode import Decoder, make_decoder
from ingest.ranges import Range, join
from ingest.source import Source, Taken
from tests.servers.kafka import KafkaServer

SCHEMA = (Column("id", BIGINT),)


def produce(server: KafkaServer, topic: str, ids: Iterable[int], partitions: int = 1, batch: int = 10_000) -> None:
    """Write `{"id": n}`; n goes to partition n modulo `partitions`. batch: records that a fetch cannot divide, at most."""
    producer = Producer({**server.config, "log_level": 0, "batch.num.messages": batch})
    for number in ids:
        producer.produce(topic, b'{"id": %d}' % number, partition=number % partitions)
        producer.poll(0)
    assert producer.flush(60) == 0


def transact(server: KafkaServer, topic: str, ids: Iterable[int], commit: bool, partition: int = 0) -> None:
    """Write `{"id": n}` in one transaction, which is committed or aborted."""
    producer = Producer({**server.config, "transactional.id": f"tx-{topic}-{partition}", "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    for number in ids:
        producer.produce(topic, b'{"id": %d}' % number, partition=partition)
    assert producer.flush(60) == 0
    if commit:
        producer.commit_transaction(60)
    else:
        producer.abort_transaction(60)


class Reading:
    """A started source, and everything that was taken from it."""

    def __init__(self, source: Source, woken: threading.Event) -> None:
        self.source, self.woken = source, woken
        self.ids: list[int] = []
        self.errors: list[str] = []
        self.ranges: dict[int, Range] = {}
        self.takes: list[tuple[Range, ...]] = []

    def take(self, limit: int = 100_000, until: Mapping[int, int] | None = None) -> Taken | None:
        """Take once, and remember."""
        taken = self.source.take(limit, until)
        if taken is not None:
            self.ids += taken.delta.columns[0].to_pylist()
            self.errors += taken.errors.columns[0].to_pylist()
            self.takes.append(taken.ranges)
            join(self.ranges, taken.ranges)
        return taken

    def until(
        self,
        condition: Callable[[], bool],
        limit: int = 100_000,
        cut: Mapping[int, int] | None = None,
        seconds: float = 60.0,
    ) -> None:
        """Take until the condition holds; AssertionError when it does not in time."""
        deadline = time.monotonic() + seconds
        while True:
            while self.take(limit, cut) is not None:
                pass
            if condition():
                return
            assert time.monotonic() < deadline, f"{self.source.status()} after {seconds} s; took {len(self.ids)}"
            self.woken.wait(0.05)
            self.woken.clear()

    def until_state(self, state: str, seconds: float = 60.0) -> str:
        """Take until the source is in this state, and return its reason."""
        self.until(lambda: self.source.status().state == state, seconds=seconds)
        return self.source.status().reason


@contextmanager
def reading(
    server: KafkaServer,
    topic: str,
    connection: Mapping[str, str] | None = None,
    decoder: Decoder | None = None,
    floor: Mapping[int, int] | None = None,
    ahead_rows: int = 100_000,
    topic_id: str = "",
    positions: Mapping[int, int] | None = None,
) -> Iterator[Reading]:
    """A source of `topic`, started, and stopped at the end."""
    settings = Settings(
        kafka="main", topic=topic, format="json", envelope="none", key=(), key_format="json", columns=None
    )
    woken = threading.Event()
    source = Source(
        settings,
        "orders",
        {**server.config, **(connection or {})},
        SCHEMA,
        decoder or make_decoder(settings, SCHEMA, None),
        f"group-{topic}",
        woken.set,
        ahead_rows=ahead_rows,
    )
    if floor is not None:
        source.replay_to(floor, topic_id)
    source.start(positions or {})
    try:
        yield Reading(source, woken)
    finally:
        source.stop()
