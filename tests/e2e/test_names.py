"""Objects get other names while they are read, and schemas are swapped: rows stay, everything that names them follows, also after
kill -9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.service import Headwater, running

MADE = """
CREATE TABLE orders (id bigint PRIMARY KEY, city text UNIQUE, amount bigint NOT NULL);
CREATE VIEW large AS SELECT orders.id, city FROM orders WHERE orders.amount > 1;
CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS n FROM large GROUP BY city;
CREATE INDEX cities_by_city ON cities (city);
COMMENT ON COLUMN orders.city IS 'where';
INSERT INTO orders VALUES (1, 'Kiel', 1), (2, 'Bonn', 2), (3, NULL, 3);
CREATE SCHEMA blue;
CREATE SCHEMA green;
CREATE VIEW blue.passing AS SELECT 1 AS version, id FROM orders;
CREATE MATERIALIZED VIEW blue.answer AS SELECT version, count(*) AS n FROM blue.passing GROUP BY version;
CREATE MATERIALIZED VIEW green.answer AS SELECT 2 AS version, sum(amount)::bigint AS n FROM orders;
CREATE MATERIALIZED VIEW reader AS SELECT answer.version FROM blue.answer
"""


def connect(service: Headwater) -> psycopg.Connection[Any]:
    return psycopg.connect(host="127.0.0.1", port=service.postgres, user="ada", dbname="shop", autocommit=True)


def rows(client: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return sorted(client.execute(query).fetchall(), key=str)


def error(client: psycopg.Connection[Any], statement: str) -> tuple[str | None, str]:
    with pytest.raises(psycopg.Error) as raised:
        client.execute(statement)
    return raised.value.sqlstate, raised.value.diag.message_primary or ""


def test_what_is_renamed_and_swapped_goes_on_under_its_new_name(tmp_path: Path) -> None:
    kafka = {"main": {"bootstrap.servers": "127.0.0.1:1"}}
    settings = {"name": "shop", "kafka": kafka, "sources": {}, "views": {}, "checkpoint": {"interval": "200ms"},
                "serve": {"postgres": "127.0.0.1:0"}}  # fmt: skip
    with running(tmp_path, settings) as service:
        with connect(service) as client:
            for statement in MADE.split(";\n"):
                client.execute(statement)
            for statement in (
                "ALTER TABLE orders RENAME TO bills",
                "ALTER VIEW large RENAME TO dear",
                "ALTER MATERIALIZED VIEW cities RENAME TO towns",
                "ALTER INDEX cities_by_city RENAME TO towns_by_city",
                "CREATE TABLE orders (other text)",  # the name is free again, and another object's from now on
                "INSERT INTO orders VALUES ('not this one')",
                "INSERT INTO bills VALUES (4, 'Ulm', 4)",
                "COMMENT ON TABLE bills IS 'renamed'",
            ):
                client.execute(statement)
            check_renamed(client)
            assert error(client, "ALTER TABLE bills RENAME TO orders")[0] == "42P07"
            assert error(client, "ALTER TABLE nothing RENAME TO orders2")[0] == "42P01"
            assert error(client, "ALTER VIEW bills RENAME TO orders2")[0] == "42809"
            client.execute("BEGIN; ALTER SCHEMA blue SWAP WITH green; COMMIT")
            check_swapped(client, 2)
        service.kill()
        service.start()
        with connect(service) as client:
            check_renamed(client)
            check_swapped(client, 2)
            client.execute("ALTER SCHEMA green SWAP WITH blue")
            check_swapped(client, 1)
            client.execute("ALTER SCHEMA green RENAME TO red")
            assert rows(client, "SELECT version FROM red.answer") == [(2,)]
            client.execute("INSERT INTO bills VALUES (5, 'Hamm', 5)")
            assert rows(client, "SELECT n FROM red.answer") == [(15,)]
            assert error(client, "DROP SCHEMA red")[0] == "2BP01"
            client.execute("DROP SCHEMA red CASCADE")


def check_renamed(client: psycopg.Connection[Any]) -> None:
    assert rows(client, "SELECT id FROM dear") == [(2,), (3,), (4,)]
    assert rows(client, "SELECT * FROM towns") == sorted([("Bonn", 1), ("Ulm", 1), (None, 1)], key=str)
    assert rows(client, "SELECT n FROM towns WHERE city = 'Ulm'") == [(1,)]
    assert rows(client, "SELECT * FROM orders") == [("not this one",)]
    assert error(client, "INSERT INTO bills VALUES (1, 'x', 1)")[0] == "23505"
    assert error(client, "INSERT INTO bills VALUES (9, 'Bonn', 1)")[0] == "23505"
    assert error(client, "SELECT * FROM cities")[0] == "42P01"
    assert "bills AS orders" in client.execute("SHOW CREATE VIEW dear").fetchall()[0][1]
    found = rows(
        client, "SELECT description FROM pg_description JOIN pg_class c ON c.oid = objoid AND relname = 'bills'"
    )
    assert found == [("renamed",), ("where",)]


def check_swapped(client: psycopg.Connection[Any], blue: int) -> None:
    """blue: the version that schema `blue` has; who read the first version still does."""
    assert rows(client, "SELECT version FROM blue.answer") == [(blue,)]
    assert rows(client, "SELECT version FROM green.answer") == [(3 - blue,)]
    assert rows(client, "SELECT version FROM reader") == [(1,)]
