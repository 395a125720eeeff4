"""The law for filter, map and project, for union and negate, and for constants."""

import random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.laws import functions, zsets
from tests.laws.law import check
from tests.laws.strategies import histories

NUMBERS = (BIGINT, BIGINT)

PREDICATES = [
    functions.above(0, 0),
    functions.above(1, 1),
    functions.ratio_above(0, 1, 0),
    functions.ratio_above(1, 0, 1),
    functions.refuse(1, 2),
]


@given(
    histories({"t": NUMBERS}, signed=True),
    st.lists(st.sampled_from(PREDICATES), max_size=3),
    st.lists(st.sampled_from([0, 1, functions.divide(0, 1), functions.divide(1, 0)]), max_size=3),
    st.randoms(use_true_random=False),
)
def test_linear_with_errors(steps, predicates, outputs, chance: random.Random) -> None:
    taken = [(lambda row, i=output: row[i]) if isinstance(output, int) else output for output in outputs]
    check(
        {"t": NUMBERS},
        lambda graph, nodes: graph.linear(nodes["t"], predicates, outputs, [BIGINT] * len(outputs)),
        lambda t: zsets.linear(t, predicates, taken),
        steps,
        chance,
    )


@given(
    histories({"a": (BIGINT, TEXT, DOUBLE), "b": (BIGINT, TEXT, DOUBLE)}, signed=True),
    st.randoms(use_true_random=False),
)
def test_union_and_negate(steps, chance: random.Random) -> None:
    check(
        {"a": (BIGINT, TEXT, DOUBLE), "b": (BIGINT, TEXT, DOUBLE)},
        lambda graph, nodes: graph.union(
            [nodes["a"], nodes["b"], graph.negate(nodes["a"]), graph.negate(nodes["b"]), nodes["b"]]
        ),
        lambda a, b: zsets.union(a, b, zsets.negate(a), zsets.negate(b), b),
        steps,
        chance,
        key=(2, 1),
    )


@given(histories({"a": (BIGINT,)}, signed=True), st.randoms(use_true_random=False))
def test_negate_alone(steps, chance: random.Random) -> None:
    check({"a": (BIGINT,)}, lambda graph, nodes: graph.negate(nodes["a"]), zsets.negate, steps, chance)


@given(histories({"a": (BIGINT, TEXT)}, signed=True), st.randoms(use_true_random=False))
def test_constant_stays(steps, chance: random.Random) -> None:
    columns = (pa.array([1, 1, None]), pa.array(["x", "x", "y"], pa.large_string()))

    def build(graph, nodes):
        return graph.union([graph.constant(columns, np.array([1, 2, -1]), (BIGINT, TEXT)), nodes["a"]])

    check({"a": (BIGINT, TEXT)}, build, lambda a: zsets.union({(1, "x"): 3, (None, "y"): -1}, a), steps, chance)
