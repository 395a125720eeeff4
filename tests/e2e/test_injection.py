"""SQL in the place of names, keys and values: it is refused as a name, or it is a value like any other."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from config.load import load
from config.mistakes import ConfigErrors
from tests.e2e.books import Client
from tests.e2e.service import Headwater, running
from tests.e2e.test_tables import settings

HOSTILE = (
    "x'; DROP TABLE victim; --",
    'x"; DROP TABLE victim; --',
    "x') OR 1=1 --",
    "1 OR 1=1",
    "$1", "%s", "\\'; DELETE FROM victim; --", "e'\\x27", "$$; DROP TABLE victim; $$", "/* */ --", "ä\u2019; DROP", "1;2", "\n;\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("injection"), settings("injection")) as service:
        yield service


@pytest.fixture(scope="module")
def client(house: Headwater) -> Iterator[Client]:
    client = Client(house)
    client.run("CREATE TABLE victim (name text PRIMARY KEY, secret integer)")
    client.run("INSERT INTO victim VALUES ('kept', 1), ('other', 2)")
    client.run("CREATE MATERIALIZED VIEW shown AS SELECT name, secret FROM victim")
    client.run("CREATE INDEX ON shown (name)")
    yield client
    client.connection.close()


def base() -> dict[str, Any]:
    source = {
        "kafka": "main",
        "topic": "t",
        "format": "json",
        "envelope": "upsert",
        "key": ["k"],
        "columns": {"k": "text"},
    }
    return {
        "name": "names",
        "state": "state",
        "kafka": {"main": {"bootstrap.servers": "127.0.0.1:1"}},
        "sources": {"s": source},
        "views": {"v": {"sql": "SELECT k FROM s", "key": ["k"]}},
    }


@pytest.mark.parametrize("place", ["service", "source", "view", "column", "key", "topic"])
def test_names_of_the_file_are_names(tmp_path: Path, place: str) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(json.dumps(base()))
    load(file, {})
    for hostile in HOSTILE:
        wrong = base()
        match place:
            case "service":
                wrong["name"] = hostile
            case "source":
                wrong["sources"][hostile] = wrong["sources"].pop("s")
            case "view":
                wrong["views"][hostile] = wrong["views"].pop("v")
            case "column":
                wrong["sources"]["s"]["columns"][hostile] = "text"
            case "key":
                wrong["views"]["v"]["key"] = [hostile]
            case "topic":
                wrong["sources"]["s"]["topic"] = hostile
        file.write_text(json.dumps(wrong))
        with pytest.raises(ConfigErrors):
            load(file, {})


@pytest.mark.parametrize("hostile", HOSTILE)
def test_values_are_values_at_every_door(client: Client, house: Headwater, hostile: str) -> None:
    connection = client.connection
    for prepare in (False, True):
        found = connection.execute("SELECT name FROM victim WHERE name = %s", [hostile], prepare=prepare).fetchall()
        assert found == []
    assert connection.execute("SELECT %s::text", [hostile]).fetchall() == [(hostile,)]
    plain = psycopg.ClientCursor(connection)
    assert plain.execute("SELECT %s::text", [hostile]).fetchall() == [(hostile,)]
    connection.execute("INSERT INTO victim VALUES (%s, 3) ON CONFLICT (name) DO UPDATE SET secret = 4", [hostile])
    with connection.cursor().copy("COPY victim FROM STDIN") as copied:
        copied.write_row((hostile + hostile, 5))
    for name, secret in ((hostile, 3), (hostile + hostile, 5)):
        status, body = house.get(f"/views/shown/{quote(name, safe='')}")
        assert (status, body["rows"]) == (200, [{"name": name, "secret": secret}]), body
        status, body = house.get(f"/views/shown?name={quote(name, safe='')}")
        assert (status, body["rows"]) == (200, [{"name": name, "secret": secret}]), body
    request = {"queries": [{"query": "SELECT secret FROM victim WHERE name = $1", "params": [hostile]}]}
    door = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    door.request("POST", "/api/sql", json.dumps(request), {"content-type": "application/json"})
    assert json.loads(door.getresponse().read())["results"][0]["rows"] == [[3]]
    door.close()
    connection.execute("DELETE FROM victim WHERE name = ANY (ARRAY[%s, %s])", [hostile, hostile + hostile])
    assert client.rows("SELECT * FROM victim") == [("kept", 1), ("other", 2)]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_quoted_names_are_names(client: Client, house: Headwater, hostile: str) -> None:
    table, column = sql.Identifier(hostile), sql.Identifier(hostile + "c")
    run = client.connection.execute
    run(sql.SQL("CREATE TABLE {} ({} text PRIMARY KEY, n integer DEFAULT 1)").format(table, column))
    run(sql.SQL('CREATE MATERIALIZED VIEW "over it" AS SELECT {} AS c, n FROM {}').format(column, table))
    run(sql.SQL("INSERT INTO {} ({}) VALUES ('a')").format(table, column))
    again = sql.SQL("INSERT INTO {0} ({1}) VALUES ('a') ON CONFLICT ({1}) DO UPDATE SET n = {0}.n + excluded.n")
    run(again.format(table, column))
    run(sql.SQL("UPDATE {} SET {} = 'b'").format(table, column))
    assert client.rows('SELECT * FROM "over it"') == [("b", 2)]
    assert house.get(f"/views/{quote(hostile, safe='')}/b")[0] == 200
    run(sql.SQL("DROP TABLE {} CASCADE").format(table))
    assert client.rows("SELECT * FROM victim") == [("kept", 1), ("other", 2)]
