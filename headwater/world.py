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
from functools import cached_property
from typing import Literal

import msgspec

from config.settings import Sink as SinkSettings
from config.settings import Source as SourceSettings
from dataflow.stack import Layer
from dataflow.types import Column, ColumnType, Schema
from headwater.catalog import Catalog, Item, Kind
from headwater.declared import Declared
from headwater.rooms import Shape, Shown
from ingest.table_log import PREFIX
from planner.catalog import PUBLIC, schema_and_name
from planner.errors import PlanErrors, SqlError
from planner.layers import Ground, build_layer, build_table, build_upserts
from planner.plans import relations
from planner.views import PlannedViews, plan_views, unique_keys
from serve.definitions import BESIDE, UniqueKey, key_of

FIRST_OID = 20_000
"""Above the oids of what the file declares (`serve.sql.pg_catalog`)."""


class World:
    """One version of the catalog, understood."""

    def __init__(self, declared: Declared, catalog: Catalog, base: Mapping[str, str] | None = None) -> None:
        """base: what the base dataflow holds, relation to meaning (`means`), when the file has changed since it was built."""
        self.declared, self.catalog, self.base = declared, catalog, base
        self.broken: dict[str, SqlError] = {}
        """Objects of the catalog that cannot be, with the reason."""
        self.tables = {
            item.name: tuple(Column(c.name, ColumnType.parse(c.type), c.nullable) for c in item.defined)
            for item in catalog.items
            if item.kind == "table"
        }
        """The columns of each table."""
        self.streams = {
            item.name: tuple(Column(c.name, ColumnType.parse(c.type), c.nullable) for c in item.defined)
            for item in catalog.items
            if item.kind == "source"
        }
        """The columns of each source that SQL made."""
        self._check_outside()
        self.planned = self._plan()
        self.items = {item.name: item for item in catalog.items if item.name not in self.broken}

    def _plan(self) -> PlannedViews:
        """Plan all views; leave out those of the catalog that cannot be planned."""
        made = {item.name: item for item in self.catalog.items if item.kind in ("view", "materialized view")}
        for name in (made.keys() | self.tables.keys() | self.streams.keys()) & self.declared.names:
            self.broken[name] = SqlError(name, f'the file declares "{name}" too', hint="drop it, or rename the other")
        for item in self.catalog.items:
            if item.known in self.declared.names and item.kind not in BESIDE:
                what = f'the file declares "{item.known}", which it was called when it was made'
                self.broken[item.name] = SqlError(item.name, what, hint="drop it, or rename the other")
        while True:
            views = {name: item.sql for name, item in made.items() if name not in self.broken}
            names = {name: made[name].columns for name in views if made[name].columns}
            try:
                planned = plan_views(
                    self.schemas,
                    {**self.declared.views, **views},
                    self.unique_keys,
                    names,
                    self.declared.functions,
                    {schema.name for schema in self.catalog.schemas},
                    self.declared.database,
                    {item.name: item.known for item in self.catalog.items if item.known and item.kind not in BESIDE},
                    {name: made[name].asserted for name in views if made[name].asserted},
                )
            except PlanErrors as errors:
                wrong = {error.view: error for error in reversed(errors.errors) if error.view in views}
                if not wrong:
                    raise
                self.broken |= wrong
                continue
            self._check_readers(planned)
            return planned

    def _check_outside(self) -> None:
        """Connections whose secrets are there, and sources whose connections are; the file may declare a name, or no longer do."""
        file = self.declared
        declared = {"connection": set(file.connections), "sink": set(file.sinks), "role": set(file.users)}
        for item in self.catalog.items:
            if item.name in declared.get(item.kind, ()):
                self.broken[item.name] = SqlError(item.name, f'the file declares "{item.name}" too', hint="drop it")
        declared["schema"] = {schema.name for schema in self.catalog.schemas}
        there = {item.name: item for item in self.catalog.items if item.name not in self.broken}
        for item in self.catalog.items:
            for key in self.uses(item):
                _, kind, name = key.split("\t")
                if not (name in there and there[name].kind == kind) and name not in declared.get(kind, ()):
                    self.broken[item.name] = SqlError(item.name, f'{kind} "{name}" does not exist')

    @staticmethod
    def uses(item: Item) -> frozenset[str]:
        """The keys of the schema that an object is in, if that is not `public`, and of the connections and secrets that it is made
        with."""
        found = {key_of("secret", name) for name in item.secrets.values()}
        schema, _ = schema_and_name(item.name)
        if schema != PUBLIC:
            found.add(key_of("schema", schema))
        if item.settings:
            found.add(key_of("connection", msgspec.json.decode(item.settings)["kafka"]))
        if item.registry:
            found.add(key_of("connection", item.registry))
        return frozenset(found)

    @cached_property
    def readers(self) -> Mapping[str, tuple[SourceSettings, Schema, str]]:
        """Every source, by the name that ticks know: settings, columns, and the connection to a registry that is another one's."""
        found = {name: (one, self.declared.schemas[name], "") for name, one in self.declared.sources.items()}
        for item in self.source_items():
            columns = {c.name: f"{c.type}{'' if c.nullable else ' not null'}" for c in item.defined}
            one = SourceSettings.model_validate({**msgspec.json.decode(item.settings), "columns": columns})
            found[source_of(item)] = one, self.streams[item.name], item.registry
        return found

    @cached_property
    def writers(self) -> Mapping[str, SinkSettings]:
        """Every sink, by the name that its transactions have."""
        made = {
            sink_of(item): msgspec.json.decode(item.settings) for item in self.items.values() if item.kind == "sink"
        }
        return {**self.declared.sinks, **{name: SinkSettings.model_validate(one) for name, one in made.items()}}

    def means(self, relation: str) -> str:
        """What a relation of the file, and its index, mean."""
        definition = self.planned.definitions.get(relation) or repr(self.declared.schemas[relation])
        return repr((definition, self.declared.keys.get(relation), self.declared.upserts.get(relation)))

    @cached_property
    def overlay(self) -> list[Item]:
        """The file's objects that the base dataflow does not hold as the file now has them."""
        if self.base is None:
            return []
        found: list[Item] = []
        for name in [*self.declared.upserts, *(name for name in self.planned.order if name in self.declared.views)]:
            means = self.means(name)
            if self.base.get(name) != means:
                number = -int(hashlib.sha256(f"{name} {means}".encode()).hexdigest()[:12], 16)
                key = tuple(self.declared.schemas[name][place].name for place in self.declared.upserts.get(name, ()))
                kind: Kind = "source" if key else "materialized view"
                found.append(Item(number, kind, name, columns=key or self.declared.keys.get(name, ())))
        return found

    def definition(self, relation: str) -> str:
        """A hash of what a relation means: a sink goes on only while it is the same."""
        known = self.planned.definitions.get(relation)
        means = known or repr((self.schemas[relation], sorted(self.sources(relation))))
        return known or hashlib.sha256(means.encode()).hexdigest()[:32]

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """The columns of every relation that is no view."""
        made = {**self.tables, **self.streams}
        return {**{n: s for n, s in made.items() if n not in self.broken}, **self.declared.schemas}

    @cached_property
    def unique_keys(self) -> Mapping[str, tuple[int, ...]]:
        """By relation that is no view, the positions of columns of which no two rows have the same."""
        made = {**self.tables, **self.streams}
        items = [
            item for item in self.catalog.items if item.kind in ("table", "source") and item.name not in self.broken
        ]
        keys = {item.name: self._places(item.columns, made[item.name]) for item in items if item.enforced}
        for item in self.catalog.items:
            if item.unique == "primary" and item.on in made and item.on not in self.broken:
                keys[item.on] = self._places(item.columns, made[item.on])
        return {**{name: key for name, key in keys.items() if key}, **self.declared.upserts}

    @staticmethod
    def _places(columns: tuple[str, ...], schema: Schema) -> tuple[int, ...]:
        names = [column.name for column in schema]
        return tuple(names.index(column) for column in columns)

    def _check_readers(self, planned: PlannedViews) -> None:
        """Indexes and sinks whose relation, with these columns, there is."""
        for item in self.catalog.items:
            if item.kind in ("index", "sink") and item.name not in self.broken:
                schema = self.schemas.get(item.on, planned.schemas.get(item.on, ()))
                missing = [column for column in item.columns if column not in [known.name for known in schema]]
                if not schema or missing:
                    what = f'column "{missing[0]}"' if schema else f'relation "{item.on}"'
                    self.broken[item.name] = SqlError(item.name, f"{what} does not exist")
                elif item.kind == "sink" and item.on not in self.kept:
                    self.broken[item.name] = SqlError(item.name, f'"{item.on}" is not kept')

    @cached_property
    def ground(self) -> Ground:
        """What layers stand on."""
        unkept = {item.name: source_of(item) for item in self.source_items() if not item.columns}
        grows = [*self.declared.append_only, *unkept]
        given = {item.name: item.known for item in self.items.values() if item.known and item.on == ""} | unkept
        return Ground(self.planned, self.schemas, self.unique_keys, grows, given)

    def kept_as(self, relation: str) -> str:
        """The name under which a relation's rows, or an index's, are kept."""
        item = self.items.get(relation)
        return relation if item is None else kept_as(item)

    @cached_property
    def maintained(self) -> set[str]:
        """The relations that have rows somewhere, or come as they are: what layers take as inputs."""
        made = {name for name, item in self.items.items() if item.kind in ("materialized view", "table", "source")}
        return self.declared.names | made

    @cached_property
    def kept(self) -> set[str]:
        """The relations whose rows are kept under their own names: what sinks can read."""
        items = [item for item in self.catalog.items if item.name not in self.broken]
        made = {item.name for item in items if item.kind in ("materialized view", "table")}
        made |= {item.name for item in items if item.kind == "source" and item.columns}
        return {*self.declared.views, *self.declared.upserts} | made

    def layer_items(self) -> list[Item]:
        """The objects that need a layer, each after those that it reads."""
        kinds = ("materialized view", "index", "table")
        made = [i for i in self.items.values() if i.kind in kinds or (i.kind == "source" and i.columns)]
        return [*self.overlay, *made]

    def source_items(self) -> list[Item]:
        """The sources that SQL made."""
        return [item for item in self.catalog.items if item.kind == "source" and item.name not in self.broken]

    def key(self, item: Item) -> tuple[int, ...]:
        """The positions of the columns that an object's rows are indexed by."""
        if item.kind == "index":
            return self._places(item.columns, self.ground.schema(item.on))
        keyed = item.kind in ("table", "source") or item.id < 0
        return self._places(item.columns, self.ground.schema(item.name)) if keyed else ()

    def layer(self, item: Item) -> Layer:
        """A new, empty layer for an object."""
        relation = item.on or item.name
        if item.kind == "table":
            given, schema = source_of(item), self.tables[item.name]
            table = build_table(given, schema, kept_as(item), self.key(item), time.perf_counter)
            return Layer(str(item.id), self.meaning(item), table)
        if item.kind == "source":
            given, schema = source_of(item), self.schemas[item.name]
            rows = build_upserts(given, schema, kept_as(item), self.key(item), time.perf_counter)
            return Layer(str(item.id), self.meaning(item), rows)
        below = self.maintained - ({item.name} if not item.on else set())
        dataflow = build_layer(self.ground, relation, kept_as(item), self.key(item), below, time.perf_counter)
        return Layer(str(item.id), self.meaning(item), dataflow)

    def table_keys(self, item: Item) -> tuple[UniqueKey, ...]:
        """What no two rows of a table may have the same of, the primary key first."""
        schema, found = self.tables[item.name], list[UniqueKey]()
        if item.columns and item.enforced:
            name = item.constraint or f"{schema_and_name(item.name)[1]}_pkey"
            found.append(UniqueKey(name, self._places(item.columns, schema), primary=True))
        for index in self.items.values():
            if index.on == item.name and index.unique:
                places, primary = self._places(index.columns, schema), index.unique == "primary"
                own = schema_and_name(index.name)[1]
                found.append(UniqueKey(own, places, primary, index.name, index.unique != "index"))
        return tuple(sorted(found, key=lambda key: not key.primary))

    def meaning(self, item: Item) -> str:
        """A hash of everything that decides what an object's rows are."""
        relation = item.on or item.name
        means = self.planned.definitions.get(relation) or repr(self.schemas.get(relation))
        # A source or table that was made anew under its name is another one: what they are called by tells.
        sources = sorted(self.sources(relation))
        return hashlib.sha256(
            repr((kept_as(item), self.kept_as(relation), self.key(item), means, sources)).encode()
        ).hexdigest()

    def reads(self, item: Item) -> frozenset[str]:
        """The keys of the objects that an object reads directly, or is made with."""
        if item.on:
            return frozenset([item.on]) | self.uses(item)
        if item.name in self.planned.plans:
            return frozenset(relations(self.planned.plans[item.name])) | self.uses(item)
        return self.uses(item)

    def unique(self, relation: str) -> tuple[frozenset[str], ...]:
        """The sets of columns that a view is proved unique by."""
        return unique_keys(self.planned, relation, self.unique_keys)

    def sources(self, relation: str) -> frozenset[str]:
        """The sources that a relation reads, directly or through others."""
        found = frozenset([relation]) if relation in self.schemas else self.planned.sources(relation)
        made = {item.name: source_of(item) for item in self.catalog.items if item.kind in ("table", "source")}
        return frozenset(name if name in self.declared.names else made.get(name, name) for name in found)

    def shape(self, filling: Collection[str] = ()) -> Shape:
        """What the loop computes and readers see. filling: what is kept (`kept_as`) and has no rows yet."""
        shown = {name: Shown(name, frozenset([name]), kind="source") for name in self.declared.upserts}
        kept, numbers = self.declared.histories, {item.name: item.id for item in self.overlay}
        shown |= {name: Shown(name, self.sources(name), history=kept.get(name, 0)) for name in self.declared.views}
        keyed = {name for name in self.declared.views if self.declared.keys.get(name)} | set(self.declared.upserts)
        for item in self.layer_items():
            relation = item.on or item.name
            view = None if kept_as(item) in filling else kept_as(item)
            source = relation in self.declared.schemas or relation in self.streams
            kind: Literal["view", "source"] = "source" if source else "view"
            of = self.items.get(relation)
            history, number = (kept.get(relation, 0), numbers.get(relation, 0)) if of is None else (of.history, of.id)
            one = Shown(view, self.sources(relation), self.ground.schema(relation), kind, history, number)
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
        return Shape(shown, digest)


def source_of(item: Item) -> str:
    """The name under which ticks take a table's or source's rows. Not its own: one made after a drop is another one."""
    if item.id < 0:  # the file's
        return item.name
    return f"{PREFIX}{item.id}" if item.kind == "table" else f"{kept_as(item)}.{item.id}"


def sink_of(item: Item) -> str:
    """The name under which a sink writes: its transactions and its progress are its own."""
    return f"{kept_as(item)}.{item.id}"


def kept_as(item: Item) -> str:
    """What an object was called when it was made: its rows keep that name."""
    return item.known or item.name


def shown_as(name: str) -> str:
    """What people call a source or sink that ticks know by this name; those of the file have no points."""
    return name.rpartition(".")[0] or name
