"""The law for recursion: reachability over edges that come and go, paths as often as there are, iterations without end."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.graph import GraphBuilder, Node
from dataflow.operators.recursive import Loop, outside, variable
from dataflow.types import BIGINT
from tests.laws import zsets
from tests.laws.law import check

EDGE = (BIGINT, BIGINT)


def _closure(graph: GraphBuilder, edges: Node, limit: int, returns: bool, once: bool, monotone: bool) -> list[Node]:
    """reach = edges + (reach joined to edges), and those who reach themselves."""
    inner = GraphBuilder()
    given, reach = inner.input(outside(0), EDGE), inner.input(variable(0), EDGE)
    step = inner.linear(inner.join(reach, given, (1,), (0,)), (), (0, 3), EDGE)
    both = inner.union([given, step])
    body = inner.distinct(both) if once else both
    circles = inner.semi_join(reach, reach, (0, 1), (1, 0))
    loop = Loop((limit, returns, once, monotone), ("reach", "circles"), (body, circles), limit, returns, monotone)
    return graph.recursive([edges], loop)


def _iterated(edges: zsets.ZSet, limit: int, returns: bool, once: bool):
    """The iteration as it is written, over whole collections."""
    reach: zsets.ZSet = {}
    for number in range(limit + 1):
        pairs = zsets.join(reach, edges, (1,), (0,))
        new = zsets.union(edges, zsets.zset(((row[0], row[3]), diff) for row, diff in pairs.items()))
        new = zsets.distinct(new) if once else new
        if new == reach or (returns and number == limit):
            return reach
        reach = new
    return None


edges = st.tuples(st.integers(0, 4), st.integers(0, 4))


@st.composite
def _edges(draw, acyclic: bool):
    """Edges that come and, with the same weight, go."""
    live: list[zsets.Row] = []
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        step = []
        for row in draw(st.lists(edges, max_size=4)):
            row = (min(row), max(row) + 1) if acyclic else row
            step.append((row, 1))
            live.append(row)
        gone = min(draw(st.integers(0, 2)), len(live))
        step += [(live.pop(draw(st.integers(0, len(live) - 1))), -1) for _ in range(gone)]
        steps.append({"edges": step})
    return steps


@settings(max_examples=60)
@given(_edges(False), st.booleans(), st.randoms(use_true_random=False))
def test_reachability(steps, monotone: bool, chance: random.Random) -> None:
    for number in (0, 1):
        check(
            {"edges": EDGE},
            lambda g, n, number=number: _closure(g, n["edges"], 1000, False, True, monotone)[number],
            lambda z, number=number: _variables(_iterated(z, 1000, False, True))[number],
            steps,
            chance,
        )


@settings(max_examples=40)
@given(_edges(True), st.booleans(), st.randoms(use_true_random=False))
def test_paths_count_as_often_as_there_are(steps, monotone: bool, chance: random.Random) -> None:
    check(
        {"edges": EDGE},
        lambda g, n: _closure(g, n["edges"], 1000, False, False, monotone)[0],
        lambda z: _iterated(z, 1000, False, False),
        steps,
        chance,
    )


@settings(max_examples=40)
@given(_edges(False), st.integers(1, 4), st.booleans(), st.randoms(use_true_random=False))
def test_the_limit_is_an_error_or_an_end(steps, limit: int, returns: bool, chance: random.Random) -> None:
    def query(z: zsets.ZSet):
        found = _iterated(z, limit, returns, False)
        message = f"the recursion of reach, circles has no end within {limit} iterations"
        return ({}, {(message,): 1}) if found is None else found

    # The second variable has no part in this: it follows the first one, and needs no iteration of its own to be the same.
    def build(graph: GraphBuilder, nodes: dict[str, Node]) -> Node:
        return _closure(graph, nodes["edges"], limit, returns, False, False)[0]

    check({"edges": EDGE}, build, query, steps, chance)


def _variables(reach: zsets.ZSet | None) -> tuple[zsets.ZSet, zsets.ZSet]:
    assert reach is not None
    return reach, zsets.semi_join(reach, reach, (0, 1), (1, 0))
