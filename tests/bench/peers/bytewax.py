"""bytewax: a keyed `stateful_map` over Python tuples, one worker. It has no SQL, no retractions and no joins with updates: W1.

Runs in the peer's own environment: `bytewax.py WORKLOAD FOLDER EVENTS TICK MODE ANSWER`. The tuples are made before the clock
starts. A tick's time is from one batch being asked for to the next: the worker finishes a batch before it asks again.
"""

import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

import bytewax.operators as op
import numpy as np
import pyarrow as pa
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter

MEASURED_TICKS = 100

Item = tuple[str, int]


class Batches(DynamicSource[Item]):
    """All batches, one after the other, and when each was asked for."""

    def __init__(self, batches: list[list[Item]]) -> None:
        self.batches = batches
        self.asked: list[float] = []

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSourcePartition[Item]:
        source = self

        class Partition(StatelessSourcePartition[Item]):
            def next_batch(self) -> list[Item]:
                number = len(source.asked)
                source.asked.append(now())
                if number == len(source.batches):
                    raise StopIteration
                return source.batches[number]

        return Partition()


class Latest(DynamicSink[Any]):
    """The last value of each key."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, int]] = {}

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[Any]:
        rows = self.rows

        class Partition(StatelessSinkPartition[Any]):
            def write_batch(self, items: list[Any]) -> None:
                rows.update(items)

        return Partition()


def add(state: tuple[int, int] | None, price: int) -> tuple[tuple[int, int], tuple[int, int]]:
    count, total = state or (0, 0)
    state = (count + 1, total + price)
    return state, state


def main() -> None:
    workload, folder, events, tick, mode, answer = sys.argv[1:]
    if workload != "W1":
        raise SystemExit(f"bytewax measures W1 only, not {workload}")
    table = pa.ipc.open_file(pa.memory_map(f"{folder}/bids.arrow")).read_all()
    edges = np.searchsorted(table["event"].to_numpy(), np.arange(0, int(events) + int(tick), int(tick))).tolist()
    keys = [str(key) for key in table["auction"].to_pylist()]
    items = list(zip(keys, table["price"].to_pylist(), strict=True))
    source = Batches([items[begin:end] for begin, end in pairwise(edges)])
    sink = Latest()
    flow = Dataflow("sums")
    op.output("out", op.stateful_map("sums", op.input("in", flow, source), add), sink)
    run_main(flow)
    seconds = np.diff(source.asked).tolist()
    if mode == "catch_up":
        print(json.dumps({"seconds": sum(seconds)}))
    else:
        print(json.dumps({"ticks": seconds[-MEASURED_TICKS:]}))
    counts, totals = zip(*sink.rows.values(), strict=True)
    rows = pa.table({"auction": [int(key) for key in sink.rows], "bids": list(counts), "total": list(totals)})
    with pa.ipc.new_stream(answer, rows.schema) as writer:
        writer.write_table(rows)


if __name__ == "__main__":
    main()
