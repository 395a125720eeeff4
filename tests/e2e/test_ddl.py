"""Statements that change the catalog: what they refuse, and that a transaction is one change."""

from __future__ import annotations

import psycopg
import pytest

from tests.e2e.books import Books, Client
from tests.e2e.service import Headwater

pytestmark = [pytest.mark.kafka]


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


def test_there_is_one_cluster_and_one_database(client: Client) -> None:
    told: list[str] = []
    client.connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    (database,) = client.rows("SELECT current_database()")[0]
    assert client.rows("SHOW cluster") == [("quickstart",)]
    assert client.rows("SHOW database") == [(database,)]
    assert client.rows("SHOW CLUSTERS") == [("quickstart", "r1 (all)", None)]
    assert client.rows("SHOW CLUSTER REPLICAS") == [("quickstart", "r1", None, True, None)]
    for sql, state in {
        "CREATE CLUSTER quickstart (SIZE '50cc')": "42710",
        "CREATE CLUSTER REPLICA quickstart.r2 (SIZE '50cc')": "0A000",
        "DROP CLUSTER quickstart": "2BP01",
        "DROP CLUSTER other": "42704",
        "DROP CLUSTER REPLICA quickstart.r1": "0A000",
        "ALTER CLUSTER quickstart RENAME TO other": "42501",
        "ALTER CLUSTER other SET (SIZE '50cc')": "42704",
        "SET cluster = other": "42704",
        "CREATE MATERIALIZED VIEW m IN CLUSTER other AS SELECT 1 AS a": "42704",
        "CREATE INDEX IN CLUSTER other ON balance (account)": "42704",
        "CREATE DATABASE other": "0A000",
        f"CREATE DATABASE {database}": "42P04",
        f"DROP DATABASE {database}": "2BP01",
        "DROP DATABASE other": "3D000",
        f"ALTER DATABASE {database} RENAME TO other": "42501",
        "SET database = other": "3D000",
    }.items():
        assert client.state(sql) == state, sql
    assert told == []
    for sql, tag in {
        "SET cluster = quickstart": "SET",
        f"SET database TO {database}": "SET",
        "ALTER CLUSTER quickstart SET (SIZE '50cc', REPLICATION FACTOR 2)": "ALTER CLUSTER",
        "DROP CLUSTER IF EXISTS other CASCADE": "DROP CLUSTER",
        f"CREATE DATABASE IF NOT EXISTS {database}": "CREATE DATABASE",
        "DROP DATABASE IF EXISTS other": "DROP DATABASE",
        "COMMENT ON CLUSTER quickstart IS 'all there is'": "COMMENT",
        "CREATE MATERIALIZED VIEW m IN CLUSTER quickstart AS SELECT 1 AS a": "CREATE MATERIALIZED VIEW",
    }.items():
        assert client.run(sql) == tag, sql
    assert [text.partition(":")[0] for text in told] == [
        "the cluster has the processors and the memory that the service was given",
        'cluster "other" does not exist, skipping',
        f'database "{database}" already exists, skipping',
        'database "other" does not exist, skipping',
    ]
    assert client.rows("SHOW CLUSTERS") == [("quickstart", "r1 (all)", "all there is")]
    assert "quickstart" not in {name for name, *_ in client.rows("SHOW OBJECTS")}
    client.run("COMMENT ON CLUSTER quickstart IS NULL")
