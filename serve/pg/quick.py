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

_LENGTH = struct.Struct("!i")

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
    if state.transaction != IDLE or state.settings.changed or state.settings.fresh is not None or state.portals:
        return None
    statement = state.statements.get(template.name)
    if statement is not template.statement or statement.prepared is None:
        return None
    finder = state.queries.finder(statement.prepared)
    return None if finder is None else template.lookups.answer(data, finder)


def learn(data: bytes, state: State) -> Template | None:
    """The template of a lookup that these bytes are; None when they are anything else."""
    known = state.statements.get(
        data[6 : data.find(b"\0", 6)].decode("latin-1")
    )  # of other names than ASCII's nothing is learned
    if known is None or known.prepared is None or known.prepared.lookup is None or known.command is not None:
        return None
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
        if len(bind.values) != 1 or bind.values[0] is None or bind.portal or read_execute(found[-2].body) != ("", 0):
            return None
    except ProtocolError:
        return None
    statement = state.statements.get(bind.statement)
    if (
        statement is None
        or statement.prepared is None
        or statement.command is not None
        or statement.as_of is not None
        or (kinds == b"BDES" and found[1].body != b"P\0")
    ):
        return None
    prepared = statement.prepared
    if prepared.lookup is None or prepared.query.limit is not None or prepared.query.offset != 0:
        return None
    key = prepared.lookup.source.key
    if prepared.query.needs != {"1"} or len(key) != 1 or not isinstance(key[0], Parameter):
        return None
    formats = spread(bind.formats, 1)
    sent = _SENT.get((key[0].type.kind, formats[0]))
    if sent is None or key[0].type != ColumnType(key[0].type.kind) or not as_stored(prepared.types):
        return None
    try:
        portal = Portal(statement, {}, columns_of(prepared), bind.results)
    except QueryError:
        return None
    head = 5 + len(bind.statement.encode()) + 2 + 2 + 2 * len(bind.formats) + 2  # the last: how many values
    size = len(bind.values[0])
    end = 1 + _LENGTH.unpack_from(data, 1)[0]
    lookups = _pg_rows.Lookups(
        head=data[5:head],
        tail=data[head + 4 + size : end],
        rest=data[end:],
        before=messages.BIND_COMPLETE + ((portal.describe() or b"") if kinds == b"BDES" else b""),
        sent=sent,
        columns=prepared.lookup.columns,
        forms=forms(prepared.types, portal.formats),
    )
    return Template(bind.statement, statement, lookups)
