"""to_char of numbers and intervals writes what PostgreSQL writes, and refuses what it refuses."""

from __future__ import annotations

import random
from decimal import Decimal

import psycopg
import pytest

from planner import PlanErrors
from planner.document import result_of, rows_of
from planner.functions import FunctionError
from planner.functions.number_patterns import write_number
from planner.functions.number_reading import read_number
from planner.functions.number_shapes import read_pattern
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

_PATTERNS = r"""
999;9990;9,999;9G999D99;FM999.99;FM990.0;S999;999S;MI999;999MI;PL99;SG99;99PR;FM99PR;0999.90;FM0999.90;FM9.9;9.9;999.;RN;FMrn
99th;9999TH;L999;99V99;9.99EEEE;FM9,999,999.999;B99.9;"Price: "999.99;99\"9;S9.9;9.9S;FM9.9S;FMS9.9;00.00;FM00.00;90.0;x9x
9 9 9;FM9 9 9;SG9.9;9.9MI;FM9.9MI;9.9PL;D9;9D;V9;9V;FM9,999S;9.PR;PR9;S9S;9.9.9;S9MI;9EEEE9;FM9EEEE;9V9.9;9VS 9
"""
PATTERNS = [pattern for line in _PATTERNS.split("\n") if line for pattern in line.split(";")]
ATOMS = ("9", "0", ".", "D", ",", "G", "S", "MI", "PL", "SG", "PR", "FM", "V", " ", "x", "9", "9", "0", "9", "L")
NUMBERS = (
    *("0", "1", "-1", "12.345", "-12.345", "0.5", "-0.5", "0.05", "1234.5", "-1234567.891", "99.995"),
    *("485", "1000", "3999", "-0.001", "100.10", "0.1"),
)


@pytest.mark.postgres
def test_numbers(postgres: PostgresServer) -> None:
    chance = random.Random(5)
    patterns = [*PATTERNS, *("".join(chance.choices(ATOMS, k=chance.randrange(2, 8))) for _ in range(120))]
    kinds = [(value, kind) for value in NUMBERS for kind in ("numeric", "float8", "integer")]
    kinds = [(value, kind) for value, kind in kinds if kind != "integer" or "." not in value]
    asked = [(pattern, kind, value) for pattern in patterns for value, kind in kinds]
    wrong = []
    with postgres.connect() as database:
        theirs = ask(database, [f"to_char({_quoted(v)}::{kind}, {_quoted(p)})" for p, kind, v in asked])
    for (pattern, kind, value), answer in zip(asked, theirs, strict=True):
        ours = _written(pattern, kind, value)
        if (ours if answer.error is None else ours is None) != (answer.value if answer.error is None else True):
            wrong.append((pattern, kind, value, ours, answer))
    assert not wrong


def _written(pattern: str, kind: str, value: str) -> str | None:
    make = {"numeric": Decimal, "float8": float, "integer": int}[kind]
    try:
        return write_number(make(value), read_pattern(pattern), 15)
    except FunctionError:
        return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


READ = (
    *(
        "0",
        "1",
        "-1",
        "12.345",
        "-12.345",
        "0.5",
        "1234.5",
        "-1,234.5",
        "<12>",
        "12-",
        "12+",
        "+12",
        " 12",
        "1 2",
        "$12",
        "12.5-",
    ),
    *("1,2,3", "a12", "", "-", "12,34", "1st", "Price: 12.5", ".5", "-.5", "5.", "12 -", "x5x", "1234567"),
)


@pytest.mark.postgres
def test_reading_numbers(postgres: PostgresServer) -> None:
    chance = random.Random(7)
    atoms = [atom for atom in ATOMS if atom != "V"]
    patterns = [p for p in PATTERNS if not any(word in p for word in ("RN", "rn", "EEEE"))]
    patterns += ["".join(chance.choices(atoms, k=chance.randrange(1, 8))) for _ in range(60)]
    asked = [(pattern, text) for pattern in patterns for text in READ]
    with postgres.connect() as database:
        theirs = ask(database, [f"trim_scale(to_number({_quoted(text)}, {_quoted(p)}))" for p, text in asked])
    wrong = []
    for (pattern, text), answer in zip(asked, theirs, strict=True):
        try:
            ours = read_number(text, read_pattern(pattern))
        except (FunctionError, ValueError, OverflowError):
            ours = None
        if ours != (None if answer.value is None else Decimal(answer.value)):
            wrong.append((pattern, text, ours, answer))
    assert not wrong
    assert result_of("to_number('1,234.50-', '9G999D99S')") == "-1234.5"


INTERVALS = (
    "0",
    "1 year 2 months 3 days 04:05:06.789012",
    "-1 year -2 months +3 days -04:05:06.7",
    "50 hours 61 min",
    "-13:00:00.000001",
    "1234 years 11 months",
    "12 hours",
    "-5 days",
    "2 months",
)
INTERVAL_PATTERNS = (
    *(
        "HH24:MI:SS",
        "FMHH24:MI:SS.MS",
        "HH:MI AM",
        "HH12 p.m.",
        "US",
        "SSSS",
        "YYYY-MM-DD",
        "FMYYYY FMMM FMDD",
        "YYY YY Y",
        "Y,YYY",
    ),
    *("CC", "DDD", "FMDDD", "Q", 'DD "days" HH24 "h"', "hh24:mi", "", "x", r'"a\"b"'),
)


@pytest.mark.postgres
def test_intervals(postgres: PostgresServer) -> None:
    calls = [f"to_char(i::interval, {_quoted(pattern)})" for pattern in INTERVAL_PATTERNS]
    table = f"(VALUES {', '.join(f'({_quoted(i)})' for i in INTERVALS)}) t(i)"
    with postgres.connect() as database:
        for call in calls:
            query = f"SELECT i, {call} AS x FROM {table}"
            assert (call, rows_of(query)) == (call, sorted(database.execute(query.encode()).fetchall(), key=repr))


@pytest.mark.postgres
@pytest.mark.parametrize("pattern", ["Month", "Dy", "D", "BC", "TZ"])
def test_what_intervals_have_not(pattern: str, postgres: PostgresServer) -> None:
    with (
        postgres.connect() as database,
        pytest.raises(psycopg.Error, match="invalid format specification for an interval"),
    ):
        database.execute(f"SELECT to_char(interval '1 day', '{pattern}')".encode())
    with pytest.raises(PlanErrors, match="invalid format specification for an interval value"):
        result_of(f"to_char(interval '1 day', '{pattern}')")
