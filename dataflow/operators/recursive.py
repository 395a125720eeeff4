"""Recursion: collections that are defined by one another, iterated to where nothing changes any more, within one step.

    reach = edges + (reach joined to edges)

Always true: after each step every variable is what iterating its body from nothing gives over the inputs as they now are; so it is
computed anew when an input changes. Where the bodies are monotone and rows were only added, the iteration goes on from where the
last one ended, which comes to the same: the least solution. Variables take their new rows one after the other, each seeing those
before it. An iteration that does not end within the limit is one row error and no rows, or with `returns` what it is at the limit.
Deliberately unknown here: what the bodies are, and time (a step of the inner operators is no step of the dataflow).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.nodes import Node, upstream
from dataflow.operators.base import NO_ERRORS, Operator, Stopwatch, Types, arrangement_of, combine
from dataflow.operators.constant import Input
from dataflow.operators.pieces import arrange_pieces
from dataflow.spine import Spine
from dataflow.types import TEXT

_MOST_COPIES = 1 << 40
"""Copies of a row that no iteration which ends comes to; far beyond, the counts would wrap."""


def outside(number: int) -> str:
    """The name of the inner graph's input that stands for an input of the recursion."""
    return f"outside {number}"


def variable(number: int) -> str:
    """The name of the inner graph's input that stands for a variable."""
    return f"variable {number}"


@dataclass(frozen=True, slots=True)
class Loop:
    """Bodies in a graph of their own, whose inputs are named by `outside` and `variable`. Two are equal when `key` is.

    key: what tells recursions apart. names: of the variables, for people. limit: of iterations. returns: stop there, without an
    error. monotone: the caller has proved that more rows in never make fewer rows out.
    """

    key: object = field(repr=False)
    names: tuple[str, ...]
    bodies: tuple[Node, ...] = field(compare=False, repr=False)
    limit: int
    returns: bool
    monotone: bool


@dataclass(frozen=True, slots=True)
class RecursiveSpec:
    """Inputs: all arranged by all of their columns. The output is a variable of its own: see VariableSpec."""

    loop: Loop

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Recursive(self, types, inputs)

    def __str__(self) -> str:
        loop = self.loop
        grows = ", or goes on where rows are only added" if loop.monotone else ""
        end = "return" if loop.returns else "error"
        names = ", ".join(loop.names)
        return f"recursion of {names}: iterates anew when an input changes{grows}; {end} at {loop.limit:,} iterations"


@dataclass(frozen=True, slots=True)
class VariableSpec:
    """One variable of the recursion that is the input."""

    number: int

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Variable(self, types, inputs)

    def __str__(self) -> str:
        return f"variable {self.number} of the recursion"


