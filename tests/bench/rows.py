"""How fast the row kernels and the spine are on this machine: `python -m tests.bench.rows [rows]`. Nothing is asserted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout, Order
from dataflow.spine import Spine
from dataflow.types import BIGINT, TEXT


def best(call: Callable[[], object], repeat: int = 5) -> float:
    """The least wall time of some calls, in seconds."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def report(what: str, seconds: float, count: int) -> None:
    print(f"{what:<46} {seconds * 1e6:12.1f} us {count / seconds / 1e6:9.2f} M rows/s")


def table(generator: np.random.Generator, count: int, keys: int) -> Delta:
    """Rows (key, number, number, text) with diff 1."""
    key = generator.integers(0, keys, count)
    text = pa.array(generator.integers(0, 10**6, count)).cast(pa.large_string())
    return Delta((pa.array(key), pa.array(np.arange(count)), pa.array(key), text), np.ones(count, np.int64))


def kernels(generator: np.random.Generator, count: int) -> None:
    """Each kernel on one delta."""
    delta = table(generator, count, max(1, count // 10))
    ids, representatives = rows.group(delta.columns[:1])
    groups = len(representatives)
    permutation = generator.permutation(count)
    for what, call in (
        ("hash 4 columns", lambda: rows.hash_rows(delta.columns)),
        ("group by 1 column", lambda: rows.group(delta.columns[:1])),
        ("consolidate 4 columns", lambda: rows.consolidate(delta)),
        ("take 4 columns", lambda: rows.take(delta.columns, permutation)),
        ("sum by group", lambda: rows.sum_by(ids, groups, delta.columns[1], delta.diffs)),
    ):
        report(f"{what}, {count} rows", best(call, 50 if count < 1000 else 5), count)


def inserts(generator: np.random.Generator, total: int, batch: int, order: tuple[Order, ...] = ()) -> Spine:
    """Fill a spine; prints the rate and the slowest tick, which p99s are made of."""
    spine = Spine(Layout((BIGINT, BIGINT, BIGINT, TEXT), (0,), order))
    deltas = [table(generator, batch, total) for _ in range(min(total // batch, 2_000))]
    worst = spent = 0.0
    for delta in deltas:
        begin = time.perf_counter()
        spine.insert(delta)
        spine.maintain(0)
        taken = time.perf_counter() - begin
        worst, spent = max(worst, taken), spent + taken
    inserted = batch * len(deltas)
    report(f"insert + maintain{' ordered' if order else ''}, {batch} rows each", spent, inserted)
    print(f"    per tick {spent / len(deltas) * 1e6:.0f} us, worst {worst * 1e3:.1f} ms, runs {spine.run_count}")
    return spine


def probes(generator: np.random.Generator, spine: Spine) -> None:
    snapshot = spine.snapshot()
    for count in (1, 100, 1_000, 65_536):
        keys = (pa.array(generator.integers(0, snapshot.count, count)),)
        seconds = best(partial(snapshot.probe, keys, nulls_match=False), 9)
        report(f"probe {count} keys of {snapshot.count} rows", seconds, count)


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    generator = np.random.default_rng(3)
    for count in (1, 100, 10_000, 1_000_000):
        kernels(generator, count)
    for batch in (1, 100, 1_000, 65_536):
        spine = inserts(generator, total, batch)
    probes(generator, spine)
    ordered = inserts(generator, total, 1_000, (Order(1),)).snapshot()
    keys = (pa.array(generator.integers(0, total, 1_000)),)
    report("first row of 1000 keys", best(lambda: ordered.first(keys, 1)), 1_000)


if __name__ == "__main__":
    main()
