"""The test broker itself: it answers, it survives a kill with its data, and it goes with its users."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.kafka


def _produce(server: KafkaServer, topic: str, count: int) -> None:
    producer = Producer({**server.config, "log_level": 0})
    for number in range(count):
        producer.produce(topic, str(number).encode())
    assert producer.flush(60) == 0


def test_topics_come_grow_and_go(kafka: KafkaServer, topic_name: str) -> None:
    kafka.create_topic(topic_name, 3, {"cleanup.policy": "compact"})
    kafka.add_partitions(topic_name, 5)
    assert len(kafka.admin.list_topics(topic_name, timeout=10).topics[topic_name].partitions) == 5
    kafka.delete_topic(topic_name)


def test_acknowledged_records_survive_a_kill(own_kafka: KafkaServer) -> None:
    own_kafka.create_topic("kept", 1)
    _produce(own_kafka, "kept", 1000)
    own_kafka.kill()
    own_kafka.restart()
    consumer = Consumer({**own_kafka.config, "group.id": "none", "log_level": 0})
    assert consumer.get_watermark_offsets(TopicPartition("kept", 0), timeout=30) == (0, 1000)
    consumer.close()


def test_broker_dies_with_a_killed_user(tmp_path: Path) -> None:
    (tmp_path / "k").mkdir()
    script = f"""
import sys, time
from pathlib import Path
from tests.servers.kafka import KafkaServer
server = KafkaServer(Path({str(tmp_path / "k")!r}))
server.start()
print(server.pid, server.data, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        pid, data = user.stdout.readline().split()
        os.kill(int(pid), 0)
        user.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() or Path(data).exists():
        assert time.monotonic() < deadline, "the broker outlived its user"
        time.sleep(0.05)
