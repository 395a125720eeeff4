"""Names of objects in statements: written with their schema and database, or without.

Always true: a name comes out as its relation is known (`planner.catalog.known_as`); there is one database, and what names another
is refused. Deliberately unknown: whether there is such an object.
"""

from __future__ import annotations

import re

from planner.catalog import PUBLIC, TEMPORARY, known_as
from serve.pg.words import Words
from serve.sql.errors import QueryError


def object_name(words: Words) -> str:
    """The name by which an object is known, whatever part of its database's and schema's is written."""
    return _known(_parts(words), words)


def name_in_public(words: Words) -> str:
    """As `object_name`, but behind `public.` where that is written: such a name is hidden by nothing."""
    parts = _parts(words)
    known = _known(parts, words)
    return f"{PUBLIC}.{known}" if len(parts) > 1 and parts[-2] == PUBLIC else known


def temporary_name(words: Words) -> str:
    """The name by which something temporary is known. QueryError where it is written with another schema."""
    parts = _parts(words)
    if len(parts) > 1 and parts[-2] not in (TEMPORARY, "pg_temp"):
        raise QueryError(
            "42P16", f"cannot create temporary relation in schema {parts[-2]}", hint="leave the schema out"
        )
    return _known([*parts[:-2], TEMPORARY, parts[-1]], words)


def schema_name(words: Words) -> str:
    """The name of a schema, whether or not its database's is written."""
    *database, name = _parts(words)
    _check_database(database, words)
    return name


def named(kind: str, words: Words) -> str:
    """The name by which an object of a kind is known."""
    if kind in ("cluster", "database"):
        return words.name()
    return schema_name(words) if kind == "schema" else object_name(words)


def column_name(words: Words) -> tuple[str, str]:
    """The name by which a column's relation is known, and the column's own."""
    *relation, column = _parts(words)
    if not relation:
        raise words.wrong()
    return _known(relation, words), column


def _parts(words: Words) -> list[str]:
    """A name's parts: without quotes they are one word with dots."""
    parts: list[str] = []
    while True:
        if words.at < len(words.found) and words.found[words.at][1][0] == '"':
            parts.append(words.name())
        else:
            if words.at < len(words.found) and not re.match(r"[A-Za-z_]", words.found[words.at][1]):
                raise words.wrong()
            parts += words.name().split(".")
        if not words.take("."):
            return parts


def _known(parts: list[str], words: Words) -> str:
    *database, schema, name = parts if len(parts) > 1 else (PUBLIC, *parts)
    _check_database(database, words)
    for part in (schema, name):
        if "." in part:
            raise QueryError("42602", f'invalid name "{part}"', hint="a name has no point in it")
    return known_as(schema, name)


def _check_database(names: list[str], words: Words) -> None:
    if names and names != [words.database]:
        there = f"the one database is {words.database}" if words.database else None
        raise QueryError("3D000", f'database "{".".join(names)}" does not exist', hint=there)
