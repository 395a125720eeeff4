"""Whether the rows that are there keep constraints that are new.

Nobody may write to a table meanwhile: what is found to be true has to be so when the constraint counts.
Always true: a constraint that counts is kept by every row. Deliberately unknown: how one is made, and how writers are held back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dataflow import rows
from dataflow.once import Once
from dataflow.rows import consolidate
from dataflow.snapshot import Snapshot
from headwater.catalog import Item
from headwater.ddl_tables import alone, check_query
from headwater.keys import already_there, without_nulls
from headwater.world import World
from planner.catalog import schema_and_name
from planner.query import lower, plan_query, schemas
from serve.sql.errors import QueryError
from serve.sql.results import computed


@dataclass(frozen=True, slots=True)
class Coming:
    """What a world demands of the rows of tables that were there before it. tables: by name.

    keys: unique indexes that are new. filled: by table, columns that may no longer be NULL. conditions: by table, the
    names of CHECKs that are new.
    """

    tables: Mapping[str, Item]
    keys: tuple[Item, ...]
    filled: Mapping[str, tuple[int, ...]]
    conditions: Mapping[str, tuple[str, ...]]

    @property
    def read(self) -> set[str]:
        """The tables whose own rows have to be looked at."""
        return {*self.filled, *self.conditions}

    def check_key(self, world: World, index: Item, snapshot: Snapshot) -> None:
        """QueryError when two rows have the same key. snapshot: the index's rows."""
        delta, places = consolidate(snapshot.rows()), world.key(index)
        at, columns = without_nulls(delta, places)
        ids, first = rows.group(columns, len(at))
        counts = np.zeros(len(first), np.int64)
        np.add.at(counts, ids, delta.diffs[at])
        if len(twice := np.flatnonzero(counts > 1)):
            values = [column[int(first[twice[0]])].as_py() for column in columns]
            schema = world.ground.schema(index.on)
            error = already_there("", [schema[place].name for place in places], values)
            raise QueryError(
                "23505",
                f'could not create unique index "{schema_and_name(index.name)[1]}"',
                detail=(error.detail or "").replace("already exists", "is duplicated"),
            )

    def check_filled(self, world: World, table: str, snapshot: Snapshot) -> None:
        """QueryError when a column has a NULL. snapshot: the table's rows."""
        delta = consolidate(snapshot.rows())
        for place in self.filled.get(table, ()):
            if delta.columns[place].null_count:
                column = world.tables[table][place].name
                raise QueryError("23502", f'column "{column}" of relation "{table}" contains null values')

    def check_conditions(self, world: World, table: str, snapshot: Snapshot) -> None:
        """QueryError when a condition is false of a row, or cannot be computed. snapshot: the table's rows."""
        for name in self.conditions.get(table, ()):
            sql = check_query(table, world.items[table].checks[name])
            plan = plan_query(sql, alone(world, table)).plan
            once = Once(lower(plan, schemas(plan)), lambda: None, time.perf_counter)
            if len(computed(once, {table: consolidate(snapshot.rows())})):
                raise QueryError("23514", f'check constraint "{name}" of relation "{table}" is violated by some row')

    def check(self, world: World, kept: Callable[[str], Snapshot], indexes: Mapping[str, Snapshot]) -> None:
        """QueryError when a row does not keep what is demanded. kept: a table's rows. indexes: the new ones' rows."""
        for table in self.read:
            self.check_filled(world, table, kept(table))
            self.check_conditions(world, table, kept(table))
        for index in self.keys:
            self.check_key(world, index, indexes[index.name])


def coming(before: World, world: World) -> Coming:
    """What a world demands that the one before it did not."""
    there = {item.id: item for item in before.items.values() if item.kind == "table"}
    tables = {item.name: item for item in world.items.values() if item.id in there}
    known = {item.id for item in before.items.values() if item.unique}
    keys = tuple(item for item in world.items.values() if item.unique and item.id not in known and item.on in tables)
    filled: dict[str, tuple[int, ...]] = {}
    conditions: dict[str, tuple[str, ...]] = {}
    for name, item in tables.items():
        was = before.tables[there[item.id].name]
        places = tuple(
            at for at, (old, new) in enumerate(zip(was, world.tables[name], strict=True)) if old.nullable > new.nullable
        )
        if places:
            filled[name] = places
        if new := tuple(check for check in item.checks if check not in there[item.id].checks):
            conditions[name] = new
    demanded = {item.on for item in keys} | filled.keys() | conditions.keys()
    return Coming({name: item for name, item in tables.items() if name in demanded}, keys, filled, conditions)