class Recursive(Operator):
    """State: the inputs' arrangements, the variables and the row errors. Its own output is empty."""

    consolidates = True

    def __init__(self, spec: RecursiveSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._loop = spec.loop
        self._traces = [arrangement_of(source) for source in inputs]
        bodies = [body.types for body in spec.loop.bodies]
        self._spines = tuple(Spine(Layout(columns, tuple(range(len(columns))))) for columns in bodies)
        self._errors = Spine(Layout((TEXT,), (0,)))
        self._empty = [Delta.empty(columns) for columns in bodies]
        self.changes = self._empty
        """What this step changed in each variable."""
        self._ready = False
        self.due = True

    def resume(self) -> None:
        super().resume()
        # What the variables are is known, and whether an iteration ended there: an error says that it did not.
        self._ready = self._errors.empty

    def spines(self) -> tuple[Spine, ...]:
        return (*self._spines, self._errors)

    def step(self, *deltas: Delta) -> Delta:
        goes_on = self._loop.monotone and self._ready and all((delta.diffs > 0).all() for delta in deltas)
        before = [spine.snapshot().rows() for spine in self._spines]
        iteration = _Iteration(self._loop, self._empty, self._stopwatch)
        added = iteration.run(
            [trace.after.rows() for trace in self._traces], before if goes_on else self._empty, self._loop
        )
        self._ready = added is not None
        errors = iteration.errors() if added is not None else _one_error(self._loop)
        if added is None:
            added, goes_on = self._empty, False
        old = self._empty if goes_on else before
        self.changes = [
            rows.consolidate(combine([new, Delta(past.columns, -past.diffs)], new_types))
            for new, past, new_types in zip(added, old, (body.types for body in self._loop.bodies), strict=True)
        ]
        for spine, change in zip(self._spines, self.changes, strict=True):
            if len(change):
                spine.insert(change)
        told = self._errors.snapshot().rows()
        failed = rows.consolidate(combine([errors, Delta(told.columns, -told.diffs)], (TEXT,)))
        if len(failed):
            self._errors.insert(failed)
            self.report(failed.columns[0], failed.diffs)
        self.rows_out += sum(map(len, self.changes))
        if any(map(len, self.changes)):
            self._wake()
        return self._nothing

    def finish(self) -> None:
        super().finish()
        self.changes = self._empty


class Variable(Operator):
    """Passes on what the recursion changed in one variable."""

    consolidates = True

    def __init__(self, spec: VariableSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        (source,) = inputs
        if not isinstance(source, Recursive):
            raise ValueError(f"{spec} reads {source.spec}, which is no recursion")
        self._source, self._number = source, spec.number

    def step(self, *_: Delta) -> Delta:
        return self._source.changes[self._number]


def _one_error(loop: Loop) -> Delta:
    what = ", ".join(loop.names)
    message = f"the recursion of {what} has no end within {loop.limit:,} iterations"
    return Delta((pa.array([message], pa.large_string()),), np.ones(1, np.int64))


class _EndlessError(Exception):
    """Some row has more copies than an iteration that ends comes to."""


class _Iteration:
    """Operators of the bodies, made for one step and thrown away after it."""

    def __init__(self, loop: Loop, empty: Sequence[Delta], stopwatch: Stopwatch) -> None:
        made: dict[int, Operator] = {}
        for node in upstream(loop.bodies):
            made[node.number] = node.spec.build(node.types, tuple(made[source.number] for source in node.inputs))
        self._order = tuple(made.values())
        self._bodies = [made[body.number] for body in loop.bodies]
        self._inputs = {operator.name: operator for operator in self._order if isinstance(operator, Input)}
        self._stopwatch = stopwatch
        self._empty = empty
        self._pending: list[list[Delta]] = [[] for _ in loop.bodies]
        self._failed: list[Delta] = []
        arrange_pieces(self._order)
        for body in self._bodies:
            body.lazy = False

    def run(self, given: Sequence[Delta], begin: Sequence[Delta], loop: Loop) -> list[Delta] | None:
        """What the iteration adds to each variable beyond where it begins; None where it has no end."""
        for number, delta in enumerate(given):
            self._put(outside(number), delta)
        for number, delta in enumerate(begin):
            self._put(variable(number), delta)
            # The body says all that the variable is, of which this is in it already.
            self._pending[number] = [Delta(delta.columns, -delta.diffs)]
        self._pass()
        added: list[list[Delta]] = [[] for _ in begin]
        try:
            ended = any(not self._advance(added) for _ in range(loop.limit))
        except _EndlessError:
            return None
        if not ended and not loop.returns and any(len(self._taken(number)) for number in range(len(begin))):
            return None
        return [combine(parts, body.types) for parts, body in zip(added, loop.bodies, strict=True)]

    def errors(self) -> Delta:
        """The row errors of the bodies at the end."""
        return rows.consolidate(combine(self._failed, (TEXT,))) if self._failed else NO_ERRORS

    def _advance(self, added: list[list[Delta]]) -> bool:
        """One iteration: each variable becomes what its body now says. Whether anything changed."""
        changed = False
        for number, parts in enumerate(added):
            delta = self._taken(number)
            if not len(delta):
                continue
            changed = True
            parts.append(delta)
            if (np.abs(delta.diffs) > _MOST_COPIES).any():
                raise _EndlessError
            self._put(variable(number), delta)
            self._pass()
        return changed

    def _taken(self, number: int) -> Delta:
        parts, self._pending[number] = self._pending[number], []
        return rows.consolidate(combine(parts, self._bodies[number].types)) if parts else self._empty[number]

    def _put(self, name: str, delta: Delta) -> None:
        if len(delta) and (source := self._inputs.get(name)) is not None:
            source.put(delta)

    def _pass(self) -> None:
        """Run what is due, once, in topological order."""
        ran = [operator for operator in self._order if self._due(operator)]
        for number, body in enumerate(self._bodies):
            if len(body.delta):
                self._pending[number].append(body.delta)
        for operator in ran:
            operator.finish()

    def _due(self, operator: Operator) -> bool:
        if not operator.due:
            return False
        operator.run(self._stopwatch)
        if len(operator.errors):
            self._failed.append(operator.errors)
        return True
