"""Views and indexes that SQL makes while the service runs: right from the first read on, and whenever they are replaced."""

from __future__ import annotations

import json
import threading
from typing import Any, LiteralString, cast

import pytest

from tests.e2e.books import OWNED, TOTALS, Books, Client
from tests.e2e.service import Headwater

pytestmark = [pytest.mark.kafka]


def test_a_materialized_view_is_right_at_once_and_stays_so_while_rows_come(
    client: Client, house: tuple[Headwater, Books]
) -> None:
    service, books = house
    writer = threading.Thread(target=books.write, args=(3000,))
    writer.start()
    assert client.run(f"CREATE MATERIALIZED VIEW totals AS {TOTALS}") == "CREATE MATERIALIZED VIEW"
    assert client.rows("SELECT * FROM totals") == client.rows("SELECT account, events, total FROM totals")
    with client.connection.transaction():  # one time for both: the new view and the file's agree at every one
        assert client.rows("TABLE totals") == client.rows("TABLE balance")
    client.run(f"CREATE MATERIALIZED VIEW owned (owner, n, money) AS {OWNED}")
    client.run("CREATE MATERIALIZED VIEW rich AS SELECT owner FROM owned WHERE money > 1000")
    writer.join()
    service.until(lambda: client.rows("TABLE totals") == books.totals(), what="every event")
    service.until(lambda: client.rows("TABLE owned") == books.owned(), what="every owner")
    assert client.rows("TABLE rich") == [(owner,) for owner, _, money in books.owned() if money > 1000]
    assert service.get("/views/rich")[0] == 200


def test_plain_views_are_computed_when_read_and_kept_with_an_index(
    client: Client, house: tuple[Headwater, Books]
) -> None:
    service, books = house
    service.until(lambda: sum(n for _, n, _ in client.rows("TABLE balance")) == len(books.events))
    assert client.run(f"CREATE VIEW owned AS {OWNED}") == "CREATE VIEW"
    client.run("CREATE VIEW top AS SELECT owner, total FROM owned ORDER BY total DESC LIMIT 3")
    expected = sorted((owner, total) for owner, _, total in sorted(books.owned(), key=lambda row: -row[2])[:3])
    assert client.rows("TABLE top") == expected
    assert client.rows("SELECT count(*) FROM top t JOIN owned o ON o.owner = t.owner") == [(3,)]
    client.run("CREATE INDEX top_by_owner ON top (owner)")
    assert client.rows("TABLE top") == expected
    assert "Read by the key of top" in client.rows(f"EXPLAIN SELECT * FROM top WHERE owner = '{expected[0][0]}'")[-1][0]
    assert client.rows(f"SELECT total FROM top WHERE owner = '{expected[0][0]}'") == [(expected[0][1],)]
    client.run("DROP INDEX top_by_owner")
    assert client.rows("TABLE top") == expected


def test_an_index_lets_a_source_be_read_and_another_way_of_looking_up(client: Client, house: Any) -> None:
    service, books = house
    service.until(lambda: sum(n for _, n, _ in client.rows("TABLE balance")) == len(books.events))
    assert client.state("SELECT count(*) FROM events") == "0A000"
    client.run("CREATE VIEW raw AS SELECT id FROM events")
    assert client.state("TABLE raw") == "0A000"
    client.run("CREATE INDEX events_all ON events (account)")
    assert (
        client.rows("SELECT count(*) FROM events") == client.rows("SELECT count(*) FROM raw") == [(len(books.events),)]
    )
    some = books.events[0][1]
    assert client.rows(f"SELECT id FROM events WHERE account = {some}") == [
        (i,) for i, a, _ in books.events if a == some
    ]
    assert client.rows("SELECT account, owner FROM accounts") == sorted(books.owners.items())
    client.run("CREATE INDEX accounts_by_owner ON accounts (owner)")
    owner = next(iter(books.owners.values()))
    assert (
        "Read by the key of accounts" in client.rows(f"EXPLAIN SELECT * FROM accounts WHERE owner = '{owner}'")[-1][0]
    )
    for _ in range(2):
        found = client.rows(f"SELECT account FROM accounts WHERE owner = '{owner}'")
        assert found == sorted((account,) for account, other in books.owners.items() if other == owner)
    client.run("DROP INDEX events_all, accounts_by_owner")


