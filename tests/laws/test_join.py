"""The law for joins."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, BYTEA, DATE, DOUBLE, NUMERIC, TEXT, ColumnType, Kind
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories

MONEY = ColumnType(Kind.NUMERIC, 38, 2)
KEYS = [BIGINT, TEXT, DOUBLE, NUMERIC, DATE, BYTEA, MONEY]


@st.composite
def _cases(draw, signed=True):
    key = draw(st.lists(st.sampled_from(KEYS), max_size=2))
    left, right = (TEXT, *key), (*key, BIGINT)
    order = draw(st.permutations(range(len(key))))
    inputs = {"a": left, "b": right}
    return inputs, [1 + i for i in order], list(order), draw(histories(inputs, signed=signed))


@given(_cases(), st.randoms(use_true_random=False))
def test_join_on_any_key(case, chance: random.Random) -> None:
    inputs, left, right, steps = case
    check(
        inputs,
        lambda graph, nodes: graph.join(nodes["a"], nodes["b"], left, right),
        lambda a, b: zsets.join(a, b, left, right),
        steps,
        chance,
    )


@given(
    histories({"a": (BIGINT, BIGINT)}, signed=True),
    st.sampled_from([((0,), (1,)), ((0,), (0,)), ((), ())]),
    st.randoms(use_true_random=False),
)
def test_self_join(steps, keys, chance: random.Random) -> None:
    left, right = keys
    check(
        {"a": (BIGINT, BIGINT)},
        lambda graph, nodes: graph.join(nodes["a"], nodes["a"], left, right),
        lambda a: zsets.join(a, a, left, right),
        steps,
        chance,
        key=(0, 3),
    )
