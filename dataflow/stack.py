"""A dataflow and the layers that were put on it while it ran: each a dataflow over what those below it maintain.

A layer's inputs are inputs of the whole, or views of the dataflows below, by name. A new one is filled beside the steps: it
gets what its relations hold (`attach`), then what they changed since (`Recording`), and is put on between two steps (`put_on`).
Always true: after a step every view of every layer is its query over the sum of all inputs so far, as if it had been there
from the first step; a layer is below all that read it. The layers keep arrangements of their own: none is shared between two.
Deliberately unknown: what a layer is for, and in which thread it is filled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dataflow.delta import Delta
from dataflow.memory import MemoryLimit, RunColumns
from dataflow.snapshot import Snapshot
from dataflow.state import Part, State
from dataflow.step import Dataflow, OperatorStatistics, StepResult, View

PIECE_ROWS = 262_144
"""Rows of a relation that a layer is filled with at a time."""

_NUMBERS = 1_000_000
"""Node numbers of a layer begin at a multiple of this, so that statistics tell the layers' operators apart."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one step changed: consolidated or not, and the row errors."""

    time: int | None
    changes: Mapping[str, Delta]
    errors: Mapping[str, Delta]


@dataclass(slots=True)
class Recording:
    """What steps change in some relations, for one other thread to take."""

    names: frozenset[str]
    steps: deque[Recorded] = field(default_factory=deque)

    def take(self) -> Iterator[Recorded]:
        """The steps that were recorded and not taken yet."""
        while self.steps:
            yield self.steps.popleft()


@dataclass(frozen=True, slots=True)
class Attached:
    """The relations of a new layer at one moment, and what happens to them from then on.

    held: by view, its rows and row errors; what is an input of the whole, and kept by nobody, is not among them.
    """

    held: Mapping[str, tuple[Snapshot, Snapshot]]
    recording: Recording


@dataclass(frozen=True, slots=True)
class Layer:
    """A dataflow over named relations. meaning: two layers of one meaning and one shape compute the same."""

    name: str
    meaning: str
    dataflow: Dataflow

    @property
    def reads(self) -> frozenset[str]:
        """Its relations."""
        return self.dataflow.inputs


