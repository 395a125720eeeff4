"""CREATE, DROP, ALTER and COMMENT: text to the change of the catalog that it asks for.

Always true: names come out as relations are known (`serve.pg.names`).
Deliberately unknown: whether a change is possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from planner.catalog import PUBLIC, TEMPORARY, schema_and_name
from serve.definitions import BESIDE
from serve.pg.alter import read_alter
from serve.pg.clusters import create_cluster, create_database, pass_cluster
from serve.pg.commands import Nothing
from serve.pg.create_table import create_table, unsupported
from serve.pg.history import read_options
from serve.pg.names import column_name, name_in_public, named, object_name, schema_name, temporary_name
from serve.pg.outside import (
    create_connection,
    create_secret,
    create_sink,
    create_source,
    validate_connection,
)
from serve.pg.roles import create_role, read_grant, read_revoke
from serve.pg.words import Words
from serve.sql.changes import (
    Apply,
    Change,
    Comment,
    CreateIndex,
    CreateSchema,
    CreateView,
    Drop,
    Refresh,
)
from serve.sql.errors import QueryError
from serve.sql.schemas import CLUSTER

KINDS = {
    "TABLE": "table",
    "VIEW": "view",
    "MATERIALIZED VIEW": "materialized view",
    "INDEX": "index",
    "SOURCE": "source",
    "SINK": "sink",
    "CONNECTION": "connection",
    "SECRET": "secret",
    "ROLE": "role",
    "SCHEMA": "schema",
    "CLUSTER": "cluster",
    "DATABASE": "database",
}
_NO_DATA = re.compile(r"\s+with\s+(no\s+)?data\s*$", re.IGNORECASE)
"""What PostgreSQL writes behind a materialized view's query: here the view has its rows in any case."""
_OTHERS = ("TYPE", "ROLE", "USER", "FUNCTION", "SEQUENCE", "TRIGGER", "EXTENSION")


def read_create(words: Words) -> Change | Nothing:
    """What follows CREATE."""
    replace = words.take("OR", "REPLACE")
    temporary = words.take("TEMPORARY") or words.take("TEMP")
    materialized = not temporary and words.take("MATERIALIZED")
    if words.take("VIEW"):
        return _create_view(words, materialized, replace, temporary)
    if temporary:
        raise unsupported(f"CREATE TEMPORARY {words.word}", "there are temporary views")
    if replace or materialized:
        raise words.wrong()
    default, unique = words.take("DEFAULT"), words.take("UNIQUE")
    if words.take("INDEX"):
        return _create_index(words, default, unique)
    if unique:
        raise words.wrong()
    if not default and words.take("TABLE"):
        return create_table(words)
    for kind, reader in _OUTSIDE.items():
        if not default and words.take(kind):
            if_not_exists = words.take("IF", "NOT", "EXISTS")
            return reader(words, object_name(words), if_not_exists)
    if not default and words.take("ROLE"):
        return create_role(words)
    if not default and words.take("SCHEMA"):
        return _create_schema(words)
    if not default and words.take("CLUSTER"):
        return create_cluster(words)
    if not default and words.take("DATABASE"):
        return create_database(words)
    raise _other("CREATE", words)


def _create_view(words: Words, materialized: bool, replace: bool, temporary: bool) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = temporary_name(words) if temporary else object_name(words)
    columns = tuple(_names(words)) if words.take("(") else ()
    history, asserted = 0, tuple[str, ...]()
    if materialized:
        pass_cluster(words)
        if words.take("WITH"):
            history, asserted = read_options(words)
    words.need("AS")
    if words.at >= len(words.found):
        raise words.wrong()
    begin = words.found[words.at].start(1)
    query = _NO_DATA.sub("", words.rest()) if materialized else words.rest()
    temporary = temporary or (not materialized and schema_and_name(name)[0] == TEMPORARY)
    return CreateView(name, columns, query, begin, materialized, replace, if_not_exists, history, temporary, asserted)


