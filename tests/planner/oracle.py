"""Three small tables, random changes to them, and databases that answer any query over the accumulated rows.

Always true: the tables have NULLs in every nullable column, decimals, floats with NaN, and both kinds of timestamps; a delta
takes away only rows that are there. Values are compared as `canonical` makes them: numbers by value to seven places.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import psycopg
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.types import Column, ColumnType, Kind, Schema

Row = tuple[Any, ...]
Rows = Mapping[str, Counter[Row]]
Step = Mapping[str, Sequence[tuple[Row, int]]]


def schema(**columns: str) -> Schema:
    """A schema from names and SQL types; a type may end in `not null`."""
    return tuple(
        Column(name, ColumnType.parse(text.removesuffix(" not null")), not text.endswith(" not null"))
        for name, text in columns.items()
    )


TABLES: dict[str, Schema] = {
    "orders": schema(
        id="bigint not null",
        customer="bigint",
        amount="numeric(12,2)",
        qty="integer",
        price="double precision",
        note="text",
        ok="boolean",
        placed="timestamptz",
        day="date",
        doc="jsonb",
    ),
    "customers": schema(id="bigint not null", name="text", region="text", credit="numeric(10,4)", since="timestamp"),
    "events": schema(id="bigint", v="integer", w="numeric(8,3)", x="double precision"),
}

_DOCUMENTS = ('{"a": 1, "b": "x"}', '{"a": 2, "b": "x", "list": [5, 6]}', '{"b": "y"}', "{}")


def _value(column: Column, rng: random.Random) -> Any:
    if column.nullable and rng.random() < 0.2:
        return None
    match column.type.kind:
        case Kind.BIGINT | Kind.INTEGER | Kind.SMALLINT:
            return rng.randrange(1, 6)
        case Kind.NUMERIC:
            return Decimal(rng.randrange(-300, 2500)) / 100
        case Kind.DOUBLE:
            return rng.choice([0.0, -0.0, 0.5, 1.25, 2.5, 3.75, 12.0, -1.5, float("nan")])
        case Kind.BOOLEAN:
            return rng.random() < 0.5
        case Kind.DATE:
            return date(2026, 1, 1) + timedelta(days=rng.randrange(4))
        case Kind.TIMESTAMP:
            return datetime(2026, 1, 1) + timedelta(hours=rng.randrange(8000))
        case Kind.TIMESTAMPTZ:
            return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=rng.randrange(5000))
        case Kind.JSONB:
            return rng.choice(_DOCUMENTS)
        case _:
            return rng.choice(["red", "blue", "green", "a%b", "eu", "Red", ""])


def random_steps(seed: int, count: int, tables: Mapping[str, Schema] = TABLES) -> list[Step]:
    """Changes step by step: mostly inserts at first, then as many deletes, at last everything goes but one row in ten."""
    rng = random.Random(seed)
    present: dict[str, list[Row]] = {name: [] for name in tables}
    steps: list[Step] = []
    for number in range(count):
        step: dict[str, list[tuple[Row, int]]] = {}
        for name, columns in tables.items():
            changes = step[name] = []
            leave = 0.9 if number == count - 1 else 0.1 * number
            for row in [row for row in present[name] if rng.random() < leave]:
                present[name].remove(row)
                changes.append((row, -1))
            for _ in range(rng.randrange(9 - number)):
                row = tuple(_value(column, rng) for column in columns)
                for _ in range(2 if rng.random() < 0.2 else 1):
                    present[name].append(row)
                    changes.append((row, 1))
        steps.append(step)
    return steps


def accumulated(steps: Sequence[Step]) -> Iterator[dict[str, list[Row]]]:
    """All rows of each table after each step."""
    present: dict[str, list[Row]] = {name: [] for name in steps[0]}
    for step in steps:
        for name, changes in step.items():
            for row, diff in changes:
                if diff > 0:
                    present[name].append(row)
                else:
                    present[name].remove(row)
        yield {name: list(rows) for name, rows in present.items()}


def delta_of(name: str, changes: Sequence[tuple[Row, int]], tables: Mapping[str, Schema] = TABLES) -> Delta:
    """The changes of one table as a delta."""
    columns = zip(*(row for row, _ in changes), strict=True) if changes else [()] * len(tables[name])
    arrays = tuple(pa.array(list(v), c.type.arrow) for v, c in zip(columns, tables[name], strict=True))
    return Delta(arrays, np.array([diff for _, diff in changes], np.int64))


def canonical(value: Any) -> Any:
    """A value that compares across databases."""
    if isinstance(value, bool):
        return f"bool {value}"
    if isinstance(value, int | float | Decimal):
        number = Decimal(value)
        return number.quantize(Decimal("1e-7")) + 0 if number.is_finite() else str(number)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, time):
        return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    if isinstance(value, bytes) and len(value) == 16:
        return str(UUID(bytes=value))
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str):
        value = value.rstrip(" ")  # those of a char count for nothing
    if isinstance(value, str) and value[:1] in ("{", "["):
        with suppress(json.JSONDecodeError):  # the text of an array is none
            return json.dumps(json.loads(value), sort_keys=True)
    return value


def multiset(rows: Sequence[Sequence[Any]]) -> Counter[Row]:
    """Rows as a multiset of canonical values."""
    return Counter(tuple(map(canonical, row)) for row in rows)


def values_of(column: Any, third: int = 1) -> list[Any]:
    """Python's values of a column; `third`: how many of an interval's last unit are a microsecond (here 1, elsewhere 1000)."""
    values: list[Any] = column.to_pylist()
    if not pa.types.is_interval(column.type):
        return values
    return [v and timedelta(days=v.months * 30 + v.days, microseconds=v.nanoseconds // third) for v in values]


def view_rows(delta: Delta) -> Counter[Row]:
    """The rows of a view."""
    rows = zip(*(values_of(column) for column in delta.columns), strict=True)
    found: Counter[Row] = Counter()
    for row, diff in zip(rows, delta.diffs, strict=True):
        found[tuple(map(canonical, row))] += int(diff)
    return found


POSTGRES_KINDS: dict[str, Kind] = {
    "bool": Kind.BOOLEAN,
    "int2": Kind.SMALLINT,
    "int4": Kind.INTEGER,
    "int8": Kind.BIGINT,
    "float4": Kind.REAL,
    "float8": Kind.DOUBLE,
    "numeric": Kind.NUMERIC,
    "text": Kind.TEXT,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMPTZ,
    "jsonb": Kind.JSONB,
    "bytea": Kind.BYTEA,
    "interval": Kind.INTERVAL,
    "time": Kind.TIME,
    "uuid": Kind.UUID,
    "bpchar": Kind.CHAR,
    "varchar": Kind.VARCHAR,
}
"""PostgreSQL's own names of the types that a result's columns may have."""

Answers = Callable[[Mapping[str, list[Row]], Sequence[str]], list[Counter[Row]]]
"""All rows of the tables and queries to the answers."""

_DUCKDB = {"jsonb": "VARCHAR"}


def duckdb_answers(tables: Mapping[str, list[Row]], queries: Sequence[str]) -> list[Counter[Row]]:
    """What DuckDB answers."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        for name, columns in TABLES.items():
            types = ", ".join(f"{c.name} {_DUCKDB.get(str(c.type), str(c.type))}" for c in columns)
            database.execute(f"CREATE TABLE {name} ({types})")
            if tables[name]:
                arrays = [
                    pa.array(list(values), c.type.arrow)
                    for values, c in zip(zip(*tables[name], strict=True), columns, strict=True)
                ]
                database.register("rows_now", pa.table(arrays, [c.name for c in columns]))
                database.execute(f"INSERT INTO {name} SELECT * FROM rows_now")
        return [multiset(_arrow_rows(database.sql(query).to_arrow_table())) for query in queries]


def _arrow_rows(table: pa.Table) -> list[Row]:
    columns = [values_of(column, 1000) for column in table.columns]
    return list(zip(*columns, strict=True))


def load_postgres(
    database: psycopg.Connection[Any], tables: Mapping[str, list[Row]], schemas: Mapping[str, Schema] = TABLES
) -> None:
    """Replace the tables by these rows."""
    for name, columns in schemas.items():
        types = ", ".join(f"{c.name} {c.type}" for c in columns)
        database.execute(f"DROP TABLE IF EXISTS {name}")
        database.execute(f"CREATE TABLE {name} ({types})")
        if tables[name]:
            places = ", ".join(["%s"] * len(columns))
            with database.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {name} VALUES ({places})", tables[name])


def corpus() -> list[tuple[str, bool]]:
    """The queries of corpus.sql, each with whether DuckDB can be the oracle."""
    found = []
    for block in (Path(__file__).parent / "corpus.sql").read_text().split("\n\n")[1:]:
        lines = block.strip().splitlines()
        query = "\n".join(line for line in lines if not line.startswith("--"))
        found.append((query, not lines[0].startswith("-- postgres")))
    return found
