"""Fixtures of the servers that tests need, as a pytest plugin.

`kafka` is one broker shared by every test process of this checkout (workers of pytest-xdist too): use topic names of your
own (`topic_name`). `own_kafka` starts a broker for one test, which may kill it.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.kafka import CACHE, FALLBACK_NOTE, ExternalKafka, KafkaServer


def pytest_configure(config: pytest.Config) -> None:
    """Forget what an earlier run noted."""
    if not hasattr(config, "workerinput"):
        FALLBACK_NOTE.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the run's last lines when the real broker was not available."""
    if FALLBACK_NOTE.exists():
        reason = FALLBACK_NOTE.read_text()
        terminalreporter.section("Apache Kafka was not available")
        terminalreporter.write_line(f"tests marked kafka ran on noida-db instead, which proves less: {reason}")


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A broker shared with the other test processes of this checkout; KAFKA_BOOTSTRAP names another cluster."""
    if os.environ.get("KAFKA_BOOTSTRAP"):
        external = ExternalKafka(Path())
        external.start()
        yield external
        return
    folder = CACHE / "shared"
    folder.mkdir(parents=True, exist_ok=True)
    server = KafkaServer(folder)
    with (CACHE / "start.lock").open("ab") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        server.hold()
        if server.pid is None:  # its last users are gone and so is it
            (folder / "server").unlink(missing_ok=True)
        server.start()
    yield server
    server.stop()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker of this test's own."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    server = KafkaServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def topic_name() -> str:
    """A topic name that no other test uses."""
    return f"t-{uuid.uuid4().hex[:12]}"
