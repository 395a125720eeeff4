"""A broker that comes and goes while a consumer asks it questions: the process must live, and the consumer must end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.servers.kafka import KafkaServer

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import select, sys, time
from ingest.kernels._consumer import Consumer
from ingest.librdkafka import consumer_properties, library_path

consumer = Consumer(library_path(), consumer_properties({"bootstrap.servers": sys.argv[1]}, "restarts"), sys.argv[2])
commits = 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    consumer.describe(500)
    consumer.ask_identity(1500)
    consumer.identity()
    if consumer.commit({0: commits % 100}):
        commits += 1
        print(flush=True)
began = time.monotonic()
consumer.close()
assert time.monotonic() - began < 3, "closing waits for the broker"
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_questions_and_commits_survive_restarts(own_kafka: KafkaServer, topic_name: str) -> None:
    own_kafka.create_topic(topic_name, 1)
    command = [sys.executable, "-c", CHILD, own_kafka.bootstrap, topic_name]
    # A process of its own: what goes wrong in the client's threads ends the process.
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    committed: list[str] = []
    assert child.stdout is not None
    listener = threading.Thread(target=committed.extend, args=[child.stdout])
    listener.start()
    try:
        for down in range(4):
            before, deadline = len(committed), time.monotonic() + 60
            while len(committed) < before + 2:
                assert child.poll() is None
                assert time.monotonic() < deadline, f"no commit after {down} restarts"
                time.sleep(0.02)
            own_kafka.kill()
            if down < 3:
                time.sleep(1.0)
                own_kafka.restart()
        time.sleep(0.5)
        _, said = child.communicate("end", timeout=60)
    finally:
        child.kill()
        listener.join()
    assert child.returncode == 0, said