def test_explain_of_what_there_is_and_of_queries(client: Client, house: Any) -> None:
    client.run(f"CREATE MATERIALIZED VIEW owned AS {OWNED}")
    client.run("CREATE INDEX owned_by_total ON owned (total)")

    def lines(what: str) -> list[str]:
        return [line for (line,) in client.connection.execute(cast(LiteralString, f"EXPLAIN {what}")).fetchall()]

    assert lines("VIEW balance")[0].startswith("Reduce count(*), sum(")
    assert "Hint: GROUP BY keeps a row for each events.account, for ever" in lines("PLAN FOR VIEW balance")[-1]
    assert any(" reduce sum(" in line for line in lines("PHYSICAL PLAN FOR MATERIALIZED VIEW owned"))
    assert lines("PHYSICAL PLAN FOR INDEX owned_by_total")[0].endswith("arrange by (#2)")
    (document,) = lines("PHYSICAL PLAN AS JSON FOR VIEW balance")
    assert json.loads(document)[0]["Plan"]["Arranged By"] == [0]
    (document,) = lines("(FORMAT JSON) SELECT count(*) FROM balance ORDER BY 1 LIMIT 5")
    assert json.loads(document)[0]["Reader"] == ["Order by #0", "Limit 5 offset 0"]
    assert lines("RAW PLAN FOR SELECT 1 + 1")[0] == "Project (1 + 1)"
    assert lines("PHYSICAL PLAN FOR SELECT total FROM balance WHERE account = 1 AND current_user = 'ada'")
    assert client.state("EXPLAIN VIEW balanc") == "42P01"
    assert client.state("EXPLAIN INDEX balance") == "42P01"
    client.run("DROP MATERIALIZED VIEW owned CASCADE")


def test_what_is_replaced_is_replaced_with_all_that_reads_it_at_one_time(
    client: Client, house: tuple[Headwater, Books]
) -> None:
    service, books = house
    client.run("CREATE MATERIALIZED VIEW m AS SELECT account, total FROM balance")
    client.run("CREATE VIEW v AS SELECT account, total FROM m")
    client.run("CREATE MATERIALIZED VIEW top AS SELECT max(total) AS most, count(*) AS n FROM v")
    client.run("CREATE INDEX by_n ON top (n)")
    stopped, wrong = threading.Event(), list[tuple[Any, ...]]()
    watched = Client(service)

    def watch() -> None:
        while not stopped.is_set():  # always the one or the other, in both
            with watched.connection.transaction():
                (rows,), (found,) = watched.rows("SELECT max(total), count(*) FROM m"), watched.rows("TABLE top")
            if rows != found:
                wrong.append((rows, found))

    thread = threading.Thread(target=watch)
    thread.start()
    for factor in range(2, 6):
        books.write(50)
        sql = f"SELECT account, total * {factor} AS total FROM balance WHERE account <> {factor}"
        client.run(f"CREATE OR REPLACE MATERIALIZED VIEW m AS {sql}")
    service.until(
        lambda: (
            client.rows("SELECT account, total FROM m") == sorted((a, 5 * t) for a, _, t in books.totals() if a != 5)
        ),
        what="the last definition",
    )
    stopped.set()
    thread.join()
    watched.connection.close()
    assert not wrong
    assert client.rows("SELECT n FROM top WHERE n = 99") == [(99,)]
    assert client.state("CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT account FROM balance") == "2BP01"
    assert (
        client.state("CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT most AS account, n AS total FROM top") == "2BP01"
    )
    assert (
        client.state("CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT account, events AS total FROM balance") == "2BP01"
    )


def test_a_null_that_must_not_be_is_an_error_of_its_row(client: Client) -> None:
    client.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    client.run("INSERT INTO t VALUES (1, 5), (2, NULL)")
    client.run(
        "CREATE MATERIALIZED VIEW m (id, m) WITH (ASSERT NOT NULL m, ASSERT NOT NULL = id) AS SELECT id, n FROM t"
    )
    assert client.rows("SELECT id FROM m") == [(1,)]
    assert client.rows("SELECT * FROM headwater.errors WHERE object = 'm'") == [("m", 'column "m" must not be null', 1)]
    assert client.rows("SHOW COLUMNS FROM m") == [("id", False, "integer", None), ("m", False, "integer", None)]
    client.run("UPDATE t SET n = 6 WHERE id = 2")
    assert client.rows("TABLE m") == [(1, 5), (2, 6)]
    assert client.rows("SELECT * FROM headwater.errors WHERE object = 'm'") == []
    assert "WITH (ASSERT NOT NULL m, ASSERT NOT NULL id)" in client.rows("SHOW CREATE MATERIALIZED VIEW m")[0][1]
    assert client.state("CREATE MATERIALIZED VIEW w WITH (ASSERT NOT NULL n) AS SELECT id FROM t") == "42703"
    assert client.state("CREATE MATERIALIZED VIEW w WITH (REFRESH EVERY '1h') AS SELECT id FROM t") == "0A000"
