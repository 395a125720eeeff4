"""Statements that are no queries, and SQL's outermost layer."""

from __future__ import annotations

import pytest

from planner.lexer import pieces, statements, with_marks, without_comments
from serve.pg.commands import (
    Begin,
    CloseCursor,
    Copy,
    Deallocate,
    Declare,
    Discard,
    End,
    ExecutePrepared,
    Explain,
    Fetch,
    Nothing,
    Prepare,
    Savepoint,
    Set,
    Show,
)
from serve.pg.parse import parse_command
from serve.pg.settings import Settings
from serve.sql.errors import QueryError


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", None),
        ("  /* c */ with x as (select 1) table x", None),
        ("(select 1)", None),
        ("begin", Begin()),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY, DEFERRABLE", Begin()),
        ("start transaction read write", Begin()),
        ("begin isolation level strict serializable", Begin()),
        ("COMMIT WORK", End(True)),
        ("rollback and chain", End(False, True)),
        ("ROLLBACK TO SAVEPOINT a", Savepoint("ROLLBACK", "a")),
        ('SAVEPOINT "A b"', Savepoint("SAVEPOINT", "A b")),
        ("release a", Savepoint("RELEASE", "a")),
        ("set search_path to a, 'b', \"C\"", Set("search_path", "a, b, C")),
        ("SET LOCAL statement_timeout = '5s'", Set("statement_timeout", "5s", True)),
        ("SET SESSION a.b = -1", Set("a.b", "-1")),
        ("set time zone 'UTC'", Set("timezone", "UTC")),
        ("set extra_float_digits to default", Set("extra_float_digits", None)),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Nothing("SET")),
        ("show all", Show("all")),
        ("SHOW TRANSACTION ISOLATION LEVEL", Show("transaction_isolation")),
        ("reset all", Set("", None, tag="RESET")),
        ("DISCARD ALL", Discard("ALL")),
        ("deallocate prepare x", Deallocate("x")),
        ("DEALLOCATE ALL", Deallocate(None)),
        ("prepare p (int, numeric(12,2)) as select $1", Prepare("p", ("int", "numeric(12,2)"), "select $1")),
        ("execute p(1, 'a,)', null::int)", ExecutePrepared("p", ("1", "'a,)'", "null::int"))),
        ("declare c no scroll cursor with hold for select 1", Declare("c", "select 1", True)),
        ("fetch forward all from c", Fetch("c", None)),
        ("FETCH 10 c", Fetch("c", 10)),
        ("close all", CloseCursor(None)),
        ("explain (costs off) select 1", Explain("select 1")),
        ("explain (format json, verbose) select 1", Explain("select 1", as_json=True)),
        ("EXPLAIN OPTIMIZED PLAN AS JSON FOR SELECT 1", Explain("SELECT 1", as_json=True)),
        ("EXPLAIN RAW PLAN FOR SELECT 1", Explain("SELECT 1", "logical")),
        ("EXPLAIN DECORRELATED PLAN WITH (arity) AS TEXT FOR SELECT 1", Explain("SELECT 1", "logical")),
        ("EXPLAIN PHYSICAL PLAN FOR MATERIALIZED VIEW v", Explain("v", "physical", kind="view")),
        ('EXPLAIN PLAN AS JSON FOR VIEW "V"', Explain("V", as_json=True, kind="view")),
        ("EXPLAIN PHYSICAL PLAN FOR INDEX i", Explain("i", "physical", kind="index")),
        ("EXPLAIN CREATE MATERIALIZED VIEW v (a) AS SELECT 1", Explain("SELECT 1")),
        ("unlisten *", Nothing("UNLISTEN")),
        ("copy (select ')', 1 -- c\n) to stdout", Copy("select ')', 1", "text", False, "\t", "\\N")),
        (
            "COPY v (a, b) TO STDOUT WITH (FORMAT csv, HEADER, NULL 'x')",
            Copy("SELECT a, b FROM v", "csv", True, ",", "x"),
        ),
        ("copy s.v to stdout csv header delimiter e'\\t'", Copy("SELECT * FROM s.v", "csv", True, "\t", "")),
    ],
)
def test_commands(sql: str, expected: object) -> None:
    assert parse_command(sql) == expected


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("merge into t using u on true when matched then delete", "0A000"),
        ("CREATE TYPE t AS ENUM ()", "0A000"),
        ("copy t from stdin", "42P01"),
        ("copy t to stdout (format xml)", "22023"),
        ("copy t to stdout (quote 'x')", "0A000"),
        ("fetch prior from c", "0A000"),
        ("declare c scroll cursor for select 1", "0A000"),
        ("explain analyze select 1", "0A000"),
        ("explain (analyze) select 1", "0A000"),
        ("explain (format xml) select 1", "0A000"),
        ("explain as yaml for select 1", "0A000"),
        ("explain raw select 1", "42601"),
        ("explain view v w", "42601"),
        ("set x", "42601"),
        ("begin now", "42601"),
        ("execute p(1", "42601"),
        ("close", "42601"),
        ("rollback to", "42601"),
    ],
)
def test_what_cannot_be_done_says_so(sql: str, code: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_command(sql)
    assert raised.value.code == code


def test_a_syntax_error_says_where() -> None:
    with pytest.raises(QueryError, match="at or near") as raised:
        parse_command("set  a  b")
    assert raised.value.position == 9


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1; select 2 ;", ["select 1", " select 2 "]),
        ("select ';', e'\\';', $$;$$, $a$ $$ ; $a$, \";\"", ["select ';', e'\\';', $$;$$, $a$ $$ ; $a$, \";\""]),
        ("-- ;\n/* ; /* ; */ ; */ ; ;", []),
        ("select 'never closed ;", ["select 'never closed ;"]),
        ("select a$1;", ["select a$1"]),
    ],
)
def test_statements_end_at_semicolons_only(sql: str, expected: list[str]) -> None:
    assert [text for _, text in statements(sql)] == expected
    assert "".join(sql[piece.start : piece.stop] for piece in pieces(sql)) == sql


