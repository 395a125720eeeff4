"""The law for temporal filters: at every time the view is the rows whose bounds hold then, and what is over is freed."""

import random
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.expression import Evaluated
from dataflow.graph import GraphBuilder
from dataflow.operators.temporal import TimeBound
from dataflow.types import BIGINT, TEXT, TIMESTAMPTZ, Column
from tests.laws.functions import Function
from tests.laws.zsets import RowError, ZSet, add, rows_of, zset

TYPES = (BIGINT, TIMESTAMPTZ, TEXT)
START = 1_795_346_117_450


@dataclass(frozen=True)
class Of:
    """A column as an Expression."""

    column: int

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        return Evaluated(columns[self.column], None)

    def __str__(self) -> str:
        return f"#{self.column}"


def checked(row):
    """Column 0, an error where it is divisible by 7."""
    if row[0] is not None and row[0] % 7 == 0:
        raise RowError("seven")
    return row[0]


BOUNDS = [TimeBound(Of(0), upper, strict) for upper in (False, True) for strict in (False, True)] + [
    TimeBound(Of(1), upper, strict) for upper in (False, True) for strict in (False, True)
]
FAILING = TimeBound(Function("checked(#0)", checked, BIGINT), False, False)


def holds(bound: TimeBound, row, now: int) -> bool:
    column = bound.value.column if isinstance(bound.value, Of) else 0
    value = row[column]
    if value is None:
        return False
    scaled, at = (value, now * 1000) if column == 1 else (value, now)
    return {
        (False, False): at >= scaled,
        (False, True): at > scaled,
        (True, False): at <= scaled,
        (True, True): at < scaled,
    }[bound.upper, bound.strict]


def oracle(rows: ZSet, bounds: list[TimeBound], now: int) -> tuple[ZSet, ZSet]:
    shown: ZSet = {}
    errors: ZSet = {}
    for row, diff in rows.items():
        if FAILING in bounds and row[0] is not None and row[0] % 7 == 0:
            add(errors, [(("seven",), diff)])
        elif all(holds(bound, row, now) for bound in bounds):
            add(shown, [(row, diff)])
    return shown, errors


def delta_of(pairs) -> Delta:
    columns = [[row[i] for row, _ in pairs] for i in range(3)]
    arrays = (
        pa.array(columns[0], BIGINT.arrow),
        pa.array(columns[1], pa.int64()).cast(TIMESTAMPTZ.arrow),
        pa.array(columns[2], TEXT.arrow),
    )
    return Delta(arrays, np.array([diff for _, diff in pairs], np.int64))


def rows_in(delta: Delta) -> list:
    numbers = (delta.columns[0], delta.columns[1].cast(pa.int64()), delta.columns[2])
    return rows_of(Delta(numbers, delta.diffs))


# Times near and far: within the finest level, across levels, years ahead, and long over.
OFFSETS = st.one_of(
    st.integers(-100, 300), st.integers(-(10**5), 10**6), st.integers(10**9, 10**12), st.just(-(10**12))
)


@st.composite
def histories(draw):
    times = draw(
        st.lists(st.one_of(st.integers(0, 70), st.integers(0, 10**5), st.just(10**10)), min_size=1, max_size=8)
    )
    now, steps, live = START, [], []
    for gap in times:
        now += gap
        pairs = []
        for _ in range(draw(st.integers(0, 5))):
            if live and draw(st.booleans()):
                pairs.append((live.pop(draw(st.integers(0, len(live) - 1))), -1))
                continue
            first = draw(st.one_of(st.none(), OFFSETS.map(lambda o: START + o)))
            second = draw(st.one_of(st.none(), OFFSETS.map(lambda o: (START + o) * 1000 + o % 3)))
            live.append((first, second, draw(st.sampled_from("ab"))))
            pairs.append((live[-1], 1))
        steps.append((now, pairs))
    return steps


@given(
    histories(),
    st.lists(st.sampled_from([*BOUNDS, FAILING]), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_law(steps, bounds: list[TimeBound], chance: random.Random) -> None:
    graph = GraphBuilder()
    node = graph.temporal_filter(graph.input("t", TYPES), bounds)
    graph.export("v", node, tuple(Column(f"c{i}", t) for i, t in enumerate(TYPES)), (0,))
    flow = graph.build(lambda: 0.0)
    total: ZSet = {}
    shown: ZSet = {}
    errors: ZSet = {}
    for number, (now, pairs) in enumerate(steps):
        # A step may be cut into several of one time.
        cut = chance.randint(0, len(pairs))
        for part in (pairs[:cut], pairs[cut:]):
            result = flow.step({"t": delta_of(part)}, time=now)
            add(shown, rows_in(result.changes["v"]))
            add(errors, rows_of(result.errors["v"]))
        add(total, pairs)
        assert (shown, errors) == oracle(total, bounds, now)
        assert zset(rows_in(flow.view("v").snapshot().rows())) == shown
        deadline = flow.deadline
        if deadline is not None:
            assert deadline > now
            following = steps[number + 1][0] if number + 1 < len(steps) else deadline
            still = flow.step({}, time=chance.randint(now, min(deadline - 1, following)))
            assert not len(still.changes["v"]), "nothing changes before the deadline"
        flow.maintain(chance.choice((0, 1000)))
        if chance.random() < 0.3:
            state = flow.state()
            flow = graph.build(lambda: 0.0)
            flow.resume([[run.columns() for run in runs] for runs in state.spines])


def test_what_is_over_is_freed() -> None:
    graph = GraphBuilder()
    bounds = [TimeBound(Of(0), upper=True, strict=True)]
    graph.export("v", graph.temporal_filter(graph.input("t", (BIGINT,)), bounds), (Column("at", BIGINT),), (0,))
    flow = graph.build(lambda: 0.0)
    ends = START + np.arange(1, 5001) * 7
    flow.step({"t": Delta((pa.array(ends),), np.ones(5000, np.int64))}, time=START)
    (waiting,) = [s for s in flow.statistics() if s.operator.startswith("rows while")]
    assert waiting.state_rows == 5000
    for now in range(START, START + 40_000, 333):
        flow.step({}, time=now)
        rows = flow.view("v").snapshot().rows()
        assert sorted(rows.columns[0].to_pylist()) == [end for end in ends.tolist() if end > now]
    assert flow.deadline is None
    while flow.maintain(1 << 20):
        pass
    assert sum(s.state_rows for s in flow.statistics()) == 0


def test_a_far_bound_moves_a_few_times_only() -> None:
    graph = GraphBuilder()
    bounds = [TimeBound(Of(0), upper=True, strict=True)]
    graph.export("v", graph.temporal_filter(graph.input("t", (BIGINT,)), bounds), (Column("at", BIGINT),), (0,))
    flow = graph.build(lambda: 0.0)
    flow.step({"t": Delta((pa.array([START + 10**10]),), np.ones(1, np.int64))}, time=START)
    now, wakes = START, 0
    while (deadline := flow.deadline) is not None:
        assert deadline > now
        now, wakes = deadline, wakes + 1
        flow.step({}, time=now)
    assert now == START + 10**10
    assert wakes < 100


def test_time_never_goes_back() -> None:
    graph = GraphBuilder()
    node = graph.temporal_filter(graph.input("t", (BIGINT,)), [TimeBound(Of(0), True, True)])
    graph.export("v", node, (Column("at", BIGINT),), (0,))
    flow = graph.build(lambda: 0.0)
    with pytest.raises(ValueError, match="needs its time"):
        flow.step({})
    flow.step({}, time=START)
    with pytest.raises(ValueError, match="time went back"):
        flow.step({}, time=START - 1)
