"""What SQL made is there, and right, after kill -9."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.books import TOTALS, Books, Client, settings
from tests.e2e.service import Headwater
from tests.servers.kafka import KafkaServer

pytestmark = [pytest.mark.kafka]


def test_schemas_hold_objects_of_any_kind_and_outlast_a_kill(kafka: KafkaServer, tmp_path: Path) -> None:
    books = Books(kafka, "schemas")
    books.write(500)
    service = Headwater(tmp_path, settings(kafka.bootstrap, "schemas")).start()
    client = Client(service)
    database = client.connection.execute("SELECT current_database()").fetchone()
    assert database is not None
    client.run("CREATE SCHEMA shop")
    client.run("CREATE TABLE shop.notes (account integer PRIMARY KEY, note text DEFAULT 'none')")
    client.run(
        f'CREATE VIEW "{database[0]}"."shop".balance AS SELECT b.account, note FROM balance b JOIN shop.notes USING (account)'
    )
    client.run("CREATE MATERIALIZED VIEW shop.noted AS SELECT note, count(*) AS n FROM shop.balance GROUP BY note")
    client.run("CREATE INDEX by_n ON shop.noted (n)")
    client.run("COMMENT ON SCHEMA shop IS 'what the shop says'")
    client.run("INSERT INTO shop.notes (account) VALUES (1), (2), (1000000)")
    expected = [("none", len([total for total in books.totals() if total[0] in (1, 2)]))]
    assert client.rows("TABLE shop.noted") == expected
    assert client.state("TABLE noted") == "42P01"
    assert client.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'shop'") == [("shop",)]
    assert client.rows("SHOW OBJECTS FROM shop") == [
        ("balance", "view", None), ("by_n", "index", None), ("noted", "materialized view", None), ("notes", "table", None),
    ]  # fmt: skip
    assert "shop" in {name for name, *_ in client.rows("SHOW SCHEMAS")}
    assert client.state("DROP SCHEMA shop") == "2BP01"
    client.run("DROP INDEX shop.by_n")
    client.run("ALTER MATERIALIZED VIEW shop.noted RENAME TO told")
    client.connection.close()
    service.kill()
    service.start()
    again = Client(service)
    assert again.rows("TABLE shop.told") == expected
    assert again.rows("SHOW CREATE MATERIALIZED VIEW shop.told") == again.rows(
        "SELECT s.name || '.' || v.name, create_sql FROM mz_materialized_views v JOIN mz_schemas s ON s.id = schema_id "
        "WHERE v.name = 'told'"
    )
    again.run("UPDATE shop.notes SET note = 'late' WHERE account = 2")
    assert again.rows("SELECT account FROM shop.notes WHERE note = 'late'") == [(2,)]
    again.run("DROP SCHEMA shop CASCADE")
    assert again.state("TABLE shop.notes") == "3F000"
    again.connection.close()
    service.stop()


@pytest.mark.slow
def test_after_kill_9_everything_acknowledged_is_there_and_right(kafka: KafkaServer, tmp_path: Path) -> None:
    books = Books(kafka, "ddlkill")
    books.write(2000)
    service = Headwater(tmp_path, settings(kafka.bootstrap, "ddlkill"))
    chance = random.Random(3)
    made: dict[str, str] = {}
    for kill in range(4):
        service.start()
        client = Client(service)
        found = dict(client.rows("SELECT name, kind FROM headwater.objects WHERE NOT declared"))
        assert found == made
        books.write(200)
        for number in range(chance.randrange(1, 4)):
            name = f"m{kill}_{number}"
            below = [name for name, kind in made.items() if kind == "materialized view"]
            sql = f"SELECT account, events, total FROM {chance.choice(below)}" if below and number else TOTALS
            client.run(f"CREATE MATERIALIZED VIEW {name} AS {sql}")
            made[name] = "materialized view"
            client.run(f"CREATE INDEX i{name} ON {name} (account)")
            made[f"i{name}"] = "index"
        if kill == 2:
            gone = chance.choice([name for name, kind in made.items() if kind == "materialized view"])
            client.run(f"DROP MATERIALIZED VIEW {gone} CASCADE")
            made = dict(client.rows("SELECT name, kind FROM headwater.objects WHERE NOT declared"))
        for name in [name for name, kind in made.items() if kind == "materialized view"]:
            service.until(partial(client.shows, name, books.totals()), what=name)
        client.connection.close()
        service.kill()
    service.start()
    client = Client(service)
    for name in [name for name, kind in made.items() if kind == "materialized view"]:
        assert client.rows(f"TABLE {name}") == books.totals(), name
    client.connection.close()
    assert service.stop()[0] == 0
