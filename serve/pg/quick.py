"""Reads by key, answered from the bytes: Bind, Describe, Execute and Sync of a prepared lookup that the session has seen before.

    B length  head  value-length value  tail    D E S            all but the value is as it was the first time

Always true: an answer is, byte for byte, what the messages one by one would have been answered; whatever is not exactly as
learned, or not as usual (a transaction, an error, a view that is not ready), is left to them. The kernel reads the messages, finds
the rows and writes them: of Python there is what a whole read from the socket costs, however many lookups are in it.
Deliberately unknown: sockets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dataflow.types import ColumnType, Kind
from planner.scalar import Parameter
from serve.kernels import _pg_rows
from serve.pg import messages
from serve.pg.frontend import Frontend, ProtocolError, read_bind, read_execute
from serve.pg.portal import Portal, Statement, spread
from serve.pg.rows import as_stored, forms
from serve.pg.state import IDLE, State, columns_of
from serve.sql.errors import QueryError

LENGTH = struct.Struct("!i")
"""A length on the wire."""

# How a key is sent, by its kind and format code. The numbers are the contract with Sent in kernels/pg_lookups.cpp.
_SENT: dict[tuple[Kind, int], int] = {
    (Kind.BIGINT, 0): 0,
    (Kind.BIGINT, 1): 1,
    (Kind.INTEGER, 0): 2,
    (Kind.INTEGER, 1): 3,
    (Kind.TEXT, 0): 4,
    (Kind.TEXT, 1): 4,
}


@dataclass(frozen=True, slots=True)
class Template:
    """A lookup as a client sends it. name: of its statement."""

    name: str
    statement: Statement
    lookups: _pg_rows.Lookups


def answer(template: Template, data: bytes, state: State) -> bytes | None:
    """The answer to bytes that are lookups of this template and nothing else; None to leave them to the session."""
    if state.transaction != IDLE or state.settings.changed or state.settings.fresh is not None:
        return None
    if state.portals or state.has_read:
        return None
    statement = state.statements.get(template.name)
    if statement is not template.statement or statement.prepared is None:
        return None
    finder = state.queries.finder(statement.prepared)
    return None if finder is None else template.lookups.answer(data, finder)


@dataclass(frozen=True, slots=True)
class Seen:
    """One execution of a prepared statement, alone in what was read: Bind, perhaps Describe, Execute of all rows, Sync.

    values: as sent, with the format code of each. results: the format codes of the result's columns. head: Bind's body up to the
    first value; tail: what of it is behind the last one; rest: the messages behind it.
    """

    name: str
    statement: Statement
    described: bool
    values: tuple[bytes | None, ...]
    formats: tuple[int, ...]
    results: tuple[int, ...]
    head: bytes
    tail: bytes
    rest: bytes


def see(data: bytes, state: State) -> Seen | None:
    """What these bytes execute; None when they are anything else."""
    frontend = Frontend()
    frontend.feed(data)
    try:
        found = []
        while (message := frontend.next()) is not None:
            found.append(message)
        kinds = b"".join(message.kind for message in found)
        if frontend.waiting or kinds not in (b"BES", b"BDES"):
            return None
        bind = read_bind(found[0].body)
        if bind.portal or read_execute(found[-2].body) != ("", 0) or (kinds == b"BDES" and found[1].body != b"P\0"):
            return None
        statement = state.statements.get(bind.statement)
        if statement is None or len(statement.types) != len(bind.values):
            return None
        formats = spread(bind.formats, len(bind.values))
    except (ProtocolError, QueryError):
        return None
    head = 5 + len(bind.statement.encode()) + 2 + 2 + 2 * len(bind.formats) + 2  # the last: how many values
    size = sum(4 + len(value or b"") for value in bind.values)
    end = 1 + LENGTH.unpack_from(data, 1)[0]
    return Seen(
        bind.statement,
        statement,
        kinds == b"BDES",
        bind.values,
        formats,
        bind.results,
        head=data[5:head],
        tail=data[head + size : end],
        rest=data[end:],
    )


def learn(seen: Seen) -> Template | None:
    """The template of a lookup that was seen; None when it was anything else."""
    statement = seen.statement
    prepared = statement.prepared
    if prepared is None or statement.command is not None or statement.as_of is not None:
        return None
    if prepared.lookup is None or prepared.query.limit is not None or prepared.query.offset != 0:
        return None
    key = prepared.lookup.source.key
    if len(seen.values) != 1 or seen.values[0] is None:
        return None
    if prepared.query.needs != {"1"} or len(key) != 1 or not isinstance(key[0], Parameter):
        return None
    sent = _SENT.get((key[0].type.kind, seen.formats[0]))
    if sent is None or key[0].type != ColumnType(key[0].type.kind) or not as_stored(prepared.types):
        return None
    try:
        portal = Portal(statement, {}, columns_of(prepared), seen.results)
    except QueryError:
        return None
    lookups = _pg_rows.Lookups(
        head=seen.head,
        tail=seen.tail,
        rest=seen.rest,
        before=messages.BIND_COMPLETE + ((portal.describe() or b"") if seen.described else b""),
        sent=sent,
        columns=prepared.lookup.columns,
        forms=forms(prepared.types, portal.formats),
    )
    return Template(seen.name, statement, lookups)
