"""SUBSCRIBE's text to what it asks for.

    SUBSCRIBE [TO] view | (SELECT ...) [ENVELOPE UPSERT | DEBEZIUM (KEY (a, b))] [WITHIN TIMESTAMP ORDER BY a DESC, ...]
        [WITH (SNAPSHOT [= boolean], PROGRESS [= boolean])] [AS OF [AT LEAST] time] [UP TO time]

The clauses may come in any order. Deliberately unknown: columns, and how changes are sent.
"""

from __future__ import annotations

from dataclasses import replace

from serve.pg.as_of import read_time
from serve.pg.commands import Command, Subscribe
from serve.pg.words import Words
from serve.sql.errors import QueryError
from serve.subscribe.options import Options, OrderTerm

_TRUE, _FALSE = ("true", "on", "1"), ("false", "off", "0")


def read_subscribe(words: Words) -> Command:
    """What follows SUBSCRIBE. QueryError for what it cannot be."""
    words.take("TO")
    query = _query(words)
    options = Options()
    while words.word:
        if words.take("ENVELOPE"):
            options = _envelope(words, options)
        elif words.take("WITHIN", "TIMESTAMP", "ORDER", "BY"):
            options = replace(options, order=_order(words))
        elif words.take("WITH"):
            words.need("(")
            options = _with(words, options)
        elif words.take("AS", "OF"):
            least = words.take("AT", "LEAST")
            options = replace(options, as_of=read_time(words, now=True), at_least=least)
        elif words.take("UP", "TO"):
            options = replace(options, up_to=read_time(words))
        else:
            raise words.wrong()
    return Subscribe(query, options)


def _query(words: Words) -> str:
    """The query in parentheses, or a relation as a query."""
    if words.take("("):
        begin = words.at
        if not words.listed():
            raise words.wrong()
        return words.sql[words.found[begin].start(1) : words.found[words.at - 1].start(1)].rstrip()
    begin = words.at
    words.name()
    while words.take("."):
        words.name()
    return f"SELECT * FROM {words.sql[words.found[begin].start(1) : words.found[words.at - 1].end(1)]}"


def _envelope(words: Words, options: Options) -> Options:
    upsert = words.take("UPSERT")
    if not upsert:
        words.need("DEBEZIUM")
    words.need("(", "KEY", "(")
    key = [words.name()]
    while words.take(","):
        key.append(words.name())
    words.need(")", ")")
    return replace(options, envelope="upsert" if upsert else "debezium", key=tuple(key))


def _order(words: Words) -> tuple[OrderTerm, ...]:
    terms: list[OrderTerm] = []
    while not terms or words.take(","):
        name = words.name()
        descending = words.take("DESC")
        if not descending:
            words.take("ASC")
        first = words.take("NULLS", "FIRST")
        nulls = True if first else False if words.take("NULLS", "LAST") else None
        terms.append(OrderTerm(name, descending, nulls))
    return tuple(terms)


def _with(words: Words, options: Options) -> Options:
    while True:
        name = words.name()
        if name not in ("snapshot", "progress"):
            raise QueryError("42601", f'SUBSCRIBE has no option "{name}"', hint="the options are SNAPSHOT and PROGRESS")
        words.take("=")
        text = "true" if words.word in (",", ")") else words.name()
        if text not in (*_TRUE, *_FALSE):
            raise QueryError("22023", f'{name} is true or false, not "{text}"')
        value = text in _TRUE
        options = replace(options, snapshot=value) if name == "snapshot" else replace(options, progress=value)
        if not words.take(","):
            words.need(")")
            return options
