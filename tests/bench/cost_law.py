"""The cost law: a tick costs what has changed, not what is there. `python -m tests.bench.cost_law`.

Views over TPC-H tables of one size and of ten times that size get ticks of 100 rows: 90 new events, 10 deletes of earlier ones.
Always true: both sizes are in memory at once and take turns tick by tick, so that a busy machine is as busy for both; no answer is
looked at here (`tests.bench.tpch_views` does). Nothing is asserted on time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.step import Dataflow
from planner.views import build_dataflow, plan_views
from tests.bench import engine, tpch
from tests.bench.cost_plot import Cost, plot
from tests.bench.numbers import now, quantile

QUERIES = ("Q3", "Q5", "Q10", "Q13", "Q18", "lag, sum")
OWN = {
    "lag, sum": """
        SELECT l_partkey, l_orderkey, l_linenumber, l_quantity - lag(l_quantity) OVER w AS change, sum(l_quantity) OVER w AS so_far
        FROM lineitem WINDOW w AS (PARTITION BY l_partkey ORDER BY l_orderkey, l_linenumber)
    """
}
"""Queries that TPC-H does not have: a running sum and each line's difference to the one before, by part."""
NEW = 90
GONE = {"orders": 1, "lineitem": 9}
"""Rows of each table that a tick takes away: with the new ones 100."""

FOLDER = Path(__file__).parent / "out"
DOCS = Path(__file__).parents[2] / "docs"


def steps(events: int, ticks: int) -> tuple[dict[str, Delta], list[dict[str, Delta]]]:
    """What is there before the first tick, and the ticks."""
    start = events - ticks * NEW
    chance = np.random.default_rng(1)
    there: dict[str, Delta] = {}
    later: list[dict[str, Delta]] = [{} for _ in range(ticks)]
    for name, table in tpch.generate(events).items():
        when = table["event"].to_numpy()
        columns = tuple(table[column.name].combine_chunks() for column in tpch.SCHEMAS[name])
        cut = int(np.searchsorted(when, start))
        there[name] = Delta(tuple(column.slice(0, cut) for column in columns), np.ones(cut, np.int64))
        gone = (
            chance.choice(cut, (ticks, GONE[name]), replace=False) if name in GONE else np.empty((ticks, 0), np.int64)
        )
        for tick, step in enumerate(later):
            begin, end = np.searchsorted(when, [start + NEW * tick, start + NEW * (tick + 1)]).tolist()
            rows = pa.array(np.concatenate([np.arange(begin, end), gone[tick]]))
            diffs = np.concatenate([np.ones(end - begin, np.int64), np.full(gone.shape[1], -1)])
            if len(diffs):
                step[name] = Delta(tuple(column.take(rows) for column in columns), diffs)
    return there, later


def filled(query: str, there: dict[str, Delta]) -> Dataflow:
    """The view of a query over these rows, all merging done."""
    planned = plan_views(tpch.SCHEMAS, {"view": OWN.get(query) or tpch.queries()[query]})
    dataflow = build_dataflow(planned, tpch.SCHEMAS, {}, {}, now)
    engine.run(dataflow, engine.waiting(there))
    while dataflow.maintain(1 << 20):
        pass
    return dataflow


def measure(query: str, sizes: Sequence[int], ticks: int) -> list[Cost]:
    """The median tick at each size; the sizes take turns."""
    fed = [steps(events, ticks) for events in sizes]
    running = [filled(query, there) for there, _ in fed]
    seconds: list[list[float]] = [[] for _ in sizes]
    for tick in range(ticks):
        for dataflow, (_, later), spent in zip(running, fed, seconds, strict=True):
            spent.append(engine.step(dataflow, later[tick]))
    return [
        Cost(query, events, 1e3 * quantile(spent, 0.5), engine.state(dataflow)[0])
        for events, spent, dataflow in zip(sizes, seconds, running, strict=True)
    ]


def table(costs: Sequence[Cost]) -> str:
    """Both sizes of each query in a line, as Markdown."""
    lines = [
        "| query | events | state rows | tick ms | ten times the events | state rows | tick ms | ratio |",
        "|---" * 8 + "|",
    ]
    for small, large in zip(costs[::2], costs[1::2], strict=True):
        cells = [
            *(small.query, f"{small.events:,}", f"{small.state_rows:,}", f"{small.milliseconds:.2f}"),
            *(f"{large.events:,}", f"{large.state_rows:,}", f"{large.milliseconds:.2f}"),
            f"{large.milliseconds / small.milliseconds:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser("tests.bench.cost_law", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="the smaller size; the larger is ten times that")
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=QUERIES, choices=QUERIES)
    parser.add_argument("--publish", action="store_true", help="write the plot of docs/benchmarks.md")
    arguments = parser.parse_args()
    sizes = (arguments.events, 10 * arguments.events)
    costs = [cost for query in arguments.only for cost in measure(query, sizes, arguments.ticks)]
    print(table(costs))
    place = DOCS if arguments.publish else FOLDER
    place.mkdir(exist_ok=True)
    (place / "cost_law.svg").write_text(plot(costs))
    (FOLDER / "cost_law.json").write_text(json.dumps([cost._asdict() for cost in costs], indent=1))


if __name__ == "__main__":
    main()
