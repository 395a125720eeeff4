"""The law for aggregates that need their values in order: any order, copies, NULLs, with and without a key."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.layout import Order
from dataflow.operators.aggregates import NEGATIVE_COUNT
from dataflow.operators.ordered import OrderedAggregate
from dataflow.types import BIGINT, DOUBLE, JSONB, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.ordered import collected
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
    rows = zsets.zset(((*k, *(collected(a, members) for a in aggregates)), 1) for k, members in shown.items())
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
