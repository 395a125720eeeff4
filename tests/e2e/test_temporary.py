"""Temporary views: a session's own, before everybody's of the same name, and gone with it."""

from __future__ import annotations

import psycopg
import pytest

from tests.e2e.books import Books, Client
from tests.e2e.service import Headwater

pytestmark = [pytest.mark.kafka]

House = tuple[Headwater, Books]


def test_a_temporary_view_is_the_sessions_own(client: Client, house: House) -> None:
    service, books = house
    service.until(lambda: sum(n for _, n, _ in client.rows("TABLE balance")) == len(books.events))
    other = Client(service)
    assert (
        client.run("CREATE TEMPORARY VIEW few AS SELECT account, total FROM balance WHERE account < 3") == "CREATE VIEW"
    )
    expected = [(account, total) for account, _, total in books.totals() if account < 3]
    assert client.rows("TABLE few") == client.rows("SELECT * FROM pg_temp.few") == expected
    assert client.rows("SELECT account FROM mz_temp.few WHERE account = 2") == [(2,)]
    assert client.rows("SELECT total FROM balance b JOIN few USING (account, total) WHERE account = 1") == [
        expected[1][1:]
    ]
    assert client.state("CREATE TEMP VIEW few AS SELECT 1 AS a") == "42P07"
    client.run("CREATE TEMP VIEW fewer (n) AS SELECT count(*) FROM few")
    assert client.rows("TABLE fewer") == [(3,)]
    assert other.state("TABLE few") == "42P01"
    assert other.state("TABLE mz_temp.few") == "3F000"
    assert other.rows("SELECT 1 FROM pg_class WHERE relname = 'few'") == []
    assert client.state("DROP VIEW few") == "2BP01"
    assert client.run("DROP VIEW few CASCADE") == "DROP VIEW"
    assert client.state("TABLE fewer") == "42P01"
    assert client.run("DROP VIEW IF EXISTS few") == "DROP VIEW"
    client.run("CREATE TEMP VIEW few AS SELECT 1 AS a")
    client.connection.close()
    again = Client(service)
    assert again.state("TABLE few") == "42P01"
    client.connection = again.connection
    other.connection.close()


def test_it_hides_what_everybody_has_from_its_session_alone(client: Client, house: House) -> None:
    other = Client(house[0])
    whole = client.rows("TABLE balance")
    prepared = "SELECT count(*) FROM balance WHERE account >= %s"
    before = client.connection.execute(prepared, [0], prepare=True).fetchall()
    client.run("CREATE TABLE notes (id integer PRIMARY KEY, note text)")
    client.run("CREATE TEMP VIEW balance AS SELECT account, events, total FROM balance WHERE account = 1")
    client.run("CREATE TEMP VIEW notes AS SELECT 1 AS a")
    assert client.rows("TABLE balance") == [row for row in whole if row[0] == 1]
    assert client.rows("TABLE public.balance") == other.rows("TABLE balance") == whole
    assert client.connection.execute(prepared, [0], prepare=True).fetchall() == [(1,)]
    assert client.state("INSERT INTO notes VALUES (1, 'a')") == "42809"
    client.run("INSERT INTO public.notes VALUES (1, 'a'), (2, 'b')")
    assert client.rows("UPDATE public.notes SET note = notes.note || '!' WHERE id = 2 RETURNING note") == [("b!",)]
    client.run("INSERT INTO public.notes VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET note = excluded.note")
    assert client.run("DELETE FROM public.notes WHERE id = 2") == "DELETE 1"
    assert other.rows("TABLE notes") == [(1, "z")]
    assert client.state("CREATE VIEW all_of_it AS SELECT * FROM balance") == "42P16"
    client.run("CREATE VIEW all_of_it AS SELECT * FROM public.balance")
    assert client.rows("TABLE all_of_it") == whole
    assert client.state("DROP VIEW public.balance") == "42501"
    client.run("DROP VIEW balance, notes")
    assert client.rows("TABLE balance") == whole
    assert client.connection.execute(prepared, [0], prepare=True).fetchall() == before
    other.connection.close()


def test_the_catalog_tells_its_session_of_it(client: Client) -> None:
    client.run("CREATE TEMP VIEW few (acc) AS SELECT account, total FROM balance")
    client.run("CREATE TABLE other (a integer)")  # another catalog beneath
    assert client.rows(
        "SELECT c.name, c.type, c.type_oid FROM mz_columns c JOIN mz_relations r ON c.id = r.id "
        "WHERE r.schema_id = '0' AND r.name = 'few'"
    ) == [("acc", "integer", 23), ("total", "numeric", 1700)]
    assert client.rows(
        "SELECT n.nspname, a.attname, relpersistence FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid WHERE relname = 'few' AND attnum > 0"
    ) == [("mz_temp", "acc", "t"), ("mz_temp", "total", "t")]
    assert client.rows("SHOW COLUMNS FROM mz_temp.few") == [
        ("acc", True, "integer", None), ("total", True, "numeric", None),
    ]  # fmt: skip
    client.run("DROP TABLE other")
    for number in range(99):
        client.run(f"CREATE TEMP VIEW few{number} AS SELECT 1 AS a")
    assert client.state("CREATE TEMP VIEW one_more AS SELECT 1 AS a") == "53400"
    client.run("DISCARD TEMP")
    assert client.state("TABLE few") == "42P01"


def test_a_transaction_that_is_rolled_back_leaves_none(client: Client) -> None:
    client.run("BEGIN")
    client.run("CREATE TEMP VIEW few AS SELECT 1 AS a")
    ((now,),) = client.rows("SELECT mz_now()")
    client.run("SAVEPOINT s")
    client.run("CREATE TEMP VIEW more AS SELECT a FROM few")
    assert client.rows("TABLE more") == [(1,)]
    client.run("ROLLBACK TO SAVEPOINT s")
    assert client.rows("SELECT a, mz_now() FROM few") == [(1, now)]
    assert client.state("TABLE more") == "42P01"
    client.run("ROLLBACK")
    assert client.state("TABLE few") == "42P01"
    client.run("BEGIN")
    client.run("CREATE TEMP VIEW few AS SELECT 2 AS a")
    client.run("COMMIT")
    assert client.rows("TABLE few") == [(2,)]


def test_what_a_temporary_view_cannot_be(client: Client) -> None:
    for sql, state in {
        "CREATE TEMP VIEW public.few AS SELECT 1 AS a": "42P16",
        "CREATE TEMP VIEW few AS SELECT nothing FROM balance": "42703",
        "CREATE TEMP VIEW few (a, b) AS SELECT 1 AS x": "42000",
        "CREATE TEMP VIEW few AS SELECT few.a FROM few": "42P01",
        "CREATE TEMP MATERIALIZED VIEW few AS SELECT 1 AS a": "0A000",
        "CREATE SCHEMA mz_temp": "42939",
    }.items():
        assert client.state(sql) == state, sql
    with pytest.raises(psycopg.errors.UndefinedColumn) as refused:
        client.run("CREATE TEMP VIEW few AS SELECT account, nothing FROM balance")
    assert refused.value.diag.statement_position == "41"
    client.run("CREATE TEMP VIEW few AS SELECT account FROM balance")
    assert client.state("CREATE INDEX ON few (account)") == "0A000"
    assert client.state("DROP TABLE few") == "42809"
    with client.connection.transaction():
        client.run("DECLARE c CURSOR FOR SUBSCRIBE (SELECT * FROM few WHERE account = 1)")
        assert [row[2:] for row in client.connection.execute("FETCH 1 c").fetchall()] == [(1,)]
