"""One step of a dataflow: a delta for each input goes in, a delta and the row errors of each view come out.

Always true: after a step, and only then, every view's snapshot is the query over the sum of all inputs so far; the sum of a
view's changes is its snapshot; operators whose inputs did not change are not run, so an idle step costs microseconds.
Row errors of an operator reach every view downstream of it, once, whatever number of paths lead there.
Deliberately unknown here: clocks (the time of a step is handed in), names of columns, where deltas come from and go to.
No threads: one thread steps, and what `View` hands out may be read by any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.memory import Allocator, Ledger, MemoryLimit, RunColumns
from dataflow.nodes import Export, Told, explain, told, upstream
from dataflow.operators.base import NO_ERRORS, Arrangement, Operator, Stopwatch, Types, arrangement_of, combine
from dataflow.operators.constant import Input
from dataflow.operators.pieces import arrange_pieces
from dataflow.operators.temporal import TemporalFilter
from dataflow.snapshot import Snapshot
from dataflow.spine import Spine
from dataflow.state import State, put, shape_of, take
from dataflow.types import TEXT, Schema


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step changed; every view has an entry in both, most of them empty.

    changes: consolidated rows by view. errors: consolidated row errors by view, one text column.
    """

    changes: dict[str, Delta]
    errors: dict[str, Delta]


@dataclass(frozen=True, slots=True)
class OperatorStatistics:
    """Totals of one operator since the dataflow was built. `view` is the first view that needs it; seconds are the stopwatch's.

    state_file_bytes: of the state's bytes, those that lie in files.
    """

    node: int
    operator: str
    view: str
    rows_in: int
    rows_out: int
    seconds: float
    state_rows: int
    state_bytes: int
    state_file_bytes: int


class View:
    """The index of an exported view and its row errors."""

    def __init__(self, export: Export, index: Operator, sources: frozenset[int]) -> None:
        self.name = export.name
        self.schema: Schema = export.schema
        self.key = export.key
        self.sources = sources
        """The numbers of all nodes upstream: their row errors are this view's."""
        self._rows: Arrangement = arrangement_of(index)
        self.failed = Spine(Layout((TEXT,), (0,)))
        self.spines = (self._rows.spine, self.failed)
        """What readers see of it."""

    def snapshot(self) -> Snapshot:
        """The rows as of the last step, indexed by `key`; stays valid, and may be read by any thread."""
        return self._rows.after

    def errors(self) -> Snapshot:
        """The row errors as of the last step: one text column, indexed by it."""
        return self.failed.snapshot()

    def fail(self, reported: Sequence[tuple[int, Delta]]) -> Delta:
        """Add those of a step's errors, given with the number of the node they come from, that belong to this view."""
        errors = combine([delta for number, delta in reported if number in self.sources], (TEXT,))
        if len(errors):
            errors = rows.consolidate(errors)
            self.failed.insert(errors)
        return errors


