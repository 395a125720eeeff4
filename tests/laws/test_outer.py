"""The law for outer joins: every kind, with and without conditions besides the keys."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, BOOLEAN, TEXT
from tests.laws import zsets
from tests.laws.functions import Function
from tests.laws.law import check
from tests.laws.strategies import histories

LEFT, RIGHT = (BIGINT, BIGINT), (BIGINT, BIGINT, TEXT)
INPUTS = {"a": LEFT, "b": RIGHT}


def _less(row):
    return None if row[1] is None or row[3] is None else row[1] < row[3]


LESS = Function("(#1 < #3)", _less, BOOLEAN)


@given(
    histories(INPUTS),
    st.sampled_from([((0,), (0,)), ((0, 1), (1, 0)), ((), ())]),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_outer_join(steps, keys, full: bool, conditional: bool, chance: random.Random) -> None:
    check(
        INPUTS,
        lambda g, n: g.outer_join(n["a"], n["b"], *keys, [LESS] if conditional else [], full),
        lambda a, b: zsets.outer_join(
            a, b, keys, (len(LEFT), len(RIGHT)), (lambda row: _less(row) is True) if conditional else bool, full
        ),
        steps,
        chance,
        key=(2, 0),
    )
