"""Two cores against one: `python -m tests.bench cores`, also the last part of `make bench`.

W1 to W3 catch up with `threads: 1` pinned to one core and with `threads: 2` pinned to two, in turns in one process, so that
whatever else the machine does meets both. Always true: both ways answer the same in the same order, or the measurement ends.
Always wall time.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Sequence

import pyarrow as pa

from dataflow.beside import THREADS
from tests.bench import engine, store
from tests.bench.workloads import WORKLOADS, Workload

NAMES = ("W1", "W2", "W3")
EVENTS = 5_000_000


def main(events: int = EVENTS, runs: int = 5) -> None:
    """Print a line for each workload: medians of `runs`, and how many times faster two cores are."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("two cores against one: this process may use one core only")
        return
    for name in NAMES:
        workload = WORKLOADS[name]
        steps = engine.waiting(engine.whole(workload, store.load(workload, events)))
        seconds: dict[int, list[float]] = {1: [], 2: []}
        answers = [_once(workload, steps, cores[-threads:], seconds[threads]) for threads in (1, 2)]
        if not answers[0].equals(answers[1]):
            raise ValueError(f"{name}: two threads answer otherwise than one")
        for _ in range(runs):
            for threads in (1, 2):
                _once(workload, steps, cores[-threads:], seconds[threads])
        one, two = (statistics.median(found[1:]) for found in seconds.values())
        print(
            f"{name:<7} {events:,} events: one core {one:.3f} s, two cores {two:.3f} s, {one / two:.2f} times",
            flush=True,
        )
    os.sched_setaffinity(0, cores)
    THREADS.use(1)


def _once(workload: Workload, steps: Sequence[engine.Deltas], cores: Sequence[int], seconds: list[float]) -> pa.Table:
    """Catch up once with a thread for each of these cores; what it took goes to `seconds`."""
    os.sched_setaffinity(0, cores)  # before the threads begin: they inherit it
    THREADS.use(len(cores))
    dataflow = engine.build(workload)
    gc.collect()
    began = time.perf_counter()
    engine.run(dataflow, steps)
    seconds.append(time.perf_counter() - began)
    return engine.answer(dataflow)
