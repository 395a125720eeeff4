"""The native consumer: columns equal what confluent-kafka's own consumer reads, digests equal their Python twin."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer as PythonConsumer
from confluent_kafka import Producer, TopicPartition

from ingest.embedded import EmbeddedBroker
from ingest.kernels._consumer import Consumer
from ingest.librdkafka import consumer_properties, library_path
from tests.ingest.digest import digest
from tests.servers.kafka import KafkaServer

BEGINNING = -2


def _open(connection: dict[str, str], topic: str) -> Consumer:
    return Consumer(library_path(), consumer_properties(connection, "group"), topic)


def _read(consumer: Consumer, ends: dict[int, int], limit: int = 1000, size: int = 1 << 20) -> list[tuple[Any, ...]]:
    """Drain until the partitions' ends: (partition, offset, key, value, timestamp, digest), in order of arrival."""
    rows: list[tuple[Any, ...]] = []
    reached: dict[int, int] = {}
    deadline = time.monotonic() + 60
    while any(reached.get(partition, 0) < end for partition, end in ends.items()):
        assert time.monotonic() < deadline, reached
        values, keys, offsets, partitions, timestamps, digests, total, eofs, errors = consumer.drain(limit, size, 200)
        assert errors == []
        value_column, key_column = (pa.Array._import_from_c_capsule(*pair) for pair in (values, keys))
        for column in (value_column, key_column):
            column.validate(full=True)
            assert column.type == pa.large_binary()
        assert len(offsets) <= limit
        assert total == sum(len(field or b"") for field in value_column.to_pylist() + key_column.to_pylist())
        batch = zip(
            partitions.tolist(),
            offsets.tolist(),
            key_column.to_pylist(),
            value_column.to_pylist(),
            timestamps.tolist(),
            digests.tolist(),
            strict=True,
        )
        rows += batch
        reached.update(eofs)
    return rows


def _fields(random: Random) -> bytes | None:
    return None if random.random() < 0.2 else random.randbytes(random.choice([0, 1, 15, 16, 17, 70, 3000]))


@pytest.mark.kafka
def test_equals_the_python_client_whatever_the_batches(kafka: KafkaServer, topic_name: str) -> None:
    _compare(kafka.config, kafka.create_topic(topic_name, 3))


def test_equals_the_python_client_on_the_embedded_broker() -> None:
    """The same where there is no other broker: under sanitizers."""
    broker = EmbeddedBroker()
    try:
        _compare({"bootstrap.servers": broker.start()}, "numbers")
    finally:
        broker.stop()


def _compare(connection: dict[str, str], topic: str) -> None:
    random = Random(7)
    messages = [(random.randrange(3), _fields(random), _fields(random)) for _ in range(2000)]
    producer = Producer({**connection, "log_level": 0})
    for partition, key, value in messages:
        producer.produce(topic, value, key, partition=partition)
    assert producer.flush(60) == 0
    counts = {p: sum(1 for partition, _, _ in messages if partition == p) for p in range(3)}

    reference = PythonConsumer({**connection, "group.id": "r", "log_level": 0})
    reference.assign([TopicPartition(topic, p, 0) for p in range(3)])
    expected: list[tuple[Any, ...]] = []
    while len(expected) < len(messages):
        for m in reference.consume(1000, 1):
            place: Any = (m.partition(), m.offset(), m.key(), m.value())
            expected.append((*place, m.timestamp()[1], digest(*place)))
    reference.close()

    for limit, size in [(5000, 1 << 20), (7, 1 << 20), (5000, 1)]:
        consumer = _open(connection, topic)
        consumer.assign({0: BEGINNING, 1: 0})
        consumer.assign({2: BEGINNING})  # besides the others, which stay where they are
        rows = _read(consumer, counts, limit, size)
        consumer.close()
        assert sorted(rows, key=lambda row: row[:2]) == sorted(expected, key=lambda row: row[:2])
        for partition in range(3):
            offsets = [row[1] for row in rows if row[0] == partition]
            assert offsets == list(range(counts[partition]))


@pytest.mark.kafka
def test_metadata_and_watermarks(kafka: KafkaServer, topic_name: str) -> None:
    consumer = _open(kafka.config, topic_name)
    code, reason, partitions = consumer.describe(5000)
    assert (code, partitions) == (3, [])
    assert "Unknown topic" in reason
    kafka.create_topic(topic_name, 2)
    producer = Producer({**kafka.config, "log_level": 0})
    producer.produce(topic_name, b"x", partition=1)
    assert producer.flush(60) == 0
    assert consumer.describe(5000) == (0, "", [0, 1])
    assert consumer.watermarks(1, 5000) == (0, "", 0, 1)
    consumer.ask_identity(5000)
    deadline = time.monotonic() + 20
    while not (identity := consumer.identity()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kafka.kind != "apache" or len(identity) == 32
    assert consumer.identity() == ""
    consumer.close()
    with pytest.raises(RuntimeError, match="closed"):
        consumer.drain(1, 1, 0)


def test_wrong_properties_are_named() -> None:
    with pytest.raises(ValueError, match="No such configuration property"):
        Consumer(library_path(), {"bootstrap.server": "x:1"}, "t")
    with pytest.raises(ValueError, match="Invalid value for configuration property"):
        Consumer(library_path(), {"queued.min.messages": "many"}, "t")


def test_no_broker_is_reported_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    consumer = Consumer(library_path(), consumer_properties({"bootstrap.servers": "127.0.0.1:1"}, "g"), "t")
    code, _, _ = consumer.describe(500)
    assert code < 0
    consumer.assign({0: BEGINNING})
    deadline = time.monotonic() + 20
    while not (failures := consumer.failures())[0] and time.monotonic() < deadline:
        values, _, offsets, *_ = consumer.drain(10, 10, 50)
        assert len(offsets) == 0
        assert len(pa.Array._import_from_c_capsule(*values)) == 0
    assert "Connection refused" in failures[2] or "down" in failures[2]
    assert any("Connection refused" in line for _, line in consumer.logs())
    consumer.close()
    assert capfd.readouterr() == ("", "")


def test_what_correctness_rests_on_cannot_be_overridden() -> None:
    wished = {
        "isolation.level": "read_uncommitted",
        "auto.offset.reset": "earliest",
        "schema.registry.url": "x",
        "acks": "1",
    }
    properties = consumer_properties(wished, "g")
    assert properties["isolation.level"] == "read_committed"
    assert properties["auto.offset.reset"] == "error"
    assert properties["acks"] == "1"
    assert "schema.registry.url" not in properties


def test_digests_tell_fields_apart() -> None:
    cases = [
        (0, 0, None, None),
        (0, 0, b"", None),
        (0, 0, None, b""),
        (0, 0, b"", b""),
        (0, 0, b"a", b"b"),
        (0, 0, b"ab", b""),
        (0, 0, b"a\0", b""),
        (1, 0, b"a", b"b"),
        (0, 1, b"a", b"b"),
        (0, 0, b"a" * 16, b"b"),
        (0, 0, b"a" * 17, b"b"),
    ]
    assert len({digest(*case) for case in cases}) == len(cases)
    assert np.all(np.array([digest(*case) for case in cases], np.uint64) > 0)
