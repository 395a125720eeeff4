"""What end-to-end tests share: Headwater as a process, HTTP as its users call it, producing and folding topics."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

ROOT = Path(__file__).resolve().parents[2]

RUN = uuid.uuid4().hex[:8]
"""Part of every topic's name: the broker is shared with the other test processes."""


class Headwater:
    """`headwater run FILE` in a process of its own; logs go to `log` in the folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.file = folder / "headwater.yaml"
        serve = {"http": "127.0.0.1:0", **settings.get("serve", {})}
        self.file.write_text(json.dumps({"state": str(folder / "state"), **settings, "serve": serve}))
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.postgres = 0
        """The port of the PostgreSQL door, where the settings open one."""

    def start(self, ready_within: float = 60.0, wait: bool = True) -> Headwater:
        """Start the process; with `wait`, return when /readyz says 200."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headwater", "run", str(self.file), "--log-format", "json"],
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + ready_within
        while time.monotonic() < deadline:
            self._look_for_ports(seen)
            if self.process.poll() is not None:
                raise AssertionError(f"headwater ended with {self.process.returncode}:\n{self.tail()}")
            if self.port and (not wait or self.get("/readyz")[0] == 200):
                self._look_for_ports(seen)  # who is ready has told all of them
                return self
            time.sleep(0.02)
        answer = self.get("/readyz")[1] if self.port else None
        raise AssertionError(f"not ready after {ready_within} s: {answer}\n{self.tail()}")

    def _look_for_ports(self, seen: int) -> None:
        for line in self.log.read_bytes()[seen:].splitlines():
            if b'"listening"' in line:
                self.port = int(json.loads(line)["http"].rsplit(":", 1)[1])
            if b'"listening for PostgreSQL clients"' in line:
                self.postgres = int(json.loads(line)["postgres"].rsplit(":", 1)[1])

    def tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text().splitlines()[-40:])

    def get(self, path: str) -> tuple[int, Any]:
        """GET a path: status and the JSON body (text where it is not JSON)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if "json" in response.headers.get("content-type", ""):
                return response.status, json.loads(body)
            return response.status, body.decode()
        except (ConnectionError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def rows(self, view: str, limit: int = 1_000_000) -> list[dict[str, Any]]:
        """Every row of a view."""
        status, body = self.get(f"/views/{quote(view)}?limit={limit}")
        assert status == 200, (status, body)
        rows: list[dict[str, Any]] = body["rows"]
        return rows

    def until(self, condition: Any, seconds: float = 30.0, what: str = "") -> Any:
        """Poll until `condition()` is true and return what it returned."""
        deadline = time.monotonic() + seconds
        while True:
            if outcome := condition():
                return outcome
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.port = 0

    def stop(self) -> tuple[int, float]:
        """SIGTERM: exit status and seconds until the end."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        return status, time.monotonic() - began


@contextlib.contextmanager
def running(folder: Path, settings: Mapping[str, Any], ready_within: float = 60.0) -> Iterator[Headwater]:
    """A started service that is stopped at the end; a clean stop is part of every test."""
    service = Headwater(folder, settings)
    try:
        service.start(ready_within)
    except BaseException:
        service.kill()
        raise
    try:
        yield service
    finally:
        if service.process is not None and service.process.poll() is None:
            status, seconds = service.stop()
            assert status == 0, service.tail()
            assert seconds < 5.0 + 5.0 * (os.getloadavg()[0] > 4), f"stopping took {seconds:.1f} s"


def produce(bootstrap: str, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Write records (key, value) and wait until the broker has them all."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            failed.append(error)

    for key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failed, failed[0]


def record(key: Mapping[str, Any], value: Mapping[str, Any] | None) -> tuple[bytes, bytes | None]:
    """A record as JSON bytes; None is a tombstone."""
    return json.dumps(key).encode(), None if value is None else json.dumps(value).encode()


def fold(bootstrap: str, topic: str, partitions: int) -> dict[bytes, dict[str, Any]]:
    """What a read_committed reader of an upsert topic ends with: key to the last value, tombstones gone."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "fold",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    rows: dict[bytes, dict[str, Any]] = {}
    open_partitions = set(range(partitions))
    deadline = time.monotonic() + 120
    while open_partitions and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                open_partitions.discard(message.partition())
            elif message.value() is None:
                rows.pop(message.key(), None)
            else:
                rows[message.key()] = json.loads(message.value())
    consumer.close()
    assert not open_partitions, "the sink topic did not end"
    return rows


def plain(value: Any) -> Any:
    """A value of either side in one form: exact numbers as Decimal without trailing zeros, the rest as it is."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | Decimal):
        return Decimal(value).normalize() + 0
    if isinstance(value, str):
        with contextlib.suppress(ArithmeticError):
            return Decimal(value).normalize() + 0
    return value


def multiset(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    """Rows in one comparable form and order."""
    return sorted((tuple(plain(value) for value in row) for row in rows), key=repr)
