"""The names that queries may read, and how SQL spells names.

Always true: names are exact here; folding of unquoted identifiers happens once, in `spelling`. Deliberately unknown: where a
relation's rows come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlglot import exp

from dataflow.types import Schema
from planner.errors import did_you_mean
from planner.functions.user import Functions

PUBLIC, SYSTEM = "public", "pg_catalog"
"""The schemas that names without a schema are looked for in: sources and views, then the system's own."""


class CatalogError(Exception):
    """A relation that exists and cannot be read; the message says why."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Catalog:
    """Relations (sources and views) by name, and the functions that the service brings along."""

    def __init__(self, relations: Mapping[str, Schema], functions: Functions | None = None) -> None:
        self.relations = dict(relations)
        self.functions: Functions = functions or {}

    def add(self, name: str, schema: Schema) -> None:
        """Make a planned view readable."""
        self.relations[name] = schema

    def get(self, name: str) -> Schema | None:
        """The columns of a relation, or None when there is none of that name. Raises CatalogError if it cannot be read."""
        return self.relations.get(name)

    def qualified(self, schema: str | None, name: str) -> str | None:
        """The name under which `get` knows what `schema.name`, or `name` alone, means; None when there is no such schema.

        Relations outside `public` are known by their qualified names, those in `pg_catalog` are found without it too.
        """
        if schema is None:
            system = f"{SYSTEM}.{name}"
            return system if name not in self.relations and system in self.relations else name
        if schema == PUBLIC:
            return name
        return f"{schema}.{name}" if any(known.startswith(f"{schema}.") for known in self.relations) else None


def spelling(identifier: exp.Expr) -> str:
    """The name that an identifier means: exact when quoted, else in lower case."""
    if isinstance(identifier, exp.Identifier) and identifier.args.get("quoted"):
        return identifier.name
    return identifier.name.lower()


def quoted(name: str) -> str:
    """The name as SQL spells it: in double quotes where it must be."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


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
