"""Registers over the whole house: clients write by producing records, and read over HTTP with `real_time_recency`.

`python -m tests.e2e.linearizable --operations 100000`. Each register is a key of an upsert source and of a view by key; any writer
writes any register, each value once. A write lasts from producing to the broker's acknowledgement, a read from request to answer.
Linearizability is local: the whole history has it exactly if the history of each register has it.
The checker is that of Gibbons and Korach for registers whose written values differ, in the form of Golab, Li and Shah ("Analyzing
consistency properties for fun and profit", PODC 2011): no decision is guessed, so it takes n log n.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from tests.e2e.service import RUN, Headwater, running
from tests.servers.kafka import KafkaServer

REGISTERS = 16
WRITERS = 6
READERS = 12


@dataclass(frozen=True, slots=True)
class Operation:
    """A write of a value to a register, or a read that found it (None: nothing), on one clock."""

    kind: str
    register: int
    value: int | None
    begin: float
    end: float


def mistake(history: Iterable[Operation]) -> str:
    """Why the history of one register is not linearizable; empty when it is. Every write has another value; unset is None."""
    values: dict[int | None, list[Operation]] = defaultdict(list)
    for operation in history:
        values[operation.value].append(operation)
    zones = []
    for value, operations in values.items():
        # Nobody writes None: the register holds it from before the first moment.
        write = next((o for o in operations if o.kind == "write"), None)
        if write is None and value is not None:
            return f"{value} was read and never written"
        for read in operations:
            if write is not None and read.end < write.begin:
                return f"{value} was read at {read.end} before its write began at {write.begin}"
        least_end = min(o.end for o in operations) if value is not None else float("-inf")
        most_begin = max(o.begin for o in operations)
        zones.append((min(least_end, most_begin), max(least_end, most_begin), least_end < most_begin, value))
    forward = sorted(zone for zone in zones if zone[2])
    for (_, end, _, value), (begin, _, _, other) in pairwise(forward):
        if begin < end:
            return f"{value} still held at {end}, and {other} had been done at {begin} and held later"
    place = 0
    for begin, end, _, value in sorted(zone for zone in zones if not zone[2]):
        while place < len(forward) and forward[place][1] < begin:
            place += 1
        if place < len(forward) and forward[place][0] < begin and end < forward[place][1]:
            return f"{value} came and went within {begin} to {end}, while {forward[place][3]} held"
    return ""


def settings(bootstrap: str) -> dict[str, Any]:
    """An upsert source and a view by key."""
    return {
        "name": f"registers_{RUN}",
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "writes": {
                "kafka": "main",
                "topic": f"{RUN}_registers",
                "format": "json",
                "envelope": "upsert",
                "key": ["register"],
                "columns": {"register": "integer", "value": "bigint"},
            }
        },
        "views": {"registers": {"sql": "SELECT register, value FROM writes", "key": ["register"]}},
    }


class Clients:
    """Writers and readers of a service until there are enough operations."""

    def __init__(self, service: Headwater, bootstrap: str, operations: int) -> None:
        self._service, self._bootstrap = service, bootstrap
        self._lock = threading.Lock()
        self._left = {"write": operations // 2, "read": operations - operations // 2}
        self._number = 0
        self.history: list[Operation] = []
        self.failures: list[str] = []

    def run(self) -> None:
        """All of them, to the end."""
        roles = [self._write] * WRITERS + [self._read] * READERS
        threads = [threading.Thread(target=self._guarded, args=(role, n), daemon=True) for n, role in enumerate(roles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _guarded(self, role: Any, seed: int) -> None:
        try:
            role(random.Random(seed))
        except Exception as error:  # noqa: BLE001 (of a thread: told by the test)
            self.failures.append(repr(error))

    def _next(self, kind: str) -> int:
        """A number of its own for the next operation; 0 when there are enough. Writes last as long as reads do."""
        with self._lock:
            if not self._left[kind]:
                return 0
            self._left[kind] -= 1
            self._number += 1
            return self._number

    def _write(self, chance: random.Random) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap, "linger.ms": 0, "enable.idempotence": True})
        while value := self._next("write"):
            while 0 < self._left["write"] < self._left["read"]:  # reads take longer: they wait for ticks
                time.sleep(0.002)
            register = chance.randrange(REGISTERS)
            body = json.dumps({"register": register, "value": value}).encode()
            done: list[Any] = []
            begin = time.perf_counter()
            producer.produce(
                f"{RUN}_registers",
                body,
                json.dumps({"register": register}),
                on_delivery=lambda *result, done=done: done.append(result),
            )
            while not done:
                producer.poll(0.05)
            if done[0][0] is not None:
                raise RuntimeError(f"a write failed: {done[0][0]}")
            self.history.append(Operation("write", register, value, begin, time.perf_counter()))

    def _read(self, chance: random.Random) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=60)) as connection:
            self._read_over(connection, chance)

    def _read_over(self, connection: http.client.HTTPConnection, chance: random.Random) -> None:
        while self._next("read"):
            register = chance.randrange(REGISTERS)
            begin = time.perf_counter()
            connection.request("GET", f"/views/registers/{register}?real_time_recency=true")
            response = connection.getresponse()
            body = json.loads(response.read())
            if response.status not in (200, 404):
                raise RuntimeError(f"a read failed: {body}")
            value = body["rows"][0]["value"] if body["rows"] else None
            self.history.append(Operation("read", register, value, begin, time.perf_counter()))


def check(history: Iterable[Operation]) -> str:
    """The first register that is not linearizable, and why; empty when all are."""
    registers: dict[int, list[Operation]] = defaultdict(list)
    for operation in history:
        registers[operation.register].append(operation)
    for register, operations in sorted(registers.items()):
        if found := mistake(operations):
            return f"register {register}: {found}"
    return ""


def main(arguments: list[str]) -> int:
    """Run against a broker of its own, print a summary; exit status 0 when the history is linearizable."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.linearizable")
    parser.add_argument("--operations", type=int, default=100_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        kafka = KafkaServer(folder / "kafka")
        kafka.start()
        try:
            kafka.create_topic(f"{RUN}_registers", 4)
            with running(folder, settings(kafka.bootstrap)) as service:
                clients = Clients(service, kafka.bootstrap, options.operations)
                began = time.monotonic()
                clients.run()
                seconds = time.monotonic() - began
        finally:
            kafka.stop()
    found = check(clients.history) or "; ".join(clients.failures)
    writes = sum(operation.kind == "write" for operation in clients.history)
    summary = {
        "operations": len(clients.history),
        "writes": writes,
        "reads": len(clients.history) - writes,
        "registers": REGISTERS,
        "seconds": round(seconds, 1),
        "linearizable": not found,
    }
    print(found or "linearizable")
    print(json.dumps(summary))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
