"""Tables: the same statements as on PostgreSQL give the same rows, counts and errors; what was acknowledged outlasts kill -9."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.books import Client
from tests.e2e.service import RUN, Headwater, running
from tests.servers.postgres import PostgresServer
from tests.servers.programs import program


def settings(name: str) -> dict[str, Any]:
    """Tables need no broker: the one that is named here does not exist."""
    return {
        "name": f"{name}_{RUN}",
        "checkpoint": {"interval": "200ms"},
        "kafka": {"main": {"bootstrap.servers": "127.0.0.1:1"}},
        "sources": {},
        "serve": {"postgres": "127.0.0.1:0"},
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("tables"), settings("tables")) as service:
        yield service


@pytest.fixture
def client(house: Headwater) -> Iterator[Client]:
    client = Client(house)
    yield client
    for name, kind in client.rows("SELECT name, kind FROM headwater.objects WHERE NOT declared AND kind <> 'index'"):
        client.run(f"DROP {kind} IF EXISTS {name} CASCADE")
    client.connection.close()


TABLE = "CREATE TABLE t (id integer PRIMARY KEY, name text DEFAULT 'none', amount numeric(12,2) NOT NULL DEFAULT 0)"


def statement(chance: random.Random) -> str:
    ident = chance.randrange(12)
    where = chance.choice([f"id = {ident}", f"id > {ident}", f"name = 'n{ident}'", "name IS NULL", "amount > 50"])
    rows = ", ".join(f"({chance.randrange(12)}, 'n{chance.randrange(4)}', {chance.randrange(100)})" for _ in range(2))
    return chance.choice(
        [
            f"INSERT INTO t VALUES ({ident}, NULL, {chance.randrange(100)})",
            f"INSERT INTO t (id) VALUES ({ident})",
            f"INSERT INTO t VALUES {rows}",
            f"INSERT INTO t VALUES {rows} ON CONFLICT DO NOTHING",
            f"INSERT INTO t (amount, id) VALUES (DEFAULT, {ident})",
            "INSERT INTO t (amount, id) VALUES (NULL, 99)",
            f"INSERT INTO t SELECT id + 20, name, amount FROM t WHERE id < {ident}",
            f"UPDATE t SET amount = amount + 1, name = name || 'x' WHERE {where}",
            # Beyond every key that is there: PostgreSQL checks row by row, and refuses a key that a later row would have left.
            f"UPDATE t AS u SET id = u.id + (SELECT max(id) FROM t) WHERE {where}",
            f"UPDATE t SET name = DEFAULT, amount = (SELECT max(amount) FROM t) WHERE {where}",
            f"DELETE FROM t WHERE {where}",
            f"DELETE FROM t WHERE {where}",
            "TRUNCATE t" if chance.random() < 0.2 else f"DELETE FROM t WHERE id IN (SELECT id + 1 FROM t) AND {where}",
            f"INSERT INTO t (id, amount) VALUES ({ident}, 1) RETURNING id, name, amount * 2 AS twice",
            f"UPDATE t SET amount = 3 WHERE {where} RETURNING *",
            f"DELETE FROM t WHERE {where} RETURNING id",
            f"INSERT INTO t VALUES ({ident}, 5, 99999999999)",
            f"INSERT INTO t VALUES {rows} ON CONFLICT (id) DO UPDATE SET amount = t.amount + excluded.amount, name = EXCLUDED.name",
            f"INSERT INTO t AS o (id) VALUES ({ident}) ON CONFLICT ON CONSTRAINT t_pkey"
            " DO UPDATE SET (name, amount) = ('c', DEFAULT) WHERE o.amount > 20 RETURNING *",
            f"INSERT INTO t SELECT id + 1, 'z', amount FROM t WHERE {where} ON CONFLICT (id) DO UPDATE SET amount = t.amount + 1,"
            ' name = "excluded" . "name" || (SELECT count(*) FROM t)::text RETURNING id, amount',
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT (name) DO UPDATE SET amount = 0",
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT DO UPDATE SET amount = 0",
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT (id) DO UPDATE SET amount = NULL",
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT (id) DO UPDATE SET id = t.id + 1",
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT (id) DO UPDATE SET amount = amount + 1",
            f"INSERT INTO t VALUES ({ident}, 'a', 1) ON CONFLICT (id) DO UPDATE SET amount = 2 WHERE name IS NULL",
            f"INSERT INTO t VALUES ({ident}, 'a', 1, 2)",
            f"INSERT INTO t (id, nothing) VALUES ({ident}, 1)",
        ]
    )


def outcome(connection: psycopg.Connection[Any], sql: str) -> tuple[Any, ...]:
    """Tag and rows, or the SQLSTATE."""
    try:
        done = connection.execute(sql)  # type: ignore[call-overload]
    except psycopg.Error as error:
        return (error.sqlstate,)
    return (done.statusmessage, sorted(done.fetchall(), key=repr) if done.description else None)


def test_random_statements_do_what_they_do_on_postgresql(client: Client, postgres: PostgresServer) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with postgres.connect() as other:
        other.autocommit = True
        other.execute("CREATE TEMPORARY" + TABLE.removeprefix("CREATE"))
        client.run(TABLE)
        client.run("CREATE MATERIALIZED VIEW m AS SELECT name, count(*) AS n, sum(amount) AS s FROM t GROUP BY name")
        for _ in range(150):
            sql = statement(chance)
            expected, got = outcome(other, sql), outcome(client.connection, sql)
            assert got == expected, sql
            assert outcome(client.connection, "SELECT * FROM t")[1] == outcome(other, "SELECT * FROM t")[1], sql
        grouped = "SELECT name, count(*) AS n, sum(amount) AS s FROM t GROUP BY name"
        assert outcome(client.connection, "SELECT * FROM m")[1] == outcome(other, grouped)[1]


def test_parameters_and_transactions(client: Client, house: Headwater) -> None:
    client.run("CREATE TABLE p (a bigint, b text, c timestamptz, d double precision, e boolean)")
    insert = "INSERT INTO p VALUES (%s, %s, %s, %s, %s)"
    client.connection.cursor().executemany(insert, [(n, f"t{n}", None, n / 2, n % 2 == 0) for n in range(50)])
    assert client.rows("SELECT count(*), sum(a), max(b), bool_or(e) FROM p") == [(50, 1225, "t9", True)]
    assert client.connection.execute("UPDATE p SET b = %s WHERE a < %s", ("x", 10)).rowcount == 10
    other = Client(house)
    with client.connection.transaction():
        client.run("INSERT INTO p (a) VALUES (1000)")
        client.run("INSERT INTO p (a) VALUES (1001)")
        assert other.rows("SELECT count(*) FROM p") == [(50,)]
    assert other.rows("SELECT count(*) FROM p") == [(52,)]
    with pytest.raises(psycopg.errors.ActiveSqlTransaction), client.connection.transaction():  # noqa: PT012
        client.run("INSERT INTO p (a) VALUES (1002)")
        client.run("SELECT 1")
    with pytest.raises(ZeroDivisionError), client.connection.transaction():  # noqa: PT012
        client.run("INSERT INTO p (a) VALUES (1003)")
        raise ZeroDivisionError
    assert other.rows("SELECT count(*) FROM p") == [(52,)]
    upsert = "INSERT INTO u VALUES (%s, %s) ON CONFLICT (a) DO UPDATE SET b = u.b + excluded.b * %s"
    client.run("CREATE TABLE u (a integer PRIMARY KEY, b bigint)")
    client.connection.cursor().executemany(upsert, [(n % 3, n, 10) for n in range(9)])
    assert client.rows("TABLE u") == [(0, 90), (1, 111), (2, 132)]
    client.run("CREATE TABLE q (a integer PRIMARY KEY)")
    with pytest.raises(psycopg.errors.UniqueViolation) as refused, client.connection.transaction():  # noqa: PT012
        client.run("INSERT INTO p (a) VALUES (1004)")
        client.run("INSERT INTO q VALUES (7)")
        client.run("INSERT INTO q VALUES (7)")
    assert refused.value.diag.message_detail == "Key (a)=(7) already exists."
    assert other.rows("SELECT count(*) FROM p") == [(52,)]
    assert other.rows("TABLE q") == []
    other.connection.cursor().executemany("INSERT INTO q VALUES (%s)", [(n,) for n in range(6)])
    for n in range(6):  # a client's DELETE by key looks like its reads by key
        assert other.connection.execute("SELECT a FROM q WHERE a = %s", [n], prepare=True).fetchall() == [(n,)]
        assert other.connection.execute("DELETE FROM q WHERE a = %s", [n], prepare=True).statusmessage == "DELETE 1"
    assert other.rows("TABLE q") == []
    other.connection.close()


def test_a_read_by_key_counts_as_a_read_however_quick(client: Client) -> None:
    client.run(TABLE)
    client.run("INSERT INTO t VALUES (1, 'a', 1)")
    pg, query = client.connection.pgconn, b"SELECT name FROM t WHERE id = 1"
    for _ in range(2):
        assert pg.exec_(query).get_value(0, 0) == b"a"
    for first in (b"INSERT INTO t VALUES (2, 'b', 1)", b"CREATE VIEW zz AS SELECT 1 AS a"):
        assert pg.exec_(b"BEGIN").command_status == b"BEGIN"
        assert pg.exec_(first).command_status is not None
        refused = pg.exec_(query)
        assert refused.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"25001"
        assert pg.exec_(b"ROLLBACK").command_status == b"ROLLBACK"
    assert client.rows("SELECT id FROM t") == [(1,)]


def test_http_writes_too(client: Client, house: Headwater) -> None:
    for query in ("CREATE TABLE h (a integer)", "INSERT INTO h VALUES (1), (2)", "DELETE FROM h WHERE a = 1"):
        connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
        connection.request("POST", "/api/sql", json.dumps({"query": query}), {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert "error" not in answer["results"][0], answer
    assert client.rows("TABLE h") == [(2,)]


def test_increments_of_many_clients_are_as_if_one_after_the_other(client: Client, house: Headwater) -> None:
    client.run("CREATE TABLE n (id integer PRIMARY KEY, value bigint)")
    client.run("INSERT INTO n VALUES (1, 0)")
    seen: list[int] = []

    def work() -> None:
        own = Client(house)
        for _ in range(5):
            done = own.connection.execute("UPDATE n SET value = value + 1 WHERE id = 1 RETURNING value").fetchone()
            assert done is not None
            seen.append(done[0])
            assert own.rows("SELECT value FROM n")[0][0] >= done[0]
        own.connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 21))
    assert client.rows("SELECT value FROM n") == [(20,)]


@pytest.mark.slow
def test_after_kill_9_what_was_acknowledged_is_there_and_nothing_twice(tmp_path: Path) -> None:
    service = Headwater(tmp_path, settings("tablekill"))
    chance = random.Random(5)
    acknowledged: set[int] = set()
    asked: set[int] = set()
    number = 0
    for kill in range(3):
        service.start()
        client = Client(service)
        if not kill:
            client.run("CREATE TABLE t (id bigint, half bigint)")
            client.run("CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS n, sum(id) AS s FROM t")
        found = [row[0] for row in client.rows("SELECT id FROM t")]
        assert len(found) == len(set(found)) == client.rows("SELECT n FROM sums")[0][0]
        assert acknowledged <= set(found) <= asked
        # Both rows of a transaction or none.
        assert set(found) == {ident ^ 1 for ident in found}
        acknowledged = set(found)
        killer = threading.Timer(chance.uniform(0.2, 1.0), service.kill)
        killer.start()
        try:
            while True:
                first, number = number, number + 2
                asked |= {first, first + 1}
                with client.connection.transaction():
                    client.run(f"INSERT INTO t VALUES ({first}, 0)")
                    client.run(f"INSERT INTO t VALUES ({first + 1}, 1)")
                acknowledged |= {first, first + 1}
        except psycopg.OperationalError:
            killer.join()
    service.start()
    client = Client(service)
    found = [row[0] for row in client.rows("SELECT id FROM t")]
    assert len(found) == len(set(found))
    assert acknowledged <= set(found) <= asked
    client.connection.close()
    assert service.stop()[0] == 0


def test_psql_describes_a_table(house: Headwater, client: Client) -> None:
    client.run(TABLE.replace(" amount", " tags text[], marks int list, held map[text=>date], amount"))
    client.run("CREATE INDEX by_tags ON t (tags, name)")
    client.run("INSERT INTO t VALUES (1, 'a', ARRAY['x', NULL], LIST[2, 1]), (2, 'b', '{}', '{}')")
    client.run("UPDATE t SET held = MAP['d' => DATE '2024-02-29'], marks = marks || 3 WHERE id = 1")
    rows = client.connection.execute("SELECT marks, held, marks[1], held -> 'd' FROM t WHERE held ? 'd'").fetchall()
    assert rows == [("{2,1,3}", "{d=>2024-02-29}", 2, dt.date(2024, 2, 29))]
    (found,) = client.connection.execute("SELECT id, tags, 'x' = ANY (tags) FROM t WHERE tags = '{x,NULL}'").fetchall()
    assert found == (1, ["x", None], True)
    done = subprocess.run(
        [
            program("psql", "postgresql-client"),
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            str(house.postgres),
            "-U",
            "ada",
            "-c",
            "\\d t",
            "shop",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.stdout) == (
        "",
        '                    Table "public.t"\n'
        " Column |     Type      | Collation | Nullable | Default \n"
        "--------+---------------+-----------+----------+---------\n"
        " id     | integer       |           | not null | \n"
        " name   | text          |           |          | 'none'\n"
        " tags   | text[]        |           |          | \n"
        " marks  | list          |           |          | \n"
        " held   | map           |           |          | \n"
        " amount | numeric(12,2) |           | not null | 0\n"
        "Indexes:\n"
        '    "t_pkey" PRIMARY KEY, btree (id)\n'
        '    "by_tags" btree (tags, name)\n\n',
    )
