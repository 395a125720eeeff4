"""Statements about tables that look at rows: CREATE TABLE AS, and CHECKs that come later."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.books import Books, Client
from tests.e2e.service import Headwater

pytestmark = [pytest.mark.kafka]


def test_a_table_is_made_with_the_rows_of_a_query(client: Client, house: tuple[Headwater, Books]) -> None:
    service, books = house
    service.until(lambda: sum(n for _, n, _ in client.rows("TABLE balance")) == len(books.events))
    few = "SELECT account, total FROM balance WHERE account < 5"
    rows = [(account, total) for account, _, total in books.totals() if account < 5]
    assert client.run(f"CREATE TABLE few AS {few}") == "SELECT 5"
    assert client.rows("TABLE few") == rows
    assert client.run(f"CREATE TABLE named (acc) AS {few} ORDER BY total LIMIT 2 WITH DATA;") == "SELECT 2"
    assert [name for name, *_ in client.rows("SHOW COLUMNS FROM named")] == ["acc", "total"]
    assert client.run(f"CREATE TABLE none AS {few} WITH NO DATA") == "SELECT 0"
    assert client.rows("TABLE none") == []
    assert client.run(f"CREATE TABLE IF NOT EXISTS few AS {few}") == "SELECT 5"
    assert client.rows("TABLE few") == rows
    client.run("INSERT INTO few VALUES (7, 1.5)")
    client.run("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM few")
    assert client.rows("TABLE m") == [(6,)]
    for sql, state in {
        f"CREATE TABLE few AS {few}": "42P07",
        "CREATE TABLE other AS SELECT nothing FROM few": "42703",
        "CREATE TABLE other AS SELECT 1 AS a, 2 AS a": "42701",
        "CREATE TABLE other (a, b) AS SELECT 1": "42601",
        "CREATE TABLE other AS SELECT 1 / 0 AS a": "22012",
        "CREATE TABLE other AS": "42601",
    }.items():
        assert client.state(sql) == state, sql
    assert client.state("TABLE other") == "42P01"
    with client.connection.transaction():
        assert client.run("CREATE TABLE once AS SELECT 1 AS a") == "SELECT 1"
        client.run("CREATE MATERIALIZED VIEW twice AS SELECT a + a AS b FROM once")
    assert client.rows("SELECT a, b FROM once, twice") == [(1, 2)]


def test_it_is_made_of_all_that_was_acknowledged_before(client: Client, house: tuple[Headwater, Books]) -> None:
    client.run("CREATE TABLE written (n integer)")
    done, other, seen = threading.Event(), Client(house[0]), list[int]()

    def write() -> None:
        while not done.is_set():
            other.run(f"INSERT INTO written VALUES ({len(seen)})")
            seen.append(len(seen))

    thread = threading.Thread(target=write)
    thread.start()
    for number in range(5):  # whoever reads it later finds at least what was acknowledged before
        before = len(seen)
        client.run(f"CREATE TABLE copy{number} AS SELECT n FROM written")
        ((count,),) = client.rows(f"SELECT count(*) FROM copy{number}")
        assert before <= count <= len(seen) + 1
        assert client.rows(f"SELECT n FROM copy{number}") == [(n,) for n in range(count)]
    done.set()
    thread.join()
    other.connection.close()


def test_a_check_that_comes_later_is_kept_by_the_rows_that_there_are(client: Client) -> None:
    client.run("CREATE TABLE t (id integer PRIMARY KEY, n integer, CONSTRAINT small CHECK (n < 100))")
    client.run("INSERT INTO t VALUES (1, 5), (2, -5), (3, NULL)")
    for sql, state in {
        "ALTER TABLE t ADD CHECK (n > 0)": "23514",
        "ALTER TABLE t ADD CHECK (nothing > 0)": "42703",
        "ALTER TABLE t ADD CHECK (n > (SELECT count(*) FROM balance))": "42P01",
        "ALTER TABLE t ADD CONSTRAINT small CHECK (n > -9)": "42710",
        "ALTER TABLE t ADD CHECK (10 / (n + 5) > 0)": "22012",
        "CREATE TABLE u (n integer, CONSTRAINT c CHECK (n > 0), CONSTRAINT c CHECK (n > 1))": "42710",
    }.items():
        assert client.state(sql) == state, sql
    client.run("UPDATE t SET n = 7 WHERE id = 2")
    client.run("ALTER TABLE t ADD CHECK (n > 0), ADD CONSTRAINT odd CHECK (n % 2 = 1)")
    assert client.state("INSERT INTO t VALUES (4, 0)") == "23514"
    assert client.state("UPDATE t SET n = 8 WHERE id = 1") == "23514"
    assert client.rows(
        "SELECT conname, pg_get_constraintdef(c.oid), relchecks FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid "
        "WHERE relname = 't' AND contype = 'c'"
    ) == [("odd", "CHECK (n % 2 = 1)", 3), ("small", "CHECK (n < 100)", 3), ("t_check", "CHECK (n > 0)", 3)]
    assert client.rows(
        "SELECT constraint_name, check_clause FROM information_schema.check_constraints NATURAL JOIN "
        "information_schema.table_constraints WHERE table_name = 't' AND constraint_name <> 'small'"
    ) == [("odd", "n % 2 = 1"), ("t_check", "n > 0")]
    client.run("ALTER TABLE t DROP CONSTRAINT t_check")
    client.run("ALTER TABLE t DROP CONSTRAINT odd")
    client.run("INSERT INTO t VALUES (4, -1)")
