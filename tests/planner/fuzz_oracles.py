"""What PostgreSQL and DuckDB answer to a random query over the tables of a round, after each of its changes.

Always true: PostgreSQL says what is right: rows, types, NULLs, order and errors. DuckDB is asked too where both mean the same
by every word of the query (`same_in_duckdb`). Deliberately unknown: what is compared with the answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from dataflow.types import Kind, Schema
from tests.planner import oracle
from tests.servers.postgres import PostgresServer

Tables = Mapping[str, list[oracle.Row]]

_OTHERWISE = re.compile(
    # NULLs are passed over by PostgreSQL alone; a document is text there; / of integers has a fraction there
    r"greatest|least|->>| / | % |"
    # ties, and what is between two values
    r"mode\(\)|percentile|"
    # row values: a NULL within is the greatest value there, and not unknown
    r"\) (?:=|<>|[<>]=?|IS (?:NOT )?DISTINCT FROM) \(|"
    # lists are other things than arrays
    r"ARRAY\[|\[\]|array_|cardinality|unnest|"
    # what is not there, or is another type
    r"UNKNOWN|WITH ORDINALITY|generate_series|jsonb|failing"
)


def same_in_duckdb(query: str) -> bool:
    """Whether DuckDB means the same by a query."""
    return _OTHERWISE.search(query) is None


@dataclass
class Expected:
    """The right answer: columns, and the rows after each step; None in `rows` where a row fails, with its message in `failed`.

    refused: why the query cannot be planned. ordered: the rows of the last step but one as they came.
    """

    columns: list[tuple[str, Kind]] = field(default_factory=list)
    rows: list[Counter[oracle.Row] | None] = field(default_factory=list)
    failed: list[str | None] = field(default_factory=list)
    refused: str | None = None
    ordered: list[oracle.Row] = field(default_factory=list)


class Postgres:
    """A connection that answers as of each step: the tables of step n are in the schema stepn."""

    def __init__(self, server: PostgresServer) -> None:
        self._database = server.connect()
        self._database.adapters.register_loader("jsonb", TextLoader)
        # Queries are small: compiling them takes longer than running them.
        self._database.execute("SET statement_timeout = '20s'; SET jit = off; SET client_min_messages = error")

    def close(self) -> None:
        """Let go of the connection."""
        self._database.close()

    def load(self, history: Sequence[Tables], schemas: Mapping[str, Schema]) -> None:
        """Replace all schemas by these."""
        with self._database.transaction():
            for number, tables in enumerate(history):
                self._database.execute(f"DROP SCHEMA IF EXISTS step{number} CASCADE; CREATE SCHEMA step{number}")
                self._database.execute(f"SET LOCAL search_path = step{number}")
                oracle.load_postgres(self._database, tables, schemas)

    def answer(self, query: str, steps: int) -> Expected:
        """The answer after each step."""
        found = Expected()
        for number in range(steps):
            self._database.execute(f"SET search_path = step{number}")
            try:
                cursor = self._database.execute(query)
            except (psycopg.errors.DataError, psycopg.errors.CardinalityViolation) as error:
                found.rows.append(None)
                found.failed.append(error.diag.message_primary)
                found.ordered = []
            except psycopg.Error as error:
                return Expected(refused=str(error))
            else:
                described = cursor.description or []
                found.columns = [(c.name, self._kind(c.type_code)) for c in described]
                rows = cursor.fetchall()
                found.rows.append(oracle.multiset(rows))
                found.failed.append(None)
                if number == steps - 2:
                    found.ordered = [tuple(map(oracle.canonical, row)) for row in rows]
        return found

    def _kind(self, code: int) -> Kind:
        return oracle.POSTGRES_KINDS[getattr(self._database.adapters.types.get(code), "name", "")]


_DUCKDB_SETTINGS = ("SET TimeZone = 'UTC'", "SET default_null_order = 'nulls_last_on_asc_first_on_desc'")


class DuckDb:
    """A database in memory with the tables of one step."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        self._broken = False

    def load(self, tables: Tables, schemas: Mapping[str, Schema]) -> None:
        """Replace all tables by these."""
        if self._broken:
            self._open()
        for name, columns in schemas.items():
            arrays = [pa.array([row[i] for row in tables[name]], column.type.arrow) for i, column in enumerate(columns)]
            self._database.register("now", pa.table(arrays, [column.name for column in columns]))
            types = ", ".join(f"{c.name} {'VARCHAR' if c.type.kind is Kind.JSONB else c.type}" for c in columns)
            self._database.execute(f"CREATE OR REPLACE TABLE {name} ({types})")
            self._database.execute(f"INSERT INTO {name} SELECT * FROM now")

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def answer(self, query: str) -> Counter[oracle.Row] | None:
        """The rows; None where DuckDB cannot say."""
        if self._broken:
            return None
        try:
            # A cursor of its own: a query that fails leaves a result behind that nobody can fetch.
            with self._database.cursor() as cursor:
                for setting in _DUCKDB_SETTINGS:
                    cursor.execute(setting)
                found: Any = cursor.execute(query).fetchall()
        except (duckdb.InternalException, duckdb.FatalException):
            # A mistake of its own, after which it answers nothing more.
            self._broken = True
            return None
        except duckdb.Error:
            return None
        return oracle.multiset(found)