def _create_index(words: Words, default: bool, unique: bool) -> Change:
    words.take("CONCURRENTLY")
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = None if words.word in ("ON", "IN") else object_name(words)
    pass_cluster(words)
    words.need("ON")
    words.take("ONLY")
    on = object_name(words)
    if words.take("USING") and (method := words.name()) != "btree":
        raise unsupported(f"an index of {method}", "leave USING out: every index finds by equal keys")
    columns: tuple[str, ...] | None = None
    if not default:
        words.need("(")
        columns = tuple(_names(words, what="an index on an expression"))
    pass_cluster(words)
    words.end()
    return CreateIndex(name, on, columns, if_not_exists, unique)


def _create_schema(words: Words) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = schema_name(words)
    words.end()
    return CreateSchema(name, if_not_exists)


def read_drop(words: Words) -> Change:
    """What follows DROP."""
    kind = _kind("DROP", words)
    if_exists = words.take("IF", "EXISTS")
    names, public = list[str](), set[str]()
    while not names or words.take(","):
        name = named(kind, words) if kind in BESIDE else name_in_public(words)
        names.append(name.removeprefix(f"{PUBLIC}."))
        public |= {names[-1]} if name != names[-1] else set()
    cascade = words.take("CASCADE")
    if not cascade:
        words.take("RESTRICT")
    words.end()
    return Drop(kind, tuple(dict.fromkeys(names)), if_exists, cascade, frozenset(public))


def _alter(words: Words) -> Change | Nothing:
    """What follows ALTER."""
    return read_alter(words, _kind("ALTER", words))


def _refresh(words: Words) -> Change:
    """What follows REFRESH: a materialized view is as of now at every moment, so there is nothing to do."""
    words.need("MATERIALIZED", "VIEW")
    words.take("CONCURRENTLY")
    name = object_name(words)
    if not words.take("WITH", "NO", "DATA"):
        words.take("WITH", "DATA")
    words.end()
    return Refresh(name)


def read_comment(words: Words) -> Change:
    """What follows COMMENT."""
    words.need("ON")
    column: str | None = None
    if words.take("COLUMN"):
        kind = "column"
        name, column = column_name(words)
    else:
        kind = _kind("COMMENT ON", words)
        name = named(kind, words)
    words.need("IS")
    text = None if words.take("NULL") else words.name()
    words.end()
    return Comment(kind, name, column, text)


def read_apply(words: Words) -> Change:
    """What follows APPLY."""
    words.need("FILE")
    found = words.name() if words.word else ""
    words.end()
    return Apply(found)


_OUTSIDE: dict[str, Callable[[Words, str, bool], Change]] = {
    "SOURCE": create_source,
    "SINK": create_sink,
    "CONNECTION": create_connection,
    "SECRET": create_secret,
}

READERS: dict[str, Callable[[Words], Change | Nothing]] = {
    "CREATE": read_create,
    "DROP": read_drop,
    "ALTER": _alter,
    "REFRESH": _refresh,
    "COMMENT": read_comment,
    "VALIDATE": validate_connection,
    "APPLY": read_apply,
    "GRANT": read_grant,
    "REVOKE": read_revoke,
}
"""By a statement's first word, who reads what follows it."""


def _kind(verb: str, words: Words) -> str:
    if words.take("CLUSTER", "REPLICA"):
        raise unsupported(f"{verb} CLUSTER REPLICA", f"{CLUSTER} has one, r1, which is this process")
    for name, kind in KINDS.items():
        if words.take(*name.split()):
            return kind
    raise _other(verb, words)


_INSTEAD = {
    "TYPE": "types have no names of their own here: write the type itself, such as integer list or map[text=>bigint]",
    "USER": "who may log in is declared in the service's file, under serve: users; CREATE ROLE makes a name",
}
"""What to do in the place of what is not supported."""


def _other(verb: str, words: Words) -> QueryError:
    """The error for an object that SQL does not make here."""
    kind = words.word
    if kind not in _OTHERS:
        return words.wrong()
    return unsupported(f"{verb} {kind}", _INSTEAD.get(kind))


def _names(words: Words, what: str = "") -> list[str]:
    """Column names up to the closing parenthesis."""
    found = []
    while True:
        found.append(words.name())
        if words.take(")"):
            return found
        if not words.take(","):
            raise unsupported(what) if what else words.wrong()
