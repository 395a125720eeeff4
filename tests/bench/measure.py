"""One workload in a process of its own: `python -m tests.bench.measure W1 1000000 1000 5` prints one line of JSON.

Always true: an answer is compared with DuckDB's before its time is printed. A process of its own makes the memory that of
one workload; the driver pins it to one core.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tests.bench import engine, store
from tests.bench.duck import Duck
from tests.bench.numbers import quantile
from tests.bench.workloads import WORKLOADS, Workload

TENTHS = 10


def measure(workload: Workload, events: int, tick: int, runs: int) -> dict[str, Any]:
    """Both ways of feeding, the state, and DuckDB over the same rows; times are medians of `runs`, in seconds."""
    data = store.load(workload, events)
    deltas = engine.whole(workload, data)
    duck = Duck(workload)
    tenths = _recomputed(duck, data, events, runs)
    rows = sum(map(len, deltas.values()))
    steps = engine.ticks(workload, data, deltas, events, tick)
    return {
        "workload": workload.name,
        "title": workload.title,
        "events": events,
        "rows": rows,
        "catch_up": _catch_up(workload, engine.waiting(deltas), rows, duck, runs),
        "ticks": _ticks(workload, steps, duck, runs),
        "duckdb": {"first_tenth": tenths[0], "seconds": tenths[-1]},
    }


def _recomputed(duck: Duck, data: Mapping[str, pa.Table], events: int, runs: int) -> list[float]:
    """DuckDB's seconds for the answer over the first tenth of the events, and over all; leaves it with all of them."""
    found = []
    for begin, end in ((-1, events // TENTHS), (events // TENTHS, events)):
        duck.load(data, begin, end)
        found.append(statistics.median(duck.recompute() for _ in range(runs)))
    return found


def _catch_up(workload: Workload, steps: Sequence[engine.Deltas], rows: int, duck: Duck, runs: int) -> dict[str, Any]:
    before = most = engine.anonymous_bytes()
    dataflow = engine.build(workload)
    seconds = [0.0]
    for deltas in steps:
        seconds[0] += engine.step(dataflow, deltas)
        most = max(most, engine.anonymous_bytes())
    answered = duck.check(engine.answer(dataflow))
    for _ in range(runs - 1):
        del dataflow
        dataflow = engine.build(workload)
        seconds.append(sum(engine.run(dataflow, steps)))
    median = statistics.median(seconds)
    state_rows, state_bytes = engine.state(dataflow)
    return {
        "seconds": median,
        "runs": seconds,
        "rows_per_second": rows / median,
        "answer_rows": answered,
        "memory_bytes": most - before,
        "state_rows": state_rows,
        "state_bytes": state_bytes,
        "bytes_per_state_row": state_bytes / max(state_rows, 1),
    }


def _ticks(workload: Workload, steps: Sequence[engine.Deltas], duck: Duck, runs: int) -> dict[str, Any]:
    """Quantiles of each run, then their median over the runs; what was there before the first event is not timed."""
    found: dict[str, list[float]] = {}
    for run in range(runs):
        dataflow = engine.build(workload)
        engine.run(dataflow, engine.waiting(steps[0]))
        seconds = engine.run(dataflow, steps[1:])
        if run == 0:
            duck.check(engine.answer(dataflow))
        for name, value in summary(seconds).items():
            found.setdefault(name, []).append(value)
        del dataflow
    return {"count": len(steps) - 1, **{name: statistics.median(values) for name, values in found.items()}}


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 of all ticks, of the first and of the last tenth of them."""
    tenth = max(1, len(seconds) // TENTHS)
    parts = {"": seconds, "first_": seconds[:tenth], "last_": seconds[-tenth:]}
    return {f"{part}p{int(q * 100)}": quantile(ticks, q) for part, ticks in parts.items() for q in (0.5, 0.99)}


def main() -> None:
    name, *numbers = sys.argv[1:]
    print(json.dumps(measure(WORKLOADS[name], *map(int, numbers))))


if __name__ == "__main__":
    main()
