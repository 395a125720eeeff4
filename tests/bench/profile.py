"""Where the time goes: `python -m tests.bench --profile W1`. Operators by the engine's own statistics, functions by cProfile.

Each way of feeding runs twice, plain for the seconds and operators, then under cProfile, whose own cost inflates small calls.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Sequence

from dataflow.step import Dataflow
from tests.bench import engine, store
from tests.bench.numbers import quantile
from tests.bench.workloads import Workload

FUNCTIONS = 22


def profile(workload: Workload, events: int, tick: int) -> str:
    """The report of one workload as text."""
    data = store.load(workload, events)
    deltas = engine.whole(workload, data)
    parts = [f"== {workload.name}: {workload.title}; {events:,} events"]
    for what, steps in (
        ("catch-up", engine.waiting(deltas)),
        (f"ticks of {tick}", engine.ticks(workload, data, deltas, events, tick)),
    ):
        dataflow = engine.build(workload)
        seconds = engine.run(dataflow, steps)
        each = sorted(second * 1e3 for second in seconds[1:] or seconds)
        parts.append(
            f"-- {what}: {sum(seconds):.3f} s in {len(seconds)} steps, "
            f"p50 {quantile(each, 0.5):.2f} ms, p99 {quantile(each, 0.99):.2f} ms, max {each[-1]:.2f} ms"
        )
        parts += [_operators(dataflow, sum(seconds)), _functions(engine.build(workload), steps)]
    return "\n".join(parts) + "\n"


def _operators(dataflow: Dataflow, total: float) -> str:
    statistics = sorted(dataflow.statistics(), key=lambda s: -s.seconds)
    lines = [
        f"   {'operator':<60} {'rows in':>10} {'rows out':>10} {'s':>7} {'state rows':>10} {'MB':>7}",
        *(
            f"   {s.operator[:60]:<60} {s.rows_in:>10,} {s.rows_out:>10,} {s.seconds:>7.3f} {s.state_rows:>10,}"
            f" {s.state_bytes / 1e6:>7.1f}"
            for s in statistics
        ),
    ]
    lines.append(f"   outside the operators (merging, collecting): {total - sum(s.seconds for s in statistics):.3f} s")
    return "\n".join(lines)


def _functions(dataflow: Dataflow, steps: Sequence[engine.Deltas]) -> str:
    profiler = cProfile.Profile()
    profiler.runcall(engine.run, dataflow, steps)
    text = io.StringIO()
    statistics = pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime")
    statistics.print_stats(FUNCTIONS)
    return "\n".join(f"   {line}" for line in text.getvalue().splitlines() if line.strip())
