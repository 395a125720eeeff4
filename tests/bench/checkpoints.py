"""What a checkpoint costs the ticks meanwhile: rows a second and the longest ticks, with one always under way and with none.

The dataflow, its state and the checkpoints are the service's; ticks follow each other without a pause, so that nothing hides in
idle time. Blocks with and without take turns, which a machine that others use needs. `python -m tests.bench.checkpoints [rows]`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.delta import Delta
from dataflow.step import Dataflow
from dataflow.types import BIGINT, INTEGER, TEXT, Column
from headwater.checkpoint import Checkpoints
from headwater.manifest import Cut
from planner import build_dataflow, plan_views

ROWS = 2_000_000
TICK_ROWS = 10_000
BLOCK_SECONDS = 4.0
BLOCKS = 3
SCHEMA = (Column("id", BIGINT), Column("account", INTEGER), Column("customer", TEXT), Column("note", TEXT))
VIEWS = {
    "kept": "SELECT id, account, customer, note FROM orders",
    "accounts": "SELECT account, count(*) AS orders, max(id) AS latest FROM orders GROUP BY account",
}


def _delta(ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Delta:
    numbers = pa.array(ids)
    text = numbers.cast(pa.large_string())
    accounts = pa.array((ids % 10_007).astype(np.int32))
    columns = (numbers, accounts, _behind("customer ", text), _behind("an order that was paid in advance, ", text))
    return Delta(columns, np.ones(len(ids), np.int64))


def _behind(prefix: str, text: pa.Array) -> pa.Array:
    """Each text behind the prefix."""
    return pc.binary_join_element_wise(pa.scalar(prefix, pa.large_string()), text, pa.scalar("", pa.large_string()))


def _dataflow() -> Dataflow:
    schemas = {"orders": SCHEMA}
    return build_dataflow(plan_views(schemas, VIEWS), schemas, {}, dict.fromkeys(VIEWS, (0,)), time.perf_counter)


class Ticks:
    """Ticks of new rows over a dataflow that has `rows` of them; their seconds go to `times`."""

    def __init__(self, rows: int) -> None:
        self._dataflow = _dataflow()
        self._next = 0
        while self._next < rows:
            self.one([])
        self.made = 0

    def one(self, times: list[float]) -> None:
        """A tick: a step, and the merging that belongs to it."""
        delta = _delta(np.arange(self._next, self._next + TICK_ROWS))
        self._next += TICK_ROWS
        began = time.perf_counter()
        self._dataflow.step({"orders": delta})
        self._dataflow.maintain(8 * TICK_ROWS)
        times.append(time.perf_counter() - began)

    def block(self, checkpoints: Checkpoints | None) -> list[float]:
        """Ticks for a while, one checkpoint after the other meanwhile, if any."""
        times: list[float] = []
        until = time.perf_counter() + BLOCK_SECONDS
        while time.perf_counter() < until:
            if checkpoints is not None:
                checkpoints.settle(lambda _: {})
                if not checkpoints.busy:
                    self.made += 1
                    cut = Cut(self._next, {"orders": {0: self._next}}, "bench", {}, ())
                    checkpoints.begin(cut, self._dataflow.state())
            self.one(times)
        while checkpoints is not None and checkpoints.busy:
            checkpoints.settle(lambda _: {})
            time.sleep(0.001)
        return times


def main(rows: int = ROWS) -> None:
    """Print both, and what one costs the other."""
    ticks = Ticks(rows)
    without: list[float] = []
    during: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Checkpoints(Path(name))
        ticks.block(checkpoints)  # the first writes everything; those of a service write what is new
        for _ in range(BLOCKS):
            without += ticks.block(None)
            during += ticks.block(checkpoints)
        checkpoints.close()
    result: dict[str, float] = {"rows": rows, "checkpoints": ticks.made}
    for label, times in (("without", without), ("during", during)):
        result[f"{label}: rows/s"] = TICK_ROWS / statistics.mean(times)
        result[f"{label}: p50 tick, ms"] = statistics.median(times) * 1000
        result[f"{label}: p99 tick, ms"] = float(np.percentile(times, 99)) * 1000
    result["throughput lost"] = 1 - result["during: rows/s"] / result["without: rows/s"]
    result["p99 ratio"] = result["during: p99 tick, ms"] / result["without: p99 tick, ms"]
    for key, value in result.items():
        print(f"  {key:32s} {value:>14,.2f}")
    print(json.dumps({"cores": os.cpu_count(), "checkpoints": result}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
