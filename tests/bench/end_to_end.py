"""Topic to view, with the broker, the service and the producer on this machine: catch-up rate and latency at a steady rate.

The peer is DuckDB, answering the same query from scratch over the same rows, already decoded and in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from confluent_kafka import Producer

from tests.e2e.service import Headwater, produce
from tests.servers.kafka import KafkaServer

JOIN = (
    "SELECT o.customer, count(*) AS payments, sum(p.amount) AS paid FROM orders o JOIN payments p ON p.order_id = o.id "
    "GROUP BY o.customer"
)

LATEST = "SELECT customer, max(id) AS id, count(*) AS n FROM orders GROUP BY customer"


def settings(bootstrap: str) -> dict[str, Any]:
    orders = {"id": "bigint", "customer": "text", "amount": "numeric(12,2)", "status": "text"}
    payments = {"id": "bigint", "order_id": "bigint", "amount": "numeric(12,2)"}
    source = {"kafka": "main", "format": "json"}
    return {
        "name": "bench",
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "orders": {**source, "topic": "bench_orders", "columns": orders},
            "payments": {**source, "topic": "bench_payments", "columns": payments},
        },
        "views": {"joined": {"sql": JOIN, "key": ["customer"]}},
    }


def catch_up(kafka: KafkaServer, orders: int = 1_000_000, payments: int = 200_000) -> dict[str, float]:
    """Seconds from the start of the process to a ready view over topics that were full before."""
    chance = random.Random(5)
    left = [(i, f"c{chance.randrange(20_000)}", chance.randrange(100_000)) for i in range(orders)]
    right = [(i, chance.randrange(orders), chance.randrange(50_000)) for i in range(payments)]
    kafka.create_topic("bench_orders", 4)
    kafka.create_topic("bench_payments", 4)
    order = b'{"id":%d,"customer":"%s","amount":%d.%02d,"status":"new"}'
    produce(kafka.bootstrap, "bench_orders", ((None, order % (i, c.encode(), a // 100, a % 100)) for i, c, a in left))
    payment = b'{"id":%d,"order_id":%d,"amount":%d.%02d}'
    produce(kafka.bootstrap, "bench_payments", ((None, payment % (i, o, a // 100, a % 100)) for i, o, a in right))
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        service = Headwater(Path(folder), settings(kafka.bootstrap)).start(300)
        whole = time.monotonic() - began
        hydrated = hydration_seconds(service)
        rows = {row["customer"]: row["payments"] for row in service.rows("joined")}
        service.stop()
    duck, answer = _duckdb(left, right)
    assert answer == rows, "the answers differ"
    total = orders + payments
    return {
        "rows": total,
        "process start to ready, s": whole,
        "hydration, s": hydrated,
        "rows/s from topic to view": total / hydrated,
        "duckdb recompute, s": duck,
        "ratio to duckdb": hydrated / duck,
    }


def hydration_seconds(service: Headwater) -> float:
    """From the line `listening` to the line `ready` of the log."""
    times: dict[str, str] = {}
    service.until(lambda: b'"event": "ready"' in service.log.read_bytes())
    for line in service.log.read_text().splitlines():
        entry = json.loads(line)
        times.setdefault(entry["event"], entry["timestamp"])
    from datetime import datetime

    return (datetime.fromisoformat(times["ready"]) - datetime.fromisoformat(times["listening"])).total_seconds()


def _duckdb(left: list[tuple[int, str, int]], right: list[tuple[int, int, int]]) -> tuple[float, dict[str, int]]:
    oracle = duckdb.connect()
    oracle.register(
        "o", pa.table(dict(zip(("id", "customer", "amount"), map(list, zip(*left, strict=True)), strict=True)))
    )
    oracle.register(
        "p", pa.table(dict(zip(("id", "order_id", "amount"), map(list, zip(*right, strict=True)), strict=True)))
    )
    oracle.execute("CREATE TABLE orders AS FROM o; CREATE TABLE payments AS FROM p")
    times = []
    for _ in range(5):
        began = time.monotonic()
        rows = oracle.execute(JOIN).fetchall()
        times.append(time.monotonic() - began)
    return statistics.median(times), {customer: count for customer, count, _ in rows}


def latency(kafka: KafkaServer, rate: int = 1000, seconds: int = 20) -> dict[str, float]:
    """From just before a record is produced to its being visible over HTTP, at `rate` records a second."""
    kafka.create_topic("lag_orders", 4)
    columns = {"id": "bigint", "customer": "text"}
    config = {
        "name": "lag",
        "kafka": {"main": {"bootstrap.servers": kafka.bootstrap}},
        "sources": {"orders": {"kafka": "main", "topic": "lag_orders", "format": "json", "columns": columns}},
        "views": {"latest": {"sql": LATEST, "key": ["customer"]}},
    }
    with tempfile.TemporaryDirectory() as folder:
        service = Headwater(Path(folder), config).start(60)
        stop = threading.Event()
        sent: list[float] = []
        writer = threading.Thread(target=_steady, args=(kafka.bootstrap, rate, stop, sent), daemon=True)
        writer.start()
        seen = _watch(service.port, sent, seconds)
        stop.set()
        writer.join()
        service.stop()
    seen.sort()
    return {
        "records/s": len(sent) / seconds,
        "probes": len(seen),
        "p50, ms": seen[len(seen) // 2] * 1000,
        "p99, ms": seen[int(len(seen) * 0.99)] * 1000,
        "max, ms": seen[-1] * 1000,
    }


def _steady(bootstrap: str, rate: int, stop: threading.Event, sent: list[float]) -> None:
    """Produce customers c0 ... c99 in turn; `sent[i]` is when record i was handed to the producer."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    began = time.monotonic()
    while not stop.is_set():
        while len(sent) < (time.monotonic() - began) * rate:
            number = len(sent)
            sent.append(time.monotonic())
            producer.produce("lag_orders", b'{"id":%d,"customer":"c%d"}' % (number, number % 100))
        producer.poll(0)
        time.sleep(0.001)
    producer.flush(10)


