"""INSERT, UPDATE, DELETE and TRUNCATE: text to the query whose rows enter and leave a table.

    INSERT INTO t (a) VALUES ($1)        VALUES (CAST($1 AS integer), CAST(NULL AS text))
    UPDATE t SET b = b + 1 WHERE a = 5   SELECT a, b, a, CAST(b + 1 AS integer) FROM t WHERE a = 5

Always true: the query's columns are the table's, of its types; an update's are the old row's and then the new one's.
Deliberately unknown: rows, and what a key may not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataflow.types import VARCHAR, Column, Schema
from planner.catalog import qualified, quoted
from serve.definitions import Definition
from serve.sql.errors import QueryError


@dataclass(frozen=True, slots=True)
class Dml:
    """A statement that writes.

    ignore: the keys, by name, of which rows that are there are left out. returning: what is told of each row; empty for nothing.
    merge: the query over the pairs of the row that is there and the one that is not inserted for it, see `merge_query`; empty for
    nothing. target: the key, by name, that makes the pairs. told: the same expressions over the two rows by their own names, which
    says what is wrong with the names in them.
    """

    kind: Literal["insert", "update", "delete", "truncate"]
    table: str
    oid: int
    query: str
    ignore: frozenset[str] = frozenset()
    returning: str = ""
    merge: str = ""
    target: str = ""
    told: str = ""

    def tag(self, count: int) -> str:
        """What CommandComplete says."""
        if self.kind == "truncate":
            return "TRUNCATE TABLE"
        return f"INSERT 0 {count}" if self.kind == "insert" else f"{self.kind.upper()} {count}"

    @property
    def returned(self) -> str:
        """The query over the written rows, under the table's name, that RETURNING means."""
        return f"SELECT {self.returning} FROM {qualified(self.table)}"


def insert_query(table: Definition, columns: tuple[str, ...], rows: list[list[str]] | None, query: str) -> str:
    """The query of an INSERT of lists of expressions, or of the rows of a query when `rows` is None."""
    names = [column.name for column in table.schema]
    given = columns or tuple(names)
    if rows is None:
        own = [f"c{number}" for number in range(len(given))]
        values = dict(zip(given, own, strict=True))
        listed = ", ".join(cast(table, name, values.get(name)) for name in names)
        return f"SELECT {listed} FROM ({query}) AS q ({', '.join(own)})"
    lines = []
    for row in rows:
        if len(row) > len(given):
            raise QueryError("42601", "INSERT has more expressions than target columns")
        if len(row) < len(given) and columns:
            raise QueryError("42601", "INSERT has more target columns than expressions")
        values = {name: text for name, text in zip(given, row, strict=False) if text.upper() != "DEFAULT"}
        lines.append("(" + ", ".join(cast(table, name, values.get(name)) for name in names) + ")")
    return f"VALUES {', '.join(lines)}"


def update_query(table: Definition, alias: str, changes: dict[str, str], rest: str, source: str = "") -> str:
    """The query of an UPDATE; rest: from WHERE on. source: the relation that is read, if it is not the table."""
    names = [column.name for column in table.schema]
    for name in changes:
        if name not in names:
            raise QueryError("42703", f'column "{name}" of relation "{table.name}" does not exist')
    old = [f"{quoted(alias)}.{quoted(name)}" for name in names]
    new = [
        cast(table, name, None if changes[name].upper() == "DEFAULT" else changes[name]) if name in changes else column
        for name, column in zip(names, old, strict=True)
    ]
    named = [f"{text} AS n{number}" for number, text in enumerate((*old, *new))]
    return f"SELECT {', '.join(named)} FROM {quoted(source) if source else qualified(table.name)} AS {quoted(alias)} {rest}"


PAIRS = "rows in conflict"
"""The relation of pairs: the columns of the row that is there, then the other row's, called as `excluded` says."""


def excluded(name: str) -> str:
    """What a column of the row that is not inserted is called among the pairs."""
    return f"excluded {name}"


def pairs_schema(table: Definition) -> Schema:
    """The columns of the pairs."""
    return (*table.schema, *(Column(excluded(column.name), column.type) for column in table.schema))


def merge_query(table: Definition, alias: str, changes: dict[str, str], rest: str) -> str:
    """The query of ON CONFLICT DO UPDATE over the pairs: the old row's columns and then the new one's; rest: from WHERE on."""
    return update_query(table, alias, changes, rest, PAIRS)


def told_query(table: Definition, alias: str, changes: dict[str, str], rest: str) -> str:
    """The expressions of ON CONFLICT DO UPDATE as written, over the row that is there and the one called `excluded`."""
    values = ", ".join(text for text in changes.values() if text.upper() != "DEFAULT") or "1"
    name = qualified(table.name)
    return f"SELECT {values} FROM {name} AS {quoted(alias)}, {name} AS excluded {rest}"


def delete_query(table: Definition, alias: str, rest: str) -> str:
    """The query of a DELETE or TRUNCATE."""
    listed = ", ".join(f"{quoted(alias)}.{quoted(column.name)}" for column in table.schema)
    return f"SELECT {listed} FROM {qualified(table.name)} AS {quoted(alias)} {rest}"


def cast(table: Definition, name: str, text: str | None) -> str:
    """An expression, or the column's default, as a value of the column; a bound of its length is for the writer to see to."""
    type_ = next(column.type for column in table.schema if column.name == name)
    if type_.length is not None:
        type_ = VARCHAR  # CAST would cut off what is too long
    return f"CAST(({text if text is not None else table.defaults.get(name, 'NULL')}) AS {type_})"
