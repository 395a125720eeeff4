"""What a catalog means together with the file: planned views, layers, what readers see.

Always true: it follows from the file and the catalog alone, so a start makes the same of it as the service that changed it.
An object that the file no longer allows (a view of a source that is gone) is left out, with the reason, and stays in the catalog.
Deliberately unknown: rows, threads, and how the catalog changes (`headwater.changes`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Literal

from dataflow.stack import Layer
from dataflow.types import Column, ColumnType, Schema
from headwater.catalog import Catalog, Item
from headwater.declared import Declared
from headwater.explainer import Explainer
from headwater.rooms import Shape, Shown
from ingest.tables import PREFIX
from planner.catalog import quoted
from planner.errors import PlanErrors, SqlError
from planner.layers import Ground, build_layer, build_table, inlined
from planner.plans import relations
from planner.views import PlannedViews, plan_views, unique_keys
from serve.definitions import Definition, Definitions

FIRST_OID = 20_000
"""Above the oids of what the file declares (`serve.sql.pg_catalog`)."""


class World:
    """One version of the catalog, understood."""

    def __init__(self, declared: Declared, catalog: Catalog) -> None:
        self.declared, self.catalog = declared, catalog
        self.broken: dict[str, SqlError] = {}
        """Objects of the catalog that cannot be, with the reason."""
        self.tables = {
            item.name: tuple(Column(c.name, ColumnType.parse(c.type), c.nullable) for c in item.defined)
            for item in catalog.items
            if item.kind == "table"
        }
        """The columns of each table."""
        self.planned = self._plan()
        self.items = {item.name: item for item in catalog.items if item.name not in self.broken}

    def _plan(self) -> PlannedViews:
        """Plan all views; leave out those of the catalog that cannot be planned."""
        made = {item.name: item for item in self.catalog.items if item.kind in ("view", "materialized view")}
        for name in (made.keys() | self.tables.keys()) & self.declared.names:
            self.broken[name] = SqlError(name, f'the file declares "{name}" too', hint="drop it, or rename the other")
        while True:
            views = {name: item.sql for name, item in made.items() if name not in self.broken}
            names = {name: made[name].columns for name in views if made[name].columns}
            try:
                planned = plan_views(
                    self.schemas, {**self.declared.views, **views}, self.unique_keys, names, self.declared.functions
                )
            except PlanErrors as errors:
                wrong = {error.view: error for error in reversed(errors.errors) if error.view in views}
                if not wrong:
                    raise
                self.broken |= wrong
                continue
            self._check_indexes(planned)
            return planned

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """The columns of every relation that is no view."""
        return {**{n: s for n, s in self.tables.items() if n not in self.declared.names}, **self.declared.schemas}

    @cached_property
    def unique_keys(self) -> Mapping[str, tuple[int, ...]]:
        """By relation that is no view, the positions of columns of which no two rows have the same."""
        keys = {item.name: self._places(item.columns, self.tables[item.name]) for item in self._table_items()}
        return {**{name: key for name, key in keys.items() if key}, **self.declared.upserts}

    def _table_items(self) -> list[Item]:
        return [item for item in self.catalog.items if item.kind == "table" and item.name not in self.declared.names]

    @staticmethod
    def _places(columns: tuple[str, ...], schema: Schema) -> tuple[int, ...]:
        names = [column.name for column in schema]
        return tuple(names.index(column) for column in columns)

    def _check_indexes(self, planned: PlannedViews) -> None:
        for item in self.catalog.items:
            if item.kind == "index":
                schema = self.schemas.get(item.on, planned.schemas.get(item.on, ()))
                missing = [column for column in item.columns if column not in [known.name for known in schema]]
                if not schema or missing:
                    what = f'column "{missing[0]}"' if schema else f'relation "{item.on}"'
                    self.broken[item.name] = SqlError(item.name, f"{what} does not exist")

    @cached_property
    def ground(self) -> Ground:
        """What layers stand on."""
        return Ground(self.planned, self.schemas, self.unique_keys, self.declared.append_only)

    @cached_property
    def maintained(self) -> set[str]:
        """The relations that have rows somewhere: what layers take as inputs."""
        made = {name for name, item in self.items.items() if item.kind in ("materialized view", "table")}
        return self.declared.names | made

    def layer_items(self) -> list[Item]:
        """The objects that need a layer, each after those that it reads."""
        return [item for item in self.items.values() if item.kind != "view"]

    def key(self, item: Item) -> tuple[int, ...]:
        """The positions of the columns that an object's rows are indexed by."""
        if item.kind == "index":
            return self._places(item.columns, self.ground.schema(item.on))
        return self._places(item.columns, self.tables[item.name]) if item.kind == "table" else ()

    def layer(self, item: Item) -> Layer:
        """A new, empty layer for an object."""
        relation = item.on or item.name
        if item.kind == "table":
            given, schema = source_of(item), self.tables[item.name]
            table = build_table(given, schema, item.name, self.key(item), time.perf_counter)
            return Layer(str(item.id), self._meaning(item), table)
        below = self.maintained - ({item.name} if not item.on else set())
        dataflow = build_layer(self.ground, relation, item.name, self.key(item), below, time.perf_counter)
        return Layer(str(item.id), self._meaning(item), dataflow)

    def _meaning(self, item: Item) -> str:
        relation = item.on or item.name
        means = self.planned.definitions.get(relation) or repr(self.schemas.get(relation))
        name = (item.name, item.id) if item.kind == "table" else item.name
        return hashlib.sha256(repr((name, relation, self.key(item), means)).encode()).hexdigest()

    def reads(self, item: Item) -> frozenset[str]:
        """The relations that an object reads directly."""
        if item.kind == "table":
            return frozenset()
        return frozenset([item.on] if item.on else relations(self.planned.plans[item.name]))

    def unique(self, relation: str) -> tuple[frozenset[str], ...]:
        """The sets of columns that a view is proved unique by."""
        return unique_keys(self.planned, relation, self.unique_keys)

    def sources(self, relation: str) -> frozenset[str]:
        """The sources that a relation reads, directly or through others."""
        found = frozenset([relation]) if relation in self.schemas else self.planned.sources(relation)
        return frozenset(source_of(self.items[name]) if name in self.tables else name for name in found)

    def shape(self, filling: Collection[str] = ()) -> Shape:
        """What the loop computes and readers see. filling: objects that have no rows yet."""
        shown = {name: Shown(name, frozenset([name]), kind="source") for name in self.declared.upserts}
        shown |= {name: Shown(name, self.sources(name)) for name in self.declared.views}
        keyed = {name for name in self.declared.views if self.declared.keys.get(name)} | set(self.declared.upserts)
        for item in self.layer_items():
            relation = item.on or item.name
            view = None if item.name in filling else item.name
            kind: Literal["view", "source"] = "source" if relation in self.declared.schemas else "view"
            one = Shown(view, self.sources(relation), self.ground.schema(relation), kind)
            if not item.on:
                shown[relation] = one
                keyed |= {relation} if self.key(item) else set()
            elif view is not None and relation not in keyed:
                shown[relation] = one
                keyed.add(relation)
            elif view is not None:
                shown[item.name] = replace(one, kind="index")
        parts = [f"{name}={means}" for name, means in sorted(self.planned.definitions.items())]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return Shape(shown, digest, self._definitions(shown))

    def _definitions(self, shown: Mapping[str, Shown]) -> Definitions:
        found: dict[str, Definition] = {}
        explainer = Explainer(self)
        for name, schema in self.declared.schemas.items():
            found[name] = self._described(Definition(name, "source", schema))
        for name, sql in self.declared.views.items():
            reads = frozenset(relations(self.planned.plans[name]))
            explained = partial(explainer.explain, name)
            one = Definition(name, "view", self.planned.schemas[name], query=sql, reads=reads, explained=explained)
            found[name] = self._described(one)
        for item in self.catalog.items:
            create = create_statement(item)
            if item.name in self.broken:
                reason = self.broken[item.name].message
                name = item.name if item.name not in found else f"{item.name} (of the catalog)"
                found[name] = Definition(name, item.kind, (), create=create, query=item.sql, broken=reason)
                continue
            relation = item.on or item.name
            kept = item.kind != "view" or relation in shown
            one = Definition(
                item.name,
                item.kind,
                self.ground.schema(relation),
                None if kept else inlined(self.planned, item.name, self.maintained | shown.keys()),
                create,
                item.sql,
                self.reads(item),
                item.on,
                self.key(item),
                FIRST_OID + item.id,
                defaults={column.name: column.default for column in item.defined if column.default},
                explained=partial(explainer.explain, item.name),
            )
            found[item.name] = self._described(one)
        return Definitions(self.catalog.version, found, self.declared.functions, explainer.growing)

    def _described(self, one: Definition) -> Definition:
        """With its comments."""
        comments = self.catalog.comments
        columns = {c.name: comments[f"{one.name}\t{c.name}"] for c in one.schema if f"{one.name}\t{c.name}" in comments}
        return replace(one, comment=comments.get(one.name, ""), column_comments=columns)


def source_of(item: Item) -> str:
    """The name under which ticks take a table's rows. Not its own: a table made after a drop is another one."""
    return f"{PREFIX}{item.id}"


def create_statement(item: Item) -> str:
    """The statement that makes an object."""
    columns = f" ({', '.join(map(quoted, item.columns))})" if item.columns else ""
    if item.kind == "table":
        lines = [
            f"{quoted(c.name)} {c.type}{'' if c.nullable else ' NOT NULL'}{f' DEFAULT {c.default}' if c.default else ''}"
            for c in item.defined
        ]
        lines += [f"PRIMARY KEY{columns}"] if columns else []
        return f"CREATE TABLE {quoted(item.name)} ({', '.join(lines)})"
    if item.kind == "index":
        return f"CREATE INDEX {quoted(item.name)} ON {quoted(item.on)}{columns}"
    return f"CREATE {item.kind.upper()} {quoted(item.name)}{columns} AS {item.sql}"
