"""The state of a whole dataflow: empty when its rows are gone, the same however they came, no larger for views that went."""

from __future__ import annotations

import gc
import random
import time
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.beside import THREADS
from dataflow.delta import Delta
from dataflow.stack import Stack
from dataflow.step import Dataflow
from planner import build_dataflow, plan_views
from tests.headwater.house import SCHEMA
from tests.headwater.test_same_state import state_hash
from tests.laws.test_stack import base, layer
from tests.laws.zsets import delta_of

VIEWS = {
    "sums": "SELECT k, count(*) AS c, sum(n) AS s, avg(n) AS a FROM items GROUP BY k",
    "extremes": "SELECT k, min(n) AS low, max(n) AS high, count(DISTINCT n) AS c FROM items GROUP BY k",
    "pairs": "SELECT i.k, i.n, l.n AS m FROM items i JOIN late l ON l.k = i.k",
    "outer_pairs": "SELECT i.k, i.n, l.n AS m FROM items i LEFT JOIN late l ON l.k = i.k",
    "first": "SELECT k, n FROM items ORDER BY n DESC, k LIMIT 5",
    "each": "SELECT DISTINCT k % 3 AS r FROM items WHERE k NOT IN (SELECT k FROM late WHERE n > 3)",
    "running": "SELECT k, n, sum(n) OVER (PARTITION BY k ORDER BY n) AS s FROM items",
}

Row = tuple[int, int]


def _dataflow() -> Dataflow:
    schemas = dict.fromkeys(("items", "late"), SCHEMA)
    return build_dataflow(plan_views(schemas, VIEWS), schemas, {}, dict.fromkeys(VIEWS, (0,)), time.perf_counter)


def _delta(rows: Sequence[Row], diff: int = 1) -> Delta:
    columns = tuple(pa.array([row[i] for row in rows], pa.int64()) for i in range(2))
    return Delta(columns, np.full(len(rows), diff, np.int64))


def _feed(dataflow: Dataflow, items: Sequence[Row], late: Sequence[Row], diff: int = 1) -> None:
    deltas = {"items": _delta(items, diff), "late": _delta(late, diff)}
    dataflow.step({name: delta for name, delta in deltas.items() if len(delta)})
    dataflow.maintain(1000)


def _rows(chance: random.Random, count: int) -> list[Row]:
    return [(chance.randrange(40), chance.randrange(100)) for _ in range(count)]


def test_deleting_everything_leaves_nothing() -> None:
    """Fault 14. Invariant: without rows every view is empty, and after merging no operator holds one."""
    chance, dataflow = random.Random(5), _dataflow()
    items, late = _rows(chance, 3000), _rows(chance, 500)
    for start in range(0, 3000, 300):
        _feed(dataflow, items[start : start + 300], late[start // 6 : start // 6 + 50])
    assert all(dataflow.view(name).snapshot().total for name in VIEWS)
    chance.shuffle(items)
    for start in range(0, 3000, 300):
        _feed(dataflow, items[start : start + 300], late[start // 6 : start // 6 + 50], -1)
    while dataflow.maintain(1 << 20):
        pass
    assert {name: dataflow.view(name).snapshot().total for name in VIEWS} == dict.fromkeys(VIEWS, 0)
    assert {one.operator: one.state_rows for one in dataflow.statistics() if one.state_rows} == {}


@pytest.mark.parametrize("threads", [1, 3])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1 << 30), pieces=st.integers(1, 9))
def test_however_rows_come_the_state_is_the_same(threads: int, seed: int, pieces: int) -> None:
    """Fault 15. Invariant: rows in another order and cut into other ticks, with any threads, give the same state hash."""
    chance = random.Random(seed)
    items, late = _rows(chance, 300), _rows(chance, 60)
    whole = _dataflow()
    _feed(whole, items, late)
    chance.shuffle(items)
    chance.shuffle(late)
    THREADS.use(threads)
    try:
        cut = _dataflow()
        for piece in range(pieces):
            _feed(cut, items[piece::pieces], late[piece::pieces])
    finally:
        THREADS.use(1)
    assert state_hash(cut) == state_hash(whole)


def test_views_that_came_and_went_leave_nothing() -> None:
    """Fault 16. Invariant: after 10,000 views were made and dropped under load, no more is held than before."""
    stack = Stack(base())
    gone: list[weakref.ref[Any]] = []
    for number in range(10_000):
        new = layer("new", "counts")
        if number % 100 == 0:
            gone.append(weakref.ref(new.dataflow))
            stack.step({"a": delta_of((SCHEMA[0].type, SCHEMA[1].type), [((number % 7, 1), 1)])})
        stack.put_on(new)
        stack.take_off(["new"])
    while stack.maintain(1 << 20):
        pass
    spines = len(stack.state().spines)
    del new
    gc.collect()
    assert [reference for reference in gone if reference() is not None] == []
    assert spines == len(Stack(base()).state().spines)
    assert stack.layers == ()
