"""Random schemas, data and queries, compared with PostgreSQL and DuckDB: `make fuzz`, or `python -m tests.planner.fuzz`.

    --seed N        begin with this seed, one query for each; a mismatch prints the seed that replays it
    --queries N     how many; without it, until --seconds are over, or for ever

Each query is asked in three ways (`tests.planner.fuzz_ways`): as a view that is there before the data and follows every change;
as a view made when all data is there; and once, by the way that the PostgreSQL wire takes. Rows with NULLs, their order where one
is asked for, names and types of columns, and errors must be PostgreSQL's (`tests.planner.fuzz_oracles`): what it answers must have
no row errors, what it refuses to plan must be refused, and what fails there must fail with its message where every row counts.
Always true: a seed alone says the schema, the changes and the query. Twenty seeds share a schema, its changes and a dataflow.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataflow.types import Schema
from planner import PlanErrors, PlannedViews, plan_views
from serve.sql.errors import QueryError
from tests.planner import oracle
from tests.planner.expressions import Columns
from tests.planner.fuzz_oracles import DuckDb, Expected, Postgres, Tables, same_in_duckdb
from tests.planner.fuzz_ways import Answer, Door, maintained, together
from tests.planner.queries import Queries
from tests.planner.written import FUNCTIONS, ours, theirs
from tests.servers.postgres import PostgresServer, find_binaries

TOGETHER = 20
"""Seeds that share a schema."""
STEPS = 3
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


_ORDERED = re.compile(r" ORDER BY [0-9][^()]* LIMIT [0-9]+( OFFSET 1)?$")
"""A query whose rows have one order."""


ONCE = "one-shot"


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


class Judges:
    """PostgreSQL, and DuckDB beside it. asked: how many queries each has answered, and on how many they do not agree."""

    def __init__(self, server: PostgresServer) -> None:
        self._postgres = Postgres(server)
        self._duckdb = DuckDb()
        self.asked: Counter[str] = Counter()

    def close(self) -> None:
        """Let go of both."""
        self._postgres.close()
        self._duckdb.close()

    def load(self, history: Sequence[Tables], schemas: Mapping[str, Schema]) -> None:
        """The tables after each step; DuckDB gets those after the last but one."""
        self._postgres.load(history, schemas)
        self._duckdb.load(history[-2], schemas)

    def answer(self, query: str) -> Expected:
        """PostgreSQL's answer; DuckDB's, of one step, to a FULL JOIN that PostgreSQL cannot do."""
        right = self._postgres.answer(theirs(query), STEPS)
        self.asked["PostgreSQL"] += 1
        alone = right.refused is not None and "FULL JOIN is only supported" in right.refused
        rows = None
        if (right.refused is None or alone) and ours(query) == query and same_in_duckdb(query):
            rows = self._duckdb.answer(query)
            self.asked["DuckDB"] += rows is not None
        if alone:
            self.asked["DuckDB alone"] += rows is not None
            return Expected([], [None] * (STEPS - 2) + [rows, None], [None] * STEPS)
        # Where they do not agree, PostgreSQL is right.
        self.asked["DuckDB otherwise"] += rows is not None and rows != right.rows[STEPS - 2]
        return right


def check_round(round_: Round, queries: Mapping[int, str], judges: Judges) -> dict[int, Exception]:
    """What differs, by seed: a Mismatch, or what the engine raised."""
    history = list(oracle.accumulated(round_.steps))
    judges.load(history, round_.schemas)
    door = Door(history[-2], round_.schemas)
    found: dict[int, Exception] = {}
    wanted: dict[int, Expected] = {}
    planned: dict[int, PlannedViews] = {}
    for seed, query in queries.items():
        right = judges.answer(query)
        try:
            view = _planned(round_, f"v{seed}", query, right)
            _once(door, query, right)
            if view is not None:
                planned[seed], wanted[seed] = view, right
        except Exception as error:  # noqa: BLE001 - a crash is a finding too
            found[seed] = error
    try:
        return found | _views(round_, queries, planned, wanted)
    except Exception:  # noqa: BLE001 - one of them: each is tried alone, and it is reported
        pass
    for seed, view in planned.items():
        try:
            found |= _views(round_, queries, {seed: view}, wanted)
        except Exception as error:  # noqa: BLE001
            found[seed] = error
    return found


def _planned(round_: Round, name: str, query: str, right: Expected) -> PlannedViews | None:
    """The plan as a view; None where both refuse it."""
    try:
        planned = plan_views(round_.schemas, {name: ours(query)}, functions=FUNCTIONS)
    except PlanErrors as error:
        if right.refused is None:
            raise Mismatch(f"refused: {error}") from None
        return None
    if right.refused is not None:
        raise Mismatch(f"planned, but PostgreSQL says: {right.refused}")
    if right.columns and [(c.name, c.type.kind) for c in planned.schemas[name]] != right.columns:
        raise Mismatch(f"columns {planned.schemas[name]} instead of {right.columns}")
    return planned


def _once(door: Door, query: str, right: Expected) -> None:
    try:
        answer = door.ask(ours(query))
    except QueryError as error:
        if right.refused is None:
            raise Mismatch(f"one-shot refused: {error}") from None
        return
    if right.refused is not None:
        raise Mismatch(f"one-shot planned, but PostgreSQL says: {right.refused}")
    if right.columns and [(c.name, c.type.kind) for c in answer.columns] != right.columns:
        raise Mismatch(f"one-shot: columns {answer.columns} instead of {right.columns}")
    _same(ONCE, query, answer, right, STEPS - 2)
    if _ORDERED.search(query) and right.ordered and not answer.errors and answer.ordered != right.ordered:
        raise Mismatch(f"one-shot: rows in another order: {answer.ordered} instead of {right.ordered}")


def _views(
    round_: Round, queries: Mapping[int, str], planned: Mapping[int, PlannedViews], wanted: Mapping[int, Expected]
) -> dict[int, Exception]:
    """What differs between the views, made before and after the data, and PostgreSQL."""
    all_ = together(list(planned.values()))
    sums: dict[str, list[tuple[oracle.Row, int]]] = {name: [] for name in round_.schemas}
    for step in round_.steps[:-1]:
        for name, changes in step.items():
            sums[name] += changes
    before = maintained(all_, round_.schemas, round_.steps)
    after = maintained(all_, round_.schemas, [sums])
    found: dict[int, Exception] = {}
    for seed in planned:
        try:
            for number, answer in enumerate(before[f"v{seed}"]):
                _same("view before the data", queries[seed], answer, wanted[seed], number)
            _same("view after the data", queries[seed], after[f"v{seed}"][0], wanted[seed], STEPS - 2)
        except Mismatch as error:
            found[seed] = error
    return found


def _same(way: str, query: str, got: Answer, wanted: Expected, step: int) -> None:
    right, message = wanted.rows[step], wanted.failed[step]
    if right is None:
        # Elsewhere, what fails there may be rows that nobody needs here.
        counts = message is not None and Queries.every_row_counts(query)
        # Of several rows that fail, a query that is asked once names any.
        if counts and (not got.errors or (way != ONCE and message not in got.errors)):
            raise Mismatch(f"{way}, step {step}: {got.errors[:3]}, but PostgreSQL says: {message}")
        return
    if got.errors:
        raise Mismatch(f"{way}, step {step}: row errors {got.errors[:3]}")
    if got.rows != right:
        more, less = list((got.rows - right).items())[:3], list((right - got.rows).items())[:3]
        raise Mismatch(f"{way}, step {step}: too many {more}, missing {less}")


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
        judges = Judges(server)
        until = None if options.seconds is None else time.monotonic() + options.seconds
        last = sys.maxsize if options.queries is None else first + options.queries
        seed = first
        while seed < last and (until is None or time.monotonic() < until):
            end = min(last, (seed // TOGETHER + 1) * TOGETHER)
            round_ = Round.of(seed // TOGETHER)
            queries = {one: query_of(one, round_.kinds) for one in range(seed, end)}
            for one, mismatch in check_round(round_, queries, judges).items():
                found += 1
                kind = "" if isinstance(mismatch, Mismatch) else f"{type(mismatch).__name__}: "
                print(
                    f"seed {one}: {kind}{mismatch}\n    {ours(queries[one])}\n  for PostgreSQL:\n    {theirs(queries[one])}",
                    flush=True,
                )
            done += end - seed
            seed = end
            if done % 500 < TOGETHER:
                print(f"{done} queries, {found} mismatches, {dict(judges.asked)}", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
    print(f"{done} queries from seed {first} on, {found} mismatches, asked {dict(judges.asked)}", flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
