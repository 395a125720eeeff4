"""Window functions: every row of the input, and beside it what each function says of the rows of its partition.

    SELECT *, lag(x) OVER w, sum(x) OVER w FROM t WINDOW w AS (PARTITION BY k ORDER BY a)

Always true: after each step the output is what the functions say of the rows as they are now. The order is total, since ties are
broken by all columns; a row that is there n times takes n places, and rows with counts below one take none. NULL keys are equal.
The state is the input by partition and in order, beside each row the folds over all rows up to it, if a function needs them. A
step reads the rows that a change can matter to, and those they depend on: some neighbours (lag, lead, frames of some rows), all
rows behind the change (running aggregates), or the partition. Their results before and after it are both computed from the
state, and only the difference is emitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout, Order
from dataflow.operators.base import Operator, Types, combine, names
from dataflow.operators.exact import Mask
from dataflow.operators.window_calls import Needs, WindowCall, needs
from dataflow.operators.window_frames import Places
from dataflow.operators.window_functions import Folds, Scene, answer
from dataflow.rows import Columns, Int64s
from dataflow.snapshot import Around, Reach
from dataflow.spine import Spine
from dataflow.types import TEXT


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """One column for each call, behind the input's, over the rows with the same partition columns in this order."""

    partition: tuple[int, ...]
    order: tuple[Order, ...]
    calls: tuple[WindowCall, ...]

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Window(self, types, inputs)

    def __str__(self) -> str:
        by = f" of each ({names(self.partition)})" if self.partition else ""
        order = f" in order of ({names([term.column for term in self.order])})" if self.order else ""
        return f"window {', '.join(map(str, self.calls))}{by}{order}, reads {_reading(_needs_of(self.calls))}"


def _needs_of(calls: tuple[WindowCall, ...]) -> Needs:
    whole = Needs()
    for call in calls:
        whole |= needs(call)
    return whole


def _reading(need: Needs) -> str:
    if need.whole:
        return "changed partitions"
    return "what is behind a change" if need.prefix else "neighbours"


