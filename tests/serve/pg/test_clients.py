"""Real clients: psql, psycopg, asyncpg and SQLAlchemy connect, look around and read."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa

from tests.serve.pg.door import Door
from tests.servers.programs import program


def psql(door: Door, *commands: str) -> str:
    """What psql prints for these commands; its errors too."""
    words = [word for command in commands for word in ("-c", command)]
    environment = {"PATH": os.environ["PATH"], "PGUSER": "ada", "PGDATABASE": "shop", "LANG": "C.UTF-8"}
    done = subprocess.run(
        [program("psql", "postgresql-client"), "-X", "-h", door.host, "-p", str(door.port), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_psql_reads(door: Door) -> None:
    printed = psql(
        door,
        "SELECT * FROM revenue ORDER BY customer",
        "SELECT sum(total) AS all, count(*) FROM revenue WHERE orders > 0; SELECT 'x' AS second",
        "COPY (SELECT customer, total FROM revenue ORDER BY 1) TO STDOUT (FORMAT csv, HEADER)",
        "SELECT nope FROM revenue",
        "SELECT * FROM orders",
        "SELECT n FROM broken",
    )
    assert printed == (
        " customer | total | orders \n"
        "----------+-------+--------\n"
        " ada      | 12.50 |      3\n"
        " grace    |  7.00 |      1\n"
        " linus    |       |      2\n"
        "(3 rows)\n\n"
        "  all  | count \n"
        "-------+-------\n"
        " 19.50 |     3\n"
        "(1 row)\n\n"
        " second \n"
        "--------\n"
        " x\n"
        "(1 row)\n\n"
        "customer,total\nada,12.50\ngrace,7.00\nlinus,\n"
        " n \n---\n 1\n(1 row)\n\n"
        'ERROR:  column "nope" does not exist\n'
        "LINE 1: SELECT nope FROM revenue\n"
        "               ^\n"
        "HINT:  there is customer, orders, total\n"
        'ERROR:  source "orders" is not kept: only views can be read\n'
        "LINE 1: SELECT * FROM orders\n"
        "                      ^\n"
        "HINT:  write CREATE INDEX ON orders (...), or read a view of it\n"
        "WARNING:  2 rows of view broken could not be computed and are left out\n"
    )


def test_psql_looks_around(door: Door) -> None:
    printed = psql(door, r"\dv re*", r"\d revenue", r"\dt", r"\dn", r"\l", r"\df", r"\di", r"\du", r"\d")
    assert "ERROR" not in printed
    assert printed.startswith(
        "          List of relations\n"
        " Schema |  Name   | Type |   Owner   \n"
        "--------+---------+------+-----------\n"
        " public | revenue | view | headwater\n"
        "(1 row)\n\n"
        '                   View "public.revenue"\n'
        "  Column  |     Type      | Collation | Nullable | Default \n"
        "----------+---------------+-----------+----------+---------\n"
        " customer | text          |           |          | \n"
        " total    | numeric(12,2) |           |          | \n"
        " orders   | bigint        |           |          | \n\n"
    )


def test_psql_sees_the_service(door: Door) -> None:
    printed = psql(
        door, "SELECT name, state, rows FROM headwater.views WHERE rows < 4 ORDER BY name", r"\d headwater.sinks"
    )
    assert " revenue | ready     |    3\n" in printed
    assert " frontier " in printed


def test_psycopg_reads_every_type(door: Door) -> None:
    with door.connect() as connection:
        for binary in (False, True):
            rows = connection.execute("SELECT * FROM kinds WHERE word <> ''", binary=binary).fetchall()
            assert rows[0][:6] == (True, 1, 2, 3, Decimal("12.5"), Decimal("-0.05"))
            assert rows[0][11] == dt.datetime(2020, 2, 29, 1, 2, 3, 4, tzinfo=dt.UTC)
            assert rows[0][12:15] == ({"a": [1, None]}, b"\x00\xff", dt.timedelta(days=-3, seconds=4, microseconds=1))


def test_psycopg_prepares_and_pipelines(door: Door) -> None:
    with door.connect(prepare_threshold=2) as connection:
        for number in range(6):
            found = connection.execute("SELECT square FROM numbers WHERE id = %s", (number,)).fetchone()
            assert found == (number * number,)
        with connection.pipeline():
            cursors = [connection.execute("SELECT word FROM numbers WHERE id = %s", (n,)) for n in range(10)]
            assert [cursor.fetchone() for cursor in cursors] == [(f"word {n % 7}",) for n in range(10)]


def test_a_transaction_reads_one_time(door: Door) -> None:
    with door.connect(autocommit=False) as connection:
        first = connection.execute("SELECT mz_now(), now()").fetchone()
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("SELECT 1 / 0")
        assert connection.execute("SELECT mz_now(), now()").fetchone() == first, "it went on from the savepoint"
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT mz_now()").fetchone() == (first or ())[:1]
        with connection.cursor(name="reader") as cursor:
            cursor.itersize = 30
            cursor.execute("SELECT id FROM numbers ORDER BY id DESC")
            assert [row[0] for row in cursor] == list(range(99, -1, -1))
        with connection.cursor() as plain, plain.copy("COPY numbers (id) TO STDOUT") as copy:
            assert len(list(copy.rows())) == 100
        with pytest.raises(psycopg.errors.WrongObjectType, match='cannot write to view "numbers"'):
            connection.execute("INSERT INTO numbers VALUES (1)")


def test_asyncpg(door: Door) -> None:
    async def run() -> list[Any]:
        pool = await asyncpg.create_pool(
            host=door.host, port=door.port, user="ada", database="shop", min_size=1, max_size=2
        )
        found: list[Any] = []
        async with pool.acquire() as connection:
            found.append(await connection.fetchval("SELECT square FROM numbers WHERE id = $1", 9))
            found.append(await connection.fetchrow("SELECT * FROM revenue WHERE total > $1", Decimal("10")))
            async with connection.transaction():
                found.append(
                    [row["id"] async for row in connection.cursor("SELECT id FROM numbers ORDER BY id LIMIT 5")]
                )
        async with pool.acquire() as connection:  # it was reset in between
            found.append(await connection.fetchval("SELECT $1::text || $2", "a", "b"))
        await pool.close()
        return found

    square, row, ids, text = asyncio.run(run())
    assert (square, ids, text) == (81, [0, 1, 2, 3, 4], "ab")
    assert dict(row) == {"customer": "ada", "total": Decimal("12.50"), "orders": 3}


def test_sqlalchemy_reflects_and_queries(door: Door) -> None:
    engine = sa.create_engine(f"postgresql+psycopg://ada@{door.host}:{door.port}/shop")
    try:
        inspector = sa.inspect(engine)
        assert "revenue" in inspector.get_view_names()
        assert inspector.has_table("revenue")
        columns = [(column["name"], str(column["type"])) for column in inspector.get_columns("revenue")]
        assert columns == [("customer", "TEXT"), ("total", "NUMERIC(12, 2)"), ("orders", "BIGINT")]
        revenue = sa.table("revenue", sa.column("customer"), sa.column("orders"))
        with engine.connect() as connection:
            query = sa.select(revenue.c.customer).where(revenue.c.orders > 1).order_by(revenue.c.orders.desc()).limit(1)
            assert connection.execute(query).all() == [("ada",)]
            assert connection.execute(sa.select(sa.func.count()).select_from(revenue)).scalar() == 3
    finally:
        engine.dispose()


def test_what_the_session_and_the_service_are(door: Door) -> None:
    query = """
        SELECT mz_version_num(), mz_is_superuser(), mz_uptime() > interval '0', pg_postmaster_start_time() < now(),
            current_schemas(false), current_schemas(true), pg_has_role('ada', 'usage')
    """
    with psycopg.connect(f"host={door.host} port={door.port} user=ada dbname=shop", autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row == (13000, False, True, True, ["public"], ["pg_catalog", "public"], True)
