"""The law for the positive part: EXCEPT ALL and INTERSECT ALL."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

TYPES = (BIGINT, DOUBLE, TEXT)


@given(histories({"a": TYPES, "b": TYPES}, signed=True), st.randoms(use_true_random=False))
def test_positive_part_of_a_difference(steps, chance: random.Random) -> None:
    check(
        {"a": TYPES, "b": TYPES},
        lambda g, n: g.positive(g.union([n["a"], g.negate(n["b"])])),
        lambda a, b: zsets.positive(zsets.union(a, zsets.negate(b))),
        steps,
        chance,
    )
