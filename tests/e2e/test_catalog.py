"""What the catalog tells of what SQL made, and of what the service does."""

from __future__ import annotations

import pytest

from tests.e2e.books import Books, Client
from tests.e2e.service import RUN, Headwater

pytestmark = [pytest.mark.kafka]


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
