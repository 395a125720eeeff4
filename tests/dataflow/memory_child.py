"""A process that fills a dataflow, empties it, and compares the engine's accounting with the resident size.

Arguments: `unlimited` or `half` (of the state, as the memory limit), and a folder. Ends with an AssertionError when they differ.
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.graph import Aggregate, GraphBuilder
from dataflow.kernels import _rows
from dataflow.memory import MemoryLimit
from dataflow.step import Dataflow
from dataflow.types import BIGINT, TEXT, Column
from headwater.runs import RunFiles

ROWS, STEP, CUSTOMERS = 1_200_000, 50_000, 20_000


def resident() -> int:
    """Bytes of anonymous memory: what only this process holds, without pages of files."""
    gc.collect()
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not say how much memory is resident")


def build() -> Dataflow:
    graph = GraphBuilder()
    orders = graph.input("orders", (BIGINT, BIGINT, TEXT))
    customers = graph.input("customers", (BIGINT, TEXT))
    joined = graph.join(orders, customers, (1,), (0,))
    totals = graph.reduce(joined, (1,), (Aggregate("count_star", None, BIGINT),), False)
    graph.export("orders", orders, (Column("id", BIGINT), Column("customer", BIGINT), Column("note", TEXT)), (0,))
    graph.export("totals", totals, (Column("customer", BIGINT), Column("orders", BIGINT)), (0,))
    return graph.build(time.perf_counter)


def orders(begin: int, end: int, diff: int) -> Delta:
    numbers = pa.array(np.arange(begin, end))
    notes = pa.compute.binary_join_element_wise(numbers.cast(pa.string()), "of an order", " ")
    customer = pa.array(np.arange(begin, end) % CUSTOMERS)
    return Delta((numbers, customer, notes.cast(pa.large_string())), np.full(end - begin, diff))


def customers(diff: int) -> Delta:
    names = pa.array([f"customer {i}" for i in range(CUSTOMERS)], pa.large_string())
    return Delta((pa.array(np.arange(CUSTOMERS)), names), np.full(CUSTOMERS, diff))


def feed(dataflow: Dataflow, rows: int, diff: int, limit: MemoryLimit | None = None) -> None:
    dataflow.step({"customers": customers(diff)})
    for begin in range(0, rows, STEP):
        dataflow.step({"orders": orders(begin, begin + STEP, diff)})
        dataflow.maintain(STEP)
    while dataflow.maintain(1 << 30):
        pass
    if limit is not None:
        limit.settle(wait=True)
        dataflow.maintain(0)  # what the moved runs had in memory goes back to the system


def held(dataflow: Dataflow) -> tuple[int, int, int]:
    """Rows, bytes in all, and bytes in files."""
    all_ = dataflow.statistics()
    return sum(s.state_rows for s in all_), sum(s.state_bytes for s in all_), sum(s.state_file_bytes for s in all_)


def main(share: str, folder: Path) -> None:
    dataflow = build()
    files = RunFiles(folder / "runs")
    feed(dataflow, 2 * STEP, 1)
    feed(dataflow, 2 * STEP, -1)
    _rows.trim()
    start = resident()
    limit = MemoryLimit(files, 70 << 20) if share == "half" else None
    if limit is not None:
        dataflow.limit_memory(limit)
    feed(dataflow, ROWS, 1, limit)
    rows, all_bytes, file_bytes = held(dataflow)
    full, accounted = resident() - start, all_bytes - file_bytes
    columns = ROWS * (2 * (16 + 8 + 19)) + CUSTOMERS * 60
    print(
        f"{rows} rows, {all_bytes} bytes, {file_bytes} in files, {full} resident, {(all_bytes - columns) / rows:.1f} a row"
    )
    totals = dataflow.view("totals").snapshot().rows()
    assert set(totals.columns[1].to_pylist()) == {ROWS // CUSTOMERS}
    assert (all_bytes - columns) / rows <= 24
    assert abs(full - accounted) <= accounted / 4, f"{full} bytes resident, {accounted} accounted"
    assert (file_bytes > 0) == (share == "half")
    del totals
    feed(dataflow, ROWS, -1, limit)
    assert held(dataflow) == (0, 0, 0)
    assert not list(files.folder.iterdir())
    empty = resident()
    print(f"{start} bytes at the start, {empty} at the end")
    assert empty <= start * 1.1, f"{empty} bytes resident after everything was deleted, {start} at the start"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