def test_parameters_and_comments() -> None:
    assert with_marks("select $1, '$2', a$3, $4::int -- $5", "@") == "select @1, '$2', a$3, @4::int -- $5"
    assert without_comments(" select 1 -- x\n + /* y */ 2 ") == " select 1     \n +         2 "


def test_settings() -> None:
    settings = Settings(
        {"application_name": "x", "client_encoding": "utf-8", "TimeZone": "Europe/Berlin", "no": "1"}, "ada"
    )
    assert settings.show("TIMEZONE") == "UTC", "what cannot be had at start-up is told, not refused"
    assert settings.show("application_name") == "x"
    settings.set("statement_timeout", "2s")
    assert settings.timeout == 2
    settings.set("statement_timeout", "0", local=True)
    assert settings.timeout is None
    settings.end_transaction()
    assert settings.timeout == 2
    settings.set("my.own", "a")
    settings.reset()
    assert settings.timeout is None
    assert settings.changed == []
    settings.set("application_name", "y")
    assert settings.changed == ["application_name"]
    assert settings.show("transaction_isolation") == "strict serializable"
    settings.set("transaction_isolation", "SERIALIZABLE")
    assert settings.show("transaction_isolation") == "serializable"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("nothing", "1", "42704"),
        ("TimeZone", "Europe/Berlin", "22023"),
        ("client_encoding", "latin1", "22023"),
        ("DateStyle", "German", "22023"),
        ("statement_timeout", "soon", "22023"),
        ("server_version", "16", "55P02"),
        ("transaction_isolation", "bounded staleness", "22023"),
        ("search_path", "other", "22023"),
        ("standard_conforming_strings", "off", "22023"),
    ],
)
def test_settings_that_cannot_be(name: str, value: str, code: str) -> None:
    with pytest.raises(QueryError) as raised:
        Settings({}, "ada").set(name, value)
    assert raised.value.code == code
