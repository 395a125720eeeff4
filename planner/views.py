"""All views of a service: planned together, in any order of writing, and built into one dataflow.

Always true: `order` puts every view after the views that it reads; a mistake in one view never hides one in another, and a view
that only fails because it reads a broken one is not reported. Deliberately unknown: where rows come from and go to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dataflow.graph import GraphBuilder
from dataflow.step import Dataflow
from dataflow.types import BOOLEAN, TEXT, Column, Schema
from planner.bind_query import bind_view
from planner.catalog import Catalog, CatalogError
from planner.errors import PlanErrors, SqlError
from planner.functions.user import Functions
from planner.keys import Key, keys_of
from planner.lower import Lowering
from planner.monotonic import append_only as proved_append_only
from planner.parse import Text
from planner.plan import Filter, Get, Plan
from planner.plans import relations, rewrite_plan
from planner.rules import optimize
from planner.rules.name_columns import name_columns
from planner.scalar import Call, ColumnRef, Literal


@dataclass(frozen=True)
class PlannedViews:
    """What `plan_views` made: everything by view name.

    order: every view after those it reads. plans: optimized; bound: as they were before. definitions: a hash of what a view means,
    its sources' columns, the views below and the text of the service's functions included; it does not depend on aliases, letter
    case or layout of the SQL.
    """

    order: tuple[str, ...]
    schemas: dict[str, Schema]
    plans: dict[str, Plan]
    definitions: dict[str, str]
    bound: dict[str, Plan]

    def sources(self, view: str) -> frozenset[str]:
        """The sources that a view reads, directly or through other views."""
        read = relations(self.plans[view])
        return frozenset().union(*(self.sources(name) if name in self.plans else {name} for name in read))


class _BrokenError(Exception):
    """A view cannot be planned because one that it reads cannot; the mistake is reported there."""


class _Planner(Catalog):
    """A catalog that plans a view when somebody first asks for it."""

    def __init__(
        self,
        sources: Mapping[str, Schema],
        views: Mapping[str, str],
        upsert_keys: Mapping[str, tuple[int, ...]],
        names: Mapping[str, Sequence[str]],
        functions: Functions,
        schemas: Collection[str],
        database: str,
        called: Mapping[str, str],
        asserted: Mapping[str, Sequence[str]],
    ) -> None:
        self._asserted = asserted
        self._called = called
        super().__init__({**dict.fromkeys(views, ()), **sources}, functions, schemas, database)
        self._names = names
        self._views = {name: sql for name, sql in views.items() if name not in sources}
        self._stack: list[str] = []
        self.errors: dict[str, list[SqlError]] = {}
        self.schemas: dict[str, Schema] = {}
        self.plans: dict[str, Plan] = {}
        self.definitions: dict[str, str] = {}
        self.bound: dict[str, Plan] = {}
        self._sources = {name: repr(schema) for name, schema in sources.items()}
        self._keys = {name: frozenset([Key(key)]) for name, key in upsert_keys.items()}

    def get(self, name: str) -> Schema | None:
        if name not in self._views:
            return super().get(name)
        if name in self._stack:
            cycle = " -> ".join([*self._stack[self._stack.index(name) :], name])
            raise CatalogError(f"views read each other in a circle: {cycle}", "take one of them out of the circle")
        self.plan(name)
        return self.schemas[name]

    def plan(self, name: str) -> None:
        """Plan a view and those below it, once. Raises _BrokenError when that cannot be done."""
        if name in self.errors:
            raise _BrokenError(name)
        if name in self.plans:
            return
        self._stack.append(name)
        try:
            relation = bind_view(Text(name, self._views[name], functions=self.functions), self)
        except PlanErrors as error:
            self.errors[name] = error.errors
            raise _BrokenError(name) from None
        finally:
            self._stack.pop()
        schema = tuple(Column(column, type_, nullable) for column, type_, nullable in relation.columns)
        if name in self._names:
            try:
                schema = renamed_columns(name, schema, self._names[name])
            except SqlError as error:
                self.errors[name] = [error]
                raise _BrokenError(name) from None
        bound = relation.plan
        if name in self._asserted:
            try:
                bound, schema = _with_values(name, bound, schema, self._asserted[name])
            except SqlError as error:
                self.errors[name] = [error]
                raise _BrokenError(name) from None
        self.schemas[name] = schema
        self.bound[name] = bound
        self.plans[name] = optimize(bound, self._keys)
        self._keys[name] = keys_of(self.plans[name], self._keys)
        self.definitions[name] = self._definition(schema, bound)

    def _definition(self, schema: Schema, plan: Plan) -> str:
        # The plan as bound: a better optimizer must not look like another view.
        called = {name: self._called.get(name, name) for name in relations(plan)}
        read = sorted(called, key=called.__getitem__)
        below = [f"{called[name]}={self.definitions.get(name) or self._sources[name]}" for name in read]
        if any(name != known for name, known in called.items()):
            plan = rewrite_plan(
                plan, lambda node: replace(node, name=called[node.name]) if isinstance(node, Get) else node
            )
        text = "\n".join([repr(schema), repr(name_columns(plan)), *below])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def plan_views(
    sources: Mapping[str, Schema],
    views: Mapping[str, str],
    upsert_keys: Mapping[str, tuple[int, ...]] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
    functions: Functions | None = None,
    schemas: Collection[str] = (),
    database: str = "",
    called: Mapping[str, str] | None = None,
    asserted: Mapping[str, Sequence[str]] | None = None,
) -> PlannedViews:
    """Plan every view. `views` maps a name to its SQL. Raises PlanErrors with every mistake found.

    upsert_keys: key positions of the sources with an upsert envelope, for plans that rest on them; `build_dataflow` must be
    given the same ones. names: by view, other names for its first columns, as in CREATE VIEW v (a, b).
    functions: what the views may call besides the registry's. schemas, database: as in `Catalog`. called: what relations that were
    renamed are called in `definitions`, which do not change by that. asserted: by view, columns in which a NULL is its
    row's error.
    """
    planner = _Planner(
        sources, views, upsert_keys or {}, names or {}, functions or {}, schemas, database, called or {}, asserted or {}
    )
    for name in views:
        if name in sources:
            message = f'there is both a source and a view "{name}"'
            planner.errors[name] = [SqlError(name, message, hint="rename one of them")]
    broken = False
    for name in views:
        try:
            planner.plan(name)
        except _BrokenError:
            broken = True
    if broken:
        raise PlanErrors(error for name in views for error in planner.errors.get(name, ()))
    return PlannedViews(tuple(planner.plans), planner.schemas, planner.plans, planner.definitions, planner.bound)


def renamed_columns(view: str, schema: Schema, names: Sequence[str]) -> Schema:
    """The columns with other names for the first ones. SqlError when there are too many, or one comes twice."""
    if len(names) > len(schema):
        raise SqlError(view, f"view {view} has {len(names)} column names, but its query has {len(schema)} columns")
    found = [*names, *(column.name for column in schema[len(names) :])]
    for name in found:
        if found.count(name) > 1:
            raise SqlError(view, f'column "{name}" specified more than once')
    return tuple(replace(column, name=name) for column, name in zip(schema, found, strict=True))


def _with_values(view: str, plan: Plan, schema: Schema, columns: Sequence[str]) -> tuple[Plan, Schema]:
    """A plan whose rows are errors where one of these columns is NULL, and the columns as they are then."""
    places = {column.name: place for place, column in enumerate(schema)}
    for name in columns:
        if name not in places:
            raise SqlError(view, f'column "{name}" does not exist', hint="ASSERT NOT NULL is about columns of the view")
    there = []
    for name in dict.fromkeys(columns):
        column = schema[places[name]]
        words = Literal(f'column "{name}" must not be null', TEXT)
        value = Call("mz_error_if_null", (ColumnRef(places[name], column.type, name), words), column.type)
        there.append(Call("is_not_null", (value,), BOOLEAN))
    known = tuple(replace(column, nullable=column.nullable and column.name not in columns) for column in schema)
    return Filter(plan, tuple(there)), known


def build_dataflow(
    planned: PlannedViews,
    sources: Mapping[str, Schema],
    upsert_keys: Mapping[str, tuple[int, ...]],
    indexes: Mapping[str, tuple[int, ...]],
    stopwatch: Callable[[], float],
    append_only: Collection[str] = (),
    shown: Collection[str] = (),
) -> Dataflow:
    """One dataflow that maintains every view.

    Every source is an input of its name; those in `upsert_keys` are keyed streams, and those of them in `shown` are views too,
    of the rows that they keep. `indexes` gives the key columns of views
    (default none). `stopwatch` answers seconds; the engine reads no clock. `append_only`: sources whose deltas never take a
    row away; a step in which one does fails.
    """
    builder = GraphBuilder()
    lowering = Lowering(builder)
    lowering.append_only = set(append_only) - set(upsert_keys)
    for name, schema in sources.items():
        node = builder.input(name, tuple(column.type for column in schema))
        if name in upsert_keys:
            node = builder.upsert(node, upsert_keys[name])
        lowering.relations[name] = node
        lowering.keys[name] = frozenset([Key(upsert_keys[name])] if name in upsert_keys else [])
        if name in shown:
            builder.export(name, node, schema, upsert_keys[name])
    for name in planned.order:
        lowering.keys[name] = keys_of(planned.plans[name], lowering.keys)
        node = lowering.relations[name] = lowering.lower(planned.plans[name])
        if proved_append_only(planned.plans[name], lowering.append_only):
            lowering.append_only.add(name)
        builder.export(name, node, planned.schemas[name], indexes.get(name, ()))
    return builder.build(stopwatch)


def unique_keys(
    planned: PlannedViews, view: str, upsert_keys: Mapping[str, tuple[int, ...]] | None = None
) -> tuple[frozenset[str], ...]:
    """The sets of columns that the plan proves unique in a view, shortest first.

    An empty set means at most one row. `upsert_keys`: key positions of the sources with an upsert envelope.
    """
    known: dict[str, frozenset[Key]] = {name: frozenset([Key(key)]) for name, key in (upsert_keys or {}).items()}
    for name in planned.order:
        known[name] = keys_of(planned.plans[name], known)
        if name == view:
            break
    schema = planned.schemas[view]
    found = sorted(known[view], key=lambda key: (len(key), sorted(key)))
    return tuple(frozenset(schema[i].name for i in key) for key in found)
