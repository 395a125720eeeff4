"""What a DDL statement makes of the catalog: the next one, or PostgreSQL's error for what is wrong with the statement.

Always true: it follows from the statement and the catalog alone, and nothing has changed yet when it is known.
Deliberately unknown: rows, threads, files, and how the step is taken (`headwater.changes`).
"""

from __future__ import annotations

import msgspec

from headwater.applying import Again, plan
from headwater.catalog import Item, Kind
from headwater.ddl_beside import BesideStatements
from headwater.ddl_names import NameStatements
from headwater.ddl_outside import Asks
from headwater.ddl_tables import TableStatements
from headwater.steps import Step, Steps, absent, exists, unknown, without
from headwater.world import World
from planner.catalog import PUBLIC, schema_and_name
from serve.definitions import Definitions, key_of, name_of
from serve.sql.changes import (
    AlterTable,
    Apply,
    Change,
    Comment,
    CreateIndex,
    CreateTable,
    CreateTableAs,
    CreateView,
    Drop,
    Rename,
    RetainHistory,
)
from serve.sql.errors import QueryError, from_plan
from serve.sql.schemas import SYSTEM


class Statements(Steps):
    """What statements make of one version of the catalog."""

    def __init__(self, world: World, definitions: Definitions, tables: bool, asks: Asks, again: Again) -> None:
        """definitions: of the same version. tables: whether there can be tables. asks: who asks the outside. again: what the
        file declares now."""
        super().__init__(world, definitions)
        self._tables, self._asks, self._again = tables, asks, again

    def step(self, change: Change) -> Step:
        """What a statement makes of it. QueryError when it cannot be."""
        match change:
            case CreateView():
                return self._create_view(change)
            case CreateTable() | CreateIndex() | AlterTable():
                return TableStatements(self._world, self._definitions, self._tables).step(change)
            case Apply():
                planned = plan(self._world, self._again(self._world), change.plan)
                return Step(planned.world, tuple(("00000", line) for line in planned.lines))
            case Drop():
                return self._drop(change)
            case Rename():
                return NameStatements(self._world, self._definitions).step(change)
            case RetainHistory():
                return self._retain(change)
            case Comment():
                return self._comment(change)
            case CreateTableAs():
                raise QueryError("0A000", "CREATE TABLE AS is not supported here", hint="make the table, then INSERT")
            case _:
                return BesideStatements(self._world, self._definitions, self._asks).step(change)

    def _create_view(self, change: CreateView) -> Step:
        self._check_schema(change.name)
        there = self._definitions.taken(change.name)
        catalog = self._world.catalog
        kind: Kind = "materialized view" if change.materialized else "view"
        if there is not None:
            if change.if_not_exists or not change.replace:
                return exists(there, change.if_not_exists)
            if there.declared or there.kind != kind:
                what = f"declared by the service's file as a {there.kind}" if there.declared else f"a {there.kind}"
                raise QueryError("42809", f'"{change.name}" is {what}', hint="choose another name")
        item = Item(
            catalog.next_id,
            kind,
            change.name,
            change.query,
            change.columns,
            history=change.history,
            asserted=change.asserted,
        )
        again = self._anew(change.name, catalog.next_id + 1) if there is not None else []
        made = {item.name, *(one.name for one in again)}
        items = (*(one for one in catalog.items if one.name not in made), item, *again)
        world = self._next(catalog, items, catalog.next_id + 1 + len(again))
        if (error := world.broken.get(item.name)) is not None:
            found = from_plan(error, change.query)
            found.position = None if found.position is None else found.position + change.begin
            raise found
        self._keep_columns(world, change.name, again)
        return Step(world)

    def _anew(self, name: str, first_id: int) -> list[Item]:
        """What depends on an object that is replaced, with other ids, for its rows are other ones."""
        gone = set(self._definitions.dependents([name]))
        if sinks := [name_of(key) for key in gone if self._definitions.every[key].kind == "sink"]:
            raise QueryError(
                "2BP01",
                f"cannot replace {name} because sink {min(sinks)} writes what follows from it",
                hint="a sink's topic is one definition's: drop the sink, and make another with a new topic",
            )
        items = [item for item in self._world.catalog.items if item.name in gone]
        return [msgspec.structs.replace(item, id=number) for number, item in enumerate(items, first_id)]

    def _keep_columns(self, world: World, name: str, again: list[Item]) -> None:
        """QueryError when what depends on a replaced object would have other columns than it had."""
        objects = self._definitions.objects
        for item in again:
            if item.kind != "index" and not objects[item.name].broken:
                if world.ground.schema(item.name) == objects[item.name].schema:
                    continue
                raise QueryError(
                    "2BP01",
                    f"cannot replace {objects[name].kind} {name} because the columns of {item.kind} {item.name} would change",
                    hint=f"drop {item.name} first, or name its columns instead of *",
                )

    def _drop(self, change: Drop) -> Step:
        definitions = self._definitions
        notices: list[tuple[str, str]] = []
        keys: list[str] = []
        for name in change.names:
            there = definitions.find(change.kind, name)
            if (change.kind == "schema" and name in (PUBLIC, *SYSTEM)) or (
                there and change.kind in ("cluster", "database")
            ):
                raise QueryError("2BP01", f"cannot drop {change.kind} {name} because it is part of every service")
            if there is None or (there.broken and name not in {item.name for item in self._world.catalog.items}):
                if not change.if_exists:
                    raise QueryError(unknown(change.kind), absent(change.kind, name))
                notices.append(("00000", f"{absent(change.kind, name)}, skipping"))
                continue
            if there.kind != change.kind:
                raise QueryError("42809", f'"{name}" is not a {change.kind}', hint=f"use DROP {there.kind.upper()}")
            if there.declared:
                raise QueryError(
                    "42501", f'{there.kind} "{name}" is declared by the service\'s file', hint="take it out of the file"
                )
            self._refuse_of_constraint(change.kind, name)
            keys.append(key_of(change.kind, name))
        if not keys:
            return Step(notices=tuple(notices))
        if not change.cascade:
            self._refuse_dependents(keys, "drop")
        gone = [*keys, *definitions.dependents(keys)]
        catalog = without(self._world.catalog, gone)
        return Step(self._next(catalog, catalog.items), notices=tuple(notices))

    def _refuse_of_constraint(self, kind: str, name: str) -> None:
        """QueryError when an index is a constraint's."""
        item = self._world.items.get(name)
        if kind == "index" and item is not None and item.unique in ("unique", "primary"):
            constraint = schema_and_name(name)[1]
            raise QueryError(
                "2BP01",
                f"cannot drop index {name} because constraint {constraint} on table {item.on} requires it",
                hint=f"write ALTER TABLE {item.on} DROP CONSTRAINT {constraint}",
            )

    def _retain(self, change: RetainHistory) -> Step:
        kind = "materialized view"
        there = self._definitions.find(kind, change.name)
        if there is None:
            if change.if_exists:
                return Step(notices=(("00000", f"{absent(kind, change.name)}, skipping"),))
            raise QueryError(unknown(kind), absent(kind, change.name))
        if there.declared:
            raise QueryError(
                "42501", f'"{change.name}" is declared by the service\'s file', hint="write retain_history there"
            )
        if there.kind != kind:
            raise QueryError("42809", f'"{change.name}" is not a {kind}')
        catalog = self._world.catalog
        items = tuple(
            msgspec.structs.replace(item, history=change.history) if item.name == change.name else item
            for item in catalog.items
        )
        return Step(self._next(catalog, items))

    def _comment(self, change: Comment) -> Step:
        there = self._definitions.find(change.kind, change.name)
        if there is None or (change.kind not in ("column", there.kind)):
            kind = "relation" if change.kind == "column" else change.kind
            raise QueryError(unknown(kind), absent(kind, change.name))
        key = key_of(there.kind, change.name)
        if change.column is not None:
            if change.column not in [column.name for column in there.schema]:
                raise QueryError("42703", f'column "{change.column}" of relation "{change.name}" does not exist')
            key = f"{change.name}\t{change.column}"
        catalog = self._world.catalog
        comments = {other: text for other, text in catalog.comments.items() if other != key}
        if change.text:  # an empty one takes it away, as in PostgreSQL
            comments[key] = change.text
        return Step(self._next(msgspec.structs.replace(catalog, comments=comments), catalog.items))
