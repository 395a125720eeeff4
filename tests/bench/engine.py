"""The engine in this process: SQL is planned, and deltas go through `Dataflow.step` the way the tick loop sends them.

Always true: a step takes at most `CATCH_UP_ROWS` rows of a table, and the merge work of the tick loop follows it and is
part of the time. Deliberately left out: brokers, decoding, the log and the publication (`end_to_end` has them).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.step import Dataflow
from headwater.ticks import CATCH_UP_ROWS, FUEL_PER_ROW, LEAST_FUEL
from planner.views import build_dataflow, plan_views
from tests.bench.numbers import now
from tests.bench.workloads import Workload

ANSWER = "answer"
Deltas = Mapping[str, Delta]


def build(workload: Workload) -> Dataflow:
    """A new dataflow that maintains the workload's query as the view `answer`. Frees those that nobody holds any more."""
    gc.collect()
    sources = {name: workload.schemas[table] for name, table in workload.tables.items()}
    planned = plan_views(sources, {ANSWER: workload.sql})
    return build_dataflow(planned, sources, {}, {}, now, workload.append_only)


def whole(workload: Workload, data: Mapping[str, pa.Table]) -> dict[str, Delta]:
    """All rows of each table of the workload, in order of arrival."""
    deltas = {}
    for name, stored in workload.tables.items():
        table = data[stored].combine_chunks()
        columns = tuple(_plain(table[column.name]) for column in workload.schemas[stored])
        deltas[name] = Delta(columns, table["diff"].to_numpy())
    return deltas


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def waiting(deltas: Deltas) -> list[Deltas]:
    """Everything is there before the first step: the steps of catching up."""
    longest = max(map(len, deltas.values()))
    return [
        {name: _slice(delta, at, at + CATCH_UP_ROWS) for name, delta in deltas.items() if at < len(delta)}
        for at in range(0, longest, CATCH_UP_ROWS)
    ]


def ticks(workload: Workload, data: Mapping[str, pa.Table], deltas: Deltas, events: int, size: int) -> list[Deltas]:
    """One step for each `size` events. Rows of before the first event (number below 0) come as a first, single step."""
    bounds = np.arange(0, events + size, size)
    found = {
        name: np.searchsorted(data[stored]["event"].to_numpy(), bounds) for name, stored in workload.tables.items()
    }
    edges = {name: [0, *at.tolist()] for name, at in found.items()}
    return [
        {name: _slice(delta, edges[name][i], edges[name][i + 1]) for name, delta in deltas.items()}
        for i in range(len(bounds))
    ]


def _slice(delta: Delta, begin: int, end: int) -> Delta:
    return Delta(tuple(column.slice(begin, end - begin) for column in delta.columns), delta.diffs[begin:end])


def step(dataflow: Dataflow, deltas: Deltas) -> float:
    """One step and its share of merging; the seconds it took."""
    began = now()
    rows = sum(map(len, deltas.values()))
    dataflow.step({name: delta for name, delta in deltas.items() if len(delta)})
    dataflow.maintain(LEAST_FUEL + FUEL_PER_ROW * rows)
    return now() - began


def run(dataflow: Dataflow, steps: Sequence[Deltas]) -> list[float]:
    """The seconds of each step."""
    return [step(dataflow, deltas) for deltas in steps]


def answer(dataflow: Dataflow, name: str = ANSWER) -> pa.Table:
    """A view's rows, each as often as its diff says. ValueError when it has row errors."""
    view = dataflow.view(name)
    rows = view.snapshot().rows()
    if len(view.errors().rows()):
        raise ValueError(f"row errors of {name}: {view.errors().rows().columns[0][:3]}")
    table = pa.table(list(rows.columns), [column.name for column in view.schema])
    return table.take(pa.array(np.repeat(np.arange(len(rows)), rows.diffs)))


def state(dataflow: Dataflow) -> tuple[int, int]:
    """Rows and bytes of all arrangements."""
    statistics = dataflow.statistics()
    return sum(s.state_rows for s in statistics), sum(s.state_bytes for s in statistics)


def anonymous_bytes() -> int:
    """This process's own memory, without mapped files (where the benchmark's data are)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
