"""COPY's text to what it asks for.

Deliberately unknown: rows, and how they are written and read.
"""

from __future__ import annotations

import re

from serve.definitions import Definition
from serve.pg.commands import Command, Copy, CopyFormat, CopyFrom
from serve.pg.dml import Find, named_columns, table_to_write
from serve.pg.words import Words
from serve.sql.errors import QueryError

_FORMATS: tuple[CopyFormat, ...] = ("text", "csv", "binary")
_OPTIONS = {"format", "header", "delimiter", "null", "encoding", "quote", "escape", "freeze"}


def read_copy(words: Words, find: Find) -> Command:
    """What follows COPY. QueryError for a form or an option that there is not. find: the object of a name."""
    if words.take("("):
        begin = words.at
        inside = words.listed()
        if not inside:
            raise words.wrong()
        query = words.sql[words.found[begin].start(1) : words.found[words.at - 1].start(1)].rstrip()
        words.need("TO", "STDOUT")
        return _to(query, _copy_options(words))
    begin = words.at
    words.name()
    while words.take("."):
        words.name()
    table = words.sql[words.found[begin].start(1) : words.found[words.at - 1].end(1)]
    listed = words.listed() if words.take("(") else []
    if words.take("FROM"):
        words.need("STDIN")
        found = table_to_write(Words(table), find)
        return _from(found, named_columns(found, listed), _copy_options(words))
    words.need("TO", "STDOUT")
    return _to(f"SELECT {', '.join(listed) or '*'} FROM {table}", _copy_options(words))


def _to(query: str, options: dict[str, str]) -> Copy:
    if wrong := options.keys() & {"quote", "escape", "freeze"}:
        raise QueryError("0A000", f"COPY TO with {min(wrong)} is not supported")
    format_, delimiter, null = _format(options)
    return Copy(query, format_, options.get("header", "") in ("true", "match"), delimiter, null)


def _from(table: Definition, columns: tuple[str, ...], options: dict[str, str]) -> CopyFrom:
    format_, delimiter, null = _format(options)
    if format_ != "csv" and (wrong := options.keys() & {"quote", "escape"}):
        raise QueryError("0A000", f"COPY {min(wrong)} available only in CSV mode")
    quote = _byte(options.get("quote", '"'), "quote")
    escape = _byte(options.get("escape", quote), "escape")
    if quote == delimiter:
        raise QueryError("22023", "COPY delimiter and quote must be different")
    header = options.get("header", "false")
    names = columns or tuple(column.name for column in table.schema)
    return CopyFrom(
        table.name, table.oid, names, format_, header != "false", header == "match", delimiter, null, quote, escape
    )


def _format(options: dict[str, str]) -> tuple[CopyFormat, str, str]:
    """The format, the delimiter and NULL's text."""
    name = options.get("format", "text")
    found = [one for one in _FORMATS if one == name]
    if not found:
        raise QueryError("22023", f'COPY format "{name}" not recognized')
    if name == "binary" and (wrong := options.keys() & {"delimiter", "null", "header"}):
        raise QueryError("42601", f"cannot specify {min(wrong).upper()} in BINARY mode")
    csv = name == "csv"
    delimiter = _byte(options.get("delimiter", "," if csv else "\t"), "delimiter")
    if delimiter in "\n\r" or (not csv and re.match(r"[\\.a-z0-9]", delimiter)):
        raise QueryError("22023", f'COPY delimiter cannot be "{delimiter}"')
    null = options.get("null", "" if csv else "\\N")
    if delimiter in null or "\n" in null or "\r" in null:
        raise QueryError("22023", "COPY null representation cannot use newline, carriage return or the delimiter")
    return found[0], delimiter, null


def _byte(text: str, what: str) -> str:
    if len(text.encode()) != 1:
        raise QueryError("0A000", f"COPY {what} must be a single one-byte character")
    return text


def _copy_options(words: Words) -> dict[str, str]:
    """The options in parentheses, or the old ones without."""
    words.take("WITH")
    options: dict[str, str] = {}
    if words.take("("):
        for part in words.listed():
            inner = Words(part)
            name = inner.name()
            options[name] = inner.name() if inner.word else "true"
            inner.end()
    else:
        while words.word:
            if words.word in ("CSV", "TEXT", "BINARY"):
                options["format"] = words.name()
            elif words.take("HEADER"):
                options["header"] = "true"
            elif words.word in ("DELIMITER", "DELIMITERS", "NULL", "QUOTE", "ESCAPE"):
                name = words.name().rstrip("s")
                words.take("AS")
                options[name] = words.name()
            else:
                raise words.wrong()
    words.end()
    if unknown := options.keys() - _OPTIONS:
        raise QueryError("0A000", f"COPY option {min(unknown)} is not supported")
    if "header" in options:
        options["header"] = _header(options["header"].lower())
    if options.get("encoding", "utf8").lower().replace("-", "") not in ("utf8", "unicode"):
        raise QueryError("0A000", f"COPY encoding {options['encoding']} is not supported", hint="send UTF8")
    return options


def _header(text: str) -> str:
    if text in ("true", "on", "1"):
        return "true"
    if text in ("false", "off", "0"):
        return "false"
    if text == "match":
        return text
    raise QueryError("22023", 'header requires a Boolean value or "match"')
