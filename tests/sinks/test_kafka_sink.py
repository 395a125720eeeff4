"""The sink's thread, queue and states, on librdkafka's mock cluster."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import Sink
from sinks import kafka, session
from sinks.base import SinkHaltedError
from sinks.kafka import KafkaSink
from tests.sinks import topic
from tests.sinks.histories import SCHEMA, History, delta


@pytest.fixture
def name(topic_name: str) -> str:
    """A service and topic of the test's own."""
    return topic_name


@pytest.fixture
def sink(mock_cluster: dict[str, str], name: str) -> Iterator[KafkaSink]:
    made = make(mock_cluster, name)
    yield made
    made.close(5.0)


def make(connection: dict[str, str], name: str, **changes: Any) -> KafkaSink:
    settings = Sink(**{"view": "totals", "kafka": "main", "topic": name, "key": ("k",), **changes})
    return KafkaSink(settings, "out", connection, SCHEMA, "d1", name, lambda: None)


def wait(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_topic_holds_the_view(sink: KafkaSink, mock_cluster: dict[str, str], name: str) -> None:
    history = History.random(1, 60)
    assert sink.status().state == "connecting"
    assert sink.open() is None
    for at, change in history.ticks():
        sink.write(at, change)
    sink.close(20.0)
    status = sink.status()
    assert (status.state, status.queued_rows, status.aborted) == ("stopped", 0, 0)
    records = topic.read(mock_cluster, name)
    assert status.records == len(records)
    assert status.bytes == sum(len(r.key) + len(r.value or b"") for r in records)
    assert history.before(topic.check(mock_cluster, name, "out", name, history)) == history.states[-1]


def test_ticks_are_grouped_when_behind(sink: KafkaSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one transaction is under way others wait; then they go together."""
    sink.open()
    gate = threading.Event()
    commit = kafka.Session.commit

    def slow(*arguments: Any) -> int:
        assert gate.wait(20)
        return commit(*arguments)

    monkeypatch.setattr(kafka.Session, "commit", slow)
    for i in range(50):
        sink.write(10 + i, delta([(i % 3, f"{i}", 1), *([(i % 3, f"{i - 3}", -1)] if i > 2 else [])]))
    gate.set()
    wait(lambda: not sink.status().queued_rows)
    status = sink.status()
    assert status.transactions <= 2
    assert status.records <= 6
    assert status.frontier == status.durable == 60


def test_a_large_transaction_gets_more_time(sink: KafkaSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker counts from the first message; small ones afterwards have the short limit again."""
    monkeypatch.setattr(session, "_ROWS_PER_SECOND", 1)
    used: list[float] = []
    commit = kafka.Session.commit
    monkeypatch.setattr(kafka.Session, "commit", lambda self, *a: (used.append(self.timeout), commit(self, *a))[1])
    sink.open()
    for at, rows in ((1, 3), (2, 100), (3, 3)):
        sink.write(at, delta([(at * 1000 + k, "a", 1) for k in range(rows)]))
        wait(lambda: not sink.status().queued_rows)
    assert used == [15.0, 240.0, 15.0]
    assert sink.status().frontier == 4


def test_says_when_there_is_no_room(sink: KafkaSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "QUEUE_ROWS", 5)
    sink.open()
    gate = threading.Event()
    commit = kafka.Session.commit
    monkeypatch.setattr(kafka.Session, "commit", lambda *a: (gate.wait(20), commit(*a))[1])
    sink.write(1, delta([(k, "a", 1) for k in range(4)]))
    assert not sink.full
    sink.write(2, delta([(k, "a", 1) for k in range(4, 12)]))
    assert sink.status().queued_rows == 12
    assert sink.full
    sink.write(3, delta([(99, "a", 1)]))  # does not wait all the same
    assert not sink.settled(1)
    gate.set()
    wait(lambda: not sink.full)
    wait(lambda: not sink.status().queued_rows)
    assert sink.status().records == 13


def test_a_key_that_is_not_unique_halts(sink: KafkaSink) -> None:
    sink.open()
    sink.write(1, delta([(1, "secret-a", 1), (1, "secret-b", 1)]))
    wait(lambda: sink.status().state == "halted")
    reason = sink.status().reason
    assert "view totals has two rows for one value of (k)" in reason
    assert "secret" not in reason
    for i in range(3):
        sink.write(2 + i, delta([(2, "x", 1)]))
    assert (sink.status().queued_rows, sink.status().records) == (0, 0)
    sink.close(1.0)
    assert sink.status().state == "halted"


def test_a_sink_that_is_told_to_halt(sink: KafkaSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction under way may end; it does not bring the sink back."""
    sink.open()
    gate, commit = threading.Event(), kafka.Session.commit
    monkeypatch.setattr(kafka.Session, "commit", lambda *a: (gate.wait(20), commit(*a))[1])
    sink.write(1, delta([(1, "a", 1)]))
    sink.halt("a source cannot be replayed")
    sink.halt("another reason")
    gate.set()
    sink.write(2, delta([(1, "a", -1)]))
    sink.close(10.0)
    status = sink.status()
    assert (status.state, status.reason, status.queued_rows) == ("halted", "a source cannot be replayed", 0)
    assert status.records <= 1


def test_broker_that_is_away(name: str) -> None:
    """open waits and says why; close ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        sink = make({"bootstrap.servers": address, "socket.connection.setup.timeout.ms": "1000"}, name)
        failures: list[Exception] = []

        def run() -> None:
            try:
                sink.open()
            except SinkHaltedError as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        wait(lambda: "cannot reach the broker" in sink.status().reason)
        assert sink.status().state == "connecting"
        sink.close(1.0)
        thread.join(30)
        assert "closed while it connected" in str(failures[0])
        assert sink.status().state == "stopped"


def test_close_leaves_the_rest_to_the_next_start(
    sink: KafkaSink, mock_cluster: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.open()
    sink.write(1, delta([(1, "a", 1)]))
    wait(lambda: sink.status().transactions == 1)

    def lost(*_: Any) -> int:
        raise kafka.SessionLostError("the broker is away")

    monkeypatch.setattr(kafka.Session, "commit", lost)
    sink.write(2, delta([(2, "b", 1)]))
    wait(lambda: sink.status().state == "waiting")
    assert sink.status().reason == "the broker is away"
    began = time.monotonic()
    sink.close(0.5)
    assert time.monotonic() - began < 5
    assert sink.status().reason == "1 queued rows are left to the next start"
    monkeypatch.undo()
    successor = make(mock_cluster, name)
    assert successor.open() == 2
    successor.write(1, delta([(1, "a", 1)]))
    successor.write(2, delta([(2, "b", 1)]))
    successor.close(20.0)
    assert [r.key for r in topic.read(mock_cluster, name) if r.time == 1] == [b'{"k":1}']
    assert successor.status().records == 1


def test_settings_that_do_not_fit(mock_cluster: dict[str, str], name: str) -> None:
    with pytest.raises(ValueError, match="sink out: key column nope is not a column of view totals"):
        make(mock_cluster, name, key=("nope",))
    sink = make({**mock_cluster, "no.such.property": "x"}, name)
    with pytest.raises(SinkHaltedError, match=r"sink out cannot use its connection: .*no\.such\.property"):
        sink.open()
    assert "no.such.property" in sink.status().reason


def test_properties_of_the_registry_are_not_librdkafkas(mock_cluster: dict[str, str], name: str) -> None:
    sink = make({**mock_cluster, "schema.registry.url": "http://127.0.0.1:1"}, name)
    assert sink.open() is None
    sink.close(5.0)