class Group:
    """Layers that are filled together beside the steps, each after those of them that it reads."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        made: set[str] = set()
        reads: set[str] = set()
        for layer in layers:
            reads |= layer.reads - made
            made |= layer.dataflow.views
        self.reads = frozenset(reads)
        """The relations that none of them makes."""

    def step(
        self, inputs: Mapping[str, Delta], errors: Mapping[str, Delta] | None = None, time: int | None = None
    ) -> None:
        """Put changes of `reads` through all of them."""
        _through(self.layers, dict(inputs), dict(errors or {}), time)

    def maintain(self, fuel_rows: int) -> None:
        """See `Dataflow.maintain`."""
        for layer in self.layers:
            layer.dataflow.maintain(fuel_rows)

    def begin(self, held: Mapping[str, tuple[Snapshot, Snapshot]], time: int | None) -> Iterator[int]:
        """Fill them with what their relations hold, some rows at a time; says how many after each step."""
        self.step({}, time=time)
        for name, (rows, errors) in held.items():
            whole = rows.rows()
            for start in range(0, len(whole), PIECE_ROWS):
                part = slice(start, start + PIECE_ROWS)
                piece = Delta(tuple(column.slice(start, PIECE_ROWS) for column in whole.columns), whole.diffs[part])
                self.step({name: piece}, time=time)
                self.maintain(8 * len(piece))
                yield len(piece)
            if errors.count:
                self.step({}, {name: errors.rows()}, time)

    def catch_up(self, steps: Iterable[Recorded]) -> int:
        """Take over steps that were recorded meanwhile; how many they were."""
        count = 0
        for step in steps:
            self.step(step.changes, step.errors, step.time)
            count += 1
        return count


class Stack:
    """The base and the layers on it, in the order in which they were put on. Used by one thread but for what is said."""

    def __init__(self, base: Dataflow) -> None:
        self._base = base
        self.layers: tuple[Layer, ...] = ()
        self._recordings: list[Recording] = []
        self._limit: MemoryLimit | None = None
        self._views = dict.fromkeys(base.views, base)
        self._gone: set[str] = set()

    # Layers come and go.

    def attach(self, names: Iterable[str]) -> Attached:
        """What these relations hold now, and a recording of what comes."""
        recording = Recording(frozenset(names))
        self._recordings.append(recording)
        views = {name: self.view(name) for name in recording.names if name in self._views}
        return Attached({name: (view.snapshot(), view.errors()) for name, view in views.items()}, recording)

    def detach(self, recording: Recording) -> None:
        """Record no more."""
        self._recordings = [other for other in self._recordings if other is not recording]

    @property
    def recording(self) -> bool:
        """Whether a layer is on its way that takes what comes from a recording."""
        return bool(self._recordings)

    def put_on(self, layer: Layer) -> None:
        """Let a layer take part from the next step on. It has to be as if it had taken part in all of them.

        A view of it takes the place of the base's view of that name, for readers and for layers that come later. ValueError when
        there is a layer, or a layer's view, of a name already.
        """
        made = {view for other in self.layers for view in other.dataflow.views}
        taken = {other.name for other in self.layers} & {layer.name} or made & layer.dataflow.views
        if taken:
            raise ValueError(f"there is a {min(taken)} already")
        self._set((*self.layers, layer))

    def take_off(self, names: Iterable[str]) -> None:
        """Let layers go, with their state. ValueError when a layer that stays reads a view of one that goes."""
        going = {layer.name: layer for layer in self.layers if layer.name in set(names)}
        gone = {view for layer in going.values() for view in layer.dataflow.views}
        for layer in self.layers:
            if layer.name not in going and layer.reads & gone:
                raise ValueError(f"layer {layer.name} reads {min(layer.reads & gone)}, which goes")
        self._set(tuple(layer for layer in self.layers if layer.name not in going))

    def _set(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        self._views = dict.fromkeys(self._base.views, self._base)
        for layer in layers:
            self._views |= dict.fromkeys(layer.dataflow.views, layer.dataflow)
        self._watch()

    # What a dataflow does.

    def step(
        self, inputs: Mapping[str, Delta], errors: Mapping[str, Delta] | None = None, time: int | None = None
    ) -> StepResult:
        """See `Dataflow.step`; every view of every layer is in the result."""
        if not (self.layers or self._recordings):
            return self._base.step(inputs, errors, time)
        known = self.inputs
        for name in inputs:
            if name not in known:
                raise KeyError(f"no input {name}; the inputs are {', '.join(sorted(known))}")
        own = self._base.inputs
        result = self._base.step(
            {n: d for n, d in inputs.items() if n in own}, {n: d for n, d in (errors or {}).items() if n in own}, time
        )
        changes, failures = {**inputs, **result.changes}, {**(errors or {}), **result.errors}
        _through(self.layers, changes, failures, time)
        for recording in self._recordings:
            names = recording.names
            some = {n: d for n, d in changes.items() if n in names and len(d)}
            wrong = {n: d for n, d in failures.items() if n in names and len(d)}
            recording.steps.append(Recorded(time, some, wrong))
        views = self._views
        return StepResult({n: changes[n] for n in views}, {n: failures[n] for n in views})

    def still(self, time: int) -> bool:
        """See `Dataflow.still`; not while steps are recorded, for each of them is."""
        return not self._recordings and all(flow.still(time) for flow in self._all())

    @property
    def inputs(self) -> frozenset[str]:
        """The names that a step may give rows for."""
        if not self.layers:
            return frozenset(self._base.inputs)
        found, made = set(self._base.inputs), set(self._base.views)
        for layer in self.layers:
            found |= layer.reads - made
            made |= layer.dataflow.views
        return frozenset(found)

    @property
    def views(self) -> Collection[str]:
        """The names of all views."""
        return self._views.keys()

    def view(self, name: str) -> View:
        """The view of this name; KeyError if there is none."""
        return self._views[name].view(name)

    @property
    def deadline(self) -> int | None:
        """See `Dataflow.deadline`."""
        return min((time for flow in self._all() if (time := flow.deadline) is not None), default=None)

    def changed_views(self) -> set[str]:
        """See `Dataflow.changed_views`."""
        return set().union(*(flow.changed_views() for flow in self._all()))

    def maintain(self, fuel_rows: int) -> bool:
        """See `Dataflow.maintain`."""
        if self._limit is not None:
            self._limit.settle()
        work = [flow.maintain(fuel_rows) for flow in self._all()]
        return any(work)

    def limit_memory(self, limit: MemoryLimit) -> None:
        """See `Dataflow.limit_memory`; layers that come later count too."""
        self._limit = limit
        self._watch()

    @property
    def shape(self) -> str:
        """Of the base."""
        return self._base.shape

    def state(self) -> State:
        """Everything that later steps depend on; `parts` say which layer has which spines."""
        states = [flow.state() for flow in self._all()]
        parts = tuple(
            Part(layer.meaning, state.shape, len(state.spines))
            for layer, state in zip(self.layers, states[1:], strict=True)
        )
        return State(states[0].shape, tuple(runs for state in states for runs in state.spines), parts)

    def resume(self, columns: Sequence[Sequence[RunColumns]], parts: Sequence[Part] = ()) -> State:
        """See `Dataflow.resume`. Layers that the state does not hold are taken off; `layers` then says which are left."""
        count = len(columns) - sum(part.spines for part in parts)
        states = [self._base.resume(columns[:count])]
        found: dict[tuple[str, str], tuple[Part, Sequence[Sequence[RunColumns]]]] = {}
        for part in parts:
            found[part.meaning, part.shape] = part, columns[count : count + part.spines]
            count += part.spines
        lost = self.lacking(parts)
        self.take_off([layer.name for layer in self.layers if layer.dataflow.views & lost])
        kept = []
        for layer in self.layers:
            part, spines = found[layer.meaning, layer.dataflow.shape]
            kept.append(part)
            states.append(layer.dataflow.resume(spines))
        return replace(states[0], spines=tuple(r for state in states for r in state.spines), parts=tuple(kept))

    def lacking(self, parts: Sequence[Part]) -> set[str]:
        """The views of layers that a state with these parts does not hold, or that read one of those."""
        found = {(part.meaning, part.shape) for part in parts}
        lost: set[str] = set()
        for layer in self.layers:
            if (layer.meaning, layer.dataflow.shape) not in found or layer.reads & lost:
                lost |= layer.dataflow.views
        return lost

    def statistics(self) -> list[OperatorStatistics]:
        """See `Dataflow.statistics`. Any thread."""
        return [
            replace(one, node=one.node + _NUMBERS * number)
            for number, flow in enumerate(self._all())
            for one in flow.statistics()
        ]

    def _all(self) -> tuple[Dataflow, ...]:
        return (self._base, *(layer.dataflow for layer in self.layers))

    def _watch(self) -> None:
        if self._limit is not None:
            self._limit.watch([spine for flow in self._all() for spine in flow.spines])


def _through(layers: Iterable[Layer], changes: dict[str, Delta], failures: dict[str, Delta], time: int | None) -> None:
    """Step each layer, and add what it changed to the changes and row errors that the next ones see."""
    for layer in layers:
        reads = layer.reads
        above = layer.dataflow.step(
            {n: changes[n] for n in reads if n in changes and len(changes[n])},
            {n: failures[n] for n in reads if n in failures and len(failures[n])},
            time,
        )
        changes.update(above.changes)
        failures.update(above.errors)
