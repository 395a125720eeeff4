"""INSERT, UPDATE, DELETE and TRUNCATE as text.

Deliberately unknown: what expressions mean, and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from planner.catalog import PUBLIC, quoted, schema_and_name
from serve.definitions import Definition
from serve.pg.names import name_in_public
from serve.pg.words import Words
from serve.sql.dml import Dml, delete_query, excluded, insert_query, merge_query, told_query, update_query
from serve.sql.errors import QueryError

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
Find = Callable[[str], Definition | None]


def read_write(words: Words, find: Find) -> Dml:
    """A statement that begins with one of WRITES. find: the object of a name."""
    verb = words.word
    words.at += 1
    if verb == "INSERT":
        return _insert(words, find)
    if verb == "UPDATE":
        return _update(words, find)
    if verb == "DELETE":
        words.need("FROM")
        table = table_to_write(words, find)
        alias = _alias(words, table)
        if words.word == "USING":
            raise QueryError("0A000", "DELETE ... USING is not supported", hint="write WHERE ... IN (SELECT ...)")
        rest, returning = _rest(words)
        return Dml("delete", table.name, table.oid, delete_query(table, alias, rest), returning=returning)
    words.take("TABLE")
    table = table_to_write(words, find)
    words.end()
    return Dml("truncate", table.name, table.oid, delete_query(table, schema_and_name(table.name)[1], ""))


def table_to_write(words: Words, find: Find) -> Definition:
    """The table that is named next. QueryError when it is none."""
    name = name_in_public(words)
    found = find(name)
    if found is None:
        raise QueryError("42P01", f'relation "{name.removeprefix(f"{PUBLIC}.")}" does not exist')
    if found.kind != "table" or found.broken:
        raise QueryError("42809", f'cannot write to {found.kind} "{name}"', hint="rows are written to tables")
    return found


def named_columns(table: Definition, parts: Sequence[str]) -> tuple[str, ...]:
    """Columns of a table, in the words of a list. QueryError for one that there is not, or twice."""
    names = tuple(_bare(part) for part in parts)
    for name in names:
        if name not in [column.name for column in table.schema]:
            raise QueryError("42703", f'column "{name}" of relation "{table.name}" does not exist')
        if names.count(name) > 1:
            raise QueryError("42701", f'column "{name}" specified more than once')
    return names


def _alias(words: Words, table: Definition) -> str:
    if words.take("AS"):
        return words.name()
    own = schema_and_name(table.name)[1]
    return words.name() if words.word not in ("", "SET", "WHERE", "USING", "RETURNING", "FROM") else own


def _insert(words: Words, find: Find) -> Dml:
    words.need("INTO")
    table = table_to_write(words, find)
    alias = words.name() if words.take("AS") else schema_and_name(table.name)[1]
    columns: tuple[str, ...] = ()
    if words.word == "(" and not _query_follows(words):
        words.take("(")
        columns = named_columns(table, words.listed())
    rows: list[list[str]] | None = None
    query = ""
    if words.take("DEFAULT", "VALUES"):
        rows = [["DEFAULT"] * len(table.schema)]
    elif words.take("VALUES"):
        rows = []
        while True:
            words.need("(")
            rows.append(words.listed())
            if not words.take(","):
                break
    else:
        query = _until(words, ("ON", "RETURNING"), "CONFLICT")
        if not query:
            raise words.wrong()
    ignore, merge, target, told = _conflict(words, table, alias)
    returning = words.rest() if words.take("RETURNING") else ""
    if not returning:
        words.end()
    if ignore and returning:
        raise QueryError("0A000", "RETURNING with ON CONFLICT DO NOTHING is not supported")
    return Dml(
        "insert",
        table.name,
        table.oid,
        insert_query(table, columns, rows, query),
        ignore,
        returning,
        merge,
        target,
        told,
    )


def _conflict(words: Words, table: Definition, alias: str) -> tuple[frozenset[str], str, str, str]:
    """ON CONFLICT [(key) | ON CONSTRAINT name] DO NOTHING or DO UPDATE: the keys of which rows are left out, the query that merges,
    the key that it is for, and `Dml.told`."""
    if not words.take("ON", "CONFLICT"):
        return frozenset(), "", "", ""
    keys = table.keys
    if named := words.take("ON", "CONSTRAINT"):
        name = words.name()
        keys = tuple(key for key in keys if key.name == name and key.constraint)
        if not keys:
            raise QueryError("42704", f'constraint "{name}" for table "{table.name}" does not exist')
    elif words.take("("):
        named = True
        columns = sorted(_bare(part) for part in words.listed())
        keys = tuple(key for key in keys if sorted(table.schema[place].name for place in key.places) == columns)
        if not keys:
            raise QueryError(
                "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification"
            )
    if words.take("DO", "NOTHING"):
        return frozenset(key.name for key in keys), "", "", ""
    words.need("DO", "UPDATE", "SET")
    if not named:
        raise QueryError("42601", "ON CONFLICT DO UPDATE requires inference specification or constraint name")
    changes = _changes(words, table)
    rest = _until(words, ("RETURNING",))
    renamed = {name: _excluded(text) for name, text in changes.items()}
    told = told_query(table, alias, changes, rest)
    return frozenset(), merge_query(table, alias, renamed, _excluded(rest)), keys[0].name, told


def _excluded(text: str) -> str:
    """An expression in which columns of the row that is not inserted are called what they are among the pairs."""
    words = Words(text)
    parts, at = list[str](), 0
    for number, token in enumerate(words.found):
        begin, end, name = token.start(1), token.end(1), ""
        if token[1].lower().startswith("excluded."):
            name = token[1].lower().removeprefix("excluded.")
        elif token[1].lower() in ("excluded", '"excluded"') and [
            t[1] for t in words.found[number + 1 : number + 2]
        ] == ["."]:
            inner = Words(text[words.found[number + 1].end(1) :])
            name, end = inner.name(), words.found[number + 1].end(1) + inner.found[0].end(1)
        if name and begin >= at:
            parts += (text[at:begin], quoted(excluded(name)))
            at = end
    return "".join(parts) + text[at:]


def _changes(words: Words, table: Definition) -> dict[str, str]:
    """The expressions of SET, by column."""
    changes: dict[str, str] = {}
    while True:
        if words.take("("):
            names = [_bare(part) for part in words.listed()]
            words.need("=")
            words.take("ROW")
            words.need("(")
            values = words.listed()
            if len(values) != len(names):
                raise QueryError("42601", "number of columns does not match number of values")
        else:
            names = [words.name()]
            words.need("=")
            values = [_until(words, (",", "WHERE", "RETURNING", "FROM"))]
            if not values[0]:
                raise words.wrong()
        for name, value in zip(names, values, strict=True):
            if name in changes:
                raise QueryError("42601", f'multiple assignments to same column "{name}"')
            if name not in [column.name for column in table.schema]:
                raise QueryError("42703", f'column "{name}" of relation "{table.name}" does not exist')
            changes[name] = value
        if not words.take(","):
            return changes


def _update(words: Words, find: Find) -> Dml:
    table = table_to_write(words, find)
    alias = _alias(words, table)
    words.need("SET")
    changes = _changes(words, table)
    if words.word == "FROM":
        raise QueryError("0A000", "UPDATE ... FROM is not supported", hint="write a subquery in SET and WHERE")
    rest, returning = _rest(words)
    return Dml("update", table.name, table.oid, update_query(table, alias, changes, rest), returning=returning)


def _rest(words: Words) -> tuple[str, str]:
    """WHERE and what follows, and what is behind RETURNING."""
    if words.word not in ("", "WHERE", "RETURNING"):
        raise words.wrong()
    rest = _until(words, ("RETURNING",))
    return rest, words.rest() if words.take("RETURNING") else ""


def _until(words: Words, ends: tuple[str, ...], second: str = "") -> str:
    """The text up to one of these words outside parentheses; the first of them counts only when `second`, if any, follows."""
    begin, depth = words.at, 0
    while words.word:
        if depth == 0 and words.word in ends and not (second and words.word == ends[0] and not _next_is(words, second)):
            break
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(words.word, 0)
        words.at += 1
    if begin == words.at:
        return ""
    end = words.found[words.at].start(1) if words.word else len(words.sql)
    return words.sql[words.found[begin].start(1) : end].strip()


def _next_is(words: Words, word: str) -> bool:
    return words.at + 1 < len(words.found) and words.found[words.at + 1][1].upper() == word


def _query_follows(words: Words) -> bool:
    return any(_next_is(words, word) for word in ("SELECT", "VALUES", "WITH", "TABLE", "("))


def _bare(text: str) -> str:
    inner = Words(text)
    name = inner.name()
    inner.end()
    return name
