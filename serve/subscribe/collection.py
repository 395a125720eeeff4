"""Collections that are followed from tick to tick: a view, or a query over views as a dataflow of its own.

Always true: after `advance`, `snapshot` is the query at the tick's time and what `advance` returned is what changed since the
last; where changes of ticks were lost, they are what the snapshots differ by. Used by one thread.
Deliberately unknown: readers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataflow.delta import Delta
from dataflow.graph import GraphBuilder
from dataflow.rows import concat_deltas, consolidate
from dataflow.snapshot import Snapshot
from dataflow.types import Schema
from planner.lower import Lowering
from planner.plan import Get, Plan, Project
from planner.query import schemas
from planner.scalar import ColumnRef
from serve.reads import Published, PublishedView, scan
from serve.sql.errors import QueryError, from_row
from serve.sql.names import ready
from serve.sql.system import Relations

SYSTEM_SECONDS = 1.0
"""How often relations of the service itself are looked at for changes."""

FUEL_PER_ROW = 8
LEAST_FUEL = 16_384
"""Rows of merge work after each step, as the tick loop does it."""

_NAME = "subscribed"


@dataclass(frozen=True, slots=True)
class Tick:
    """One complete time. changes: by view, consolidated; those of all `views` that changed. lost: changes before it are missing."""

    published: Published
    changes: Mapping[str, Delta]
    views: frozenset[str]
    lost: bool = False


class Collection(Protocol):
    """What a stream follows. reads: the views it needs the changes of. constant: nothing can change it."""

    reads: frozenset[str]
    constant: bool

    def start(self, published: Published) -> None:
        """Begin at a time. QueryError when it cannot be read."""
        ...

    def advance(self, tick: Tick) -> Delta:
        """What changed since the last time, consolidated. QueryError when the collection cannot be followed any more."""
        ...

    def snapshot(self) -> Snapshot:
        """The rows as of the last time."""
        ...


def make_collection(plan: Plan, schema: Schema, relations: Relations) -> Collection:
    """What follows a plan: a view itself where the plan is nothing else."""
    if isinstance(plan, Project) and plan.outputs == tuple(ColumnRef(i, t) for i, t in enumerate(plan.input.types)):
        plan = plan.input
    if isinstance(plan, Get) and plan.name not in relations.schemas():
        return ViewCollection(plan.name, schema)
    return QueryCollection(plan, schema, relations)


class ViewCollection:
    """A view: its changes are the tick's."""

    def __init__(self, name: str, schema: Schema) -> None:
        self.reads = frozenset((name,))
        self.constant = False
        self._name = name
        self._schema = schema
        self._rows: Snapshot | None = None

    def start(self, published: Published) -> None:
        """See `Collection`."""
        self._rows = _readable(published, self._name, self._schema).rows

    def advance(self, tick: Tick) -> Delta:
        """See `Collection`."""
        rows = _readable(tick.published, self._name, self._schema).rows
        delta = _changed(tick, self._name, self._rows, rows)
        self._rows = rows
        return delta

    def snapshot(self) -> Snapshot:
        """See `Collection`."""
        assert self._rows is not None
        return self._rows


class QueryCollection:
    """A query: the views' changes, and those of the service's own relations, pushed through a dataflow."""

    def __init__(self, plan: Plan, schema: Schema, relations: Relations) -> None:
        found = schemas(plan)
        system = relations.schemas()
        builder = GraphBuilder()
        lowering = Lowering(builder)
        for name, columns in found.items():
            lowering.relations[name] = builder.input(name, tuple(column.type for column in columns))
            lowering.keys[name] = frozenset()
        builder.export(_NAME, lowering.lower(plan), schema, ())
        self.reads = frozenset(found.keys() - system.keys())
        self._dataflow = builder.build(time.perf_counter)
        self._schemas = {name: found[name] for name in self.reads}
        self._rows: dict[str, Snapshot] = {}
        self._relations = relations
        self._system = {name: Delta.empty([c.type for c in found[name]]) for name in found.keys() & system.keys()}
        self._looked = 0.0
        self.constant = False

    def start(self, published: Published) -> None:
        """See `Collection`."""
        self._rows = {name: _readable(published, name, schema).rows for name, schema in self._schemas.items()}
        rows = {name: snapshot.rows() for name, snapshot in self._rows.items()}
        self._step({**rows, **self._differences(published)}, published.time)
        self.constant = not (self.reads or self._system) and self._dataflow.deadline is None

    def advance(self, tick: Tick) -> Delta:
        """See `Collection`."""
        deltas = {}
        for name, schema in self._schemas.items():
            rows = _readable(tick.published, name, schema).rows
            deltas[name] = _changed(tick, name, self._rows[name], rows)
            self._rows[name] = rows
        if self._system and time.monotonic() - self._looked >= SYSTEM_SECONDS:
            deltas |= self._differences(tick.published)
        return self._step(deltas, tick.published.time)

    def snapshot(self) -> Snapshot:
        """See `Collection`."""
        return self._dataflow.view(_NAME).snapshot()

    def _step(self, deltas: Mapping[str, Delta], time_: int) -> Delta:
        result = self._dataflow.step({name: delta for name, delta in deltas.items() if len(delta)}, time=time_)
        if self._dataflow.view(_NAME).errors().total:
            wrong = scan(self._dataflow.view(_NAME).errors(), [], 1)
            raise from_row(wrong.columns[0][0].as_py())
        self._dataflow.maintain(LEAST_FUEL + FUEL_PER_ROW * sum(map(len, deltas.values())))
        return result.changes[_NAME]

    def _differences(self, published: Published) -> dict[str, Delta]:
        """What the service's own relations changed by since they were looked at last."""
        self._looked = time.monotonic()
        found = {}
        for name, before in self._system.items():
            now = self._system[name] = self._relations.rows(name, published)
            found[name] = consolidate(concat_deltas([now, Delta(before.columns, np.negative(before.diffs))]))
        return found


def _readable(published: Published, name: str, schema: Schema) -> PublishedView:
    """The view, if it is what was subscribed to and may be read. QueryError otherwise."""
    view = published.relation(name)
    if view is None or _shape(view.schema) != _shape(schema):
        what = "was dropped" if view is None else "was replaced by another one"
        raise QueryError("55000", f"view {name} {what} while it was subscribed to", hint="subscribe again")
    return ready(view)


def _shape(schema: Schema) -> list[tuple[str, object]]:
    return [(column.name, column.type) for column in schema]


def _changed(tick: Tick, name: str, before: Snapshot | None, after: Snapshot) -> Delta:
    if tick.lost and before is not None:
        return after.since(before)
    delta = tick.changes.get(name)
    return Delta.empty(after.layout.types) if delta is None else delta
