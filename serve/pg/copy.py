"""COPY's text to what it asks for.

Deliberately unknown: rows, and how they are written.
"""

from __future__ import annotations

from serve.pg.commands import Command, Copy
from serve.pg.words import Words
from serve.sql.errors import QueryError


def read_copy(words: Words) -> Command:
    """What follows COPY. QueryError for a form or an option that there is not."""
    if words.take("("):
        begin = words.at
        inside = words.listed()
        if not inside:
            raise words.wrong()
        query = words.sql[words.found[begin].start(1) : words.found[words.at - 1].start(1)].rstrip()
    else:
        query = _copied_table(words)
    if words.word == "FROM":
        raise QueryError("0A000", "COPY FROM is not supported")
    words.need("TO", "STDOUT")
    options = _copy_options(words)
    kind = str(options.get("format", "text"))
    if kind not in ("text", "csv"):
        raise QueryError("0A000", f"COPY format {kind} is not supported", hint="use text or csv")
    csv = kind == "csv"
    delimiter = str(options.get("delimiter", "," if csv else "\t"))
    if len(delimiter.encode()) != 1 or delimiter in '\n\r"\\':
        raise QueryError("0A000", "COPY delimiter must be a single one-byte character")
    header = str(options.get("header", "false")).lower() in ("true", "on", "1")
    return Copy(query, csv, header, delimiter, str(options.get("null", "" if csv else "\\N")))


def _copied_table(words: Words) -> str:
    begin = words.at
    words.name()
    table = words.sql[words.found[begin].start(1) : words.found[begin].end(1)]
    columns = ", ".join(words.listed()) if words.take("(") else "*"
    return f"SELECT {columns} FROM {table}"


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
            elif words.word in ("DELIMITER", "NULL"):
                name = words.name()
                words.take("AS")
                options[name] = words.name()
            else:
                raise words.wrong()
    words.end()
    if unknown := options.keys() - {"format", "header", "delimiter", "null", "encoding"}:
        raise QueryError("0A000", f"COPY option {min(unknown)} is not supported")
    return options
