"""`headwater apply`: the running service becomes as its file is, without a restart, or stays as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.books import Client
from tests.e2e.service import ROOT, RUN, Headwater, record
from tests.e2e.service import produce as produce_records
from tests.e2e.test_outside import Shop, written
from tests.servers.kafka import KafkaServer

pytestmark = [pytest.mark.kafka]


def settings(shop: Shop, name: str) -> dict[str, Any]:
    return {
        "name": f"{name}_{RUN}",
        "checkpoint": {"interval": "500ms"},
        "kafka": {"main": {"bootstrap.servers": shop.bootstrap}},
        "sources": {
            "lines": {"kafka": "main", "topic": shop.log, "format": "json", "columns": {"line": "bigint"}},
            "visits": {"kafka": "main", "topic": f"{RUN}_{name}_visits", "format": "json", "columns": {"who": "text"}},
        },
        "views": {
            "counted": {"sql": "SELECT count(*) AS n FROM lines"},
            "twice": {"sql": "SELECT n * 2 AS n FROM counted"},
            "visitors": {"key": ["who"], "sql": "SELECT who, count(*) AS n FROM visits GROUP BY who"},
        },
        "sinks": {"visitors_out": {"view": "visitors", "kafka": "main", "topic": f"{RUN}_{name}_out", "key": ["who"]}},
        "serve": {"postgres": "127.0.0.1:0"},
    }


class Applied:
    """A running service, and its file as it is to be."""

    def __init__(self, service: Headwater) -> None:
        self.service = service
        self.wanted: dict[str, Any] = json.loads(service.file.read_text())

    def apply(self, *options: str, answer: str = "") -> tuple[int, list[str]]:
        """Write the file and run the command: its exit status and what it says."""
        self.service.file.write_text(json.dumps(self.wanted))
        command = [sys.executable, "-m", "headwater", "apply", str(self.service.file), *options]
        command += ["--address", f"127.0.0.1:{self.service.port}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=answer, timeout=120, check=False)
        return done.returncode, (done.stdout + done.stderr).splitlines()


def test_the_service_becomes_as_its_file_is(kafka: KafkaServer, tmp_path: Path) -> None:
    shop = Shop(kafka, "apply")
    shop.write(0, 1000)
    visits: list[str] = []

    def visit(*names: str) -> None:
        visits.extend(names)
        produce_records(shop.bootstrap, f"{RUN}_apply_visits", [record({}, {"who": name}) for name in names])

    visit("ada", "ada", "bob")
    service = Headwater(tmp_path, settings(shop, "apply")).start()
    client = Client(service)
    client.run("CREATE MATERIALIZED VIEW four AS SELECT n * 2 AS n FROM twice")
    client.run("CREATE INDEX by_n ON counted (n)")
    applied = Applied(service)
    until = service.until

    assert applied.apply("--yes") == (0, ["nothing to change: the service is as its file says"])
    orders = {"kafka": "more", "topic": shop.topic, "format": "json", "envelope": "upsert", "key": ["id"]}
    orders["columns"] = {"id": "bigint", "customer": "text", "amount": "bigint"}
    applied.wanted["kafka"]["more"] = {"bootstrap.servers": shop.bootstrap}
    applied.wanted["sources"]["orders"] = orders
    totals = "SELECT customer, sum(amount)::bigint AS total FROM orders GROUP BY customer"
    applied.wanted["views"]["totals"] = {"key": ["customer"], "sql": totals}
    applied.wanted["views"]["counted"]["sql"] = "SELECT count(*) + 1 AS n FROM lines"
    topic = f"{RUN}_apply_totals"
    applied.wanted["sinks"]["totals_out"] = {
        "view": "totals", "kafka": "more", "topic": topic, "key": ["customer"], "partitions": 2,
    }  # fmt: skip
    plan = [
        "create connection more",
        f"create source orders: topic {shop.topic} is read from its beginning",
        "replace view counted: filled from lines (its topic is read again)",
        "replace view twice: filled from counted (kept)",
        "create view totals: filled from orders (kept)",
        "replace materialized view four, which SQL made: filled from twice (kept)",
        "replace index by_n, which SQL made: filled from lines (its topic is read again)",
        f"create sink totals_out: topic {topic} gets all rows of view totals",
    ]
    assert applied.apply("--plan") == (0, plan)
    assert applied.apply(answer="n\n")[0] == 1
    assert client.rows("TABLE twice") == [(shop.lines * 2,)]
    status, said = applied.apply("--yes")
    assert (status, said) == (0, [*plan, "done"])
    assert client.rows("TABLE counted") == [(shop.lines + 1,)]
    assert client.rows("TABLE four") == [(4 * (shop.lines + 1),)]
    assert client.rows("TABLE totals") == shop.totals()
    assert client.rows("SELECT n FROM counted WHERE n > 0") == [(shop.lines + 1,)]
    shop.write(1000, 1200, 5)
    visit("eve")
    until(lambda: client.rows("TABLE totals") == shop.totals(), what="what came later")
    until(lambda: client.rows("TABLE four") == [(4 * (shop.lines + 1),)], what="all above what was replaced")
    until(lambda: written(shop, topic) == shop.totals(), what="the new sink")

    applied.wanted["views"]["counted"]["sql"] = "SELECT count(*) AS n FROM lines"
    del (
        applied.wanted["views"]["visitors"],
        applied.wanted["sinks"]["visitors_out"],
        applied.wanted["sources"]["visits"],
    )
    status, said = applied.apply("--yes")
    assert status == 0
    assert "replace view counted: filled from lines (its topic is read again)" in said
    assert [line for line in said if line.startswith("drop")] == [
        f"drop sink visitors_out: topic {RUN}_apply_out stays as it is", "drop view visitors", "drop source visits",
    ]  # fmt: skip
    assert client.rows("TABLE four") == [(4 * shop.lines,)]
    assert client.state("TABLE visitors") == "42P01"
    assert {name for (name,) in client.rows("SELECT name FROM headwater.sources")} == {"lines", "orders"}
    assert [sink for (sink,) in client.rows("SELECT name FROM headwater.sinks")] == ["totals_out"]
    check_refusals(applied, client)

    shop.write(1200, 1300, 2)
    client.connection.close()
    service.kill()
    service.start()  # with the file as it is now, which was applied
    client = Client(service)
    until(lambda: client.rows("TABLE totals") == shop.totals(), what="totals after the start")
    until(lambda: client.rows("TABLE four") == [(4 * shop.lines,)], what="what SQL made, after the start")
    until(lambda: written(shop, topic) == shop.totals(), what="the sink after the start")
    assert applied.apply("--yes") == (0, ["nothing to change: the service is as its file says"])
    client.connection.close()
    assert service.stop()[0] == 0
    assert applied.apply("--yes")[0] == 3


def check_refusals(applied: Applied, client: Client) -> None:
    """What cannot be done while it runs is refused whole, and says what to do."""
    before = client.rows("SELECT name, kind, create_sql FROM headwater.objects")
    good = json.dumps(applied.wanted)

    def refused(change: Callable[[dict[str, Any]], None], *words: str) -> None:
        wanted = json.loads(good)
        change(wanted)
        applied.service.file.write_text(json.dumps(wanted))
        with pytest.raises(psycopg.Error) as error:
            client.run("APPLY FILE")
        diagnosis = error.value.diag
        said = f"{diagnosis.message_primary} {diagnosis.message_detail} {diagnosis.message_hint}"
        assert all(word in said for word in words), said
        assert client.rows("SELECT name, kind, create_sql FROM headwater.objects") == before

    refused(lambda file: file["views"].update(bad={"sql": "SELECT nothing FROM lines"}), "views.bad.sql")
    refused(
        lambda file: file["views"].pop("twice"), "four, which SQL made, would no longer be possible", "drop four first"
    )
    refused(lambda file: file["sources"]["lines"]["columns"].update(more="text"), "source lines", "restart the service")
    refused(
        lambda file: file["views"]["totals"].update(
            sql="SELECT customer, count(*) AS total FROM orders GROUP BY customer"
        ),
        "sink totals_out writes view totals",
        "another name and a new topic",
    )
    refused(lambda file: file["sources"].update(orders2={**file["sources"]["orders"], "topic": "nowhere"}), "nowhere")
    applied.wanted = {**json.loads(good), "name": "another"}
    status, said = applied.apply("--yes")
    assert (status, said[0].partition("and the file is of ")[2]) == (1, "another")
    applied.wanted = json.loads(good)
    applied.wanted["threads"] = 1
    status, said = applied.apply("--yes")
    assert (status, said) == (0, ["note: `threads` has changed, which counts from the next start on"])
    applied.wanted = json.loads(good)
    applied.service.file.write_text(good)
