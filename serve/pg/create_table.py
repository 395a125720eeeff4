"""CREATE TABLE: text to the change of the catalog that it asks for; columns and constraints also as ALTER TABLE has them.

Always true: what a constraint cannot do here is refused by name. Deliberately unknown: whether a table is possible.
"""

from __future__ import annotations

import re

from dataflow.types import ColumnType
from serve.pg.names import object_name
from serve.pg.words import Words
from serve.sql.changes import CheckDefinition, ColumnDefinition, CreateTable, CreateTableAs, KeyDefinition
from serve.sql.errors import QueryError

Constraint = KeyDefinition | CheckDefinition

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
_OF_TABLES = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE", "CONSTRAINT")
_INSTEAD = {
    "FOREIGN": "leave it out, and join: a view can show the rows whose key is missing",
    "REFERENCES": "leave it out, and join: a view can show the rows whose key is missing",
    "GENERATED": "there are no sequences: give the values, as with uuids, or compute the column in a view",
}
"""What to do in the place of a constraint that there is not."""


def create_table(words: Words) -> CreateTable | CreateTableAs:
    """What follows CREATE TABLE."""
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = object_name(words)
    if (asked := _as_query(words, name, if_not_exists)) is not None:
        return asked
    words.need("(")
    columns: list[ColumnDefinition] = []
    constraints: list[Constraint] = []
    for part in words.listed():
        inner = Words(part)
        if inner.word in _OF_TABLES:
            constraints.append(table_constraint(inner))
        else:
            column, own = read_column(inner)
            columns.append(column)
            constraints += own
    if words.take("WITH"):
        words.need("(")
        words.listed()
    words.end()
    if not columns:
        raise QueryError("42601", "a table needs a column")
    keys = tuple(one for one in constraints if isinstance(one, KeyDefinition))
    if sum(key.primary for key in keys) > 1:
        raise QueryError("42P16", f'multiple primary keys for table "{name}" are not allowed')
    checks = tuple(one for one in constraints if isinstance(one, CheckDefinition))
    return CreateTable(name, tuple(columns), keys, checks, if_not_exists)


_DATA = re.compile(r"\s+with\s+(no\s+)?data\s*$", re.IGNORECASE)


def _as_query(words: Words, name: str, if_not_exists: bool) -> CreateTableAs | None:
    """[(names)] AS query [WITH [NO] DATA], if that comes next."""
    at, columns = words.at, tuple[str, ...]()
    if words.take("("):
        words.listed()
        if words.word != "AS":
            words.at = at
            return None
        words.at = at + 1
        columns = column_names(words)
    if not words.take("AS"):
        words.at = at
        return None
    if not words.word:
        raise words.wrong()
    begin, query = words.found[words.at].start(1), words.rest()
    data = _DATA.search(query)
    return CreateTableAs(name, columns, _DATA.sub("", query), begin, if_not_exists, data is None or data[1] is None)


def table_constraint(words: Words) -> Constraint:
    """A constraint of a table, with its name or without; nothing may follow it."""
    name = words.name() if words.take("CONSTRAINT") else ""
    found: Constraint
    if words.take("CHECK"):
        found = CheckDefinition(_condition(words), name)
    elif (primary := words.take("PRIMARY", "KEY")) or words.take("UNIQUE"):
        _refuse_nulls_not_distinct(words)
        words.need("(")
        found = KeyDefinition(column_names(words), primary, name)
    else:
        raise unsupported(f"{words.word} of a table", _INSTEAD.get(words.word))
    words.take("NOT", "DEFERRABLE")
    if words.word == "DEFERRABLE":
        raise unsupported("DEFERRABLE", "constraints are checked with each statement")
    words.end()
    return found


def read_column(words: Words) -> tuple[ColumnDefinition, list[Constraint]]:
    """A column, and the constraints of the table that are written with it."""
    name = words.name()
    written = _until_constraint(words)
    if written.lower() in ("serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"):
        raise unsupported(f"type {written}", _INSTEAD["GENERATED"])
    try:
        type_ = ColumnType.parse(written)
    except ValueError as error:
        raise QueryError("42704", f'type "{written}" does not exist', hint=str(error)) from None
    nullable, default = True, ""
    found: list[Constraint] = []
    while words.word:
        named = words.name() if words.take("CONSTRAINT") else ""
        if words.take("NOT", "NULL"):
            nullable = False
        elif words.take("PRIMARY", "KEY"):
            found.append(KeyDefinition((name,), True, named))
        elif words.take("UNIQUE"):
            _refuse_nulls_not_distinct(words)
            found.append(KeyDefinition((name,), False, named))
        elif words.take("CHECK"):
            found.append(CheckDefinition(_condition(words), named))
        elif words.take("DEFAULT"):
            default = read_default(words)
        elif not words.take("NULL"):
            if words.word in _CONSTRAINTS:
                raise unsupported(f"{words.word} of a column", _INSTEAD.get(words.word))
            raise words.wrong()
    return ColumnDefinition(name, str(type_), nullable, default), found


def read_default(words: Words) -> str:
    """What follows DEFAULT, up to the next constraint."""
    default = _until_constraint(words)
    if not default:
        raise words.wrong()
    if default.lower().startswith(("nextval(", "pg_catalog.nextval(")):
        raise unsupported("a default of nextval()", _INSTEAD["GENERATED"])
    return default


def column_names(words: Words) -> tuple[str, ...]:
    """Column names up to the closing parenthesis."""
    found = []
    while True:
        found.append(words.name())
        if words.take(")"):
            return tuple(found)
        words.need(",")


def unsupported(what: str, hint: str | None = None) -> QueryError:
    """The error for what there is not."""
    return QueryError("0A000", f"{what} is not supported", hint=hint)


def _condition(words: Words) -> str:
    words.need("(")
    parts = words.listed()
    if len(parts) != 1 or not parts[0]:
        raise words.wrong()
    words.take("NO", "INHERIT")
    return parts[0]


def _refuse_nulls_not_distinct(words: Words) -> None:
    if words.take("NULLS", "NOT", "DISTINCT"):
        raise unsupported("NULLS NOT DISTINCT", "declare the columns NOT NULL")
    words.take("NULLS", "DISTINCT")


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
