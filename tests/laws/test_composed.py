"""The law for graphs: what one operator gives out, the next one takes in, and shared arrangements serve several."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.graph import Aggregate
from dataflow.types import BIGINT, NUMERIC, TEXT, ColumnType, Kind
from tests.laws import functions, zsets
from tests.laws.law import check
from tests.laws.strategies import histories
from tests.laws.test_upsert import streams

INTEGRAL = ColumnType(Kind.NUMERIC, scale=0)
ORDERS = (BIGINT, BIGINT, TEXT)
TOTALS = [Aggregate("count_star", None, BIGINT), Aggregate("sum", 0, INTEGRAL), Aggregate("max", 0, BIGINT)]
CHANCES = st.randoms(use_true_random=False)


@given(histories({"a": ORDERS, "b": (TEXT, BIGINT)}, signed=True), CHANCES)
def test_join_into_reduce(steps, chance: random.Random) -> None:
    check(
        {"a": ORDERS, "b": (TEXT, BIGINT)},
        lambda g, n: g.reduce(g.join(n["a"], n["b"], (2,), (0,)), (4,), TOTALS, False),
        lambda a, b: zsets.reduce(zsets.join(a, b, (2,), (0,)), (4,), TOTALS),
        steps,
        chance,
    )


@given(histories({"a": ORDERS}), CHANCES)
def test_view_over_view(steps, chance: random.Random) -> None:
    """The largest group, from the groups: a reduction over a reduction, joined back to it."""

    def build(g, n):
        groups = g.reduce(n["a"], (2,), TOTALS, False)
        most = g.reduce(groups, (), [Aggregate("max", 1, BIGINT)], True)
        return g.join(groups, most, (1,), (0,))

    def query(a):
        groups, errors = zsets.reduce(a, (2,), TOTALS)
        most, _ = zsets.reduce(groups, (), [Aggregate("max", 1, BIGINT)], True)
        return zsets.join(groups, most, (1,), (0,)), errors

    check({"a": ORDERS}, build, query, steps, chance)


@given(histories({"a": ORDERS}, signed=True), CHANCES)
def test_self_join_of_a_filtered_view(steps, chance: random.Random) -> None:
    """Errors of the shared filter reach the view once, though two paths lead there."""
    kept = functions.ratio_above(0, 1, 0)

    def build(g, n):
        view = g.linear(n["a"], [kept], (0, 1, functions.divide(1, 0)), (BIGINT, BIGINT, BIGINT))
        return g.join(view, view, (0,), (1,))

    def query(a):
        view, errors = zsets.linear(a, [kept], [lambda r: r[0], lambda r: r[1], functions.divide(1, 0)])
        return zsets.join(view, view, (0,), (1,)), errors

    check({"a": ORDERS}, build, query, steps, chance)


@given(streams(ORDERS, (0,)), streams((TEXT, BIGINT), (0,)), CHANCES)
def test_upsert_into_join_into_reduce(orders, people, chance: random.Random) -> None:
    steps = [{"a": x["t"], "b": y["t"]} for x, y in zip(orders, people, strict=False)]

    def build(g, n):
        a, b = g.upsert(n["a"], (0,)), g.upsert(n["b"], (0,))
        return g.reduce(g.join(a, b, (2,), (0,)), (4,), TOTALS, False)

    def query(a, b):
        joined = zsets.join(zsets.upsert(a, (0,)), zsets.upsert(b, (0,)), (2,), (0,))
        return zsets.reduce(joined, (4,), TOTALS)

    check({"a": ORDERS, "b": (TEXT, BIGINT)}, build, query, steps, chance, ordered=True)


@given(histories({"a": ORDERS, "b": ORDERS}, signed=True), CHANCES)
def test_aggregate_over_distinct_over_union(steps, chance: random.Random) -> None:
    counted = [Aggregate("count_star", None, BIGINT), Aggregate("avg", 1, NUMERIC), Aggregate("min", 1, BIGINT)]
    check(
        {"a": ORDERS, "b": ORDERS},
        lambda g, n: g.reduce(g.distinct(g.union([n["a"], n["b"]])), (), counted, True),
        lambda a, b: zsets.reduce(zsets.distinct(zsets.union(a, b)), (), counted, True),
        steps,
        chance,
    )


@given(histories({"a": ORDERS, "b": ORDERS, "c": ORDERS}), CHANCES)
def test_three_way_join_over_shared_arrangements(steps, chance: random.Random) -> None:
    check(
        {"a": ORDERS, "b": ORDERS, "c": ORDERS},
        lambda g, n: g.join(g.join(n["a"], n["b"], (0,), (0,)), n["c"], (3, 2), (0, 2)),
        lambda a, b, c: zsets.join(zsets.join(a, b, (0,), (0,)), c, (3, 2), (0, 2)),
        steps,
        chance,
    )
