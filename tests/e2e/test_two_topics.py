"""A million orders and their payments: every row of every view equals DuckDB's, and the sink topic folds to the view."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.e2e.service import RUN, fold, multiset, produce, running
from tests.servers.kafka import KafkaServer

ORDERS, PAYMENTS, CUSTOMERS = 1_000_000, 200_000, 20_000

VIEWS = {
    "paid": "SELECT order_id, sum(amount) AS paid, count(*) AS payments FROM payments GROUP BY order_id",
    "revenue": (
        "SELECT o.customer, count(*) AS orders, sum(o.amount) AS total, sum(p.paid) AS paid, min(p.paid) AS least, "
        "max(o.amount) AS largest FROM orders o JOIN paid p ON p.order_id = o.id GROUP BY o.customer"
    ),
    "by_status": "SELECT status, count(*) AS orders, sum(amount) AS total FROM orders WHERE amount > 10 GROUP BY status",
}


def settings(bootstrap: str) -> dict[str, Any]:
    return {
        "name": f"million_{RUN}",
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "orders": {
                "kafka": "main",
                "topic": f"{RUN}_million_orders",
                "format": "json",
                "columns": {"id": "bigint", "customer": "text", "amount": "numeric(12,2)", "status": "text"},
            },
            "payments": {
                "kafka": "main",
                "topic": f"{RUN}_million_payments",
                "format": "json",
                "envelope": "upsert",
                "key": ["id"],
                "columns": {"id": "bigint", "order_id": "bigint", "amount": "numeric(12,2)"},
            },
        },
        "views": {
            "paid": {"sql": VIEWS["paid"], "key": ["order_id"]},
            "revenue": {"sql": VIEWS["revenue"], "key": ["customer"]},
            "by_status": {"sql": VIEWS["by_status"], "key": ["status"]},
        },
        "sinks": {
            "revenue_out": {"view": "revenue", "kafka": "main", "topic": f"{RUN}_million_revenue", "key": ["customer"]},
        },
    }


@pytest.mark.kafka
@pytest.mark.slow
def test_million_orders_equal_duckdb(kafka: KafkaServer, tmp_path: Path) -> None:
    chance = random.Random(7)
    orders = [
        (i, f"c{chance.randrange(CUSTOMERS)}", chance.randrange(1, 100_000), chance.choice(["new", "paid", "sent"]))
        for i in range(ORDERS)
    ]
    payments = [(i, chance.randrange(ORDERS), chance.randrange(1, 50_000)) for i in range(PAYMENTS)]
    for topic in (f"{RUN}_million_orders", f"{RUN}_million_payments"):
        kafka.create_topic(topic, 4)
    produce(
        kafka.bootstrap,
        f"{RUN}_million_orders",
        (
            (
                b"%d" % i,
                b'{"id":%d,"customer":"%s","amount":"%d.%02d","status":"%s"}'
                % (i, c.encode(), a // 100, a % 100, s.encode()),
            )
            for i, c, a, s in orders
        ),
    )
    produce(
        kafka.bootstrap,
        f"{RUN}_million_payments",
        (
            (b'{"id":%d}' % i, b'{"id":%d,"order_id":%d,"amount":%d.%02d}' % (i, o, a // 100, a % 100))
            for i, o, a in payments
        ),
    )
    with running(tmp_path, settings(kafka.bootstrap), ready_within=240) as service:
        views = {view: service.rows(view) for view in VIEWS}
        times = {service.get(f"/views/{view}?limit=1")[1]["timestamp"] for view in VIEWS}
        assert min(times) > 1_700_000_000_000
        one = views["revenue"][0]
        status, answer = service.get(f"/views/revenue/{one['customer']}")
        assert (status, answer["rows"]) == (200, [one])
        service.until(
            lambda: len(fold(kafka.bootstrap, f"{RUN}_million_revenue", 4)) == len(views["revenue"]),
            60,
            "the sink's topic",
        )
    folded = fold(kafka.bootstrap, f"{RUN}_million_revenue", 4)
    assert {json.loads(key)["customer"]: value for key, value in folded.items()} == {
        row["customer"]: row for row in views["revenue"]
    }
    oracle = _oracle(orders, payments)
    for view, sql in VIEWS.items():
        assert multiset(row.values() for row in views[view]) == multiset(oracle.execute(sql).fetchall()), view
        oracle.execute(f"CREATE TABLE IF NOT EXISTS {view} AS {sql}")


def _oracle(orders: list[tuple[int, str, int, str]], payments: list[tuple[int, int, int]]) -> duckdb.DuckDBPyConnection:
    oracle = duckdb.connect()
    names = ("id", "customer", "cents", "status")
    table = pa.table(dict(zip(names, map(list, zip(*orders, strict=True)), strict=True)))
    paid = pa.table(dict(zip(("id", "order_id", "cents"), map(list, zip(*payments, strict=True)), strict=True)))
    oracle.register("o", table)
    oracle.register("p", paid)
    oracle.execute(
        "CREATE TABLE orders AS SELECT id, customer, (cents::DECIMAL(14,2) / 100)::DECIMAL(12,2) AS amount, status FROM o"
    )
    oracle.execute(
        "CREATE TABLE payments AS SELECT id, order_id, (cents::DECIMAL(14,2) / 100)::DECIMAL(12,2) AS amount FROM p"
    )
    return oracle
