"""One step of the catalog: what every statement that changes it has to find out first.

Always true: a step is from one world to another; an object that there is stays possible. Deliberately unknown: which statements
there are (`headwater.ddl`, `headwater.ddl_beside`), and how the step is taken (`headwater.changes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headwater.catalog import Catalog, Item
from headwater.world import World
from planner.catalog import PUBLIC, quoted, schema_and_name
from serve.definitions import BESIDE, Definition, Definitions, key_of, name_of
from serve.sql.errors import QueryError
from serve.sql.schemas import SYSTEM


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done. world: the next one; None when nothing changes."""

    world: World | None = None
    notices: tuple[tuple[str, str], ...] = ()


class Steps:
    """Steps from one world."""

    def __init__(self, world: World, definitions: Definitions) -> None:
        """definitions: of the same version."""
        self._world, self._definitions = world, definitions

    def _check_schema(self, name: str) -> None:
        """QueryError when an object of this name would be in a schema that there is not."""
        schema, _ = schema_and_name(name)
        if schema in SYSTEM:
            hint = "make it in public, or in a schema of your own"
            raise QueryError("42501", f'schema "{schema}" is the system\'s own', hint=hint)
        if schema != PUBLIC and schema not in self._definitions.schemas:
            hint = f"write CREATE SCHEMA {quoted(schema)} first"
            raise QueryError("3F000", f'schema "{schema}" does not exist', hint=hint)

    def _refuse_dependents(self, keys: list[str], what: str) -> None:
        """QueryError when objects other than indexes read some of these."""
        definitions = self._definitions
        every = definitions.every
        readers = [key for key in definitions.dependents(keys) if every[key].kind != "index"]
        if readers:
            raise QueryError(
                "2BP01",
                f"cannot {what} {every[keys[0]].kind} {name_of(keys[0])} because other objects depend on it",
                detail=depend(definitions, readers, keys[0]),
                hint="use DROP ... CASCADE to drop the dependent objects too",
            )

    def _next(self, catalog: Catalog, items: tuple[Item, ...], next_id: int | None = None) -> World:
        """The world with these objects. QueryError when an object that there is would no longer be possible."""
        known = {item.known for item in items if item.known}
        # A name that was another object's when that was made is still the one of its rows.
        items = tuple(
            msgspec.structs.replace(item, known=f"{item.name}.{item.id}")
            if item.name in known and not item.known
            else item
            for item in items
        )
        world = World(
            self._world.declared,
            msgspec.structs.replace(
                catalog, version=self._world.catalog.version + 1, items=items, next_id=next_id or catalog.next_id
            ),
            self._world.base,
        )
        kept = (
            {item.name for item in self._world.items.values()} & world.broken.keys() & {i.name for i in catalog.items}
        )
        if kept:
            name = min(kept)
            raise QueryError("2BP01", f"{name} would no longer be possible: {world.broken[name].message}")
        return world


def without(catalog: Catalog, keys: list[str]) -> Catalog:
    """The catalog without some objects, and without the comments on them."""
    gone = set(keys)
    relations = {key for key in gone if not key.startswith("\t")}
    return msgspec.structs.replace(
        catalog,
        schemas=tuple(schema for schema in catalog.schemas if key_of("schema", schema.name) not in gone),
        items=tuple(item for item in catalog.items if key_of(item.kind, item.name) not in gone),
        comments={
            key: text
            for key, text in catalog.comments.items()
            if key not in gone and key.partition("\t")[0] not in relations
        },
    )


def exists(there: Definition, skip: bool) -> Step:
    """What a name that is taken means for CREATE. QueryError unless IF NOT EXISTS was said."""
    what = f'{there.kind if there.kind in BESIDE else "relation"} "{there.name}" already exists'
    if skip:
        return Step(notices=(("42P07", f"{what}, skipping"),))
    raise QueryError("42P07" if there.kind not in BESIDE else "42710", what)


def unknown(kind: str) -> str:
    """The SQLSTATE for an object that there is not."""
    if kind in ("schema", "database"):
        return "3F000" if kind == "schema" else "3D000"
    return "42704" if kind == "index" or kind in BESIDE else "42P01"


def absent(kind: str, name: str) -> str:
    """What is said of an object that there is not."""
    return f'{kind} "{name}" does not exist'


def depend(definitions: Definitions, readers: list[str], name: str) -> str:
    """PostgreSQL's DETAIL: who depends on what."""
    every = definitions.every
    what = f"{every[name].kind} {name_of(name)}"
    return "\n".join(f"{every[reader].kind} {name_of(reader)} depends on {what}" for reader in readers)
