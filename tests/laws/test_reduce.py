"""The law for reductions: every aggregate over every type it takes, with NULLs, overflow and faulty collections."""

import math
import random
from decimal import Context, Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.graph import Aggregate
from dataflow.operators.aggregates import PAIRWISE, SPREADS
from dataflow.types import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, NUMERIC, REAL, SMALLINT, TEXT, ColumnType, Kind
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

INTEGRAL = ColumnType(Kind.NUMERIC, scale=0)
MONEY = ColumnType(Kind.NUMERIC, 12, 2)
LARGE = ColumnType(Kind.NUMERIC, 38, 30)

SUMS = {
    SMALLINT: BIGINT,
    INTEGER: BIGINT,
    BIGINT: INTEGRAL,
    MONEY: ColumnType(Kind.NUMERIC, scale=2),
    LARGE: ColumnType(Kind.NUMERIC, scale=30),
    INTEGRAL: INTEGRAL,
    NUMERIC: NUMERIC,
    REAL: REAL,
    DOUBLE: DOUBLE,
}
"""What sum gives of each type."""


def _aggregates(column: int, kind: ColumnType) -> list[Aggregate]:
    found = [Aggregate("count_star", None, BIGINT), Aggregate("count", column, BIGINT)]
    found += [Aggregate("min", column, kind), Aggregate("max", column, kind)]
    if kind in SUMS:
        found.append(Aggregate("sum", column, SUMS[kind]))
        found.append(Aggregate("avg", column, DOUBLE if kind in (REAL, DOUBLE) else NUMERIC))
    if kind in SUMS:
        found += [Aggregate(name, column, DOUBLE if kind in (REAL, DOUBLE) else NUMERIC) for name in SPREADS]
    if kind is BIGINT:
        found.append(Aggregate("sum", column, BIGINT))
    return found


@st.composite
def _cases(draw):
    key = draw(st.lists(st.sampled_from([BIGINT, TEXT, DOUBLE]), max_size=2))
    values = draw(st.lists(st.sampled_from([*SUMS, TEXT, DATE, BOOLEAN]), min_size=1, max_size=2))
    types = (*values, *key)
    choices = [aggregate for column, kind in enumerate(values) for aggregate in _aggregates(column, kind)]
    aggregates = draw(st.lists(st.sampled_from(choices), max_size=4))
    columns = draw(st.permutations(range(len(values), len(types))))
    default = not key and draw(st.booleans())
    return types, columns, aggregates, default, draw(histories({"t": types}, signed=True))


_NEARLY = Decimal(10**38 - 1).scaleb(-30, Context(prec=38))
_AVERAGE = [Aggregate("avg", 0, NUMERIC)]


@given(_cases(), st.randoms(use_true_random=False))
@example(((LARGE,), [], _AVERAGE, False, [{"t": [((_NEARLY,), 2)]}]), random.Random(1)).via("the sum has 39 digits")
@example(((NUMERIC,), [], _AVERAGE, False, [{"t": [((_NEARLY.scaleb(14, Context(prec=38)),), 2)]}]), random.Random(1))
def test_reduce(case, chance: random.Random) -> None:
    types, key, aggregates, default, steps = case
    check(
        {"t": types},
        lambda graph, nodes: graph.reduce(nodes["t"], key, aggregates, default),
        lambda t: zsets.reduce(t, key, aggregates, default),
        steps,
        chance,
    )


@given(histories({"t": (BIGINT, DOUBLE)}), st.randoms(use_true_random=False))
def test_float_sums_do_not_drift(steps, chance: random.Random) -> None:
    aggregates = [Aggregate("sum", 1, DOUBLE), Aggregate("avg", 1, DOUBLE)]
    check(
        {"t": (BIGINT, DOUBLE)},
        lambda graph, nodes: graph.reduce(nodes["t"], (0,), aggregates, False),
        lambda t: zsets.reduce(t, (0,), aggregates),
        steps,
        chance,
    )


@given(histories({"t": (BIGINT, BIGINT, LARGE)}, signed=True), st.randoms(use_true_random=False))
def test_overflow_goes_away_with_its_input(steps, chance: random.Random) -> None:
    aggregates = [Aggregate("sum", 1, BIGINT), Aggregate("sum", 2, SUMS[LARGE]), Aggregate("avg", 2, NUMERIC)]
    check(
        {"t": (BIGINT, BIGINT, LARGE)},
        lambda graph, nodes: graph.reduce(nodes["t"], (), aggregates, True),
        lambda t: zsets.reduce(t, (), aggregates, True),
        steps,
        chance,
    )


@st.composite
def _pairs(draw):
    """Pairs with small whole numbers among them, so that variances are zero now and then, and of extreme sizes."""
    number = st.sampled_from([0.0, 1.0, -2.0, 0.1, 1e300, 5e-324, math.nan, math.inf]) | st.floats()
    pair = st.tuples(number, number) | st.just((None, None))
    rows = st.tuples(st.tuples(st.integers(0, 1), pair), st.sampled_from([1, 1, 2, -1]))
    steps = draw(st.lists(st.lists(rows, max_size=6), max_size=4))
    return [{"t": [((key, *values), diff) for (key, values), diff in step]} for step in steps]


@settings(max_examples=40)
@given(_pairs(), st.randoms(use_true_random=False))
def test_pairs(steps, chance: random.Random) -> None:
    aggregates = [Aggregate(name, 1, DOUBLE, other=2) for name in PAIRWISE]
    aggregates += [Aggregate("stddev_samp", 2, DOUBLE), Aggregate("sum", 1, DOUBLE)]
    check(
        {"t": (BIGINT, DOUBLE, DOUBLE)},
        lambda graph, nodes: graph.reduce(nodes["t"], (0,), aggregates, False),
        lambda t: zsets.reduce(t, (0,), aggregates),
        steps,
        chance,
    )
