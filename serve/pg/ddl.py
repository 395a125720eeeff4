"""CREATE, DROP, ALTER and COMMENT: text to the change of the catalog that it asks for.

Always true: names come out as relations are known (`serve.pg.names`).
Deliberately unknown: whether a change is possible.
"""

from __future__ import annotations

from collections.abc import Callable

from dataflow.types import ColumnType
from serve.pg.commands import Nothing
from serve.pg.history import alter_history, read_options
from serve.pg.names import column_name, named, object_name, schema_name
from serve.pg.outside import (
    alter_connection,
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
    ColumnDefinition,
    Comment,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    Rename,
)
from serve.sql.errors import QueryError

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
}
_CONTAINERS = ("DATABASE", "CLUSTER")
_OTHERS = (*_CONTAINERS, "TYPE", "ROLE", "USER", "FUNCTION", "SEQUENCE", "TRIGGER", "EXTENSION")


def read_create(words: Words) -> Change | Nothing:
    """What follows CREATE."""
    replace = words.take("OR", "REPLACE")
    if words.word in ("TEMP", "TEMPORARY", "UNIQUE"):
        raise _unsupported(f"CREATE {words.word}")
    materialized = words.take("MATERIALIZED")
    if words.take("VIEW"):
        return _create_view(words, materialized, replace)
    if replace or materialized:
        raise words.wrong()
    default = words.take("DEFAULT")
    if words.take("INDEX"):
        return _create_index(words, default)
    if not default and words.take("TABLE"):
        return _create_table(words)
    for kind, reader in _OUTSIDE.items():
        if not default and words.take(kind):
            if_not_exists = words.take("IF", "NOT", "EXISTS")
            return reader(words, object_name(words), if_not_exists)
    if not default and words.take("ROLE"):
        return create_role(words)
    if not default and words.take("SCHEMA"):
        return _create_schema(words)
    raise _other("CREATE", words)


def _create_view(words: Words, materialized: bool, replace: bool) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = object_name(words)
    columns = tuple(_names(words)) if words.take("(") else ()
    history = 0
    if materialized:
        _pass_cluster(words)
        history = read_options(words) if words.take("WITH") else 0
    words.need("AS")
    if words.at >= len(words.found):
        raise words.wrong()
    begin = words.found[words.at].start(1)
    return CreateView(name, columns, words.rest(), begin, materialized, replace, if_not_exists, history)


def _create_index(words: Words, default: bool) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = None if words.word in ("ON", "IN") else object_name(words)
    _pass_cluster(words)
    words.need("ON")
    on = object_name(words)
    if words.take("USING"):
        words.name()
    columns: tuple[str, ...] | None = None
    if not default:
        words.need("(")
        columns = tuple(_names(words, what="an index on an expression"))
    _pass_cluster(words)
    words.end()
    return CreateIndex(name, on, columns, if_not_exists)


