"""dbt with the public dbt-materialize adapter: seed, run, test and docs of a project, twice, while rows come."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from ingest.embedded import EmbeddedBroker
from tests.e2e.service import produce, record, running
from tests.servers.environments import Environment
from tests.servers.programs import leave_out

# Later versions of dbt-core ask GitHub for a wheel while they are installed.
DBT = Environment("dbt", ("dbt-materialize==1.9.11", "dbt-core==1.9.11"))
PROJECT = Path(__file__).parent / "dbt_project"
CITIES = ("Hamburg", "Kiel", "Munich")

# One process for all commands: its start takes longer than most of them.
RUN = """\
import json, sys
from dbt.cli.main import dbtRunner
for command in sys.argv[1:]:
    found = dbtRunner().invoke([*command.split(), "--quiet", "--no-use-colors"])
    if found.exception:
        raise found.exception
    results = getattr(found.result, "results", [])
    rows = [[each.node.name, str(each.status), str(each.message)] for each in results] if "docs" not in command else []
    print(json.dumps([command, found.success, rows]))
"""


def orders(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": n, "city": CITIES[n % 3], "amount": str(Decimal(n) / 2)} for n in range(first, first + count)]


def run(project: Path, port: int, *commands: str) -> dict[str, list[list[str]]]:
    """By command, name, status and message of each of its results. AssertionError when one fails."""
    environment = os.environ | {
        "HEADWATER_PORT": str(port),
        "DBT_PROFILES_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    command = [str(DBT.python), "-W", "ignore", "-c", RUN, *commands]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [(name, good) for name, good, _ in found] == [(name, True) for name in commands], done.stdout[-4000:]
    return {name: rows for name, _, rows in found}


def test_a_project_is_built_tested_and_described_twice(tmp_path: Path) -> None:
    if reason := DBT.install():
        leave_out(f"dbt cannot be installed: {reason}")
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    broker = EmbeddedBroker()
    kafka = {"bootstrap.servers": broker.start(), "fetch.wait.max.ms": "10"}
    columns = {"id": "bigint", "city": "text", "amount": "numeric(12,2)"}
    source = {
        "kafka": "main", "topic": "orders", "format": "json", "envelope": "upsert", "key": ["id"], "columns": columns
    }  # fmt: skip
    settings = {
        "name": "shop",
        "kafka": {"main": kafka},
        "sources": {"orders": source},
        "views": {},
        "serve": {"postgres": "127.0.0.1:0"},
    }
    try:
        produce(kafka["bootstrap.servers"], "orders", [record({"id": o["id"]}, o) for o in orders(0, 300)])
        with running(tmp_path, settings) as service:
            port = service.postgres
            found = run(project, port, "seed", "run", "test", "docs generate")
            assert {name: status for name, status, _ in found["run"]} == dict.fromkeys(
                ("large_orders", "revenue", "best"), "success"
            )
            assert {message for _, _, message in found["run"]} == {"CREATE VIEW", "CREATE MATERIALIZED VIEW"}
            assert len(found["test"]) == 8
            assert {status for _, status, _ in found["test"]} == {"pass"}
            check(project, port, orders(0, 300))
            produce(kafka["bootstrap.servers"], "orders", [record({"id": o["id"]}, o) for o in orders(300, 90)])
            again = run(project, port, "seed", "run", "test", "docs generate", "build --full-refresh")
            assert {status for name in ("run", "test") for _, status, _ in again[name]} == {"success", "pass"}
            assert len(again["build --full-refresh"]) == 12
            check(project, port, orders(0, 390))
    finally:
        broker.stop()


def check(project: Path, port: int, all_orders: list[dict[str, Any]]) -> None:
    """The models are what their SQL says, with their indexes and descriptions; dbt knows it all."""
    totals = {region: [0, Decimal(0)] for region in ("north", "south")}
    for order in all_orders:
        region = totals["south" if order["city"] == "Munich" else "north"]
        region[0] += 1
        region[1] += Decimal(order["amount"])
    revenue = sorted((region, count, total) for region, (count, total) in totals.items())
    with psycopg.connect(host="127.0.0.1", port=port, user="ada", dbname="shop", autocommit=True) as client:
        assert sorted(client.execute("SELECT * FROM revenue").fetchall()) == revenue
        best = max(revenue, key=lambda row: row[2])
        assert client.execute("SELECT * FROM public_staging.best").fetchall() == [(best[0], best[2])]
        large = {order["id"] for order in all_orders if Decimal(order["amount"]) > 100}
        assert {id_ for (id_,) in client.execute("SELECT id FROM large_orders").fetchall()} == large
        indexes = {name for name, *_ in client.execute("SHOW INDEXES").fetchall()}
        assert "revenue_by_region" in indexes
        schemas = {name for name, *_ in client.execute("SHOW SCHEMAS").fetchall()}
        assert schemas >= {"public", "public_reference", "public_staging", "public_dbt_test__audit"}
        assert client.execute("SELECT * FROM public_dbt_test__audit.no_negative_total").fetchall() == []
    catalog = json.loads((project / "target" / "catalog.json").read_text())
    described = catalog["nodes"]["model.shop.revenue"]
    assert described["metadata"]["type"] == "materialized_view"
    assert described["metadata"]["comment"] == "What each region brings."
    found = {name: (column["type"], column["comment"]) for name, column in described["columns"].items()}
    assert found == {
        "region": ("text", None),
        "orders": ("bigint", None),
        "total": ("numeric", "The sum of its orders' amounts."),
    }
    assert catalog["nodes"]["seed.shop.regions"]["metadata"]["schema"] == "public_reference"
    assert catalog["sources"]["source.shop.topics.orders"]["metadata"]["type"] == "source"
