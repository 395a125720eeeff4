"""The law for distinct, also where counts go below zero, as in EXCEPT."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, BOOLEAN, DOUBLE, JSONB, REAL, TEXT, TIMESTAMP, TIMESTAMPTZ
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories


@st.composite
def _cases(draw):
    types = draw(
        st.lists(st.sampled_from([BIGINT, BOOLEAN, DOUBLE, JSONB, REAL, TEXT, TIMESTAMP, TIMESTAMPTZ]), max_size=3)
    )
    return types, draw(histories({"a": types, "b": types}, signed=True))


@given(_cases(), st.randoms(use_true_random=False))
def test_distinct(case, chance: random.Random) -> None:
    types, steps = case
    check({"a": types, "b": types}, lambda g, n: g.distinct(n["a"]), lambda a, b: zsets.distinct(a), steps, chance)


@given(_cases(), st.randoms(use_true_random=False))
def test_distinct_over_union_and_difference(case, chance: random.Random) -> None:
    types, steps = case
    check(
        {"a": types, "b": types},
        lambda g, n: g.union([g.distinct(g.union([n["a"], n["b"]])), g.distinct(g.union([n["a"], g.negate(n["b"])]))]),
        lambda a, b: zsets.union(zsets.distinct(zsets.union(a, b)), zsets.distinct(zsets.union(a, zsets.negate(b)))),
        steps,
        chance,
        key=(1,),
    )
