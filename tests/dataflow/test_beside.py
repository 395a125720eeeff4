"""Any number of threads gives the same bytes, and none is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow import rows
from dataflow.beside import STRETCH_PIECES, THREADS
from dataflow.delta import Delta
from dataflow.graph import Aggregate, GraphBuilder
from dataflow.layout import Layout, Order
from dataflow.spine import Spine
from dataflow.step import Dataflow
from dataflow.types import BIGINT, BOOLEAN, DOUBLE, TEXT, Column
from tests.dataflow import twins
from tests.examples import examples
from tests.laws.functions import divide, ratio_above

TYPES = (BIGINT, TEXT, DOUBLE, BOOLEAN)
PIECE_ROWS = 8
THREAD_COUNTS = (1, 2, 4)
few = settings(deadline=None, max_examples=examples(25))


@contextmanager
def using(threads: int, piece_rows: int = PIECE_ROWS) -> Iterator[None]:
    THREADS.use(threads, piece_rows)
    try:
        yield
    finally:
        THREADS.use(1)


def delta_of(seed: int, count: int, keys: int) -> Delta:
    """Rows with NULLs, of which many are equal, and one key has half of all."""
    random = np.random.default_rng(seed)
    key = np.where(random.random(count) < 0.5, 0, random.integers(0, keys, count))
    text = np.array(["", "a", "ä", "a longer text than others"], dtype=object)[random.integers(0, 4, count)]
    columns = (
        pa.array(key, pa.int64(), mask=random.random(count) < 0.1),
        pa.array(text, pa.large_string(), mask=random.random(count) < 0.1),
        pa.array(random.integers(-3, 3, count) / 2, pa.float64()),
        pa.array(random.random(count) < 0.5, pa.bool_(), mask=random.random(count) < 0.1),
    )
    return Delta(columns, random.choice(np.array([1, 1, 1, -1, 2]), count))


def in_bytes(columns: Sequence[pa.Array], *numbers: np.ndarray) -> bytes:
    arrays = [*columns, *map(pa.array, numbers)]
    batch = pa.record_batch(arrays, [str(i) for i in range(len(arrays))])
    return bytes(batch.schema.serialize()) + bytes(batch.serialize())


def grown(layout: Layout, deltas: Sequence[Delta], fuel: int) -> list[bytes]:
    """All that a spine with these deltas says, after each of them."""
    spine, found = Spine(layout), []
    for delta in deltas:
        spine.insert(delta)
        keys = tuple(delta.columns[c] for c in layout.key)
        probes = [spine.snapshot().probe(keys, nulls_match=nulls, rows=len(delta)) for nulls in (True, False)]
        if layout.order:
            probes.append(spine.snapshot().first(keys, 3, rows=len(delta)))
        found += [in_bytes(probe.columns, probe.probe_rows, probe.diffs) for probe in probes]
        found += [in_bytes(run.columns, run.diffs, run.key_hashes, run.seconds) for run in spine.snapshot().runs]
        spine.maintain(fuel)
    while spine.maintain(fuel):
        pass
    all_rows = spine.snapshot().rows()
    return [*found, in_bytes(all_rows.columns, all_rows.diffs)]


sizes = st.lists(st.integers(0, 90), min_size=1, max_size=8)


@few
@given(
    seed=st.integers(0, 2**32),
    counts=sizes,
    keys=st.integers(1, 40),
    ordered=st.booleans(),
    fuel=st.sampled_from([0, 30, 5000]),
)
def test_spines_are_the_same_to_the_byte(seed: int, counts: list[int], keys: int, ordered: bool, fuel: int) -> None:
    layout = Layout(TYPES, (0,), (Order(1, descending=True),) if ordered else ())
    deltas = [delta_of(seed + i, count, keys) for i, count in enumerate(counts)]
    found = []
    for threads in THREAD_COUNTS:
        with using(threads):
            found.append(grown(layout, deltas, fuel))
    assert found[1:] == found[:-1]


def test_groups_of_many_rows_are_a_dictionarys_where_their_hashes_collide(hash_bits: int) -> None:
    # More rows than are hashed at a time; new keys, and so what collides, come late.
    keys = np.concatenate([np.zeros(5_000, np.int64), np.arange(3_000) * 7_919 % 29])
    column = pa.array(keys)
    for threads in THREAD_COUNTS:
        with using(threads):
            ids, first = rows.group((column,))
            assert (ids.tolist(), first.tolist()) == twins.group((column,), len(keys))


@few
@given(seed=st.integers(0, 2**32), count=st.integers(0, 300))
def test_functions_of_rows_are_the_same_to_the_byte(seed: int, count: int) -> None:
    delta = delta_of(seed, count, 20)
    chosen = np.random.default_rng(seed).integers(0, max(count, 1), count)
    found = []
    for threads in THREAD_COUNTS:
        with using(threads):
            change = rows.consolidate(delta)
            ids, first = rows.group(delta.columns[:1])
            sums = [
                rows.sum_by(ids, len(first), None, delta.diffs)[0],
                rows.sum_by(ids, len(first), delta.columns[0], delta.diffs)[0],
                rows.float_sums(ids, len(first), delta.columns[2], delta.diffs),
            ]
            found.append(
                (
                    in_bytes(rows.take(delta.columns, chosen)),
                    in_bytes(change.columns, change.diffs),
                    in_bytes((), rows.hash_rows(delta.columns), ids),
                    in_bytes(sums, first),
                    in_bytes((), *rows.group(delta.columns)[:1]),
                )
            )
    assert found[1:] == found[:-1]


def built() -> Dataflow:
    """Joins, sums, extremes, a top-k and a distinct over two inputs."""
    graph = GraphBuilder()
    left, right = graph.input("left", TYPES), graph.input("right", TYPES)
    joined = graph.join(left, graph.distinct(right), (0,), (0,))
    # Rows with the key 0 fail, in each of the stretches of a large delta.
    mapped = graph.linear(left, (ratio_above(0, 0, 0),), (0, divide(0, 0)), (BIGINT, BIGINT))
    sums = [Aggregate("count_star", None, BIGINT), Aggregate("sum", 2, DOUBLE), Aggregate("max", 1, TEXT)]
    for name, node in {
        "sums": graph.reduce(joined, (0,), sums, False),
        "first": graph.top_k(left, (0,), (Order(2),), 2),
        "rows": graph.union([left, graph.negate(right)]),
        "mapped": mapped,
    }.items():
        graph.export(name, node, tuple(Column(f"c{i}", kind) for i, kind in enumerate(node.types)), (0,))
    return graph.build(float)


@few
@given(seed=st.integers(0, 2**32), counts=sizes, fuel=st.sampled_from([0, 30, 5000]))
def test_dataflows_are_the_same_to_the_byte(seed: int, counts: list[int], fuel: int) -> None:
    steps = [
        {"left": delta_of(seed + i, n, 20), "right": delta_of(seed + 100 + i, n // 2, 20)} for i, n in enumerate(counts)
    ]
    found = []
    for threads in THREAD_COUNTS:
        with using(threads):
            dataflow, said = built(), []
            for step in steps:
                result = dataflow.step(step)
                changes = (*result.changes.values(), *result.errors.values())
                said += [in_bytes(delta.columns, delta.diffs) for delta in changes]
                shown = [dataflow.view(name).snapshot().rows() for name in result.changes]
                said += [in_bytes(delta.columns, delta.diffs) for delta in shown]
                dataflow.maintain(fuel)
            found.append(said)
    assert found[1:] == found[:-1]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_numbers(threads: int) -> None:
    with using(threads):
        assert THREADS.share(lambda number: number * number, 40) == [number * number for number in range(40)]
        with pytest.raises(ZeroDivisionError):
            THREADS.share(lambda number: 1 // (number - 7), 40)
        assert THREADS.stretches(3 * PIECE_ROWS * STRETCH_PIECES - 1)[1:] == [(64, 128), (128, 191)]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_large_delta_of_other_types_is_refused_at_once(threads: int) -> None:
    with using(threads):
        spine = Spine(Layout((BIGINT,), (0,)))
        with pytest.raises(ValueError, match="the layout says"):
            spine.insert(Delta((pa.array([1.0] * 100),), np.ones(100, np.int64)))
        assert spine.snapshot().count == 0


def test_a_spine_may_be_forgotten_while_threads_work_for_it() -> None:
    with using(2):
        for seed in range(20):
            spine = Spine(Layout(TYPES, (0,)))
            for i in range(6):
                spine.insert(delta_of(seed + i, 200, 50))
                spine.maintain(5000)


def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.unsanitized
def test_threads_begin_and_end_when_they_are_told_to() -> None:
    before = native_threads()
    with using(3):
        rows.take(delta_of(1, 1000, 9).columns, np.arange(1000))
        assert native_threads() == before + 2
    # The system lists a thread for a moment after it was joined: the join ends before the thread is let go of.
    deadline = time.monotonic() + 30
    while native_threads() != before:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for threads, piece_rows in ((0, 1), (1, 0), (5000, 1)):
        with pytest.raises(ValueError, match="threads is 1 to"):
            THREADS.use(threads, piece_rows)


FORK = """
import os
import numpy as np, pyarrow as pa
from dataflow import rows
from dataflow.beside import STRETCH_PIECES, THREADS
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.spine import Spine
from dataflow.types import BIGINT

THREADS.use(2, 8)
column = pa.array(np.arange(1000))
def work():
    spine = Spine(Layout((BIGINT,), (0,)))
    for _ in range(5):
        spine.insert(Delta((column,), np.ones(1000, np.int64)))
        spine.maintain(5000)
    return rows.take((column,), np.arange(1000))[0] == column and spine.snapshot().total == 5000
assert work()
child = os.fork()
if not child:
    os._exit(0 if work() else 1)
assert os.waitpid(child, 0)[1] == 0
assert work()
"""


def test_a_forked_child_does_everything_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
