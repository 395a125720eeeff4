"""The names that queries may read, and how SQL spells names.

Always true: names are exact here; folding of unquoted identifiers happens once, in `spelling`. A relation in `public` is known by
its own name, every other one by its schema's and its own with a point between; no name has a point in itself.
Deliberately unknown: where a relation's rows come from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from sqlglot import exp

from dataflow.types import Schema
from planner.errors import did_you_mean
from planner.functions.user import Functions

PUBLIC = "public"
TEMPORARY = "mz_temp"
"""The schema of what is a session's own, which names without a schema are looked for in first; `pg_temp` is another name for it."""
SYSTEM = ("pg_catalog", "mz_catalog")
"""The schemas that names without a schema are looked for in, after `public`: the system's own."""


def known_as(schema: str | None, name: str) -> str:
    """The name by which a relation of a schema (None: public) is known."""
    if schema == "pg_temp":
        schema = TEMPORARY
    return name if schema in (None, PUBLIC) else f"{schema}.{name}"


def schema_and_name(known: str) -> tuple[str, str]:
    """The schema and the own name of a relation that is known by this name."""
    schema, _, name = known.rpartition(".")
    return schema or PUBLIC, name


class CatalogError(Exception):
    """A relation that exists and cannot be read; the message says why."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Catalog:
    """Relations (sources and views) by name, the functions that the service brings along, and where names may be.

    schemas: those that SQL made beside `public`. database: what a name may be written behind; empty for nothing.
    """

    def __init__(
        self,
        relations: Mapping[str, Schema],
        functions: Functions | None = None,
        schemas: Collection[str] = (),
        database: str = "",
    ) -> None:
        self.relations = dict(relations)
        self.functions: Functions = functions or {}
        self.schemas, self.database = schemas, database

    def add(self, name: str, schema: Schema) -> None:
        """Make a planned view readable."""
        self.relations[name] = schema

    def get(self, name: str) -> Schema | None:
        """The columns of a relation, or None when there is none of that name. Raises CatalogError if it cannot be read."""
        return self.relations.get(name)

    def qualified(self, schema: str | None, name: str) -> str | None:
        """The name under which `get` knows what `schema.name`, or `name` alone, means; None when there is no such schema.

        Relations of the system's schemas are found without them too.
        """
        if schema is None:
            if (own := known_as(TEMPORARY, name)) in self.relations:
                return own
            system = [] if name in self.relations else [f"{system}.{name}" for system in SYSTEM]
            return next((known for known in system if known in self.relations), name)
        there = schema in (PUBLIC, "pg_temp") or schema in self.schemas
        there = there or any(known.startswith(f"{schema}.") for known in self.relations)
        return known_as(schema, name) if there else None


def spelling(identifier: exp.Expr) -> str:
    """The name that an identifier means: exact when quoted, else in lower case."""
    if isinstance(identifier, exp.Identifier) and identifier.args.get("quoted"):
        return identifier.name
    return identifier.name.lower()


def quoted(name: str) -> str:
    """The name as SQL spells it: in double quotes where it must be."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def written(known: str) -> str:
    """How SQL spells the relation that is known by a name: with its schema, unless that is `public`."""
    schema, name = schema_and_name(known)
    return quoted(name) if schema == PUBLIC else f"{quoted(schema)}.{quoted(name)}"


def qualified(known: str) -> str:
    """How SQL spells the relation that is known by a name, with its schema in any case: nothing hides it."""
    schema, name = schema_and_name(known)
    return f"{quoted(schema)}.{quoted(name)}"


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_FEW = 12


def suggest(name: str, known: Iterable[str]) -> str | None:
    """A hint for an unknown name: the same name in other letters needs quotes, else the nearest, else all if they are few."""
    known = sorted(set(known))
    for candidate in known:
        if candidate.lower() == name.lower() and candidate != name:
            return f'names without quotes are lower case; write "{candidate}" in double quotes'
    if near := did_you_mean(name, known):
        return near
    return f"there is {', '.join(known)}" if 0 < len(known) <= _FEW else None