def _watch(port: int, sent: list[float], seconds: int) -> list[float]:
    """Poll one customer after the other; each time its latest record rises, the oldest newly seen record's age is a sample."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    samples: list[float] = []
    warm, until = time.monotonic() + 2, time.monotonic() + seconds
    known = {}
    customer = 0
    while time.monotonic() < until:
        connection.request("GET", f"/views/latest/c{customer}")
        body = json.loads(connection.getresponse().read())
        now = time.monotonic()
        if body["rows"]:
            number = body["rows"][0]["id"]
            before = known.get(customer)
            if before is None or number > before:
                if before is not None and now > warm:
                    samples.append(now - sent[before + 100])
                known[customer] = number
                customer = (customer + 7) % 100
                known[customer] = _latest_sent(sent, customer)
        time.sleep(0.001)
    connection.close()
    return samples


def _latest_sent(sent: list[float], customer: int) -> int:
    """The newest record of a customer that was already produced: the probe waits for the one after it."""
    count = len(sent)
    return count - 1 - (count - 1 - customer) % 100


@contextlib.contextmanager
def broker() -> Iterator[KafkaServer]:
    """A real broker for the time of the benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        server = KafkaServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def main(which: set[str]) -> None:
    """Run the named benchmarks (all when none is named) and print a table and a line of JSON."""
    results = {}
    with broker() as kafka:
        for name, bench in (("catch_up", catch_up), ("latency", latency)):
            if not which or name in which:
                results[name] = bench(kafka)
                print(f"\n{name}")
                for key, value in results[name].items():
                    print(f"  {key:32s} {value:>14,.2f}")
    print(json.dumps({"cores": os.cpu_count(), **results}))


if __name__ == "__main__":
    main(set(sys.argv[1:]))
