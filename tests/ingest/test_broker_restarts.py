"""A broker that comes and goes while a consumer asks it questions: the process must live, and the consumer must end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.kafka import KafkaServer

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import sys, time
from ingest.kernels._consumer import Consumer
from ingest.librdkafka import consumer_properties, library_path

consumer = Consumer(library_path(), consumer_properties({"bootstrap.servers": sys.argv[1]}, "restarts"), sys.argv[2])
end, commits = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:
    consumer.describe(500)
    consumer.ask_identity(1500)
    consumer.identity()
    commits += consumer.commit({0: commits % 100})
    time.sleep(0.02)
began = time.monotonic()
consumer.close()
assert commits > 2, commits
assert time.monotonic() - began < 3, "closing waits for the broker"
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_questions_and_commits_survive_restarts(own_kafka: KafkaServer, topic_name: str) -> None:
    own_kafka.create_topic(topic_name, 1)
    command = [sys.executable, "-c", CHILD, own_kafka.bootstrap, topic_name, "14"]
    # A process of its own: what goes wrong in the client's threads ends the process.
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(3):
            time.sleep(1.5)
            own_kafka.kill()
            time.sleep(1.0)
            own_kafka.restart()
        time.sleep(1.5)
        own_kafka.kill()
        _, said = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, said
