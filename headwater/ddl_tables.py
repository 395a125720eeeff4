"""What statements about tables, their constraints and indexes make of the catalog.

Always true: a constraint that rows have to keep is an index, so that whoever writes can ask it; the primary key that a table was
made with is the one that its own rows are kept by. Deliberately unknown: whether the rows that are there keep a new constraint
(`headwater.constraints`).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from headwater.catalog import Item, TableColumn
from headwater.describing import described
from headwater.steps import Step, Steps, depend, exists
from headwater.world import World
from planner.catalog import Catalog, known_as, schema_and_name, written
from planner.errors import SqlError
from planner.query import plan_query
from serve.definitions import Definition, Definitions
from serve.sql.changes import (
    Action,
    AlterTable,
    CheckDefinition,
    CreateIndex,
    CreateTable,
    DropConstraint,
    KeyDefinition,
    RenameColumn,
    SetDefault,
    SetNullable,
)
from serve.sql.errors import QueryError, from_plan

Tabled = CreateTable | CreateIndex | AlterTable


class TableStatements(Steps):
    """What these statements make of one version of the catalog."""

    def __init__(self, world: World, definitions: Definitions, possible: bool) -> None:
        """definitions: of the same version. possible: whether there can be tables."""
        super().__init__(world, definitions)
        self._possible = possible

    def step(self, change: Tabled) -> Step:
        """What a statement makes of it. QueryError when it cannot be."""
        match change:
            case CreateTable():
                return self._create(change)
            case CreateIndex():
                return self._index(change)
            case AlterTable():
                return self._alter(change)

    def _create(self, change: CreateTable) -> Step:
        if not self._possible:
            raise QueryError(
                "0A000", "a table is not supported while the state is in a bucket", hint="use a local folder"
            )
        self._check_schema(change.name)
        if (there := self._definitions.taken(change.name)) is not None:
            return exists(there, change.if_not_exists)
        names = [column.name for column in change.columns]
        for key in change.keys:
            _check_columns(key.columns, names)
        for name in names:
            if names.count(name) > 1:
                raise QueryError("42701", f'column "{name}" specified more than once')
        primary = next((key for key in change.keys if key.primary), KeyDefinition((), True))
        defined = tuple(
            TableColumn(c.name, c.type, c.nullable and c.name not in primary.columns, c.default) for c in change.columns
        )
        schema, bare = schema_and_name(change.name)
        checks: dict[str, str] = {}
        for check in change.checks:
            checks[check.name or _free(f"{bare}_check", checks)] = check.condition
        if len(checks) < len(change.checks):
            names = [check.name for check in change.checks if check.name]
            twice = next(name for name in names if names.count(name) > 1)
            raise QueryError("42710", f'check constraint "{twice}" already exists')
        catalog = self._world.catalog
        made = [
            Item(
                catalog.next_id,
                "table",
                change.name,
                columns=primary.columns,
                defined=defined,
                constraint=primary.name,
                checks=checks,
            )
        ]
        taken = {*self._definitions.objects, change.name}
        for key in change.keys:
            if not key.primary:
                name = self._index_name(key.name, f"{bare}_{'_'.join(key.columns)}_key", schema, taken)
                taken.add(name)
                number = catalog.next_id + len(made)
                made.append(Item(number, "index", name, columns=key.columns, on=change.name, unique="unique"))
        world = self._next(catalog, (*catalog.items, *made), catalog.next_id + len(made))
        self._check_conditions(world, change.name, change.checks)
        return Step(world)

    def _check_conditions(self, world: World, table: str, checks: Collection[CheckDefinition]) -> None:
        """QueryError for a condition that is none of one row of the table."""
        for check in checks:
            sql = check_query(table, check.condition)
            try:
                planned = plan_query(sql, alone(world, table))
            except SqlError as error:
                found = from_plan(error, sql)
                found.position = None  # it is one in another text
                raise found from None
            if planned.needs:
                raise QueryError(
                    "42P17", f"a CHECK constraint cannot depend on {min(planned.needs)}",
                    hint="write what depends on the row alone",
                )  # fmt: skip

    def _index(self, change: CreateIndex) -> Step:
        objects = self._definitions.objects
        relation = objects.get(change.on)
        if relation is None or relation.broken:
            raise QueryError("42P01", f'relation "{change.on}" does not exist')
        if relation.kind == "index":
            raise QueryError("42809", f'"{change.on}" is an index')
        if change.unique and relation.kind != "table":
            raise QueryError(
                "0A000", f"a unique index on a {relation.kind} is not supported",
                hint="leave UNIQUE out: what its rows are follows from what it reads",
            )  # fmt: skip
        columns = change.columns if change.columns is not None else self._default_key(change.on)
        known = [column.name for column in relation.schema]
        for column in columns:
            if column not in known:
                raise QueryError("42703", f'column "{column}" does not exist')
        schema, bare = schema_and_name(change.on)
        name = _free(known_as(schema, f"{bare}_{'_'.join(columns)}_idx"), objects)
        if change.name is not None:  # an index is where its relation is
            name = known_as(schema, schema_and_name(change.name)[1])
        if (there := self._definitions.taken(name)) is not None:
            return exists(there, change.if_not_exists)
        catalog = self._world.catalog
        item = Item(
            catalog.next_id, "index", name, columns=columns, on=change.on, unique="index" if change.unique else ""
        )
        return Step(self._next(catalog, (*catalog.items, item), catalog.next_id + 1))

    def _default_key(self, relation: str) -> tuple[str, ...]:
        """The columns that a relation is proved unique by, else all."""
        world = self._world
        known = world.ground.schema(relation)
        if relation in world.unique_keys:
            return tuple(known[index].name for index in world.unique_keys[relation])
        if relation in world.planned.plans:
            proved = [key for key in world.unique(relation) if key]
            if proved:
                return tuple(column.name for column in known if column.name in proved[0])
        return tuple(column.name for column in known)

    # ALTER TABLE.

    def _alter(self, change: AlterTable) -> Step:
        there = self._definitions.find("table", change.name)
        if there is None or there.broken:
            if change.if_exists and there is None:
                return Step(notices=(("00000", f'relation "{change.name}" does not exist, skipping'),))
            raise QueryError("42P01", f'relation "{change.name}" does not exist')
        if there.kind != "table":
            raise QueryError("42809", f'"{change.name}" is not a table')
        notices: list[tuple[str, str]] = []
        steps: TableStatements = self
        for action in change.actions:
            step = steps._act(change.name, action)
            notices += step.notices
            if step.world is not None:
                steps = steps.after(step.world)
        return Step(None if steps is self else steps._world, tuple(notices))

    def after(self, world: World) -> TableStatements:
        """The same over another world."""
        return TableStatements(world, described(world).definitions, self._possible)

    def _act(self, name: str, action: Action) -> Step:
        there = self._definitions.objects[name]
        item = self._world.items[name]
        match action:
            case KeyDefinition():
                return self._add_key(there, item, action)
            case CheckDefinition():
                return self._add_check(there, item, action)
            case DropConstraint():
                return self._drop_constraint(there, item, action)
            case RenameColumn():
                return self._rename_column(there, item, action)
            case SetDefault(column=column, default=default):
                _check_columns((column,), [c.name for c in there.schema])
                return Step(self._with(_columns(item, column, default=default)))
            case SetNullable(column=column, nullable=nullable):
                return self._set_nullable(there, item, column, nullable)

    def _with(self, item: Item, more: Collection[Item] = (), gone: Collection[str] = ()) -> World:
        """The world with an item instead of the one of its id, further ones, and without indexes of some names."""
        catalog = self._world.catalog
        items = [item if one.id == item.id else one for one in catalog.items if one.name not in gone]
        return self._next(catalog, (*items, *more), catalog.next_id + len(more))

    def _add_key(self, there: Definition, item: Item, key: KeyDefinition) -> Step:
        _check_columns(key.columns, [column.name for column in there.schema])
        schema, bare = schema_and_name(item.name)
        if key.primary and any(one.primary for one in there.keys):
            raise QueryError("42P16", f'multiple primary keys for table "{item.name}" are not allowed')
        usual = f"{bare}_pkey" if key.primary else f"{bare}_{'_'.join(key.columns)}_key"
        taken = {*self._definitions.objects, *(known_as(schema, one.name) for one in there.keys)}
        name = self._index_name(key.name, usual, schema, taken)
        made = Item(
            self._world.catalog.next_id,
            "index",
            name,
            columns=key.columns,
            on=item.name,
            unique="primary" if key.primary else "unique",
        )
        if key.primary:
            nullable = [column.name for column in there.schema if column.nullable and column.name in key.columns]
            self._refuse_readers(there, nullable, "its rows would be known to have no NULL in them")
            for column in nullable:
                item = _columns(item, column, nullable=False)
        return Step(self._with(item, [made]))

    def _add_check(self, there: Definition, item: Item, check: CheckDefinition) -> Step:
        taken = {*item.checks, *(key.name for key in there.keys if key.constraint)}
        if check.name in taken:
            raise QueryError("42710", f'constraint "{check.name}" for relation "{item.name}" already exists')
        name = check.name or _free(f"{schema_and_name(item.name)[1]}_check", taken)
        world = self._with(msgspec.structs.replace(item, checks={**item.checks, name: check.condition}))
        self._check_conditions(world, item.name, [check])
        return Step(world)

    def _drop_constraint(self, there: Definition, item: Item, action: DropConstraint) -> Step:
        found = next((key for key in there.keys if key.name == action.name and key.constraint), None)
        if found is None and action.name in item.checks:
            checks = {name: text for name, text in item.checks.items() if name != action.name}
            return Step(self._with(msgspec.structs.replace(item, checks=checks)))
        if found is None:
            what = f'constraint "{action.name}" of relation "{item.name}" does not exist'
            if action.if_exists:
                return Step(notices=(("00000", f"{what}, skipping"),))
            raise QueryError("42704", what)
        self._refuse_readers(there, [action.name], "how they are computed may rest on it") if found.primary else None
        if not found.index:
            return Step(self._with(msgspec.structs.replace(item, enforced=False)))
        return Step(self._with(item, gone=[found.index]))

    def _rename_column(self, there: Definition, item: Item, action: RenameColumn) -> Step:
        names = [column.name for column in there.schema]
        _check_columns((action.name,), names)
        if action.to in names:
            raise QueryError("42701", f'column "{action.to}" of relation "{item.name}" already exists')
        self._refuse_readers(there, [action.name], "they name the column")
        if item.checks:
            raise QueryError(
                "2BP01", f"cannot rename column {action.name} of {item.name}, which has a CHECK constraint",
                hint="drop the constraint first",
            )  # fmt: skip
        catalog = self._world.catalog

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(action.to if name == action.name else name for name in names)

        defined = tuple(
            msgspec.structs.replace(column, name=action.to) if column.name == action.name else column
            for column in item.defined
        )
        table = msgspec.structs.replace(item, defined=defined, columns=renamed(item.columns))
        items = tuple(
            table
            if one is item
            else msgspec.structs.replace(one, columns=renamed(one.columns))
            if one.kind == "index" and one.on == item.name
            else one
            for one in catalog.items
        )
        comments = {
            f"{item.name}\t{action.to}" if key == f"{item.name}\t{action.name}" else key: text
            for key, text in catalog.comments.items()
        }
        return Step(self._next(msgspec.structs.replace(catalog, comments=comments), items))

    def _set_nullable(self, there: Definition, item: Item, column: str, nullable: bool) -> Step:
        _check_columns((column,), [c.name for c in there.schema])
        known = next(c for c in there.schema if c.name == column)
        if known.nullable == nullable:
            return Step()
        if nullable and any(
            key.primary and there.schema[place].name == column for key in there.keys for place in key.places
        ):
            raise QueryError("42P16", f'column "{column}" is in a primary key')
        self._refuse_readers(there, [column], "how they are computed may rest on it")
        return Step(self._with(_columns(item, column, nullable=nullable)))

    def _refuse_readers(self, there: Definition, what: Collection[str], why: str) -> None:
        """QueryError when something of a table changes that views and sinks know of."""
        every = self._definitions.every
        readers = [key for key in self._definitions.dependents([there.name]) if every[key].kind != "index"]
        if what and readers:
            raise QueryError(
                "2BP01",
                f"cannot alter {', '.join(what)} of table {there.name} because other objects depend on the table: {why}",
                detail=depend(self._definitions, readers, there.name),
                hint="drop them first, and make them again",
            )

    def _index_name(self, given: str, usual: str, schema: str, taken: Collection[str]) -> str:
        """The name of a constraint's index, among the relations of its table's schema."""
        if not given:
            return _free(known_as(schema, usual), taken)
        name = known_as(schema, given)
        if (there := self._definitions.taken(name)) is not None:
            exists(there, False)
        return name


def alone(world: World, table: str) -> Catalog:
    """A catalog in which there is nothing but one table: what a condition may read."""
    schemas = [schema.name for schema in world.catalog.schemas]
    known = {table: world.ground.schema(table)}
    return Catalog(known, world.declared.functions, schemas, world.declared.database)


def check_query(table: str, condition: str) -> str:
    """The query of the rows that a condition is false of."""
    return f"SELECT 1 FROM {written(table)} WHERE NOT ({condition})"


def _columns(item: Item, name: str, default: str | None = None, nullable: bool | None = None) -> Item:
    """A table with another default or nullability of a column."""
    defined = tuple(
        column
        if column.name != name
        else msgspec.structs.replace(
            column,
            default=column.default if default is None else default,
            nullable=column.nullable if nullable is None else nullable,
        )
        for column in item.defined
    )
    return msgspec.structs.replace(item, defined=defined)


def _check_columns(columns: Collection[str], known: Collection[str]) -> None:
    for name in columns:
        if name not in known:
            raise QueryError("42703", f'column "{name}" does not exist')
        if list(columns).count(name) > 1:
            raise QueryError("42701", f'column "{name}" appears twice in a constraint')


def _free(wanted: str, taken: Collection[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name
