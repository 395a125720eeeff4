"""The embedded broker: other processes can use it, and it goes with its parent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from ingest.embedded import PARTITIONS, EmbeddedBroker


def test_messages_come_back() -> None:
    broker = EmbeddedBroker()
    bootstrap = broker.start()
    try:
        producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
        producer.produce("orders", b"1", b"k", partition=2)
        assert producer.flush(20) == 0
        assert len(producer.list_topics("orders", timeout=10).topics["orders"].partitions) == PARTITIONS
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "g",
                "fetch.wait.max.ms": "10",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.assign([TopicPartition("orders", 2, 0)])
        message = consumer.poll(20)
        assert message is not None
        assert (message.value(), message.key(), message.offset()) == (b"1", b"k", 0)
        consumer.close()
    finally:
        broker.stop()
    broker.stop()
    host, _, port = bootstrap.rpartition(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_goes_with_a_killed_parent() -> None:
    script = """
import time
from ingest.embedded import EmbeddedBroker
broker = EmbeddedBroker()
bootstrap = broker.start()
print(broker._process.pid, bootstrap, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, _, bootstrap = parent.stdout.readline().strip().partition(" ")
        os.kill(int(pid), 0)
        parent.kill()
    host, _, port = bootstrap.rpartition(":")
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) != 0:
                return
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.05)
