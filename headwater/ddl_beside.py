"""What statements about schemas, connections, secrets, sources, sinks and roles make of the catalog.

Always true: a secret's value is kept before an object of the catalog names it. Deliberately unknown: how one is read or written
(`headwater.outside`), and what makes their settings right (`headwater.ddl_outside`).
"""

from __future__ import annotations

import msgspec

from headwater import ddl_outside
from headwater.catalog import Item, Namespace
from headwater.ddl_outside import Asks
from headwater.steps import Step, Steps, absent, exists, unknown
from headwater.world import World
from planner.catalog import PUBLIC
from serve.definitions import Definitions, key_of, name_of
from serve.sql.changes import (
    CreateConnection,
    CreateRole,
    CreateSchema,
    CreateSecret,
    CreateSink,
    CreateSource,
    Grant,
    Owner,
    Refresh,
    Validate,
)
from serve.sql.errors import QueryError
from serve.sql.schemas import SYSTEM

Beside = (
    CreateSchema | CreateConnection | CreateRole | CreateSecret | CreateSink | CreateSource | Grant | Owner | Refresh | Validate
)  # fmt: skip


class BesideStatements(Steps):
    """What these statements make of one version of the catalog."""

    def __init__(self, world: World, definitions: Definitions, asks: Asks) -> None:
        """definitions: of the same version. asks: who asks the outside."""
        super().__init__(world, definitions)
        self._asks = asks

    def step(self, change: Beside) -> Step:
        """What a statement makes of it. QueryError when it cannot be."""
        if isinstance(change, CreateSecret | CreateConnection | CreateSource | CreateSink):
            self._check_schema(change.name)
        match change:
            case CreateSchema():
                return self._create_schema(change)
            case CreateSecret():
                return self._create_secret(change)
            case CreateConnection():
                return self._create_connection(change)
            case Validate():
                if self._definitions.find("connection", change.name) is None:
                    raise QueryError("42704", absent("connection", change.name))
                self._asks.try_connection(self._world, change.name)
                return Step()
            case CreateSource() | CreateSink():
                return self._create_outside(change)
            case CreateRole():
                return self._create_role(change)
            case Grant():
                return self._grant(change)
            case Owner():
                return self._own(change)
            case Refresh():
                there = self._definitions.find("materialized view", change.name)
                if there is None or there.kind != "materialized view":
                    raise QueryError("42P01", absent("materialized view", change.name))
                return Step(
                    notices=(("00000", f"{change.name} is as of now at every moment: there is nothing to refresh"),)
                )

    def _create_schema(self, change: CreateSchema) -> Step:
        if change.name in (PUBLIC, *SYSTEM, *self._definitions.schemas):
            what = f'schema "{change.name}" already exists'
            if change.if_not_exists:
                return Step(notices=(("42P06", f"{what}, skipping"),))
            raise QueryError("42P06", what)
        if change.name.startswith(("pg_", "mz_")) or "." in change.name or not change.name:
            hint = "no point, and no pg_ or mz_ at the beginning"
            raise QueryError("42939", f'unacceptable schema name "{change.name}"', hint=hint)
        catalog = self._world.catalog
        schemas = (*catalog.schemas, Namespace(catalog.next_id, change.name))
        wider = msgspec.structs.replace(catalog, schemas=schemas)
        return Step(self._next(wider, catalog.items, catalog.next_id + 1))

    def _create_secret(self, change: CreateSecret) -> Step:
        catalog = self._world.catalog
        there = self._definitions.find("secret", change.name)
        item = Item(catalog.next_id, "secret", change.name)
        if change.again:
            if there is None:
                raise QueryError("42704", absent("secret", change.name))
            items = tuple(item if (one.kind, one.name) == ("secret", change.name) else one for one in catalog.items)
        elif (taken := self._definitions.taken(change.name)) is not None:
            return exists(taken, change.if_not_exists)
        else:
            items = (*catalog.items, item)
        self._asks.keep_secret(item.id, change.value)
        notices = self._still_running([key_of("secret", change.name)]) if change.again else ()
        return Step(self._next(catalog, items, catalog.next_id + 1), notices)

    def _create_connection(self, change: CreateConnection) -> Step:
        catalog = self._world.catalog
        before = next((i for i in catalog.items if (i.kind, i.name) == ("connection", change.name)), None)
        if change.again and before is None:
            if self._definitions.find("connection", change.name) is not None:
                raise QueryError("42501", f'"{change.name}" is declared by the service\'s file', hint="change it there")
            raise QueryError("42704", absent("connection", change.name))
        if not change.again and (taken := self._definitions.taken(change.name)) is not None:
            return exists(taken, change.if_not_exists)
        item = ddl_outside.connection(change, self._definitions, catalog.next_id, before)
        items = tuple(item if one is before else one for one in catalog.items)
        world = self._next(catalog, items if before is not None else (*items, item), catalog.next_id + 1)
        if change.validate:
            self._asks.try_connection(world, change.name)
        return Step(world, self._still_running([key_of("connection", change.name)]) if change.again else ())

    def _still_running(self, keys: list[str]) -> tuple[tuple[str, str], ...]:
        """What who changes a connection has to know."""
        running = [
            key for key in self._definitions.dependents(keys) if self._definitions.every[key].kind in ("source", "sink")
        ]
        if not running:
            return ()
        names = ", ".join(map(name_of, running))
        return (("00000", f"{names} use what it was until the service is started again"),)

    def _create_outside(self, change: CreateSource | CreateSink) -> Step:
        if (taken := self._definitions.taken(change.name)) is not None:
            return exists(taken, change.if_not_exists)
        catalog = self._world.catalog
        if isinstance(change, CreateSource):
            item = ddl_outside.source(change, self._world, self._definitions, catalog.next_id, self._asks)
        else:
            item = ddl_outside.sink(change, self._world, self._definitions, catalog.next_id)
        world = self._next(catalog, (*catalog.items, item), catalog.next_id + 1)
        if (error := world.broken.get(item.name)) is not None:
            raise QueryError("42000", error.message, hint=error.hint)
        return Step(world)

    def _create_role(self, change: CreateRole) -> Step:
        if (taken := self._definitions.taken(change.name)) is not None:
            return exists(taken, False)
        catalog = self._world.catalog
        item = Item(catalog.next_id, "role", change.name)
        return Step(self._next(catalog, (*catalog.items, item), catalog.next_id + 1))

    def _grant(self, change: Grant) -> Step:
        """What is granted is what everybody has; who relies on others not having it is told."""
        every = self._definitions.every
        for name in change.names:
            if self._definitions.find(change.kind or "table", name) is None:
                kind = change.kind or "relation"
                raise QueryError(unknown(kind), absent(kind, name))
        for role in change.roles:
            if role != "public" and key_of("role", role) not in every:
                raise QueryError("42704", absent("role", role), hint=f"write CREATE ROLE {role}")
        return Step(
            notices=(
                ("00000", "every user may do everything already: nothing is recorded, and nothing is kept from others"),
            )
        )

    def _own(self, change: Owner) -> Step:
        """Everything belongs to everybody who may log in: an owner is a name that there has to be."""
        kind, name = change.kind, change.name
        known = (PUBLIC, *SYSTEM, *self._definitions.schemas) if kind == "schema" else ()
        there = name in known or self._definitions.find("table" if kind == "relation" else kind, name) is not None
        if not there:
            raise QueryError(unknown("table" if kind == "relation" else kind), absent(kind, name))
        if key_of("role", change.role) not in self._definitions.every and change.role not in _EVERYBODY:
            raise QueryError("42704", absent("role", change.role), hint=f"write CREATE ROLE {change.role}")
        return Step(notices=(("00000", "everything belongs to all who may log in: no owner is recorded"),))


_EVERYBODY = ("current_user", "current_role", "session_user")
"""Who asks, as an owner's name."""
