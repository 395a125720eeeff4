"""The law for upsert: the view is the fold of the stream so far, in arrival order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import values

TYPES = (DOUBLE, BIGINT, TEXT)


@st.composite
def streams(draw, types, key):
    """Steps of new values (+1) and tombstones (-1, NULL outside of the key), with keys that were never there."""
    row = st.tuples(*map(values, types))
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        pairs = []
        for taken, diff in draw(st.lists(st.tuples(row, st.sampled_from([1, 1, -1])), max_size=8)):
            kept = taken if diff > 0 else tuple(v if i in key else None for i, v in enumerate(taken))
            pairs.append((kept, diff))
        steps.append({"t": pairs})
    return steps


@st.composite
def _cases(draw):
    key = draw(st.sampled_from([(0,), (1,), (2, 0), ()]))
    return key, draw(streams(TYPES, key))


@given(_cases(), st.sampled_from([(0,), (2,), (2, 0), ()]), st.randoms(use_true_random=False))
def test_upsert(case, index, chance: random.Random) -> None:
    key, steps = case
    check(
        {"t": TYPES},
        lambda graph, nodes: graph.upsert(nodes["t"], key),
        lambda t: zsets.upsert(t, key),
        steps,
        chance,
        key=index,
        ordered=True,
    )
