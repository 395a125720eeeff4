"""What all operators have in common: the spec, the running operator, and the arrangement that several of them share.

Always true: outside a step an operator's `delta` and `errors` are empty, and `before` of every arrangement equals its
`after`; inside a step both are final once the operator has run, and operators run in topological order. Scheduling, row
errors and counters are handled here once; a concrete operator only says how deltas become a delta.
Deliberately unknown here: views, the graph's construction, and time (one step is one time; nobody in this room reads a clock).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta, Diffs
from dataflow.layout import Layout
from dataflow.snapshot import Snapshot
from dataflow.spine import Spine
from dataflow.types import TEXT, ColumnType

Types = tuple[ColumnType, ...]
"""The columns of a collection inside the graph, where they have no names."""

Stopwatch = Callable[[], float]
"""Seconds from any origin; only differences are used, for the statistics."""

NO_ERRORS = Delta.empty((TEXT,))
"""No row errors: errors are a collection of one text column."""


SORTED_ROWS = 4_096
"""A delta of fewer rows is sorted again sooner than it is fetched from where it is sorted."""


class Spec(Protocol):
    """What an operator does, without its state: frozen, hashable, and `str` of it is its EXPLAIN line.

    Two nodes with equal specs over the same inputs are the same node, so a spec must hold everything that tells them apart.
    """

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        """A running operator with empty state, whose output has these types."""
        ...


class Operator(ABC):
    """A running operator: a spec, its inputs, its state, and its output of the current step."""

    consolidates = False
    """Whether every output of this kind of operator is consolidated as it is."""

    multiplies = False
    """Whether few rows in may be many rows out, which then go on in pieces where the consumers can take them."""

    streams = False
    """Whether its output of several pieces is the sum of its outputs of each, without any state."""

    folds = False
    """Whether `step` may be called for one piece of the first input after the other, all outputs being added up."""

    def __init__(self, spec: Spec, types: Types, inputs: tuple[Operator, ...]) -> None:
        self.spec = spec
        self.types = types
        self.inputs = inputs
        self.consumers: list[Operator] = []
        for source in inputs:
            source.consumers.append(self)
        self.arrangement: Arrangement | None = None
        self.due = False
        """Whether it has something to do in this step. Set by an input that has output; idle operators cost nothing."""
        self.lazy = False
        """Whether the one consumer pulls the output with `pieces`; `delta` then stays empty."""
        self._stopwatch: Stopwatch = float
        self._nothing = Delta.empty(types)
        self.delta = self._nothing
        self.errors = NO_ERRORS
        self._consolidated: Delta | None = None
        self.rows_in = self.rows_out = 0
        self.seconds = 0.0

    @abstractmethod
    def step(self, *deltas: Delta) -> Delta:
        """Turn the inputs' deltas of this step, some of them perhaps empty, into the output's.

        Called at most once in a step (with `streams` or `folds`: for each piece), after every input has run. Data errors
        go to `report`, and are never raised.
        """

    def run(self, stopwatch: Stopwatch) -> None:
        """Do this step's work and make the consumers due if there is output; if lazy, there may be."""
        self._stopwatch = stopwatch
        if self.lazy:
            self._wake()
            return
        started = stopwatch()
        if self.inputs and self.inputs[0].lazy:
            self.delta = self._fold()
        else:
            deltas = [source.delta for source in self.inputs]
            self.delta = self.step(*deltas)
            self.rows_in += sum(map(len, deltas))
        if len(self.delta):
            self.rows_out += len(self.delta)
            self._wake()
        self.seconds += stopwatch() - started

    def pieces(self) -> Iterator[Delta]:
        """This step's output in pieces, none of them empty. Called once in a step, by the one consumer, if lazy."""
        if not self.lazy:
            found: Iterable[Delta] = (self.delta,)
        else:
            found = self.stream() if self.due else ()
        for piece in found:
            if len(piece):
                yield piece

    def stream(self) -> Iterator[Delta]:
        """The output of each piece of the inputs; for operators with `streams`."""
        for piece in self.pull(self.inputs[0]):
            yield self.step(piece)

    def pull(self, source: Operator) -> Iterator[Delta]:
        """The pieces of an input, with its time and rows counted as the input's."""
        pieces = source.pieces()
        while True:
            started = self._stopwatch()
            piece = next(pieces, None)
            spent = self._stopwatch() - started
            if source.lazy:
                self.seconds -= spent
                source.seconds += spent
            if piece is None:
                return
            self.rows_in += len(piece)
            source.rows_out += len(piece) if source.lazy else 0
            yield piece

    def _fold(self) -> Delta:
        """The sum of the outputs of each piece of the first input."""
        parts = [self.step(piece) for piece in self.pull(self.inputs[0])]
        if not parts:
            # A reduction without a key has a row over no rows, too.
            parts.append(self.step(Delta.empty(self.inputs[0].types)))
        whole = combine(parts, self.types)
        return rows.consolidate(whole) if self.consolidates and len(parts) > 1 else whole

    def _wake(self) -> None:
        for consumer in self.consumers:
            consumer.due = True

    def finish(self) -> None:
        """Forget this step's output. Called for every operator that ran, when the step is over."""
        self.due = False
        self.delta = self._nothing
        self.errors = NO_ERRORS
        self._consolidated = None
        if self.arrangement is not None:
            self.arrangement.settle()

    def consolidated(self) -> Delta:
        """This step's output with equal rows added up; computed once however many views ask."""
        if self._consolidated is None:
            done = self.consolidates or not len(self.delta)
            self._consolidated = self.delta if done else rows.consolidate(self.delta)
        return self._consolidated

    def report(self, messages: pa.Array, diffs: Diffs) -> None:
        """Add row errors: they reach every view downstream, and go away when the same ones come with negative diffs.

        messages: text without NULLs and without values of the row; diffs: as many int64.
        """
        if len(diffs):
            self.errors = combine([self.errors, Delta((messages,), diffs)], (TEXT,))

    def resume(self) -> None:
        """Go on from state that was put into the spines, instead of from nothing. Called before the first step."""
        self.due = False

    def spines(self) -> tuple[Spine, ...]:
        """The state, all of it: for maintenance, statistics and checkpoints."""
        return () if self.arrangement is None else (self.arrangement.spine,)


