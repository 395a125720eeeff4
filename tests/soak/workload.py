"""What the soak's service computes, and who writes its topics."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer

TRANSFERS, OWNERS = "transfers", "owners"
PARTITIONS = 4
ACCOUNTS = 100
SINKS = {"balances_out": ("balances", "account"), "seen_out": ("seen", "id"), "owned_out": ("owned", "owner")}
"""Sink to its view and key; the topic has the sink's name."""


def settings(bootstrap: str, state: Path, http: int, postgres: int) -> dict[str, Any]:
    """The service's file. The bank: each transfer is an entry of two accounts, so that all balances together are 0 at any time."""
    entries = (
        "SELECT source AS account, -amount AS amount FROM transfers UNION ALL SELECT target, amount FROM transfers"
    )
    columns = {"id": "bigint", "source": "integer", "target": "integer", "amount": "numeric(12,2)"}
    return {
        "name": "soak",
        "state": str(state),
        "checkpoint": {"interval": "500ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "transfers": {"kafka": "main", "topic": TRANSFERS, "format": "json", "columns": columns},
            "owners": {
                "kafka": "main",
                "topic": OWNERS,
                "format": "json",
                "envelope": "upsert",
                "key": ["account"],
                "columns": {"account": "integer", "owner": "text"},
            },
        },
        "views": {
            "entries": {"sql": entries},
            "balances": {
                "sql": "SELECT account, count(*) AS entries, sum(amount) AS balance FROM entries GROUP BY account",
                "key": ["account"],
            },
            "total": {"sql": "SELECT coalesce(sum(balance), 0) AS total FROM balances"},
            "seen": {"sql": "SELECT id, count(*) AS times FROM transfers GROUP BY id", "key": ["id"]},
            "owned": {
                "sql": "SELECT o.owner, count(*) AS accounts, sum(b.entries) AS entries, sum(b.balance) AS balance "
                "FROM balances b JOIN owners o ON o.account = b.account GROUP BY o.owner",
                "key": ["owner"],
            },
        },
        "sinks": {
            name: {"view": view, "kafka": "main", "topic": name, "key": [key]} for name, (view, key) in SINKS.items()
        },
        "serve": {"http": f"127.0.0.1:{http}", "postgres": f"127.0.0.1:{postgres}"},
    }


class Writer(threading.Thread):
    """Transfers in transactions over all partitions, one in six aborted, and changes of owners; goes on after any broker error.

    What counts is what the topic then holds: the oracle reads it from there.
    """

    def __init__(self, bootstrap: str, seed: int, pause: float = 0.05) -> None:
        super().__init__(name="writer", daemon=True)
        self._broker, self._chance, self._pause = bootstrap, random.Random(seed), pause
        self._owners = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})
        self.stopped = threading.Event()
        self.number = self.committed = self.aborted = self.lost = 0

    def run(self) -> None:
        """Write until `stopped`."""
        producer = None
        while not self.stopped.is_set():
            try:
                producer = producer or self._producer()
                self._transaction(producer)
            except KafkaException:
                producer = None  # the next one's init_transactions ends what this one left open
                self.lost += 1
                self.stopped.wait(0.5)
            self._change_owner()
            self.stopped.wait(self._pause)
        self._owners.flush(60)

    def _producer(self) -> Producer:
        producer = Producer(
            {"bootstrap.servers": self._broker, "transactional.id": "soak-writer", "linger.ms": 0, "log_level": 0}
        )
        producer.init_transactions(30)
        return producer

    def _transaction(self, producer: Producer) -> None:
        producer.begin_transaction()
        for _ in range(self._chance.randrange(1, 20)):
            source, target = self._chance.sample(range(ACCOUNTS), 2)
            cents = self._chance.randrange(1, 10_000)
            value = {
                "id": self.number,
                "source": source,
                "target": target,
                "amount": f"{cents // 100}.{cents % 100:02d}",
            }
            producer.produce(TRANSFERS, json.dumps(value).encode(), partition=self._chance.randrange(PARTITIONS))
            self.number += 1
        if self._chance.random() < 1 / 6:
            producer.flush(30)  # so that the log really holds records that nobody may see
            producer.abort_transaction(30)
            self.aborted += 1
        else:
            producer.commit_transaction(30)
            self.committed += 1

    def _change_owner(self) -> None:
        account = self._chance.randrange(ACCOUNTS)
        value = {"account": account, "owner": f"owner{self._chance.randrange(12)}"}
        body = None if self._chance.random() < 0.2 else json.dumps(value).encode()
        self._owners.produce(OWNERS, body, json.dumps({"account": account}).encode())
        self._owners.poll(0)
