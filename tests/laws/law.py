"""The law: after every step, the sum of the outputs is the query over the sum of the inputs.

`check` feeds a graph step by step, with random maintenance in between, and after each step compares three things with the
oracle: the sum of the changes, the view's snapshot, and the sum of the row errors. A second dataflow gets the same steps, each
in random order and cut into pieces, now and then with its state in files, and must show the same view.
"""

from __future__ import annotations

import atexit
import functools
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dataflow.delta import Delta
from dataflow.graph import GraphBuilder, Node
from dataflow.memory import MemoryLimit
from dataflow.types import Column, ColumnType
from headwater.runs import RunFiles
from tests.laws.zsets import Answer, Weighted, ZSet, add, canonical, delta_of, rows_of, zset

Inputs = Mapping[str, Sequence[ColumnType]]
Step = Mapping[str, Sequence[Weighted]]
Build = Callable[[GraphBuilder, dict[str, Node]], Node]
Query = Callable[..., Answer | ZSet]


class Running:
    """A dataflow with one view, and the sum of everything it gave out."""

    def __init__(self, inputs: Inputs, build: Build, key: Sequence[int]) -> None:
        graph = GraphBuilder()
        self.inputs = inputs
        nodes = {name: graph.input(name, types) for name, types in inputs.items()}
        node = build(graph, nodes)
        self.key = tuple(column for column in key if column < len(node.types))
        graph.export("view", node, tuple(Column(f"c{i}", t) for i, t in enumerate(node.types)), self.key)
        self._graph = graph
        self.dataflow = graph.build(lambda: 0.0)
        self.rows: ZSet = {}
        self.errors: ZSet = {}

    def step(self, step: Step) -> None:
        result = self.dataflow.step({name: delta_of(self.inputs[name], pairs) for name, pairs in step.items()})
        for total, delta in ((self.rows, result.changes["view"]), (self.errors, result.errors["view"])):
            pairs = rows_of(delta)
            assert len(zset(pairs)) == len(pairs), "changes are consolidated"
            add(total, pairs)
        view = self.dataflow.view("view")
        assert zset(rows_of(view.snapshot().rows())) == self.rows, "the snapshot is the sum of the changes"
        assert zset(rows_of(view.errors().rows())) == self.errors, "the error snapshot is the sum of the errors"

    def restart(self) -> None:
        """Go on with a new dataflow that has taken the state of this one over."""
        state = self.dataflow.state()
        self.dataflow = self._graph.build(lambda: 0.0)
        taken = self.dataflow.resume([[run.columns() for run in runs] for runs in state.spines])
        assert taken.shape == state.shape, "graphs that are built alike have one shape"

    def look_up(self) -> None:
        """Every row is found in the index by its key."""
        rows = list(self.rows)
        snapshot = self.dataflow.view("view").snapshot()
        if not rows or not self.key:
            return
        whole = snapshot.rows()
        probe = snapshot.probe(tuple(whole.columns[c] for c in self.key), nulls_match=True)
        keys = list(zip(*[whole.columns[c].to_pylist() for c in self.key], strict=True))
        keys = [tuple(map(canonical, k)) for k in keys]
        found = zset(rows_of(Delta(probe.columns, probe.diffs)))
        times = {k: keys.count(k) for k in keys}
        assert found == {row: d * times[tuple(row[c] for c in self.key)] for row, d in self.rows.items()}


def check(
    inputs: Inputs,
    build: Build,
    query: Query,
    steps: Sequence[Step],
    chance: random.Random,
    key: Sequence[int] = (0,),
    ordered: bool = False,
) -> None:
    """Hold the law for these steps. `query` gets one Z-set for each input (or, if `ordered`, its list of pairs so far).

    ordered: the order of the pairs means something, so that pieces keep it.
    """
    whole, pieces = Running(inputs, build, key), Running(inputs, build, key)
    if chance.random() < 0.1:
        pieces.dataflow.limit_memory(MemoryLimit(_files(), 0, least_bytes=0))
    totals: dict[str, ZSet] = {name: {} for name in inputs}
    streams: dict[str, list[Weighted]] = {name: [] for name in inputs}
    for step in steps:
        whole.step(step)
        for part in _cut(step, chance, ordered):
            pieces.step(part)
        for name, pairs in step.items():
            add(totals[name], pairs)
            streams[name] += pairs
        answer = query(*(streams if ordered else totals).values())
        rows, errors = answer if isinstance(answer, tuple) else (answer, {})
        assert whole.rows == rows
        assert whole.errors == errors
        assert (pieces.rows, pieces.errors) == (rows, errors), "splitting and reordering a step changes no view"
        fuel = chance.choice((0, 1, 10, 1000))
        whole.dataflow.maintain(fuel)
        pieces.dataflow.maintain(fuel)
        whole.look_up()
        if chance.random() < 0.1:
            whole.restart()


@functools.cache
def _files() -> RunFiles:
    """One store for all laws; its folder goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return RunFiles(Path(folder.name) / "runs")


def _cut(step: Step, chance: random.Random, ordered: bool) -> list[Step]:
    parts: list[dict[str, list[Weighted]]] = [{} for _ in range(chance.randint(1, 3))]
    for name, pairs in step.items():
        pairs = list(pairs)
        if not ordered:
            chance.shuffle(pairs)
        bounds = sorted(chance.randint(0, len(pairs)) for _ in parts[1:])
        for part, begin, end in zip(parts, [0, *bounds], [*bounds, len(pairs)], strict=True):
            part[name] = pairs[begin:end]
    return list(parts)
