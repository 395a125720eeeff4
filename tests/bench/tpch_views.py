"""TPC-H's 22 queries as views of one dataflow, while all eight tables stream in and change: `python -m tests.bench.tpch_views`.

Always true: at the ticks that are looked at, every view was equal to DuckDB's answer over the tables as of that tick, or an error
was raised. What is printed is processor time where BENCH_CLOCK says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import duckdb
import numpy as np
import pyarrow as pa

from planner.views import build_dataflow, plan_views
from tests.bench import engine, tpch
from tests.bench.duck import compare
from tests.bench.numbers import now
from tests.bench.tpch_changes import Lives, deltas, lives


class Judge:
    """DuckDB with the lives of all rows: it answers as of any tick."""

    def __init__(self, lived: Lives) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        # As in PostgreSQL.
        self._database.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        self._tables = tuple(lived)
        for name, table in lived.items():
            self._database.register("rows", table)
            self._database.execute(f"CREATE TABLE all_{name} AS FROM rows")

    def look(self, tick: int) -> None:
        """Show the tables as they are after a tick."""
        for name in self._tables:
            self._database.execute(
                f"CREATE OR REPLACE TABLE {name} AS SELECT * EXCLUDE (born, died) FROM all_{name} "
                f"WHERE born <= {tick} AND died > {tick}"
            )

    def compare(self, name: str, query: str, answer: pa.Table) -> None:
        """ValueError when the answer is not DuckDB's."""
        compare(self._database, name, query, answer)


def run(events: int, ticks: int, looks: int, seed: int, keyed: bool = False) -> tuple[Mapping[str, int], float]:
    """Maintain all views over so many events and ticks, and compare them at random ticks and the last.

    keyed: the tables are topics by key, whose keys plans may rest on.
    By view, at how many of these it had rows; and the seconds of all steps.
    """
    lived = lives(tpch.generate(events), ticks, seed)
    queries = tpch.queries()
    names = {query: query.lower() for query in queries}
    keys = {table: tuple(range(count)) for table, count in tpch.KEYS.items()} if keyed else {}
    planned = plan_views(tpch.SCHEMAS, {names[query]: sql for query, sql in queries.items()}, keys)
    dataflow = build_dataflow(planned, tpch.SCHEMAS, keys, {}, now)
    judge = Judge(lived)
    looked = {*np.random.default_rng(seed).choice(ticks, looks, replace=False).tolist(), ticks - 1}
    found = dict.fromkeys(queries, 0)
    seconds = 0.0
    for tick, step in enumerate(deltas(lived, ticks)):
        seconds += engine.step(dataflow, step)
        if tick not in looked:
            continue
        judge.look(tick)
        for query, sql in queries.items():
            answer = engine.answer(dataflow, names[query])
            judge.compare(f"{query} after tick {tick}", sql, answer)
            # A sum without GROUP BY has a row over no rows, which says nothing.
            found[query] += answer.num_rows > 0 and answer.column(0).null_count < answer.num_rows
    return found, seconds


def main() -> None:
    parser = argparse.ArgumentParser("tests.bench.tpch_views", description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="orders and line items")
    parser.add_argument("--ticks", type=int, default=1_000)
    parser.add_argument("--looks", type=int, default=50, help="random ticks after which every view is compared")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keyed", action="store_true", help="the tables are topics by key (envelope: upsert)")
    arguments = parser.parse_args()
    found, seconds = run(arguments.events, arguments.ticks, arguments.looks, arguments.seed, arguments.keyed)
    for query, count in found.items():
        print(f"{query}: equal to DuckDB at {arguments.looks} random ticks and the last; rows at {count} of them")
    print(f"{arguments.ticks} ticks, {arguments.events} events, 22 views: {seconds:.1f} s in the engine")


if __name__ == "__main__":
    main()