class Arrangement:
    """An indexed collection as it was before this step and as it is after: what makes joins and reductions incremental.

    Invariant: rows enter in a step, through `insert`; `before` is the collection without them, `after` with them.
    """

    def __init__(self, layout: Layout) -> None:
        self.spine = Spine(layout)
        self._before: Snapshot | None = None

    def insert(self, delta: Delta, at_once: bool = False) -> None:
        """Add rows of this step; `at_once` where they are read in this step."""
        if self._before is None:
            self._before = self.spine.snapshot()
        self.spine.insert(delta, at_once)

    def in_order(self, delta: Delta) -> Delta:
        """The rows that entered in this step, given as their delta: a large one comes back as the arrangement sorted it.

        Probing by its key then need not sort again, and what is found lies together.
        """
        run = self.after.beyond(self.before) if len(delta) >= SORTED_ROWS else None
        return delta if run is None else Delta(run.columns, run.diffs)

    @property
    def before(self) -> Snapshot:
        """The collection without this step's rows."""
        return self.spine.snapshot() if self._before is None else self._before

    @property
    def after(self) -> Snapshot:
        """The collection with this step's rows; right only once the operator that inserts has run."""
        return self.spine.snapshot()

    def settle(self) -> None:
        """End the step: `before` moves up to `after`, so that merged runs need not be kept for it."""
        self._before = None


def arrangement_of(operator: Operator) -> Arrangement:
    """The arrangement that an operator's input offers; the builder only connects inputs that have one."""
    if operator.arrangement is None:
        raise ValueError(f"{operator.spec} keeps no arrangement; put an arrange node in between")
    return operator.arrangement


def refuse_retractions(delta: Delta, what: object) -> None:
    """ValueError when a delta takes rows away from a collection that was proved never to lose any."""
    if (delta.diffs < 0).any():
        raise ValueError(f"{what} got a row taken away from a collection proved append-only; this is a planner mistake")


def combine(deltas: Sequence[Delta], types: Types) -> Delta:
    """The sum of deltas of the same types, not consolidated."""
    parts = [delta for delta in deltas if len(delta)]
    if not parts:
        return Delta.empty(types)
    return rows.concat_deltas(parts)


def names(columns: Sequence[int]) -> str:
    """Column positions as EXPLAIN prints them: `#0, #2`."""
    return ", ".join(f"#{column}" for column in columns)
