"""Distinct and top-k over a collection that only grows: they keep what is shown, and nothing to undo it by.

Always true: the planner has proved that no delta takes a row away; one that does is a mistake of the planner and is raised, as
what it would bring back is not known any more. The state of distinct is each row once, that of top-k the first
`offset + limit` rows of each key. Deliberately unknown here: how it is proved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.operators.base import Arrangement, Operator, Types, refuse_retractions
from dataflow.operators.topk import TopKSpec, window
from dataflow.spine import Spine


@dataclass(frozen=True, slots=True)
class AppendDistinctSpec:
    """Each row once, when it first comes."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return AppendDistinct(self, types, inputs)

    def __str__(self) -> str:
        return "distinct, append-only: keeps each row once"


class AppendDistinct(Operator):
    """Its state is an arrangement of its own output by all columns, which others may share."""

    consolidates = True
    folds = True

    def __init__(self, spec: AppendDistinctSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._seen = self.arrangement = Arrangement(Layout(types, tuple(range(len(types)))))

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        refuse_retractions(delta, self.spec)
        _, first = rows.group(delta.columns, len(delta))
        columns = rows.take(delta.columns, first)
        probe = self._seen.after.probe(columns, nulls_match=True, rows=len(first))
        new = np.ones(len(first), np.bool_)
        new[probe.probe_rows] = False
        if not new.all():
            columns = rows.filter_rows(columns, new)
        change = Delta(columns, np.ones(np.count_nonzero(new), np.int64))
        if len(change):
            self._seen.insert(change)
        return change


@dataclass(frozen=True, slots=True)
class AppendTopKSpec:
    """Top-k whose input only grows; `top.limit` is not None."""

    top: TopKSpec

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return AppendTopK(self, types, inputs)

    def __str__(self) -> str:
        order = ", ".join(f"#{o.column}{' descending' if o.descending else ''}" for o in self.top.order)
        return f"{self.top} ordered by {order}, append-only: keeps only rows up to the last place"


class AppendTopK(Operator):
    """State: the rows at the places 1 to `offset + limit` of each key, in order."""

    consolidates = True
    folds = True

    def __init__(self, spec: AppendTopKSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._top = spec.top
        self._end = spec.top.offset + (spec.top.limit or 0)
        self._layout = Layout(inputs[0].types, spec.top.key, spec.top.order)
        self._held = Spine(self._layout)

    def spines(self) -> tuple[Spine, ...]:
        return (self._held,)

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        refuse_retractions(delta, self.spec)
        if not len(delta) or self._end == 0:
            return self._nothing
        keys = tuple(delta.columns[column] for column in self._top.key)
        _, first = rows.group(keys, len(delta))
        touched = rows.take(keys, first)
        old = self._held.snapshot().first(touched, self._end, rows=len(first))
        stage = Spine(self._layout)
        stage.insert(Delta(old.columns, old.diffs))
        stage.insert(delta)
        new = stage.snapshot().first(touched, self._end, rows=len(first))
        kept = window(new, 0, self._end)
        self._held.insert(rows.concat_deltas([Delta(old.columns, -old.diffs), kept]))
        before, after = (window(p, self._top.offset, self._end, self._top.numbered) for p in (old, new))
        return rows.consolidate(rows.concat_deltas([Delta(before.columns, -before.diffs), after]))
