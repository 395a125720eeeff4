"""The law for joins of several inputs by lookups alone."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.graph import GraphBuilder, Link
from dataflow.operators.delta_join import paths_of
from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.laws import zsets
from tests.laws.law import check
from tests.laws.strategies import histories
from tests.laws.zsets import ZSet

KEYS = [(BIGINT,), (TEXT,), (DOUBLE,), (BIGINT, TEXT)]


@st.composite
def _cases(draw):
    """Links that make a random tree over two to four inputs, each of one type, and which are one and the same collection."""
    count = draw(st.integers(2, 4))
    key = draw(st.sampled_from(KEYS))
    width = 2 * len(key)
    columns = [tuple(range(len(key))), tuple(range(len(key), width))]
    links = []
    for right in range(1, count):
        ends = draw(st.integers(0, right - 1)), right
        sides = [(end, draw(st.sampled_from(columns))) for end in ends]
        links.append(Link(*(sides if draw(st.booleans()) else sides[::-1])))
    names = [draw(st.sampled_from("abc")) for _ in range(count)]
    inputs = dict.fromkeys(sorted(set(names)), (*key, *key))
    unique = draw(st.sets(st.sampled_from([side for link in links for side in (link.left, link.right)])))
    return names, inputs, links, unique, draw(histories(inputs, signed=True))


def _query(tables: Sequence[ZSet], links: Sequence[Link], width: int) -> ZSet:
    """Every row with every row, and of these the ones whose linked columns are equal."""
    whole = tables[0]
    for right in range(1, len(tables)):
        ready = [link for link in links if max(link.left[0], link.right[0]) == right]
        near = [link.left if link.right[0] == right else link.right for link in ready]
        far = [link.right if link.right[0] == right else link.left for link in ready]
        left = [one * width + column for one, key in near for column in key]
        whole = zsets.join(whole, tables[right], left, [column for _, key in far for column in key])
    return whole


@given(_cases(), st.randoms(use_true_random=False))
def test_delta_join(case, chance: random.Random) -> None:
    names, inputs, links, unique, steps = case
    width = len(next(iter(inputs.values())))
    check(
        inputs,
        lambda graph, nodes: graph.delta_join([nodes[name] for name in names], links, unique),
        lambda *tables: _query([dict(zip(inputs, tables, strict=True))[name] for name in names], links, width),
        steps,
        chance,
        key=(0, width),
    )


def _graph() -> tuple[GraphBuilder, list]:
    graph = GraphBuilder()
    return graph, [graph.input(name, (BIGINT, BIGINT)) for name in "abc"]


def test_nothing_is_arranged_but_the_inputs_once_for_each_key() -> None:
    graph, nodes = _graph()
    node = graph.delta_join(nodes, [Link((0, (0,)), (1, (0,))), Link((1, (0,)), (2, (1,)))])
    assert [str(source.spec) for source in node.inputs] == ["arrange by (#0)", "arrange by (#1)", "arrange by (#0)"]
    assert all(graph.is_arranged(nodes[i], [key]) for i, key in ((0, 0), (1, 0), (2, 1)))
    assert not graph.is_arranged(nodes[0], [1])
    assert str(node.spec) == (
        "delta join of 3 inputs: 0 > 1 by (#0) > 2 by (#1); 1 > 0 by (#0) > 2 by (#1); 2 > 1 by (#0) > 0 by (#0)"
    )


def test_unique_keys_are_looked_up_first() -> None:
    links = [Link((0, (0,)), (1, (0,))), Link((0, (1,)), (2, (0,)))]
    assert [[look.of[0] for look in path] for path in paths_of(links, 3)] == [[1, 2], [0, 2], [0, 1]]
    assert [[look.of[0] for look in path] for path in paths_of(links, 3, {(2, (0,))})] == [[2, 1], [0, 2], [0, 1]]


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([Link((0, (0,)), (1, (0,)))], "1 links between 3 inputs make no tree"),
        ([Link((0, (0,)), (1, (0,))), Link((1, (1,)), (0, (1,)))], r"no link leads from the inputs \[0, 1\]"),
        ([Link((0, (0,)), (3, (0,)))], "links what is not one of the 3 inputs"),
        ([Link((0, ()), (1, ()))], "has no columns"),
        ([Link((0, (0,)), (1, (2,)))], "right join key #2 is not one of the 2 columns"),
    ],
)
def test_links_that_are_no_tree(links: list[Link], message: str) -> None:
    graph, nodes = _graph()
    with pytest.raises(ValueError, match=message):
        graph.delta_join(nodes, links)