class Dataflow:
    """The running operators of a graph. Made by `GraphBuilder.build`; used by one thread."""

    def __init__(self, exports: Sequence[Export], inputs: Mapping[str, Types], stopwatch: Stopwatch) -> None:
        """inputs: every input that a step may name, also those that no view needs."""
        self._exports = tuple(exports)
        self._stopwatch = stopwatch
        self._operators: dict[int, Operator] = {}
        for node in upstream(export.node for export in exports):
            operator = node.spec.build(node.types, tuple(self._operators[source.number] for source in node.inputs))
            self._operators[node.number] = operator
        self._order = tuple(self._operators.items())
        self._temporal = tuple(operator for _, operator in self._order if isinstance(operator, TemporalFilter))
        self._timed = False
        self._roots = tuple(
            (number, operator)
            for number, operator in self._order
            if not operator.inputs or isinstance(operator, TemporalFilter)
        )
        self._numbers = {operator: number for number, operator in self._order}
        arrange_pieces(self._operators.values())
        found = {op.name: op for op in self._operators.values() if isinstance(op, Input)}
        self._inputs: dict[str, Input | None] = {name: found.get(name) for name in inputs}
        self._views = {
            export.name: View(
                export,
                self._operators[export.node.number],
                frozenset(node.number for node in upstream((export.node,))),
            )
            for export in exports
        }
        self._indexed: dict[int, list[str]] = {}
        self._shown: dict[Spine, list[str]] = {}
        for export in exports:
            self._indexed.setdefault(export.node.number, []).append(export.name)
            for spine in self._views[export.name].spines:
                self._shown.setdefault(spine, []).append(export.name)
        self._changed = set(self._shown)
        for spine in self._shown:
            spine.lists += (self._changed,)
        self._unchanged = {export.name: Delta.empty(export.node.types) for export in exports}
        self._no_errors = dict.fromkeys(self._views, NO_ERRORS)
        self._restless: dict[Spine, None] = {}
        spines = [spine for _, operator in self._order for spine in operator.spines()]
        self.spines = (*dict.fromkeys(spines), *(view.failed for view in self._views.values()))
        """The whole state."""
        self.inputs = frozenset(inputs)
        self.views = frozenset(self._views)
        self.shape = shape_of(self._operators, ((export.name, export.node.number) for export in exports))
        """A hash of the graph as far as its state depends on it."""
        self._ledger = Ledger(self.spines)
        self._allocator = Allocator(self._ledger)
        self._unsettled = False
        self._maintained = 0
        self._limit: MemoryLimit | None = None
        self._broken: str | None = None
        self.steps = 0
        """How many steps are complete: the frontier of every operator."""

    def step(
        self, inputs: Mapping[str, Delta], errors: Mapping[str, Delta] | None = None, time: int | None = None
    ) -> StepResult:
        """Push one delta for each named input (none: empty) through the graph.

        errors: by input, errors of the source itself (one text column), for every view downstream.
        time: of the step, in milliseconds since 1970, never less than before; needed where the graph has temporal filters.
        KeyError or TypeError, with nothing changed, if an input does not exist or has other types. Any other exception
        leaves the state half way: the dataflow then refuses further steps, and is to be built anew.
        """
        if self._broken is not None:
            raise RuntimeError(f"an earlier step failed ({self._broken}); build the dataflow anew and replay")
        if self._temporal and time is None and not self._timed:
            raise ValueError("this dataflow has temporal filters: a step needs its time")
        self._put(inputs, errors or {})
        try:
            if time is not None:
                self._timed = True
                for waiting in self._temporal:
                    waiting.advance(time)
            ran = self._run()
            result = self._collect(ran)
        except BaseException as failure:
            self._broken = f"{type(failure).__name__}: {failure}"
            raise
        for _, operator in ran:
            operator.finish()
            self._restless.update((spine, None) for spine in operator.spines() if not spine.empty)
        self.steps += 1
        return result

    def still(self, time: int) -> bool:
        """Whether a step without input at this time would change no view."""
        if not self.steps or any(operator.due for _, operator in self._roots):
            return False
        return not self._temporal or (deadline := self.deadline) is None or time < deadline

    def view(self, name: str) -> View:
        """The exported view; KeyError if there is none of this name."""
        return self._views[name]

    @property
    def deadline(self) -> int | None:
        """A time before which no view changes without new input, or None where none ever will."""
        found = [operator.deadline for operator in self._temporal]
        return min((time for time in found if time is not None), default=None)

    def changed_views(self) -> set[str]:
        """The views whose snapshots are others than at the last call, also by merging; at the first call all."""
        if not self._changed:
            return set()
        for spine in tuple(self._changed):
            spine.snapshot()  # runs that are still being sorted belong to the changes until now
        changed = {name for spine in self._changed for name in self._shown[spine]}
        self._changed.clear()
        return changed

    def maintain(self, fuel_rows: int) -> bool:
        """Merge runs of the state that has changed, moving about `fuel_rows` rows in all; True while there is work left.

        Called between steps, and while idle until it returns False: only then is what was deleted out of memory.
        Answers never need it.
        """
        share = fuel_rows // max(len(self._restless), 1)
        worked = bool(self._restless) or self._unsettled
        idle = self._maintained == self.steps or self._limit is not None
        self._maintained = self.steps
        self._restless = {spine: None for spine in self._restless if spine.maintain(share)}
        if self._limit is not None:
            self._limit.settle()
        if not self._restless and (worked or self._limit is not None):
            self._unsettled = self._allocator.settle(idle)
        return bool(self._restless) or self._unsettled

    def limit_memory(self, limit: MemoryLimit) -> None:
        """Keep the state within a limit from now on; `maintain` sees to it."""
        self._limit = limit
        limit.watch(self.spines)

    def state(self) -> State:
        """Everything that later steps depend on, as of the last step; nothing is copied."""
        return take(self.shape, self.spines)

    def resume(self, columns: Sequence[Sequence[RunColumns]]) -> State:
        """Begin with the state of another dataflow of the same shape and meaning, instead of with nothing.

        columns: for each spine of its `State`, the runs. The result is the state as it now is. ValueError, with nothing
        changed, when the runs are not of this shape or a step was made already.
        """
        if self.steps:
            raise ValueError("a dataflow that has made steps cannot take state over")
        state = put(self.spines, columns)
        for _, operator in self._order:
            operator.resume()
        self._restless = dict.fromkeys(self.spines)
        self.steps = 1
        return replace(state, shape=self.shape)

    def statistics(self) -> list[OperatorStatistics]:
        """Totals of each operator, in topological order."""
        first: dict[int, str] = {}
        for view in self._views.values():
            for number in view.sources:
                first.setdefault(number, view.name)
        return [
            OperatorStatistics(
                node=number,
                operator=str(operator.spec),
                view=first[number],
                rows_in=operator.rows_in,
                rows_out=operator.rows_out,
                seconds=operator.seconds,
                state_rows=sum(spine.rows for spine in operator.spines()),
                state_bytes=sum(spine.nbytes for spine in operator.spines()),
                state_file_bytes=sum(spine.file_bytes for spine in operator.spines()),
            )
            for number, operator in self._order
        ]

    def explain(self, view: str | None = None) -> str:
        """The graph as text, a tree for each view, or for one; it says which operators other views share."""
        return explain(self._exports, view)

    def told(self, view: str) -> Told:
        """What `explain` says of a view's operators, as a tree. KeyError when there is no such view."""
        for _, tree in told(self._exports, view):
            return tree
        raise KeyError(view)

    def _put(self, inputs: Mapping[str, Delta], errors: Mapping[str, Delta]) -> None:
        """Hand each input its delta, after all of them have been checked."""
        for name in (*inputs, *errors):
            if name not in self._inputs:
                raise KeyError(f"no input {name}; the inputs are {', '.join(self._inputs) or 'none'}")
        wanted = [
            (operator, delta) for name, delta in inputs.items() if (operator := self._inputs[name]) and len(delta)
        ]
        for operator, delta in wanted:
            operator.check(delta)
        for operator, delta in wanted:
            operator.put(delta)
        for name, delta in errors.items():
            if (source := self._inputs[name]) is not None and len(delta):
                source.put_errors(delta)

    def _run(self) -> list[tuple[int, Operator]]:
        """Run what is due, in topological order. After the first step that is downstream of something without inputs."""
        ran = []
        agenda = [number for number, operator in (self._roots if self.steps else self._order) if operator.due]
        known = set(agenda)
        while agenda:
            number = heappop(agenda)
            operator = self._operators[number]
            operator.run(self._stopwatch)
            ran.append((number, operator))
            for consumer in operator.consumers:
                if consumer.due and (following := self._numbers[consumer]) not in known:
                    known.add(following)
                    heappush(agenda, following)
        return ran

    def _collect(self, ran: Sequence[tuple[int, Operator]]) -> StepResult:
        changes = self._unchanged.copy()
        failures = self._no_errors.copy()
        if ran:
            reported = [(number, operator.errors) for number, operator in ran if len(operator.errors)]
            for number, operator in ran:
                if number in self._indexed and len(operator.delta):
                    changes.update(dict.fromkeys(self._indexed[number], operator.consolidated()))
            for name, view in self._views.items() if reported else ():
                failures[name] = view.fail(reported)
                self._restless[view.failed] = None
        return StepResult(changes, failures)
