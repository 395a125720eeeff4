"""TPC-DS's 99 queries as views of one dataflow, while all 24 tables stream in and change: `python -m tests.bench.tpcds_views`.

Always true: at the ticks that are looked at, every view was equal to DuckDB's answer over the tables as of that tick, or is among
those that are named as not. A query with LIMIT is given a total order first, for both (`tests.bench.tpcds.queries`).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from planner.errors import PlanErrors
from planner.views import build_dataflow, plan_views
from tests.bench import engine, tpcds, tpcds_dsdgen
from tests.bench.numbers import now
from tests.bench.tpcds_tables import generate, pools
from tests.bench.tpch_changes import deltas, lives
from tests.bench.tpch_views import Judge


@dataclass
class Found:
    """What came of each query. refused: why it has no plan. unlike: where it first was not DuckDB's. rows: at how many of the
    ticks that were looked at it had rows. seconds: of all steps together."""

    refused: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def equal(self) -> list[str]:
        """The queries that were maintained and equal at every look."""
        return [name for name in self.rows if name not in self.unlike]


def run(tables: Mapping[str, pa.Table], ticks: int, looks: int, seed: int, only: tuple[str, ...] = ()) -> Found:
    """Maintain all views (or `only` these) over so many ticks, and compare them at random ticks and the last."""
    queries = {name: sql for name, sql in tpcds.queries().items() if name in only or not only}
    lived = lives(tables, ticks, seed, tpcds.KEYS)
    found = Found()
    for name, sql in list(queries.items()):
        try:
            plan_views(tpcds.SCHEMAS, {name: sql})
        except PlanErrors as error:
            found.refused[name] = str(error)
            del queries[name]
    dataflow = build_dataflow(plan_views(tpcds.SCHEMAS, queries), tpcds.SCHEMAS, {}, {}, now)
    judge = Judge(lived)
    looked = {*np.random.default_rng(seed).choice(ticks, looks, replace=False).tolist(), ticks - 1}
    found.rows = dict.fromkeys(queries, 0)
    for tick, step in enumerate(deltas(lived, ticks)):
        found.seconds += engine.step(dataflow, step)
        if tick not in looked:
            continue
        judge.look(tick)
        for name in found.equal:
            try:
                answer = engine.answer(dataflow, name)
                judge.compare(f"{name} after tick {tick}", queries[name], answer)
            except ValueError as error:
                found.unlike[name] = str(error)
                continue
            # A sum without GROUP BY has a row over no rows, which says nothing.
            found.rows[name] += any(column.null_count < len(answer) for column in answer.columns)
    return found


def generated(scale: float) -> dict[str, pa.Table]:
    """The project's own rows, most of them such as queries look for."""
    return generate(scale, pools(tpcds.queries().values()))


def main() -> None:
    parser = argparse.ArgumentParser("tests.bench.tpcds_views", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--looks", type=int, default=10, help="random ticks after which every view is compared")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--dsdgen", action="store_true", help="TPC-DS's own rows in place of rows to the queries' taste"
    )
    parser.add_argument("only", nargs="*", help="queries: q1 q2")
    arguments = parser.parse_args()
    tables = tpcds_dsdgen.generate(arguments.scale) if arguments.dsdgen else generated(arguments.scale)
    found = run(tables, arguments.ticks, arguments.looks, arguments.seed, tuple(arguments.only))
    for name, why in found.refused.items():
        print(f"{name}: refused: {why}")
    for name, why in found.unlike.items():
        print(f"{name}: not DuckDB's: {why}")
    for name in found.equal:
        print(f"{name}: equal to DuckDB at {arguments.looks} random ticks and the last; rows at {found.rows[name]}")
    print(f"{len(found.equal)} equal; {arguments.ticks} ticks of scale {arguments.scale}: {found.seconds:.1f} s")


if __name__ == "__main__":
    main()
