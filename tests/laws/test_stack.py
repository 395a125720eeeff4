"""Layers that come and go between steps show what they would if they had been there from the first one."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.graph import Aggregate, GraphBuilder
from dataflow.stack import Group, Layer, Stack
from dataflow.step import Dataflow
from dataflow.types import BIGINT, Column
from tests.laws.zsets import ZSet, add, delta_of, rows_of, zset

PAIR = (BIGINT, BIGINT)
ROWS = st.lists(st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.just(1)), max_size=4)


def schema(width: int) -> tuple[Column, ...]:
    return tuple(Column(f"c{i}", BIGINT) for i in range(width))


def base() -> Dataflow:
    """`counts`: (k, how often) of the input `a`."""
    graph = GraphBuilder()
    node = graph.reduce(graph.input("a", PAIR), (0,), (Aggregate("count_star", None, BIGINT),), default_row=False)
    graph.input("b", PAIR)
    graph.export("counts", node, schema(2), (0,))
    return graph.build(lambda: 0.0)


def layer(name: str, below: str) -> Layer:
    """The rows of a relation joined with those of `counts` by their first columns; `total` has the number of its rows."""
    graph = GraphBuilder()
    node = graph.join(graph.input(below, PAIR), graph.input("counts", PAIR), (0,), (0,))
    node = graph.linear(node, (), (0, 3), PAIR)
    graph.export(name, node, schema(2), ())
    total = graph.reduce(node, (), (Aggregate("count_star", None, BIGINT),), default_row=True)
    graph.export(f"{name}_total", total, schema(1), ())
    return Layer(name, f"{name} over {below}", graph.build(lambda: 0.0))


def joined(left: ZSet, counts: ZSet) -> ZSet:
    found: Counter[tuple[int, int]] = Counter()
    for (k, _), diff in left.items():
        for (other, n), times in counts.items():
            if k == other:
                found[k, n] += diff * times
    return {row: diff for row, diff in found.items() if diff}


def expected(a: ZSet, below: ZSet | None = None) -> tuple[ZSet, ZSet]:
    """`counts`, and the join with them of what is below (`counts` themselves when None)."""
    sums: Counter[int] = Counter()
    for (k, _), diff in a.items():
        sums[k] += diff
    counts: ZSet = {(k, n): 1 for k, n in sums.items() if n}
    return counts, joined(counts if below is None else below, counts)


def shown(stack: Stack, view: str) -> ZSet:
    return zset(rows_of(stack.view(view).snapshot().rows()))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(ROWS, ROWS), min_size=4, max_size=9), st.integers(0, 1 << 30))
def test_layers_hold_the_law_whenever_they_come(steps: list[tuple[list, list]], seed: int) -> None:  # type: ignore[type-arg]
    chance = random.Random(seed)
    stack, a, b = Stack(base()), {}, {}
    sums: dict[str, ZSet] = {}
    coming: list[tuple[Layer, object]] = []
    for number, (in_a, in_b) in enumerate(steps):
        if number % 2 and not coming:
            new = layer(f"l{number}", chance.choice(["counts", "b"]))
            attached = stack.attach(new.reads)
            assert ("b" in new.reads) == ("b" not in attached.held and "b" in attached.recording.names)
            list(Group([new]).begin(attached.held, None))
            new.dataflow.step({"b": delta_of(PAIR, list(b.items()))} if "b" in new.reads and b else {})
            coming.append((new, attached.recording))
        result = stack.step({"a": delta_of(PAIR, in_a), "b": delta_of(PAIR, in_b)})
        add(a, in_a)
        add(b, in_b)
        for name, delta in result.changes.items():
            add(sums.setdefault(name, {}), rows_of(delta))
        if coming and chance.random() < 0.6:
            new, recording = coming.pop()
            Group([new]).catch_up(recording.take())  # type: ignore[attr-defined]
            stack.detach(recording)  # type: ignore[arg-type]
            stack.put_on(new)
            for name in new.dataflow.views:
                sums[name] = shown(stack, name)
        if stack.layers and chance.random() < 0.2:
            gone = chance.choice(stack.layers)
            stack.take_off([gone.name])
            for name in gone.dataflow.views:
                del sums[name]
        if not coming and chance.random() < 0.2:
            stack = restarted(stack)
        stack.maintain(100)
        counts, _ = expected(a)
        assert shown(stack, "counts") == counts
        for one in stack.layers:
            _, rows = expected(a, b if "b" in one.reads else None)
            assert shown(stack, one.name) == rows == sums[one.name]
            assert shown(stack, f"{one.name}_total") == {(sum(rows.values()),): 1}


def restarted(stack: Stack) -> Stack:
    """A new stack of the same layers, and one more that the state does not hold, with the state taken over."""
    state = stack.state()
    other = Stack(base())
    for one in stack.layers:
        other.put_on(layer(one.name, "b" if "b" in one.reads else "counts"))
    other.put_on(layer("unknown", "counts"))
    taken = other.resume([[run.columns() for run in runs] for runs in state.spines], state.parts)
    assert taken.parts == state.parts
    assert [one.name for one in other.layers] == [one.name for one in stack.layers]
    return other


def test_a_layer_that_is_read_stays() -> None:
    stack = Stack(base())
    first, second = layer("first", "counts"), layer("second", "first")
    stack.put_on(first)
    stack.put_on(second)
    with pytest.raises(ValueError, match="layer second reads first, which goes"):
        stack.take_off(["first"])
    with pytest.raises(ValueError, match="there is a first already"):
        stack.put_on(layer("first", "counts"))
    stack.take_off(["first", "second"])
    assert stack.layers == ()
    with pytest.raises(KeyError):
        stack.view("first")
