"""The law for operators over collections that only grow, and their refusal of a row that is taken away."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.graph import Aggregate, GraphBuilder
from dataflow.layout import Order
from dataflow.types import BIGINT, BOOLEAN, BYTEA, DATE, DOUBLE, JSONB, NUMERIC, REAL, TEXT, TIMESTAMPTZ, Column
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import additions
from tests.laws.zsets import delta_of

KINDS = [BIGINT, BOOLEAN, BYTEA, DATE, DOUBLE, JSONB, NUMERIC, REAL, TEXT, TIMESTAMPTZ]
ORDERABLE = [BIGINT, BOOLEAN, DATE, DOUBLE, NUMERIC, REAL, TEXT]
TYPES = (BIGINT, DOUBLE, TEXT)
CHANCES = st.randoms(use_true_random=False)


@st.composite
def _collections(draw, kinds=KINDS, least=0):
    types = draw(st.lists(st.sampled_from(kinds), min_size=least, max_size=3))
    return types, draw(additions({"a": types}))


@given(_collections(), CHANCES)
def test_distinct(case, chance: random.Random) -> None:
    types, steps = case
    check({"a": types}, lambda g, n: g.distinct(n["a"], append_only=True), zsets.distinct, steps, chance)


@given(_collections(ORDERABLE, least=1), st.data(), CHANCES)
def test_min_and_max(case, data, chance: random.Random) -> None:
    types, steps = case
    key = data.draw(st.lists(st.sampled_from(range(len(types))), max_size=2, unique=True))
    default = not key and data.draw(st.booleans())
    column = data.draw(st.sampled_from(range(len(types))))
    aggregates = [Aggregate("max", column, types[column]), Aggregate("min", column, types[column])]
    aggregates.append(Aggregate("count", column, BIGINT))
    check(
        {"a": types},
        lambda g, n: g.reduce(n["a"], key, aggregates, default, append_only=True),
        lambda a: zsets.reduce(a, key, aggregates, default),
        steps,
        chance,
    )


@given(
    additions({"a": TYPES}),
    st.sampled_from([(), (0,), (2, 0)]),
    st.lists(st.tuples(st.sampled_from(range(3)), st.booleans(), st.booleans()), max_size=2),
    st.sampled_from([None, 0, 1, 2, 5]),
    st.sampled_from([0, 0, 1, 3]),
    st.booleans(),
    CHANCES,
)
def test_top_k(steps, key, order, limit, offset: int, numbered: bool, chance: random.Random) -> None:
    check(
        {"a": TYPES},
        lambda g, n: g.top_k(n["a"], key, [Order(*term) for term in order], limit, offset, numbered, append_only=True),
        lambda a: zsets.top_k(a, key, order, limit, offset, numbered),
        steps,
        chance,
        key=(2,),
    )


@given(additions({"a": TYPES, "b": TYPES}), CHANCES)
def test_over_one_another(steps, chance: random.Random) -> None:
    """The largest value that two logs share, from the distinct rows of their join."""
    most = [Aggregate("max", 1, DOUBLE)]

    def build(g, n):
        rows = g.distinct(g.linear(g.join(n["a"], n["b"], (0,), (0,)), (), (0, 4), (BIGINT, DOUBLE)), append_only=True)
        return g.join(rows, g.reduce(rows, (0,), most, False, append_only=True), (0, 1), (0, 1))

    def query(a, b):
        joined = zsets.join(a, b, (0,), (0,))
        rows = zsets.distinct(zsets.zset(((row[0], row[4]), d) for row, d in joined.items()))
        return zsets.join(rows, zsets.reduce(rows, (0,), most)[0], (0, 1), (0, 1))

    check({"a": TYPES, "b": TYPES}, build, query, steps, chance)


BUILDS = {
    "distinct": lambda g, a: g.distinct(a, append_only=True),
    "top-k": lambda g, a: g.top_k(a, (0,), [Order(1)], 2, append_only=True),
    "min": lambda g, a: g.reduce(a, (0,), [Aggregate("min", 1, DOUBLE)], False, append_only=True),
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_row_that_is_taken_away_is_refused(name: str) -> None:
    graph = GraphBuilder()
    node = BUILDS[name](graph, graph.input("a", TYPES))
    graph.export("v", node, tuple(Column(f"c{i}", t) for i, t in enumerate(node.types)), (0,))
    flow = graph.build(lambda: 0.0)
    flow.step({"a": delta_of(TYPES, [((1, 1.0, "x"), 1), ((1, 2.0, "x"), 1)])})
    with pytest.raises(ValueError, match="proved append-only"):
        flow.step({"a": delta_of(TYPES, [((1, 1.0, "x"), -1)])})
    with pytest.raises(RuntimeError, match="build the dataflow anew"):
        flow.step({})


@pytest.mark.parametrize("name", BUILDS)
def test_state_is_the_winners(name: str) -> None:
    graph = GraphBuilder()
    node = BUILDS[name](graph, graph.input("a", TYPES))
    graph.export("v", node, tuple(Column(f"c{i}", t) for i, t in enumerate(node.types)), (0,))
    flow = graph.build(lambda: 0.0)
    for value in range(100):
        flow.step({"a": delta_of(TYPES, [((key, float(100 - value // 5), "x"), 2) for key in range(3)])})
        while flow.maintain(1000):
            pass
    largest = max(found.state_rows for found in flow.statistics())
    assert largest == {"distinct": 3 * 20, "top-k": 3, "min": 3}[name]
