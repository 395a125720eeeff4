"""Random schemas, data and queries, maintained and compared with PostgreSQL: `make fuzz`, or `python -m tests.planner.fuzz`.

    --seed N        begin with this seed, one query for each; a mismatch prints the seed that replays it
    --queries N     how many; without it, until --seconds are over, or for ever

Each query runs in three ways: as a view that is there before the data and follows every change; as a view made when all data is
there; and at once over the rows that are left. Rows with NULLs and types, names and types of columns, and errors must be
PostgreSQL's: what it answers must have no row errors, what it refuses to plan must be refused.
Always true: a seed alone says the schema, the changes and the query. Twenty seeds share a schema and its changes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.string import TextLoader

from dataflow.types import Kind, Schema
from planner import PlanErrors, PlannedViews, build_dataflow, plan_views
from tests.planner import oracle
from tests.planner.expressions import Columns
from tests.planner.queries import Queries
from tests.servers.postgres import PostgresServer, find_binaries

TOGETHER = 20
"""Seeds that share a schema."""
STEPS = 4
"""Changes of the data, after each of which everything is compared."""

_KINDS = {
    "int": ("bigint", "integer", "smallint"),
    "numeric": ("numeric(12,2)", "numeric(8,3)"),
    "float": ("double precision",),
    "text": ("text",),
    "bool": ("boolean",),
    "date": ("date",),
    "time": ("timestamptz",),
    "json": ("jsonb",),
}


class Mismatch(Exception):
    """What differs."""


@dataclass(frozen=True)
class Round:
    """A schema, what queries may say of it, and changes."""

    schemas: dict[str, Schema]
    kinds: dict[str, Columns]
    steps: list[oracle.Step]

    @classmethod
    def of(cls, number: int) -> Round:
        """The round of this number."""
        rng = random.Random(f"round {number}")
        schemas: dict[str, Schema] = {}
        kinds: dict[str, Columns] = {}
        for table in ("r", "s", "t")[: rng.randrange(2, 4)]:
            chosen = ["int", *rng.choices(list(_KINDS), k=rng.randrange(2, 7))]
            kinds[table] = [(f"{table}{i}", kind) for i, kind in enumerate(chosen)]
            columns = {name: rng.choice(_KINDS[kind]) for name, kind in kinds[table]}
            schemas[table] = oracle.schema(
                **{name: type_ + (" not null" if rng.random() < 0.25 else "") for name, type_ in columns.items()}
            )
        return cls(schemas, kinds, oracle.random_steps(rng.randrange(1 << 30), STEPS, schemas))

    def load(self, database: psycopg.Connection[Any]) -> None:
        """The tables after each step, in the schemas step0, step1 ..."""
        for number, tables in enumerate(oracle.accumulated(self.steps)):
            database.execute(f"DROP SCHEMA IF EXISTS step{number} CASCADE")
            database.execute(f"CREATE SCHEMA step{number}")
            database.execute(f"SET search_path = step{number}")
            oracle.load_postgres(database, tables, self.schemas)


@dataclass(frozen=True)
class Expected:
    """PostgreSQL's answer: its columns and the rows after each step; `refused` when it cannot be planned; None in `rows` where
    a row fails."""

    columns: list[tuple[str, Kind]]
    rows: list[Counter[oracle.Row] | None]
    refused: str | None = None


def connect(server: PostgresServer) -> psycopg.Connection[Any]:
    """A connection that gives jsonb as its text."""
    database = server.connect()
    database.adapters.register_loader("jsonb", TextLoader)
    database.execute("SET statement_timeout = '20s'")
    return database


def expected(database: psycopg.Connection[Any], query: str) -> Expected:
    """Ask PostgreSQL."""
    columns: list[tuple[str, Kind]] = []
    rows: list[Counter[oracle.Row] | None] = []
    for number in range(STEPS):
        database.execute(f"SET search_path = step{number}")
        try:
            cursor = database.execute(query)
        except psycopg.errors.DataError:
            rows.append(None)
        except psycopg.errors.CardinalityViolation:
            rows.append(None)
        except psycopg.Error as error:
            return Expected([], [], str(error))
        else:
            described = cursor.description or []
            columns = [
                (c.name, oracle.POSTGRES_KINDS[getattr(database.adapters.types.get(c.type_code), "name", "")])
                for c in described
            ]
            rows.append(oracle.multiset(cursor.fetchall()))
    return Expected(columns, rows)


def check(round_: Round, query: str, wanted: Expected) -> None:
    """Raise Mismatch where the engine and PostgreSQL differ."""
    try:
        planned = plan_views(round_.schemas, {"v": query})
    except PlanErrors as error:
        if wanted.refused is None:
            raise Mismatch(f"refused: {error}") from None
        return
    if wanted.refused is not None:
        raise Mismatch(f"planned, but PostgreSQL says: {wanted.refused}")
    if wanted.columns and [(c.name, c.type.kind) for c in planned.schemas["v"]] != wanted.columns:
        raise Mismatch(f"columns {planned.schemas['v']} instead of {wanted.columns}")
    before = maintained(planned, round_, round_.steps)
    together: dict[str, list[tuple[oracle.Row, int]]] = {name: [] for name in round_.schemas}
    for step in round_.steps[:-1]:
        for name, changes in step.items():
            together[name] += changes
    left = {name: [(row, 1) for row in rows] for name, rows in list(oracle.accumulated(round_.steps))[-2].items()}
    _same("view before the data", before, wanted.rows)
    _same("view after the data", maintained(planned, round_, [together]), wanted.rows[-2:-1])
    _same("one-shot", maintained(planned, round_, [left]), wanted.rows[-2:-1])


def maintained(
    planned: PlannedViews, round_: Round, steps: Sequence[oracle.Step]
) -> list[tuple[Counter[oracle.Row], list[str]]]:
    """The rows of the view and its row errors after every step."""
    flow = build_dataflow(planned, round_.schemas, {}, {"v": (0,)}, lambda: 0.0)
    history = []
    for step in steps:
        deltas = {name: oracle.delta_of(name, changes, round_.schemas) for name, changes in step.items() if changes}
        flow.step(deltas)
        flow.maintain(1000)
        view = flow.view("v")
        history.append((oracle.view_rows(view.snapshot().rows()), view.errors().rows().columns[0].to_pylist()))
    return history


def _same(
    way: str, got: list[tuple[Counter[oracle.Row], list[str]]], wanted: Sequence[Counter[oracle.Row] | None]
) -> None:
    for number, ((rows, errors), right) in enumerate(zip(got, wanted, strict=True)):
        if right is None:
            # What fails there may be rows that nobody needs here.
            continue
        if errors:
            raise Mismatch(f"{way}, step {number}: row errors {errors[:3]}")
        if rows != right:
            more, less = list((rows - right).items())[:3], list((right - rows).items())[:3]
            raise Mismatch(f"{way}, step {number}: too many {more}, missing {less}")


def query_of(seed: int, kinds: Mapping[str, Columns]) -> str:
    """The query of a seed."""
    return Queries(random.Random(seed), kinds).query()[0]


def main() -> int:
    """Run; 1 when something differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--queries", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    options = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        print("PostgreSQL is not installed")
        return 2
    first = options.seed if options.seed is not None else time.time_ns() // 1_000_000_000 * 1000
    if options.seed is not None and options.queries is None and options.seconds is None:
        options.queries = 1
    server = PostgresServer(binaries)
    found = done = 0
    print(f"seeds from {first} on", flush=True)
    try:
        server.start()
        database = connect(server)
        until = None if options.seconds is None else time.monotonic() + options.seconds
        current = -1
        round_ = Round.of(0)
        for seed in range(first, sys.maxsize if options.queries is None else first + options.queries):
            if until is not None and time.monotonic() > until:
                break
            if seed // TOGETHER != current:
                current = seed // TOGETHER
                round_ = Round.of(current)
                round_.load(database)
            query = query_of(seed, round_.kinds)
            try:
                check(round_, query, expected(database, query))
            except Exception as mismatch:  # noqa: BLE001 - a crash is a finding too
                found += 1
                kind = "" if isinstance(mismatch, Mismatch) else f"{type(mismatch).__name__}: "
                print(f"seed {seed}: {kind}{mismatch}\n    {query}", flush=True)
            done += 1
            if done % 500 == 0:
                print(f"{done} queries, {found} mismatches", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
    print(f"{done} queries from seed {first} on, {found} mismatches", flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
