"""What ALTER ... RENAME TO and SWAP WITH make of the catalog: other names, and everything that names them follows.

Always true: no row moves, and what every view means stays the same, which is compared before a new name counts; what cannot follow
is refused. Deliberately unknown: rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from headwater.catalog import Item
from headwater.steps import Step, Steps, absent, exists, unknown
from headwater.world import World, kept_as
from planner.catalog import PUBLIC, known_as, schema_and_name
from planner.errors import PlanErrors, SqlError
from planner.renaming import renamed
from serve.definitions import BESIDE, Definition, key_of
from serve.sql.changes import Rename
from serve.sql.errors import QueryError
from serve.sql.schemas import SYSTEM

_NOT_RENAMED = {
    "connection": "make another connection",
    "secret": "make another secret",
    "role": "make another role",
}
"""Kinds that keep their names, and what to do instead."""


class NameStatements(Steps):
    """What these statements make of one version of the catalog."""

    def step(self, change: Rename) -> Step:
        """What a statement makes of it. QueryError when it cannot be."""
        there = self._there(change.kind, change.name)
        if there is None:
            if change.if_exists:
                return Step(notices=(("00000", f"{absent(change.kind, change.name)}, skipping"),))
            raise QueryError(unknown(change.kind), absent(change.kind, change.name))
        if change.kind in _NOT_RENAMED:
            raise QueryError(
                "0A000", f"ALTER {change.kind.upper()} RENAME is not supported", hint=_NOT_RENAMED[change.kind]
            )
        to = change.to
        if change.swap:
            if self._there(change.kind, to) is None:
                raise QueryError(unknown(change.kind), absent(change.kind, to))
            if change.kind != "schema" and schema_and_name(to)[0] != schema_and_name(change.name)[0]:
                raise QueryError("0A000", "objects of different schemas cannot be swapped", hint="swap their schemas")
        elif change.kind == "schema":
            if to in (PUBLIC, *SYSTEM, *self._definitions.schemas):
                raise QueryError("42P06", f'schema "{to}" already exists')
            if to.startswith(("pg_", "mz_")) or "." in to or not to:
                hint = "no point, and no pg_ or mz_ at the beginning"
                raise QueryError("42939", f'unacceptable schema name "{to}"', hint=hint)
        else:
            to = known_as(schema_and_name(change.name)[0], schema_and_name(to)[1])
            if (taken := self._definitions.taken(to)) is not None:
                exists(taken, False)
        pairs = {change.name: to} | ({to: change.name} if change.swap else {})
        return Step(self._moved(change.kind, pairs))

    def _there(self, kind: str, name: str) -> Definition | None:
        """The object, if there is one. QueryError when it is none that statements may rename."""
        there = self._definitions.find(kind, name)
        if (kind == "schema" and name in (PUBLIC, *SYSTEM)) or (there is not None and kind in ("cluster", "database")):
            raise QueryError("42501", f"{kind} {name} is part of every service and keeps its name")
        if there is not None and there.declared:
            raise QueryError("42501", f'"{name}" is declared by the service\'s file', hint="rename it there")
        if there is not None and there.kind != kind:
            raise QueryError("42809", f'"{name}" is not a {kind}')
        if there is not None and there.broken:
            raise QueryError("55000", f'{kind} "{name}" cannot be used: {there.broken}', hint="drop it")
        return there

    def _moved(self, kind: str, pairs: Mapping[str, str]) -> World:
        """The world in which objects of a kind, or all that is in schemas, have other names."""
        before, catalog = self._world, self._world.catalog

        def to(item: Item) -> str:
            schema, own = schema_and_name(item.name)
            if kind == "schema":
                return known_as(pairs.get(schema, schema), own) if schema != PUBLIC else item.name
            of_kind = item.kind == kind or (kind not in BESIDE and item.kind not in BESIDE)
            return pairs.get(item.name, item.name) if of_kind else item.name

        names = {item.name: to(item) for item in catalog.items if item.kind not in BESIDE and to(item) != item.name}
        beside = {
            key_of(item.kind, item.name): to(item)
            for item in catalog.items
            if item.kind in BESIDE and to(item) != item.name
        }
        items = tuple(self._following(item, to(item), names, beside) for item in catalog.items)
        schemas = tuple(
            msgspec.structs.replace(one, name=pairs.get(one.name, one.name)) if kind == "schema" else one
            for one in catalog.schemas
        )
        comments = {_comment_key(key, names, beside, pairs if kind == "schema" else {}): text
                    for key, text in catalog.comments.items()}  # fmt: skip
        try:
            world = self._next(msgspec.structs.replace(catalog, schemas=schemas, comments=comments), items)
        except PlanErrors as errors:
            raise QueryError("2BP01", f"{errors.errors[0].view} cannot follow: {errors.errors[0].message}") from None
        self._check_same(before, world, names)
        return world

    def _following(self, item: Item, to: str, names: Mapping[str, str], beside: Mapping[str, str]) -> Item:
        """An item under its new name, or that names what has one."""
        changed: dict[str, Any] = {}
        if to != item.name:
            known = kept_as(item)
            changed = {"name": to, "known": known if known != to else ""}
            own, new = schema_and_name(item.name)[1], schema_and_name(to)[1]
            if item.kind == "table" and own != new:
                if any(re.search(rf'\b{re.escape(own)}"?\s*\.', condition) for condition in item.checks.values()):
                    raise QueryError(
                        "0A000", f"a CHECK of table {item.name} names the table", hint="drop the constraint"
                    )
                changed["constraint"] = item.constraint or (f"{own}_pkey" if item.columns else "")
        if item.sql and names:
            try:
                changed["sql"] = renamed(item.name, item.sql, names)
            except (SqlError, PlanErrors) as error:
                raise QueryError("2BP01", f"{item.kind} {item.name} cannot follow: {error}") from None
        if item.on in names:
            changed["on"] = names[item.on]
        if item.secrets:
            changed["secrets"] = {
                name: beside.get(key_of("secret", secret), secret) for name, secret in item.secrets.items()
            }
        if item.registry:
            changed["registry"] = beside.get(key_of("connection", item.registry), item.registry)
        if item.settings:
            changed["settings"] = self._settings(item, names, beside)
        return msgspec.structs.replace(item, **changed)

    @staticmethod
    def _settings(item: Item, names: Mapping[str, str], beside: Mapping[str, str]) -> str:
        """A source's or sink's settings with the new names of what they name."""
        settings = msgspec.json.decode(item.settings)
        settings["kafka"] = beside.get(key_of("connection", settings["kafka"]), settings["kafka"])
        if "view" in settings:
            settings["view"] = names.get(settings["view"], settings["view"])
        for name in (settings["kafka"], settings.get("view", "")):
            if "." in name:
                raise QueryError(
                    "0A000", f"{item.kind} {item.name} would name {name}, which is not in public",
                    hint=f"drop the {item.kind} first",
                )  # fmt: skip
        return msgspec.json.encode(settings).decode()

    @staticmethod
    def _check_same(before: World, world: World, names: Mapping[str, str]) -> None:
        """QueryError unless every view means what it meant."""
        for name, means in before.planned.definitions.items():
            now = names.get(name, name)
            if world.planned.definitions.get(now) != means:
                error = world.broken.get(now)
                reason = error.message if error is not None else "it would mean something else"
                raise QueryError(
                    "2BP01", f"view {name} cannot follow: {reason}", hint=f"drop {name} first, and make it again"
                )


def _comment_key(key: str, names: Mapping[str, str], beside: Mapping[str, str], schemas: Mapping[str, str]) -> str:
    """The key of a comment on what may have another name now."""
    if not key.startswith("\t"):
        relation, tab, column = key.partition("\t")
        return f"{names.get(relation, relation)}{tab}{column}"
    _, kind, name = key.split("\t")
    if kind == "schema":
        return key_of(kind, schemas.get(name, name))
    return key_of(kind, beside.get(key, name))
