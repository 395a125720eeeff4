"""kill -9 at 20 random moments while producing: nothing is lost or doubled, in the view or in the sink's topic."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.e2e.service import RUN, Headwater, fold
from tests.servers.kafka import KafkaServer

KILLS = 20


def settings(bootstrap: str) -> dict[str, Any]:
    return {
        "name": f"kills_{RUN}",
        "checkpoint": {"interval": "250ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "events": {
                "kafka": "main",
                "topic": f"{RUN}_kill_events",
                "format": "json",
                "columns": {"id": "bigint", "account": "integer", "amount": "numeric(12,2)"},
            },
            "accounts": {
                "kafka": "main",
                "topic": f"{RUN}_kill_accounts",
                "format": "json",
                "envelope": "upsert",
                "key": ["account"],
                "columns": {"account": "integer", "owner": "text"},
            },
        },
        "views": {
            "balance": {
                "key": ["account"],
                "sql": "SELECT account, count(*) AS events, sum(amount) AS total, max(id) AS latest FROM events GROUP BY account",
            },
            "owned": {
                "key": ["owner"],
                "sql": "SELECT a.owner, count(*) AS events, sum(e.amount) AS total FROM events e JOIN accounts a "
                "ON a.account = e.account GROUP BY a.owner",
            },
        },
        "sinks": {
            "balance_out": {"view": "balance", "kafka": "main", "topic": f"{RUN}_kill_balance", "key": ["account"]},
            "owned_out": {"view": "owned", "kafka": "main", "topic": f"{RUN}_kill_owned", "key": ["owner"]},
        },
    }


class Writer(threading.Thread):
    """Produces events and owner changes at a steady rate until told to stop; keeps its own books of what was acknowledged."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True})
        self.stopped = threading.Event()
        self.events: list[tuple[int, int, int]] = []
        self.owners: dict[int, str] = {}
        self.failed = 0

    def run(self) -> None:
        chance = random.Random(11)
        while not self.stopped.is_set():
            for _ in range(40):
                event = (len(self.events), chance.randrange(200), chance.randrange(1, 10_000))
                self.events.append(event)
                value = {"id": event[0], "account": event[1], "amount": f"{event[2] // 100}.{event[2] % 100:02d}"}
                self.producer.produce(f"{RUN}_kill_events", json.dumps(value).encode(), on_delivery=self._delivered)
            account = chance.randrange(200)
            key = json.dumps({"account": account}).encode()
            if chance.random() < 0.2:
                self.owners.pop(account, None)
                self.producer.produce(f"{RUN}_kill_accounts", None, key, on_delivery=self._delivered)
            else:
                self.owners[account] = f"owner{chance.randrange(20)}"
                body = {"account": account, "owner": self.owners[account]}
                self.producer.produce(
                    f"{RUN}_kill_accounts", json.dumps(body).encode(), key, on_delivery=self._delivered
                )
            self.producer.poll(0)
            self.stopped.wait(0.02)
        self.producer.flush(30)

    def _delivered(self, error: object, _message: object) -> None:
        self.failed += error is not None

    def expected(self) -> tuple[dict[int, tuple[int, Decimal, int]], dict[str, tuple[int, Decimal]]]:
        """Both views, recomputed from the books."""
        count: Counter[int] = Counter()
        total: Counter[int] = Counter()
        latest: dict[int, int] = {}
        for number, account, cents in self.events:
            count[account] += 1
            total[account] += cents
            latest[account] = number
        balance = {a: (count[a], Decimal(total[a]) / 100, latest[a]) for a in count}
        owned: dict[str, tuple[int, Decimal]] = {}
        for account, owner in self.owners.items():
            if account in balance:
                events, money = owned.get(owner, (0, Decimal(0)))
                owned[owner] = (events + balance[account][0], money + balance[account][1])
        return balance, owned


@pytest.mark.kafka
@pytest.mark.slow
def test_kill_at_random_moments_loses_and_doubles_nothing(kafka: KafkaServer, tmp_path: Path) -> None:
    for topic, partitions in ((f"{RUN}_kill_events", 4), (f"{RUN}_kill_accounts", 2)):
        kafka.create_topic(topic, partitions)
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    chance = random.Random(seed)
    writer = Writer(kafka.bootstrap)
    writer.start()
    service = Headwater(tmp_path, settings(kafka.bootstrap))
    for kill in range(KILLS):
        # Every third kill hits a service that is still starting or hydrating.
        service.start(wait=kill % 3 != 0)
        time.sleep(chance.uniform(0.0, 1.2))
        service.kill()
    writer.stopped.set()
    writer.join()
    assert writer.failed == 0
    service.start()
    balance, owned = writer.expected()

    def views() -> bool:
        rows = service.rows("balance")
        return sum(row["events"] for row in rows) >= len(writer.events)

    service.until(views, 30, "every event in the view")
    time.sleep(1.0)
    got = {row["account"]: (row["events"], Decimal(row["total"]), row["latest"]) for row in service.rows("balance")}
    assert got == balance
    assert {row["owner"]: (row["events"], Decimal(row["total"])) for row in service.rows("owned")} == owned
    status, seconds = service.stop()
    assert status == 0, service.tail()
    assert seconds < 10
    sunk = fold(kafka.bootstrap, f"{RUN}_kill_balance", 4).values()
    assert {row["account"]: (row["events"], Decimal(row["total"]), row["latest"]) for row in sunk} == balance
    sunk = fold(kafka.bootstrap, f"{RUN}_kill_owned", 4).values()
    assert {row["owner"]: (row["events"], Decimal(row["total"])) for row in sunk} == owned