def _create_table(words: Words) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = object_name(words)
    words.need("(")
    columns: list[ColumnDefinition] = []
    key: tuple[str, ...] = ()
    for part in words.listed():
        inner = Words(part)
        if inner.take("CONSTRAINT"):
            inner.name()
        if inner.take("PRIMARY", "KEY"):
            inner.need("(")
            found = tuple(_names(inner))
            inner.end()
        elif inner.word in ("UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "LIKE"):
            raise _unsupported(f"{inner.word} of a table")
        else:
            column, primary = _column(inner)
            columns.append(column)
            found = (column.name,) if primary else ()
        if found and key:
            raise QueryError("42P16", f'multiple primary keys for table "{name}" are not allowed')
        key = key or found
    words.end()
    if not columns:
        raise QueryError("42601", "a table needs a column")
    return CreateTable(name, tuple(columns), key, if_not_exists)


_CONSTRAINTS = (
    "NOT",
    "NULL",
    "DEFAULT",
    "PRIMARY",
    "UNIQUE",
    "CHECK",
    "REFERENCES",
    "GENERATED",
    "COLLATE",
    "CONSTRAINT",
)


def _column(words: Words) -> tuple[ColumnDefinition, bool]:
    """A column, and whether it is the primary key."""
    name = words.name()
    written = _until_constraint(words)
    try:
        type_ = ColumnType.parse(written)
    except ValueError as error:
        raise QueryError("42704", f'type "{written}" does not exist', hint=str(error)) from None
    nullable, primary, default = True, False, ""
    while words.word:
        if words.take("NOT", "NULL"):
            nullable = False
        elif words.take("PRIMARY", "KEY"):
            primary = True
        elif words.take("DEFAULT"):
            default = _until_constraint(words)
            if not default:
                raise words.wrong()
        elif not words.take("NULL"):
            raise _unsupported(f"{words.word} of a column") if words.word in _CONSTRAINTS else words.wrong()
    return ColumnDefinition(name, str(type_), nullable, default), primary


def _until_constraint(words: Words) -> str:
    """The text up to the next word that begins a constraint, outside parentheses."""
    begin, depth = words.at, 0
    while words.word and (depth or words.at == begin or words.word not in _CONSTRAINTS):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(words.word, 0)
        words.at += 1
    if begin == len(words.found):
        raise words.wrong()
    end = words.found[words.at].start(1) if words.word else len(words.sql)
    return words.sql[words.found[begin].start(1) : end].strip()


def _create_schema(words: Words) -> Change:
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = schema_name(words)
    words.end()
    return CreateSchema(name, if_not_exists)


def read_drop(words: Words) -> Change:
    """What follows DROP."""
    kind = _kind("DROP", words)
    if_exists = words.take("IF", "EXISTS")
    names = [named(kind, words)]
    while words.take(","):
        names.append(named(kind, words))
    cascade = words.take("CASCADE")
    if not cascade:
        words.take("RESTRICT")
    words.end()
    return Drop(kind, tuple(dict.fromkeys(names)), if_exists, cascade)


def read_alter(words: Words) -> Change:
    """What follows ALTER."""
    kind = _kind("ALTER", words)
    if_exists = words.take("IF", "EXISTS")
    name = named(kind, words)
    if kind == "secret":
        return create_secret(words, name, False, again=True)
    if kind == "connection":
        return alter_connection(words, name)
    if kind == "materialized view" and words.word in ("SET", "RESET"):
        return alter_history(words, name, if_exists)
    if not words.take("RENAME", "TO"):
        raise _unsupported(f"ALTER {kind.upper()} but for RENAME TO")
    to = object_name(words)
    words.end()
    return Rename(kind, name, to, if_exists)


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
    "ALTER": read_alter,
    "COMMENT": read_comment,
    "VALIDATE": validate_connection,
    "APPLY": read_apply,
    "GRANT": read_grant,
    "REVOKE": read_revoke,
}
"""By a statement's first word, who reads what follows it."""


def _kind(verb: str, words: Words) -> str:
    for name, kind in KINDS.items():
        if words.take(*name.split()):
            return kind
    raise _other(verb, words)


_INSTEAD = {
    "TYPE": "there are no lists, maps or records as types: use jsonb",
    "USER": "who may log in is declared in the service's file, under serve: users; CREATE ROLE makes a name",
}
"""What to do in the place of what is not supported."""


def _other(verb: str, words: Words) -> QueryError:
    """The error for an object that SQL does not make here."""
    kind = words.word
    if kind not in _OTHERS:
        return words.wrong()
    return _unsupported(f"{verb} {kind}", _INSTEAD.get(kind))


def _unsupported(what: str, hint: str | None = None) -> QueryError:
    return QueryError("0A000", f"{what} is not supported", hint=hint)


def _pass_cluster(words: Words) -> None:
    if words.take("IN", "CLUSTER"):
        words.name()


def _names(words: Words, what: str = "") -> list[str]:
    """Column names up to the closing parenthesis."""
    found = []
    while True:
        found.append(words.name())
        if words.take(")"):
            return found
        if not words.take(","):
            raise _unsupported(what) if what else words.wrong()
