"""Reduce: GROUP BY and its aggregates.

    SELECT k, count(*), sum(x), min(x) FROM t GROUP BY k

count, sum, avg and statistics are kept as accumulators, one row for each group in a spine, and the input is not stored. min and
max are kept beside them; only where a change may have overtaken one is it read again, as the first row of the group in an
arrangement ordered by (key, value), which only they need, and only if rows may be taken away.
Always true: after each step the output is what the accumulators and arrangements say now. The old and the new result of
each touched group are both computed from state (`before` and `after`), so that rows and errors retract exactly, and what did
not change is not emitted. A group is there if and only if its rows number more than zero; fewer than zero is a row error.
NULL keys are equal. `default_row` (no GROUP BY) has its one row also when there are no rows, from the first step on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.operators.accumulators import Accumulators, State
from dataflow.operators.aggregates import EXTREMES, NEGATIVE_COUNT, Aggregate, Finisher, finisher, needed, sums_for
from dataflow.operators.base import Operator, Types, arrangement_of, names
from dataflow.operators.exact import Mask
from dataflow.operators.extremes import Extreme, Winner, spread
from dataflow.rows import Columns, Int64s
from dataflow.spine import Spine


@dataclass(frozen=True, slots=True)
class ReduceSpec:
    """Inputs: the rows, then for each min and max, in order, the arrangement of (key, value) ordered by value.

    append_only: no row is ever taken away, so min and max keep the winner alone, and there are no such arrangements.
    """

    key: tuple[int, ...]
    aggregates: tuple[Aggregate, ...]
    default_row: bool
    append_only: bool = False

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Reduce(self, types, inputs)

    def __str__(self) -> str:
        what = ", ".join(map(str, self.aggregates)) or "keys"
        by = f" by ({names(self.key)})" if self.key else ""
        return f"reduce {what}{by}" + (", append-only: keeps the winners" if self.append_only else "")


class Reduce(Operator):
    """State: the accumulators and the extremes by key."""

    consolidates = True

    def __init__(self, spec: ReduceSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        # What `max(x)` reads is in its arrangement, where a large step's rows come sorted and added up.
        self._pairs = arrangement_of(inputs[1]) if _over_pairs(spec) and len(inputs) == 2 else None
        if self._pairs is not None:
            spec = _of_pairs(spec)
        self._spec = spec
        source = inputs[0 if self._pairs is None else 1].types
        extremes = [a for a in spec.aggregates if a.column is not None and a.function in EXTREMES]
        self._extremes = _extremes(extremes, inputs, spec.append_only)
        # An arrangement has all of a step's rows already, so it cannot be read between two pieces.
        self.folds = len(inputs) == 1
        needs = {a: need for a in spec.aggregates if (need := needed(a, source)) is not None}
        summed = {need: sums_for(need, source) for need in needs.values()}
        counted = dict.fromkeys(
            a.column for a in spec.aggregates if a.column is not None and a.function not in EXTREMES
        )
        self._accumulators = Accumulators(source, list(counted), [(of, kind) for (of, _), kind in summed.items()])
        self._counted = {column: position for position, column in enumerate(counted)}
        position = {need: place for place, need in enumerate(summed)}
        self._summed = {a: position[need] for a, need in needs.items()}
        self._finishers: dict[Aggregate, Finisher] = {a: finisher(a, summed[need]) for a, need in needs.items()}
        self._messages = pa.array([NEGATIVE_COUNT, *(f.message for f in self._finishers.values())], pa.large_string())
        self._codes = {aggregate: 2 + position for position, aggregate in enumerate(self._finishers)}
        keys = tuple(source[column] for column in spec.key)
        stored = self._accumulators.stored + tuple(a.type for a in extremes)
        self._spine = Spine(Layout(keys + stored, tuple(range(len(keys)))))
        self._started = not spec.default_row
        self.due = spec.default_row

    def resume(self) -> None:
        super().resume()
        self._started = True

    def spines(self) -> tuple[Spine, ...]:
        return (self._spine,)

    def step(self, *deltas: Delta) -> Delta:
        delta = deltas[0] if self._pairs is None else self._pairs.in_order(deltas[1])
        if len(delta):
            keys = tuple(delta.columns[column] for column in self._spec.key)
            ids, first = rows.group(keys, len(delta))
            touched = rows.take(keys, first)
            groups = len(first)
        elif self._started:
            return delta
        else:
            ids, touched, groups = np.empty(0, np.int64), (), 1
        old, firsts, known = self._read(touched, groups)
        new = self._accumulators.add(old, self._accumulators.of(delta, ids, groups))
        both = self._accumulators.stack(old, new)
        extremes = tuple(
            extreme.step(delta, ids, touched, groups, first, known)
            for extreme, first in zip(self._extremes, firsts, strict=True)
        )
        self._store(touched, groups, both, extremes)
        return self._difference(touched, groups, both, extremes)

    def _read(self, touched: Columns, groups: int) -> tuple[State, Columns, Mask]:
        """The accumulators and extremes of the touched groups before this step, and which groups had any stored."""
        probe = self._spine.snapshot().probe(touched, nulls_match=True, rows=groups)
        found, stored = probe.probe_rows, probe.columns[len(touched) :]
        if (probe.diffs != 1).any():
            # Old versions and their retractions have not been merged away yet; what is left is one row for each group.
            live = rows.consolidate(Delta((pa.array(found), *stored), probe.diffs))
            found, stored = live.columns[0].to_numpy(), live.columns[1:]
        known = np.zeros(groups, np.bool_)
        known[found] = True
        width = len(self._accumulators.stored)
        firsts = tuple(spread(column, found, groups) for column in stored[width:])
        return self._accumulators.read(found, stored[:width], groups), firsts, known

    def _store(self, touched: Columns, groups: int, both: State, extremes: Columns) -> None:
        """Replace what is stored of the touched groups; `both` and `extremes` have the old ones, then the new ones."""
        kept = np.flatnonzero(self._accumulators.nonzero(both))
        if not len(kept):
            return
        columns = rows.take(touched, kept % groups)
        columns += rows.take(self._accumulators.columns(both) + extremes, kept)
        self._spine.insert(Delta(columns, np.where(kept < groups, -1, 1)))

    def _difference(self, touched: Columns, groups: int, both: State, extremes: Columns) -> Delta:
        """New results minus old results: rows as the output, errors reported."""
        failed = np.where(_faulty(both), 1, 0)
        columns: list[pa.Array] = []
        ordered = iter(extremes)
        for aggregate in self._spec.aggregates:
            if aggregate.column is None:
                columns.append(pa.array(both.total))
            elif aggregate.function == "count":
                columns.append(pa.array(both.counts[self._counted[aggregate.column]]))
            elif aggregate in self._finishers:
                counts, sums = both.counts[self._counted[aggregate.column]], both.sums[self._summed[aggregate]]
                values, bad = self._finishers[aggregate].finish(sums, counts)
                columns.append(values)
                if bad is not None:
                    failed[bad & (counts > 0) & (failed == 0)] = self._codes[aggregate]
            else:
                columns.append(next(ordered))
        shown = (both.total > 0) | (both.total == 0) & self._spec.default_row
        if not self._started:
            self._started = True
            shown[:groups] = False
        return self._emit(touched, groups, tuple(columns), shown & (failed == 0), failed)

    def _emit(self, touched: Columns, groups: int, columns: Columns, shown: Mask, failed: Int64s) -> Delta:
        errors = np.flatnonzero(failed)
        if len(errors):
            messages = self._messages.take(pa.array(failed[errors] - 1))
            change = rows.consolidate(Delta((messages,), np.where(errors < groups, -1, 1)))
            self.report(change.columns[0], change.diffs)
        kept = np.flatnonzero(shown)
        keys = rows.take(touched, kept % groups)
        values = rows.take(columns, kept)
        return rows.consolidate(Delta(keys + values, np.where(kept < groups, -1, 1)))


def _over_pairs(spec: ReduceSpec) -> bool:
    """Whether the aggregates read nothing but the key and one column whose extreme is asked for."""
    read = {a.column for a in spec.aggregates if a.column is not None}
    return len(read) == 1 and all(a.column is None or a.function in EXTREMES for a in spec.aggregates)


def _of_pairs(spec: ReduceSpec) -> ReduceSpec:
    """The same reduction, of rows that are the key and the value."""
    width = len(spec.key)
    aggregates = tuple(a if a.column is None else replace(a, column=width) for a in spec.aggregates)
    return replace(spec, key=tuple(range(width)), aggregates=aggregates)


def _extremes(
    aggregates: Sequence[Aggregate], inputs: tuple[Operator, ...], append_only: bool
) -> Sequence[Extreme | Winner]:
    wanted = [(a.column, a.function == "max") for a in aggregates if a.column is not None]
    if append_only:
        return [Winner(*one) for one in wanted]
    return [Extreme(*one, arrangement_of(operator)) for one, operator in zip(wanted, inputs[1:], strict=True)]


def _faulty(state: State) -> Mask:
    """Groups that no collection without negative diffs could have."""
    faulty: Mask = state.total < 0
    for count in state.counts:
        faulty = faulty | (count < 0) | (count > state.total)
    return faulty