class Window(Operator):
    """State: the input's rows, arranged by partition and in order, and the folds beside them."""

    consolidates = True

    def __init__(self, spec: WindowSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._calls = spec.calls
        self._order = spec.order
        self._types = inputs[0].types
        self._needs = need = _needs_of(spec.calls)
        self._folds = Folds(spec.calls, self._types)
        self._stored: Types = self._folds.stored if need.prefix and not need.whole else ()
        self._peers = tuple(dict.fromkeys(term.column for term in spec.order))
        far = need.before + need.after
        self._reach = Reach(
            own=len(self._types),
            terms=len(self._peers),
            before=None if need.whole else far,
            after=None if need.whole or need.prefix else far,
            groups=need.groups,
            whole_groups=need.peers,
            base=bool(self._stored),
        )
        # A spine that sorts has an order; without one asked for, any total one will do.
        layout = Layout(self._types + self._stored, spec.partition, spec.order or (Order(0),))
        self._spine = Spine(layout)

    def spines(self) -> tuple[Spine, ...]:
        return (self._spine,)

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        if not len(delta):
            return delta
        unknown = tuple(pa.nulls(len(delta), kind.arrow) for kind in self._stored)
        changed = self._spine.layout.sort(Delta(delta.columns + unknown, delta.diffs))
        if not changed.rows:
            return self._nothing
        around = self._spine.snapshot().around(changed, self._reach)
        old, new = self._scene(around, around.counts), self._scene(around, around.counts + around.changes)
        marks = self._mark(around, old.places) | self._mark(around, new.places)
        if self._stored:
            self._remember(around, new)
        else:
            self._spine.add(changed)
        before, failed = self._answer(around, old, marks, -1)
        after, failing = self._answer(around, new, marks, 1)
        errors = combine([failed, failing], (TEXT,))
        if len(errors):
            errors = rows.consolidate(errors)
            self.report(errors.columns[0], errors.diffs)
        return rows.consolidate(combine([before, after], self.types))

    def _scene(self, around: Around, counts: Int64s) -> Scene:
        places = Places(around, counts, self._peers)
        stored = rows.take(around.columns[len(self._types) :], places.rows) if self._stored else self._no_folds(places)
        return Scene(places, stored, self._folds, self._types, self._order)

    def _no_folds(self, places: Places) -> Columns:
        """Where nothing is stored there are no bases, and nobody reads what stands in their place."""
        return tuple(pa.nulls(len(places), kind.arrow) for kind in self._folds.stored)

    def _mark(self, around: Around, places: Places) -> Mask:
        """The found rows whose results may change, seen from where the changed rows stand."""
        if self._needs.whole:
            return np.ones(len(around.counts), np.bool_)
        changed = np.flatnonzero((around.changes != 0)[places.rows])
        before, after = self._needs.before, self._needs.after
        if self._needs.groups:
            low, high = places.groups_around(changed, after, before)
        elif self._needs.peers:
            low, high = places.peers_begin[changed] - after, places.peers_end[changed] + before
        else:
            low, high = changed - after, changed + 1 + before
        low = np.maximum(low, places.begin[changed])
        high = places.end[changed] if self._needs.prefix else np.minimum(high, places.end[changed])
        steps = np.zeros(len(places) + 1, np.int64)
        np.add.at(steps, low, 1)
        np.add.at(steps, high, -1)
        marks = np.zeros(len(around.counts), np.bool_)
        marks[places.rows[np.cumsum(steps[:-1]) > 0]] = True
        return marks & ~around.bases

    def _answer(self, around: Around, scene: Scene, marks: Mask, sign: int) -> tuple[Delta, Delta]:
        """The rows that are marked with their results, and the errors of those that have none."""
        places = scene.places
        kept = np.flatnonzero(marks[places.rows])
        if not len(kept):
            return self._nothing, Delta.empty((TEXT,))
        found = [answer(call, scene) for call in self._calls]
        failed = np.zeros(len(places), np.int64)
        for number, (_, bad, _) in enumerate(found, 1):
            if bad is not None:
                failed[bad & (failed == 0)] = number
        results = tuple(values for values, _, _ in found)
        errors = kept[failed[kept] > 0]
        kept = kept[failed[kept] == 0]
        columns = rows.take(around.columns[: len(self._types)], places.rows[kept]) + rows.take(results, kept)
        parts = [
            rows.take((message,), errors[failed[errors] == number])[0]
            if isinstance(message, pa.Array)
            else pa.repeat(pa.scalar(message, TEXT.arrow), int((failed[errors] == number).sum()))
            for number, (_, _, message) in enumerate(found, 1)
        ]
        messages = pa.concat_arrays(parts)
        return (
            Delta(columns, np.full(len(kept), sign, np.int64)),
            Delta((messages,), np.full(len(errors), sign, np.int64)),
        )

    def _remember(self, around: Around, new: Scene) -> None:
        """Store the changed rows, and with all rows behind them their new folds."""
        changed = around.changes != 0
        edges = np.flatnonzero(np.diff(around.stretches, prepend=-1))
        through = np.cumsum(changed)
        before = (through - changed)[edges]
        behind = through > np.repeat(before, np.diff(edges, append=len(changed)))
        counts = around.counts + around.changes
        own = around.columns[: len(self._types)]
        was = np.flatnonzero(behind & (around.counts != 0))
        now = np.flatnonzero(behind & (counts > 0))
        less = np.flatnonzero(behind & (counts < 0))
        folds = rows.take(self._folds.through(new.places, new.stored), new.places.ends[now] - 1)
        unknown = tuple(pa.nulls(len(less), kind.arrow) for kind in self._stored)
        parts = [
            Delta(rows.take(around.columns, was), -around.counts[was]),
            Delta(rows.take(own, now) + folds, counts[now]),
            Delta(rows.take(own, less) + unknown, counts[less]),
        ]
        self._spine.insert(rows.consolidate(combine(parts, self._spine.layout.types)))
