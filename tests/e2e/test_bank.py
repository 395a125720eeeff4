"""The bank: transfers as two views, debits and credits; their total is zero in every read, while transactions write."""

from __future__ import annotations

import json
import random
import threading
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.e2e.service import RUN, running
from tests.servers.kafka import KafkaServer

READS = 10_000


def settings(bootstrap: str) -> dict[str, Any]:
    return {
        "name": f"bank_{RUN}",
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "transfers": {
                "kafka": "main",
                "topic": f"{RUN}_bank_transfers",
                "format": "json",
                "columns": {"id": "bigint", "source": "integer", "target": "integer", "amount": "numeric(12,2)"},
            }
        },
        "views": {
            "debits": {
                "sql": "SELECT source AS account, sum(amount) AS amount FROM transfers GROUP BY source",
                "key": ["account"],
            },
            "credits": {
                "sql": "SELECT target AS account, sum(amount) AS amount FROM transfers GROUP BY target",
                "key": ["account"],
            },
            "entries": {"sql": "SELECT account, amount FROM credits UNION ALL SELECT account, -amount FROM debits"},
            "balances": {
                "sql": "SELECT account, sum(amount) AS balance FROM entries GROUP BY account",
                "key": ["account"],
            },
            "total": {"sql": "SELECT coalesce(sum(balance), 0) AS total FROM balances"},
        },
    }


def transfer(stop: threading.Event, bootstrap: str, counts: dict[str, int]) -> None:
    """Write transfers in transactions that span both partitions; one in five is aborted."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"bank_{RUN}", "linger.ms": 0})
    producer.init_transactions(30)
    chance = random.Random(3)
    number = 0
    while not stop.is_set():
        producer.begin_transaction()
        for _ in range(chance.randrange(2, 40)):
            source, target = chance.sample(range(10), 2)
            cents = chance.randrange(1, 10_000)
            value = {"id": number, "source": source, "target": target, "amount": f"{cents // 100}.{cents % 100:02d}"}
            producer.produce(f"{RUN}_bank_transfers", json.dumps(value).encode(), partition=number % 2)
            number += 1
        if chance.random() < 0.2:
            producer.abort_transaction(30)
            counts["aborted"] += 1
        else:
            producer.commit_transaction(30)
            counts["committed"] += 1
        stop.wait(0.005)


@pytest.mark.kafka
@pytest.mark.slow
def test_total_is_zero_in_every_read(kafka: KafkaServer, tmp_path: Path) -> None:
    kafka.create_topic(f"{RUN}_bank_transfers", 2)
    stop, counts = threading.Event(), {"committed": 0, "aborted": 0}
    writer = threading.Thread(target=transfer, args=(stop, kafka.bootstrap, counts), daemon=True)
    with running(tmp_path, settings(kafka.bootstrap)) as service:
        writer.start()
        service.until(lambda: service.rows("balances"), 30, "the first transfers")
        connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
        last, times = 0, set()
        for read in range(READS):
            if read % 10:
                rows, time = _get(connection, "/views/total")
                total = Decimal(rows[0]["total"])
            else:
                rows, time = _get(connection, "/views/balances?limit=100")
                total = sum((Decimal(row["balance"]) for row in rows), Decimal(0))
            assert total == 0, (read, time, rows)
            assert time >= last, "a read went back in time"
            last = time
            times.add(time)
        connection.close()
        stop.set()
        writer.join(30)
    assert counts["committed"] > 20, counts
    assert counts["aborted"] > 2, counts
    assert len(times) > 50, "the reads saw too few ticks to mean anything"


def _get(connection: HTTPConnection, path: str) -> tuple[list[dict[str, Any]], int]:
    connection.request("GET", path)
    body = json.loads(connection.getresponse().read())
    return body["rows"], body["timestamp"]
