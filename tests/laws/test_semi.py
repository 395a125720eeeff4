"""The law for semi-joins and anti-joins."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, DOUBLE, NUMERIC, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

FLAGS = st.tuples(st.booleans(), st.booleans())


@st.composite
def _cases(draw):
    key = draw(st.lists(st.sampled_from([BIGINT, TEXT, DOUBLE, NUMERIC]), max_size=2))
    inputs = {"a": (TEXT, *key), "b": (*key, BIGINT)}
    order = draw(st.permutations(range(len(key))))
    return inputs, [1 + i for i in order], list(order), draw(histories(inputs, signed=True))


@given(_cases(), FLAGS, st.booleans(), st.randoms(use_true_random=False))
def test_semi_join(case, flags, unique: bool, chance: random.Random) -> None:
    """`unique` only says how keys are counted: the answer is right also where they are not unique."""
    inputs, left, right, steps = case
    anti, nulls = flags
    check(
        inputs,
        lambda g, n: g.semi_join(n["a"], n["b"], left, right, anti, nulls, unique),
        lambda a, b: zsets.semi_join(a, b, left, right, anti, nulls),
        steps,
        chance,
    )


@given(histories({"a": (BIGINT, BIGINT)}, signed=True), FLAGS, st.randoms(use_true_random=False))
def test_rows_that_others_point_at(steps, flags, chance: random.Random) -> None:
    """Both sides are one collection."""
    anti, nulls = flags
    check(
        {"a": (BIGINT, BIGINT)},
        lambda g, n: g.semi_join(n["a"], n["a"], (0,), (1,), anti, nulls),
        lambda a: zsets.semi_join(a, a, (0,), (1,), anti, nulls),
        steps,
        chance,
    )


@given(_cases(), st.randoms(use_true_random=False))
def test_join_where_null_equals_null(case, chance: random.Random) -> None:
    inputs, left, right, steps = case
    check(
        inputs,
        lambda g, n: g.join(n["a"], n["b"], left, right, nulls_match=True),
        lambda a, b: zsets.join(a, b, left, right, nulls=True),
        steps,
        chance,
    )
