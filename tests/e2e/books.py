"""Two topics whose contents are known, the service over them, and a client: what the tests of statements stand on."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, LiteralString, cast

import psycopg
import pytest

from tests.e2e.service import RUN, Headwater, produce, record
from tests.servers.kafka import KafkaServer

EVENTS = 5000


def settings(bootstrap: str, name: str) -> dict[str, Any]:
    return {
        "name": f"{name}_{RUN}",
        "checkpoint": {"interval": "200ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "events": {
                "kafka": "main",
                "topic": f"{RUN}_{name}_events",
                "format": "json",
                "columns": {"id": "bigint", "account": "integer", "amount": "numeric(12,2)"},
            },
            "accounts": {
                "kafka": "main",
                "topic": f"{RUN}_{name}_accounts",
                "format": "json",
                "envelope": "upsert",
                "key": ["account"],
                "columns": {"account": "integer", "owner": "text"},
            },
        },
        "views": {
            "balance": {
                "key": ["account"],
                "sql": "SELECT account, count(*) AS events, sum(amount) AS total FROM events GROUP BY account",
            },
        },
        "serve": {"postgres": "127.0.0.1:0"},
    }


class Books:
    """Writes to both topics and knows what is in them."""

    def __init__(self, kafka: KafkaServer, name: str) -> None:
        self.bootstrap, self.name = kafka.bootstrap, name
        kafka.create_topic(f"{RUN}_{name}_events", 3)
        kafka.create_topic(f"{RUN}_{name}_accounts", 2)
        self.events: list[tuple[int, int, Decimal]] = []
        self.owners: dict[int, str] = {}
        self.chance = random.Random(7)

    def write(self, count: int) -> None:
        new = []
        for _ in range(count):
            account = self.chance.randrange(100)
            self.events.append((len(self.events), account, Decimal(self.chance.randrange(1, 9999)) / 100))
            new.append(record({}, {"id": self.events[-1][0], "account": account, "amount": str(self.events[-1][2])}))
        produce(self.bootstrap, f"{RUN}_{self.name}_events", new)
        changes = []
        for _ in range(count // 50):
            account = self.chance.randrange(100)
            gone = self.chance.random() < 0.2
            if gone:
                self.owners.pop(account, None)
            else:
                self.owners[account] = f"owner {self.chance.randrange(9)}"
            value = None if gone else {"account": account, "owner": self.owners[account]}
            changes.append(record({"account": account}, value))
        produce(self.bootstrap, f"{RUN}_{self.name}_accounts", changes)

    def totals(self) -> list[tuple[int, int, Decimal]]:
        found: dict[int, tuple[int, Decimal]] = {}
        for _, account, amount in self.events:
            count, total = found.get(account, (0, Decimal(0)))
            found[account] = count + 1, total + amount
        return sorted((account, count, total) for account, (count, total) in found.items())

    def owned(self) -> list[tuple[str, int, Decimal]]:
        found: dict[str, tuple[int, Decimal]] = {}
        for account, count, total in self.totals():
            if (owner := self.owners.get(account)) is not None:
                before = found.get(owner, (0, Decimal(0)))
                found[owner] = before[0] + count, before[1] + total
        return sorted((owner, count, total) for owner, (count, total) in found.items())


TOTALS = "SELECT account, count(*) AS events, sum(amount) AS total FROM events GROUP BY account"
OWNED = (
    "SELECT a.owner, sum(b.events) AS events, sum(b.total) AS total FROM balance b JOIN accounts a ON a.account = b.account "
    "GROUP BY a.owner"
)


class Client:
    def __init__(self, service: Headwater) -> None:
        self.service = service
        self.connection = psycopg.connect(
            host="127.0.0.1", port=service.postgres, user="ada", dbname="shop", autocommit=True
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return sorted(self.connection.execute(cast(LiteralString, sql)).fetchall())

    def shows(self, view: str, expected: list[tuple[Any, ...]]) -> bool:
        return self.rows(f"TABLE {view}") == expected

    def run(self, sql: str) -> str:
        return self.connection.execute(cast(LiteralString, sql)).statusmessage or ""

    def state(self, sql: str) -> str:
        """The SQLSTATE that a statement is refused with."""
        with pytest.raises(psycopg.Error) as refused:
            self.run(sql)
        return refused.value.sqlstate or ""
