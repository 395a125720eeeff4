"""Views and indexes that SQL makes while the service runs: right from the first read on, and there after kill -9."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest

from tests.e2e.service import RUN, Headwater, produce, record, running
from tests.servers.kafka import KafkaServer

pytestmark = [pytest.mark.kafka]

EVENTS = 5000


def settings(bootstrap: str, name: str) -> dict[str, Any]:
    return {
        "name": f"{name}_{RUN}",
        "checkpoint": {"interval": "200ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "events": {
                "kafka": "main",
                "topic": f"{RUN}_{name}_events",
                "format": "json",
                "columns": {"id": "bigint", "account": "integer", "amount": "numeric(12,2)"},
            },
            "accounts": {
                "kafka": "main",
                "topic": f"{RUN}_{name}_accounts",
                "format": "json",
                "envelope": "upsert",
                "key": ["account"],
                "columns": {"account": "integer", "owner": "text"},
            },
        },
        "views": {
            "balance": {
                "key": ["account"],
                "sql": "SELECT account, count(*) AS events, sum(amount) AS total FROM events GROUP BY account",
            },
        },
        "serve": {"postgres": "127.0.0.1:0"},
    }


class Books:
    """Writes to both topics and knows what is in them."""

    def __init__(self, kafka: KafkaServer, name: str) -> None:
        self.bootstrap, self.name = kafka.bootstrap, name
        kafka.create_topic(f"{RUN}_{name}_events", 3)
        kafka.create_topic(f"{RUN}_{name}_accounts", 2)
        self.events: list[tuple[int, int, Decimal]] = []
        self.owners: dict[int, str] = {}
        self.chance = random.Random(7)

    def write(self, count: int) -> None:
        new = []
        for _ in range(count):
            account = self.chance.randrange(100)
            self.events.append((len(self.events), account, Decimal(self.chance.randrange(1, 9999)) / 100))
            new.append(record({}, {"id": self.events[-1][0], "account": account, "amount": str(self.events[-1][2])}))
        produce(self.bootstrap, f"{RUN}_{self.name}_events", new)
        changes = []
        for _ in range(count // 50):
            account = self.chance.randrange(100)
            gone = self.chance.random() < 0.2
            if gone:
                self.owners.pop(account, None)
            else:
                self.owners[account] = f"owner {self.chance.randrange(9)}"
            value = None if gone else {"account": account, "owner": self.owners[account]}
            changes.append(record({"account": account}, value))
        produce(self.bootstrap, f"{RUN}_{self.name}_accounts", changes)

    def totals(self) -> list[tuple[int, int, Decimal]]:
        found: dict[int, tuple[int, Decimal]] = {}
        for _, account, amount in self.events:
            count, total = found.get(account, (0, Decimal(0)))
            found[account] = count + 1, total + amount
        return sorted((account, count, total) for account, (count, total) in found.items())

    def owned(self) -> list[tuple[str, int, Decimal]]:
        found: dict[str, tuple[int, Decimal]] = {}
        for account, count, total in self.totals():
            if (owner := self.owners.get(account)) is not None:
                before = found.get(owner, (0, Decimal(0)))
                found[owner] = before[0] + count, before[1] + total
        return sorted((owner, count, total) for owner, (count, total) in found.items())


TOTALS = "SELECT account, count(*) AS events, sum(amount) AS total FROM events GROUP BY account"
OWNED = (
    "SELECT a.owner, sum(b.events) AS events, sum(b.total) AS total FROM balance b JOIN accounts a ON a.account = b.account "
    "GROUP BY a.owner"
)


class Client:
    def __init__(self, service: Headwater) -> None:
        self.service = service
        self.connection = psycopg.connect(
            host="127.0.0.1", port=service.postgres, user="ada", dbname="shop", autocommit=True
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return sorted(self.connection.execute(cast(LiteralString, sql)).fetchall())

    def shows(self, view: str, expected: list[tuple[Any, ...]]) -> bool:
        return self.rows(f"TABLE {view}") == expected

    def run(self, sql: str) -> str:
        return self.connection.execute(cast(LiteralString, sql)).statusmessage or ""

    def state(self, sql: str) -> str:
        """The SQLSTATE that a statement is refused with."""
        with pytest.raises(psycopg.Error) as refused:
            self.run(sql)
        return refused.value.sqlstate or ""


@pytest.fixture(scope="module")
def house(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Headwater, Books]]:
    books = Books(kafka, "ddl")
    books.write(EVENTS)
    with running(tmp_path_factory.mktemp("ddl"), settings(kafka.bootstrap, "ddl")) as service:
        yield service, books


@pytest.fixture
def client(house: tuple[Headwater, Books]) -> Iterator[Client]:
    client = Client(house[0])
    yield client
    made = client.connection.execute(
        "SELECT name, kind FROM headwater.objects WHERE NOT declared AND kind <> 'index'"
    ).fetchall()
    for name, kind in made:
        client.run(f"DROP {kind} IF EXISTS {name} CASCADE")
    client.run("DROP INDEX IF EXISTS events_all, accounts_by_owner")
    client.connection.close()


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


def test_what_is_wrong_is_refused_with_postgresqls_codes(client: Client) -> None:
    client.run("CREATE VIEW v AS SELECT account FROM balance")
    client.run("CREATE MATERIALIZED VIEW m AS SELECT * FROM v")
    for sql, state in {
        "CREATE VIEW v AS SELECT 1 AS a": "42P07",
        "CREATE VIEW balance AS SELECT 1 AS a": "42P07",
        "CREATE OR REPLACE VIEW balance AS SELECT 1 AS a": "42809",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS a": "2BP01",
        "CREATE VIEW w AS SELECT nothing FROM balance": "42703",
        "CREATE VIEW w AS SELECT 1 FROM nowhere": "42P01",
        "CREATE VIEW w AS": "42601",
        "CREATE VIEW w (a, b) AS SELECT 1 AS x": "42000",
        "CREATE VIEW w (a, a) AS SELECT 1 AS x, 2 AS y": "42712",
        "CREATE VIEW other.w AS SELECT 1 AS x": "3F000",
        "CREATE INDEX ON nowhere (a)": "42P01",
        "CREATE INDEX ON v (nothing)": "42703",
        "CREATE INDEX ON v (lower(a))": "0A000",
        "DROP VIEW v": "2BP01",
        "DROP VIEW balance": "42501",
        "DROP VIEW m": "42809",
        "DROP VIEW nowhere": "42P01",
        "ALTER VIEW v RENAME TO m": "42P07",
        "ALTER VIEW balance RENAME TO w": "42501",
        "ALTER VIEW v SWAP WITH m": "42809",
        "COMMENT ON COLUMN v.nothing IS 'x'": "42703",
        "CREATE SOURCE s FROM KAFKA": "42601",
        "CREATE SCHEMA public": "42P06",
        "CREATE SCHEMA pg_own": "42939",
        "CREATE VIEW elsewhere.public.w AS SELECT 1 AS a": "3D000",
        "CREATE VIEW headwater.w AS SELECT 1 AS a": "42501",
        "CREATE CLUSTER other": "0A000",
        "DROP SCHEMA public": "2BP01",
        "DROP SCHEMA nowhere": "3F000",
        "SET search_path = other": "22023",
        "CREATE MONKEY": "42601",
    }.items():
        assert client.state(sql) == state, sql
    with pytest.raises(psycopg.errors.UndefinedColumn) as refused:
        client.run("CREATE VIEW w AS SELECT account, nothing FROM balance")
    assert refused.value.diag.statement_position == "34"
    assert client.run("CREATE VIEW IF NOT EXISTS v AS SELECT 1 AS a") == "CREATE VIEW"
    assert client.run("DROP VIEW IF EXISTS nowhere") == "DROP VIEW"
    assert client.rows("SHOW VIEWS") == [("balance", None), ("v", None)]
    assert client.run("DROP VIEW v CASCADE") == "DROP VIEW"
    assert client.state("SELECT * FROM m") == "42P01"


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


def test_a_transaction_changes_the_catalog_as_one(client: Client, house: tuple[Headwater, Books]) -> None:
    other = Client(house[0])
    with other.connection.transaction():
        before = other.rows("SHOW OBJECTS")
        with client.connection.transaction():
            client.run("CREATE VIEW v AS SELECT account, total FROM balance")
            client.run("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM v")
            client.run("CREATE INDEX by_n ON m (n)")
            client.run("COMMENT ON MATERIALIZED VIEW m IS 'how many'")
        assert other.rows("SHOW OBJECTS") == before
    assert client.rows("TABLE m") == [(len(house[1].totals()),)]
    assert client.rows("SHOW MATERIALIZED VIEWS") == [("m", "how many")]
    client.run("BEGIN")
    client.run("CREATE VIEW w AS SELECT 1 AS a")
    assert client.state("DROP VIEW v") == "2BP01"  # told here, not at the end
    assert client.run("COMMIT") == "ROLLBACK"
    client.run("BEGIN")
    client.run("CREATE VIEW w AS SELECT 1 AS a")
    assert client.state("SELECT 1") == "25001"
    client.run("ROLLBACK")
    assert client.state("TABLE w") == "42P01"
    with client.connection.transaction():
        client.run("DROP MATERIALIZED VIEW m")
        client.run("CREATE MATERIALIZED VIEW m AS SELECT 7 AS n")
    assert client.rows("TABLE m") == [(7,)]
    other.connection.close()


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


def test_the_catalog_is_shown(client: Client) -> None:
    client.run("CREATE VIEW v (acc) AS SELECT account FROM balance")
    client.run("CREATE MATERIALIZED VIEW m AS SELECT acc FROM v")
    client.run("CREATE DEFAULT INDEX ON v")
    client.run("CREATE INDEX named ON m (acc)")
    client.run("COMMENT ON MATERIALIZED VIEW m IS 'accounts, it''s all'")
    client.run("COMMENT ON COLUMN m.acc IS 'the number'")
    assert client.rows("SHOW CREATE VIEW v") == [("v", "CREATE VIEW v (acc) AS SELECT account FROM balance")]
    assert client.rows("SHOW MATERIALIZED VIEWS") == [("m", "accounts, it's all")]
    assert client.rows("SHOW INDEXES") == [("named", "m", "acc", None), ("v_acc_idx", "v", "acc", None)]
    assert client.rows("SHOW COLUMNS FROM m") == [("acc", True, "integer", "the number")]
    assert client.rows("SHOW SOURCES LIKE 'acc%'") == [("accounts", None)]
    assert client.rows("SELECT relname, relkind FROM pg_class WHERE relname IN ('v', 'm', 'named', 'v_acc_idx')") == [
        ("m", "m"), ("named", "i"), ("v", "v"), ("v_acc_idx", "i"),
    ]  # fmt: skip
    assert client.rows("SELECT definition FROM pg_views WHERE viewname = 'v'") == [("SELECT account FROM balance",)]
    assert client.rows("SELECT objsubid, description FROM pg_description") == [
        (0, "accounts, it's all"), (1, "the number"),
    ]  # fmt: skip
    assert client.rows("SELECT * FROM headwater.dependencies WHERE object = 'm'") == [("m", "v")]
    client.run("ALTER INDEX named RENAME TO renamed")
    assert ("renamed", "m", "acc", None) in client.rows("SHOW INDEXES ON m")
    prepared = "SELECT acc FROM v WHERE acc = %s"
    assert client.connection.execute(prepared, [5], prepare=True).fetchall() == [(5,)]
    client.run("DROP INDEX v_acc_idx")
    assert client.connection.execute(prepared, [5], prepare=True).fetchall() == [(5,)]


def test_roles_are_names_and_nothing_is_kept_from_anybody(client: Client) -> None:
    told: list[str] = []
    client.connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    client.run("CREATE ROLE readers NOLOGIN")
    client.run("COMMENT ON ROLE readers IS 'those who read'")
    assert client.rows("SHOW ROLES") == [("readers", "those who read")]
    assert ("readers", False) in client.rows("SELECT rolname, rolcanlogin FROM pg_roles")
    assert client.run("GRANT SELECT, INSERT ON balance TO readers") == "GRANT"
    assert client.run("GRANT ALL PRIVILEGES ON SCHEMA public TO readers, public") == "GRANT"
    assert told == ["every user may do everything already: nothing is recorded, and nothing is kept from others"] * 2
    for sql, state in {
        "CREATE ROLE readers": "42710",
        "CREATE ROLE ada LOGIN PASSWORD 'x'": "0A000",
        "CREATE USER ada": "0A000",
        "GRANT SELECT ON nothing TO readers": "42P01",
        "GRANT SELECT ON balance TO nobody": "42704",
        "GRANT readers TO ada": "0A000",
        "REVOKE SELECT ON balance FROM readers": "0A000",
        "CREATE TYPE pair AS (a integer, b integer)": "0A000",
    }.items():
        assert client.state(sql) == state, sql
    assert client.run("DROP ROLE readers") == "DROP ROLE"
    assert client.rows("SHOW ROLES") == []


def test_what_the_service_does_is_there_to_be_read(client: Client, house: tuple[Headwater, Books]) -> None:
    service, _ = house
    client.run("CREATE TABLE divisors (n integer)")
    client.run("INSERT INTO divisors VALUES (0), (0), (5)")
    client.run("CREATE MATERIALIZED VIEW quotients AS SELECT 10 / n AS q FROM divisors")
    assert client.rows("SELECT * FROM headwater.errors WHERE object = 'quotients'") == [
        ("quotients", "division by zero", 2)
    ]
    ((name, ready, ticks, time),) = client.rows(
        "SELECT name, ready, ticks > 0, time = mz_now()::text::bigint FROM headwater.service"
    )
    assert (name, ready, ticks, time) == (f"ddl_{RUN}", True, True, True)
    fresh = {
        name: (kind, lag) for name, kind, lag in client.rows("SELECT name, kind, lag_seconds FROM headwater.freshness")
    }
    assert fresh["balance"][0] == "view"
    assert fresh["quotients"][0] == "materialized view"
    assert all(0 <= lag < 60 for _, lag in fresh.values())
    assert client.rows(
        "SELECT hydrated_offsets = hydration_offsets, errors FROM headwater.sources WHERE name = 'events'"
    ) == [(True, 0)]
    other = Client(service)
    other.run("BEGIN")
    own = client.connection.info.backend_pid
    sessions = client.rows("SELECT id, usename, state, client LIKE '127.0.0.1:%' FROM headwater.sessions")
    assert (own, "ada", "active", True) in sessions
    assert (other.connection.info.backend_pid, "ada", "idle in transaction", True) in sessions
    other.run("DECLARE c CURSOR FOR SUBSCRIBE (SELECT * FROM balance)")
    other.connection.execute("FETCH 1 c")
    (found,) = client.rows("SELECT reads, readers FROM headwater.subscriptions")
    assert found == ("balance", 1)
    other.connection.close()
    service.until(lambda: client.rows("SELECT * FROM headwater.subscriptions") == [], what="the reader is gone")
    client.run("DROP TABLE divisors CASCADE")


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
