"""The law for flat map: one function or several side by side, numbered or not, rows without any kept or not; and its pieces."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.graph import Aggregate, GraphBuilder
from dataflow.operators import flatmap
from dataflow.types import BIGINT, TEXT, Column
from tests.laws import functions, zsets
from tests.laws.law import check
from tests.laws.strategies import histories

TYPES = (BIGINT, BIGINT, TEXT)
CALLS = [functions.repeat(0, 3), functions.repeat(1, 4), functions.repeat(0, 2)]


@given(
    histories({"t": TYPES}, signed=True),
    st.lists(st.sampled_from(CALLS), min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_flat_map(steps, calls, ordinality: bool, keeps: bool, chance: random.Random) -> None:
    check(
        {"t": TYPES},
        lambda g, n: g.flat_map(n["t"], calls, [t for call in calls for t in call.types], ordinality, keeps),
        lambda t: zsets.flat_map(t, calls, 2, ordinality, keeps),
        steps,
        chance,
        key=(3, 0),
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_are_the_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatmap, "PIECE_ROWS", size)
    graph = GraphBuilder()
    rows = graph.flat_map(
        graph.input("t", TYPES), [functions.repeat(0, 5), functions.repeat(1, 3)], (BIGINT,) * 4, True
    )
    totals = graph.reduce(rows, [7], [Aggregate("count_star", None, BIGINT), Aggregate("count", 5, BIGINT)], False)
    graph.export("v", totals, tuple(Column(f"c{i}", t) for i, t in enumerate(totals.types)), (0,))
    flow = graph.build(lambda: 0.0)
    pairs = [((a, b, "x"), 1) for a in range(5) for b in (0, 1, None)]
    flow.step({"t": zsets.delta_of(TYPES, pairs)})
    expected, _ = zsets.flat_map(zsets.zset(pairs), [functions.repeat(0, 5), functions.repeat(1, 3)], 2, True, False)
    wanted, _ = zsets.reduce(expected, [7], [Aggregate("count_star", None, BIGINT), Aggregate("count", 5, BIGINT)])
    assert zsets.zset(zsets.rows_of(flow.view("v").snapshot().rows())) == wanted


def test_a_row_of_too_many_rows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatmap, "MOST_ROWS", 2)
    graph = GraphBuilder()
    rows = graph.flat_map(graph.input("t", (BIGINT,)), [functions.repeat(0, 10)], (BIGINT, BIGINT))
    graph.export("v", rows, tuple(Column(f"c{i}", t) for i, t in enumerate(rows.types)), (0,))
    flow = graph.build(lambda: 0.0)
    for diff in (1, -1):
        result = flow.step({"t": Delta((pa.array([2, 3, None]),), np.array([diff] * 3))})
        assert result.errors["v"].columns[0].to_pylist() == [flatmap.TOO_MANY]
        assert result.errors["v"].diffs.tolist() == [diff]
        assert sorted(zsets.rows_of(result.changes["v"])) == [((2, 0, 2), diff), ((2, 1, 2), diff)]
