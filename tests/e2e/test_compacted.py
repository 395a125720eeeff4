"""A topic that the broker compacts: what was read of it is computed again, though the broker no longer has it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.e2e.service import RUN, Headwater, produce, record
from tests.e2e.test_ddl import Client
from tests.servers.kafka import KafkaServer

KEYS, PARTITIONS = 300, 2
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "delete.retention.ms": "0",
    "max.compaction.lag.ms": "100",
}


def settings(bootstrap: str, topic: str, counted: str) -> dict[str, Any]:
    source = {"kafka": "main", "topic": topic, "format": "json", "columns": {"id": "bigint", "word": "text"}}
    return {
        "name": f"compacted_{RUN}",
        "checkpoint": {"interval": "250ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {"words": {**source, "envelope": "upsert", "key": ["id"]}, "changes": source},
        "views": {
            "counted": {"key": ["word"], "sql": counted},
            "changed": {"key": ["id"], "sql": "SELECT id, count(*) AS n FROM changes GROUP BY id"},
        },
        "serve": {"postgres": "127.0.0.1:0"},
    }


def readable(bootstrap: str, topic: str) -> int:
    """How many records the broker still has."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "count", "enable.partition.eof": True, "log_level": 0}
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found = ends = 0
    while ends < PARTITIONS:
        message = consumer.poll(10)
        assert message is not None
        found, ends = (found, ends + 1) if message.error() else (found + 1, ends)
    consumer.close()
    return found


@pytest.mark.kafka
def test_a_compacted_topic_is_replayed_without_the_broker_having_it(kafka: KafkaServer, tmp_path: Path) -> None:
    if kafka.kind == "noida":
        pytest.skip("it never compacts")
    topic = f"{RUN}_compacted"
    kafka.create_topic(topic, PARTITIONS, COMPACTED)
    words: dict[int, str | None] = {}
    written = dict.fromkeys(range(KEYS), 0)

    def write(turn: int, keys: range) -> None:
        for key in keys:
            words[key] = None if (key + turn) % 7 == 0 else f"word {(key * turn) % 11}"
            written[key] += words[key] is not None
        rows = [record({"id": key}, word and {"id": key, "word": word}) for key, word in words.items() if key in keys]
        produce(kafka.bootstrap, topic, rows)

    def expected() -> dict[str, int]:
        there = [word for word in words.values() if word is not None]
        return {word: there.count(word) for word in there}

    def counted(name: str = "n") -> dict[str, int]:
        return {row["word"]: row[name] for row in service.rows("counted")}

    def changed() -> dict[int, int]:
        return {row["id"]: row["n"] for row in service.rows("changed")}

    write(1, range(KEYS))
    plain = "SELECT word, count(*) AS n FROM words GROUP BY word"
    service = Headwater(tmp_path, settings(kafka.bootstrap, topic, plain)).start()
    for turn in range(2, 6):
        write(turn, range(KEYS))
    service.until(lambda: counted() == expected() and changed() == written, what="all changes in the views")
    before = counted(), changed()
    deadline = time.monotonic() + 60
    while readable(kafka.bootstrap, topic) > 3 * KEYS:  # a segment is compacted once a later record has closed it
        assert time.monotonic() < deadline, "the broker compacted nothing"
        write(6, range(4))
        time.sleep(0.2)
    service.until(lambda: counted() == expected() and changed() == written, what="the last changes")
    before = counted(), changed()
    client = Client(service)
    client.run("CREATE MATERIALIZED VIEW again AS SELECT count(*) AS n, count(DISTINCT word) AS words FROM words")
    client.connection.close()
    assert service.rows("again") == [{"n": sum(before[0].values()), "words": len(before[0])}]
    service.kill()
    assert (tmp_path / "state" / "checkpoints").is_dir()
    shutil.rmtree(tmp_path / "state" / "checkpoints")
    service.start()
    assert (counted(), changed()) == before
    service.kill()
    file = json.loads(service.file.read_text())  # a view that means something else refuses the checkpoint
    file["views"]["counted"]["sql"] = "SELECT word, count(*) * 2 AS twice FROM words GROUP BY word"
    service.file.write_text(json.dumps(file))
    service.start()
    assert counted("twice") == {word: 2 * n for word, n in before[0].items()}
    write(7, range(KEYS))
    service.until(lambda: changed() == written, what="what came after the replays")
    assert service.stop()[0] == 0
