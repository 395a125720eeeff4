"""The law for aggregates that need their values in order: any order, copies, NULLs, with and without a key."""

import math
import operator
import random
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from dataflow.layout import Order
from dataflow.operators.aggregates import NEGATIVE_COUNT
from dataflow.operators.ordered import OrderedAggregate
from dataflow.types import BIGINT, DOUBLE, JSONB, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

TYPES = (BIGINT, DOUBLE, TEXT, TEXT, JSONB)
CHOICES = [
    OrderedAggregate("string_agg", 2, TEXT),
    OrderedAggregate("string_agg", 2, TEXT, other=3),
    *(OrderedAggregate("percentile_disc", 2, TEXT, fraction=f) for f in (0.0, 0.3, 1.0)),
    *(OrderedAggregate("percentile_cont", 1, DOUBLE, fraction=f) for f in (0.0, 0.3, 0.5, 1.0)),
    OrderedAggregate("jsonb_agg", 4, JSONB),
    OrderedAggregate("mode", 1, DOUBLE),
    OrderedAggregate("first_by", 2, TEXT, other=0),
    *(OrderedAggregate(name, 0, BIGINT) for name in ("bit_and", "bit_or", "bit_xor")),
]


def _value(aggregate: OrderedAggregate, members: list[zsets.Row]):
    counted = aggregate.column if aggregate.function != "first_by" else aggregate.other
    members = [row for row in members if row[counted] is not None]
    if not members:
        return None
    values = [row[aggregate.column] for row in members]
    size = len(values)
    match aggregate.function:
        case "string_agg":
            between = ["" if aggregate.other is None else row[aggregate.other] or "" for row in members]
            return values[0] + "".join(a + b for a, b in zip(between[1:], values[1:], strict=True))
        case "jsonb_agg":
            return f"[{', '.join(values)}]"
        case "percentile_disc":
            return values[max(math.ceil(aggregate.fraction * size) - 1, 0)]
        case "percentile_cont":
            numbers = [math.nan if value == zsets.NAN else value for value in values]
            at = aggregate.fraction * (size - 1)
            low, high = numbers[math.floor(at)], numbers[math.ceil(at)]
            return low if math.floor(at) == math.ceil(at) else low + (at - math.floor(at)) * (high - low)
        case "bit_and":
            return reduce(operator.and_, values)
        case "bit_or":
            return reduce(operator.or_, values)
        case "bit_xor":
            return reduce(operator.xor, values)
        case "mode":
            return max(values, key=lambda value: (values.count(value), -values.index(value)))
        case _:
            return values[0]


def _query(z: zsets.ZSet, key, order, aggregates, default: bool) -> tuple[zsets.ZSet, zsets.ZSet]:
    """The rows, and an error for each group with a row that was taken away more often than it came."""
    groups: dict[zsets.Row, list[zsets.Row]] = {(): []} if default else {}
    wrong: set[zsets.Row] = set()
    # Who asks for the first row only sees those before it, and it.
    only_first = all(aggregate.function == "first_by" for aggregate in aggregates)
    there = {row: abs(diff) for row, diff in z.items()}
    for row in sorted(zsets.top_k(there, key, order, None, 0, True), key=lambda row: row[-1]):
        group = tuple(row[i] for i in key)
        if z[row[:-1]] > 0:
            groups.setdefault(group, []).append(row[:-1])
        elif not (only_first and groups.get(group)):
            wrong.add(group)
    shown = {k: members for k, members in groups.items() if k not in wrong}
    rows = zsets.zset(((*k, *(_value(a, members) for a in aggregates)), 1) for k, members in shown.items())
    return rows, {(NEGATIVE_COUNT,): len(wrong)} if wrong else {}


@given(
    histories({"a": TYPES}, signed=True),
    st.sampled_from([(), (0,), (2, 0)]),
    st.tuples(st.sampled_from(range(4)), st.booleans(), st.booleans()),
    st.lists(st.sampled_from(CHOICES), min_size=1, max_size=3),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_ordered(steps, key, term, aggregates, default: bool, chance: random.Random) -> None:
    default = default and not key
    check(
        {"a": TYPES},
        lambda g, n: g.reduce_ordered(n["a"], key, [Order(*term)], aggregates, default),
        lambda a: _query(a, key, [term], aggregates, default),
        steps,
        chance,
    )
