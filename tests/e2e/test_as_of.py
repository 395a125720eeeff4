"""AS OF over the wire and HTTP: what was read at a time is read at it again, as long as it is kept."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.e2e.books import Client
from tests.e2e.service import Headwater, running
from tests.e2e.test_tables import settings


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("as_of"), settings("as_of")) as service:
        yield service


@pytest.fixture
def client(house: Headwater) -> Iterator[Client]:
    client = Client(house)
    client.run("CREATE TABLE t (k integer PRIMARY KEY, v integer)")
    client.run(
        "CREATE MATERIALIZED VIEW kept WITH (RETAIN HISTORY FOR '1h') AS SELECT k % 3 AS g, sum(v) AS v FROM t GROUP BY 1"
    )
    client.run("CREATE MATERIALIZED VIEW short AS SELECT count(*) AS n FROM t")
    yield client
    client.run("DROP TABLE t CASCADE")
    client.connection.close()


def read(client: Client, query: str) -> list[Any]:
    return sorted(client.rows(query))


def written(client: Client) -> dict[int, list[Any]]:
    """Writes, each with the rows at the time after it."""
    chance, then = random.Random(1), dict[int, list[Any]]()
    for n in range(12):
        client.run(f"INSERT INTO t VALUES ({n}, {chance.randrange(100)})")
        if n % 3 == 2:
            client.run(f"DELETE FROM t WHERE k = {n - 1}")
        with client.connection.transaction():
            time = client.rows("SELECT mz_now()::text::bigint FROM kept LIMIT 1")[0][0]
            then[time] = read(client, "SELECT * FROM kept")
    return then


def test_a_time_reads_as_it_did(house: Headwater, client: Client) -> None:
    then = written(client)
    assert len({repr(rows) for rows in then.values()}) > 6
    for time, rows in then.items():
        assert read(client, f"SELECT * FROM kept AS OF {time}") == rows
        positive = f"SELECT g, v FROM kept WHERE v > 0 as of '{time}'::text"
        assert read(client, positive) == [row for row in rows if row[1] > 0]
        assert client.rows(f"SELECT count(*), mz_now()::text FROM kept AS OF {time};") == [(len(rows), str(time))]
        assert read(client, f"SELECT a.g, b.v FROM kept a JOIN kept b USING (g) AS OF {time}") == rows
    time, rows = next(iter(then.items()))
    client.run("CREATE INDEX ON kept (g)")
    with client.connection.transaction():
        client.run(f"DECLARE c CURSOR FOR SELECT * FROM kept AS OF AT LEAST {time}")
        assert sorted(client.rows("FETCH ALL c")) == then[max(then)]
    assert read(client, f"SELECT * FROM kept AS OF {time}") == rows  # an index changes nothing of it
    answer = _post(house, {"query": f"SELECT g, v FROM kept AS OF {time}"})
    assert sorted(map(tuple, answer["results"][0]["rows"])) == rows


def test_by_an_index_and_over_http(house: Headwater, client: Client) -> None:
    client.run("CREATE INDEX ON kept (g)")
    then = written(client)
    for time, rows in then.items():
        for g, v in rows:
            assert read(client, f"SELECT v FROM kept WHERE g = {g} AS OF {time}") == [(v,)]
            status, body = house.get(f"/views/kept/{g}?as_of={time}")
            assert (status, [row["v"] for row in body["rows"]], body["timestamp"]) == (200, [v], time)


SUBSCRIBED = ("kept", "(SELECT g, v FROM kept WHERE g >= 0)", "(SELECT a.g, b.v FROM kept a JOIN kept b USING (g))")


@pytest.mark.parametrize("what", SUBSCRIBED)
def test_a_subscription_begins_at_an_earlier_time(client: Client, what: str) -> None:
    """Invariant: what is told up to each time adds up to the rows at it, from the snapshot at the first one on."""
    then = written(client)
    first = sorted(then)[2]
    told: list[tuple[Any, ...]] = []

    def rows_at(time: int) -> list[Any]:
        found: Counter[Any] = Counter()
        for at, diff, row in told:
            found[row] += diff if at <= time else 0
        return sorted(found.elements())

    def begin_an_hour_earlier() -> None:
        with client.connection.transaction():
            client.run(f"DECLARE s CURSOR FOR SUBSCRIBE {what} AS OF {first - 3_600_000}")
            client.rows("FETCH ALL s WITH (timeout = '300ms')")

    with pytest.raises(psycopg.Error, match="cannot be read as of time"):
        begin_an_hour_earlier()
    with client.connection.transaction():
        client.run(f"DECLARE s CURSOR FOR SUBSCRIBE {what} AS OF {first}")
        for _ in range(100):
            more = client.rows("FETCH ALL s WITH (timeout = '300ms')")
            told += [(int(time), int(diff), tuple(row)) for time, diff, *row in more]
            if rows_at(max(then)) == then[max(then)]:
                break
    assert min(time for time, _, _ in told) == first
    for time in [time for time in then if time >= first]:
        assert rows_at(time) == then[time], time


def test_a_time_that_is_not_kept_is_refused(client: Client) -> None:
    then = written(client)
    newest = max(then)
    long_ago = min(then) - 3_600_000
    for query, message in (
        (f"SELECT * FROM kept AS OF {long_ago}", r"view kept cannot be .*: it is readable as of times from \d+ to \d+"),
        (f"SELECT * FROM kept AS OF {newest + 3_600_000}", r"readable as of times from \d+ to \d+"),
        (f"SELECT * FROM short AS OF {min(then)}", r"view short cannot be .* as of its newest time \d+ only"),
        (f"SELECT * FROM kept, short AS OF {min(then)}", "view short cannot be read"),
        ("SELECT * FROM kept AS OF 'soon'", '"soon" is no time'),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error, match=message):
            client.rows(query)
    assert client.rows("SELECT 1 AS of") == [(1,)]
    client.run("ALTER MATERIALIZED VIEW kept RESET (RETAIN HISTORY)")
    with pytest.raises(psycopg.Error, match="as of its newest time"):
        client.rows(f"SELECT * FROM kept AS OF {newest}")
    client.run("ALTER MATERIALIZED VIEW short SET (RETAIN HISTORY = FOR '5 minutes')")
    client.run("INSERT INTO t VALUES (100, 1)")
    with client.connection.transaction():
        ((n, time),) = client.rows("SELECT n, mz_now()::text FROM short")
    client.run("INSERT INTO t VALUES (101, 1)")
    assert client.rows(f"SELECT n FROM short AS OF {time}") == [(n,)]
    assert client.rows("SELECT n FROM short AS OF now()") == [(n + 1,)]
    assert re.search(
        r"WITH \(RETAIN HISTORY FOR '300000 ms'\)", client.rows("SHOW CREATE MATERIALIZED VIEW short")[0][1]
    )


def _post(house: Headwater, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    try:
        connection.request("POST", "/api/sql", json.dumps(body), {"content-type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
