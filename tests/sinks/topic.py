"""What a read_committed consumer finds in a sink's topics, and the check that it is exactly the view."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, TopicPartition

from sinks.progress import topic_name
from tests.sinks.histories import History, fold


@dataclass(frozen=True)
class Record:
    """One committed message; time is its header, None without one."""

    partition: int
    key: bytes
    value: bytes | None
    time: int | None


def read(connection: Mapping[str, str], topic: str, seconds: float = 60.0) -> list[Record]:
    """Every committed record; waits until no transaction is open."""
    consumer = Consumer(
        {
            **connection,
            "group.id": "test",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
    )
    try:
        partitions = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
        ends = {}
        consumer.assign(partitions)
        for partition in partitions:
            # Of a committed reader: the last stable offset. The other consumer below sees the high watermark.
            ends[partition.partition] = high(connection, partition)
        records, reached = [], dict.fromkeys(ends, 0)
        deadline = time.monotonic() + seconds
        while any(reached[p] < end for p, end in ends.items()):
            assert time.monotonic() < deadline, f"{topic} did not become stable: {reached} of {ends}"
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                reached[message.partition()] = message.offset()
                continue
            reached[message.partition()] = message.offset() + 1
            headers = dict(message.headers() or [])
            stamp = int(headers["headwater-time"]) if "headwater-time" in headers else None
            records.append(Record(message.partition(), message.key(), message.value(), stamp))
        return records
    finally:
        consumer.close()


def high(connection: Mapping[str, str], partition: TopicPartition) -> int:
    """The high watermark, with what is not committed."""
    consumer = Consumer({**connection, "group.id": "test", "isolation.level": "read_uncommitted", "log_level": 0})
    try:
        return int(consumer.get_watermark_offsets(partition, timeout=10)[1])
    finally:
        consumer.close()


def frontiers(connection: Mapping[str, str], service: str, sink: str) -> list[int]:
    """The frontiers that a sink committed, in order."""
    records = read(connection, topic_name(service))
    return [json.loads(r.value)["frontier"] for r in records if r.value and json.loads(r.key)["sink"] == sink]


def check(connection: Mapping[str, str], service: str, sink: str, topic: str, history: History) -> int:
    """The guarantee: at every progress p ever committed, the fold of the topic up to p is the view at p, and no change
    is there twice. Returns the last p."""
    progress = frontiers(connection, service, sink)
    assert progress == sorted(set(progress)), "progress went back, or one transaction was committed twice"
    records = read(connection, topic)
    assert len({(r.key, r.time) for r in records}) == len(records), "a change is there twice"
    homes = {r.key: r.partition for r in records}
    assert all(homes[r.key] == r.partition for r in records)
    for frontier in progress:
        seen = fold([(r.key, r.value) for r in records if r.time is not None and r.time < frontier])
        assert seen == history.before(frontier), f"at progress {frontier}"
    assert all(r.time is not None and r.time < progress[-1] for r in records), "changes after the last progress"
    return progress[-1]
