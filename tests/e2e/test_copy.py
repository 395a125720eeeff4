"""COPY into tables and out of them, by the clients that people use, and what PostgreSQL itself dumps and reads."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tests.e2e.books import Client
from tests.e2e.service import Headwater, running
from tests.e2e.test_tables import settings
from tests.servers.postgres import PostgresServer
from tests.servers.programs import program


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("copy"), settings("copy")) as service:
        yield service


@pytest.fixture
def client(house: Headwater) -> Iterator[Client]:
    client = Client(house)
    yield client
    for name, kind in client.rows("SELECT name, kind FROM headwater.objects WHERE NOT declared AND kind <> 'index'"):
        client.run(f"DROP {kind} IF EXISTS {name} CASCADE")
    client.connection.close()


TABLE = (
    "CREATE TABLE t (id bigint PRIMARY KEY, word text DEFAULT 'none', amount numeric(12,2), day date, seen timestamptz)"
)
ROWS = [
    (n, None if n % 7 == 0 else f"wörd\t{n}\n\\", Decimal(n) / 4, dt.date(2020, 1, 1) + dt.timedelta(n % 900), None)
    for n in range(20_000)
]


def psql(house: Headwater, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    where = ["-X", "-h", "127.0.0.1", "-p", str(house.postgres), "-U", "ada", "-v", "ON_ERROR_STOP=1"]
    command = [program("psql", "postgresql-client"), *where, *arguments, "shop"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, input=stdin)


@pytest.mark.parametrize("format_", ["text", "csv", "binary"])
def test_psycopg_copies_in_and_out(client: Client, format_: str) -> None:
    client.run(TABLE)
    with client.connection.cursor().copy(
        f"COPY t FROM STDIN (FORMAT {'binary' if format_ == 'binary' else 'text'})"
    ) as copied:
        if format_ == "binary":
            copied.set_types(["int8", "text", "numeric", "date", "timestamptz"])
        for row in ROWS:
            copied.write_row(row)
    assert client.rows("SELECT * FROM t ORDER BY id") == ROWS
    with client.connection.cursor().copy(f"COPY t TO STDOUT (FORMAT {format_})") as copied:
        data = b"".join(map(bytes, copied))
    client.run("TRUNCATE t")
    with client.connection.cursor().copy(f"COPY t FROM STDIN (FORMAT {format_})") as copied:
        copied.write(data)
    assert client.rows("SELECT * FROM t ORDER BY id") == ROWS


def test_asyncpg_copies_records_and_files(client: Client, house: Headwater, tmp_path: Path) -> None:
    client.run(TABLE)
    file = tmp_path / "rows.csv"
    file.write_text("day;id\n2021-02-03;-1\n;-2\n")

    async def work() -> tuple[str, str]:
        connection = await asyncpg.connect(host="127.0.0.1", port=house.postgres, user="ada", database="shop")
        one = await connection.copy_records_to_table("t", records=ROWS)
        two = await connection.copy_to_table(
            "t", source=file, columns=["day", "id"], format="csv", delimiter=";", header=True
        )
        await connection.close()
        return one, two

    assert asyncio.run(work()) == ("COPY 20000", "COPY 2")
    assert client.rows("SELECT id, word, day FROM t WHERE id < 0 ORDER BY id") == [
        (-2, "none", None),
        (-1, "none", dt.date(2021, 2, 3)),
    ]
    assert client.rows("SELECT count(*), sum(id) FROM t WHERE id >= 0") == [(20_000, sum(range(20_000)))]


def test_psql_copies_a_file_and_goes_on(client: Client, house: Headwater, tmp_path: Path) -> None:
    client.run(TABLE)
    file = tmp_path / "rows.csv"
    file.write_text("id,word\n1,one\n2,\n")
    done = psql(
        house, "-c", f"\\copy t (id, word) FROM '{file}' CSV HEADER", "-c", "SELECT id, word FROM t ORDER BY id"
    )
    assert (done.stderr, done.stdout) == ("", "COPY 2\n id | word \n----+------\n  1 | one\n  2 | \n(2 rows)\n\n")
    script = "COPY t (id) FROM STDIN;\n3\n4\n\\.\nSELECT count(*) FROM t;\n"
    assert psql(house, "-A", "-t", stdin=script).stdout == "COPY 2\n4\n"


@pytest.mark.parametrize(
    ("sql", "data", "state", "context"),
    [
        ("COPY t FROM STDIN", "1\ta\t2\nx\ta\t2\n", "22P02", 'COPY t, line 2, column id: "x"'),
        ("COPY t FROM STDIN", "1\ta\n", "22P04", 'COPY t, line 1: "1\ta"'),
        ("COPY t FROM STDIN", "1\ta\t1\n1\tb\t1\n", "23505", None),
        ("COPY t FROM STDIN", "1\ta\t\\N\n", "23502", 'COPY t, line 1: "1\ta\t\\N"'),
        ("COPY t (id) FROM STDIN", "1\n", "23502", None),
        ("COPY t FROM STDIN", "1\tabcdef\t1\n", "22001", 'COPY t, line 1, column name: "abcdef"'),
        ("COPY t (id, nothing) FROM STDIN", "", "42703", None),
        ("COPY t (id, id) FROM STDIN", "", "42701", None),
        ("COPY nothing FROM STDIN", "", "42P01", None),
        ("COPY t FROM STDIN (DELIMITER 'ab')", "", "0A000", None),
        ("COPY t FROM STDIN (FORMAT xml)", "", "22023", None),
        ("COPY t FROM STDIN (FORMAT binary, DELIMITER ',')", "", "42601", None),
        ("COPY t FROM STDIN (QUOTE 'x')", "", "0A000", None),
    ],
)
def test_mistakes_are_told_as_on_postgresql(
    client: Client, postgres: PostgresServer, sql: str, data: str, state: str, context: str | None
) -> None:
    definition = "CREATE {} TABLE t (id integer PRIMARY KEY, name varchar(5), n integer NOT NULL)"
    client.run(definition.format(""))
    client.run("INSERT INTO t VALUES (100, 'kept', 1)")
    with postgres.connect() as other:
        other.execute(definition.format("TEMPORARY"))
        for connection in (client.connection, other):
            with pytest.raises(psycopg.Error) as refused, connection.cursor().copy(sql) as copied:
                copied.write(data)
            assert refused.value.sqlstate == state, connection
            if context is not None:
                assert refused.value.diag.context == context, connection
    # Nothing of it is there, and the connection goes on.
    assert client.rows("SELECT * FROM t") == [(100, "kept", 1)]


def test_a_copy_that_the_client_gives_up_leaves_nothing(client: Client) -> None:
    client.run("CREATE TABLE g (id integer)")
    with pytest.raises(ZeroDivisionError), client.connection.cursor().copy("COPY g FROM STDIN") as copied:  # noqa: PT012
        copied.write("1\n" * 1000)
        raise ZeroDivisionError
    assert client.rows("SELECT count(*) FROM g") == [(0,)]
    with client.connection.transaction():
        client.run("INSERT INTO g VALUES (1)")
        with client.connection.cursor().copy("COPY g FROM STDIN") as copied:
            copied.write("2\n3\n")
    assert client.rows("SELECT sum(id) FROM g") == [(6,)]


def test_postgresql_reads_what_is_copied_out_in_binary(client: Client, postgres: PostgresServer) -> None:
    columns = (
        "a bigint, b text, c numeric(12,2), d date, e timestamptz, f jsonb, g double precision, h boolean, i interval"
    )
    client.run(f"CREATE TABLE o ({columns})")
    client.run(
        "INSERT INTO o VALUES (1, 'ä', 12.5, '2020-02-29', '2020-02-29 01:02:03+00', '{\"a\": [1, null]}', 0.1, true, '1 day'),"
        " (2, NULL, -0.05, '1969-01-01', NULL, '3', 'NaN', false, '-3 mons 00:00:01')"
    )
    with client.connection.cursor().copy("COPY (SELECT * FROM o) TO STDOUT (FORMAT binary)") as copied:
        data = b"".join(map(bytes, copied))
    with postgres.connect() as other:
        other.execute(f"CREATE TEMPORARY TABLE o ({columns})")
        with other.cursor().copy("COPY o FROM STDIN (FORMAT binary)") as into:
            into.write(data)
        shown = "SELECT a, b, c, d, e, f::text, g::text, h, i::text FROM o ORDER BY a"
        assert other.execute(shown).fetchall() == client.rows(shown)
