"""The law for top-k: any order, any window of places, with and without numbers."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.layout import Order
from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

TYPES = (BIGINT, DOUBLE, TEXT)
TERMS = st.lists(st.tuples(st.sampled_from(range(3)), st.booleans(), st.booleans()), max_size=2)


@given(
    histories({"a": TYPES}, signed=True),
    st.sampled_from([(), (0,), (2, 0)]),
    TERMS,
    st.sampled_from([None, 0, 1, 2, 5]),
    st.sampled_from([0, 0, 1, 3]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_top_k(steps, key, order, limit, offset: int, numbered: bool, chance: random.Random) -> None:
    check(
        {"a": TYPES},
        lambda g, n: g.top_k(n["a"], key, [Order(*term) for term in order], limit, offset, numbered),
        lambda a: zsets.top_k(a, key, order, limit, offset, numbered),
        steps,
        chance,
        key=(2,),
    )
