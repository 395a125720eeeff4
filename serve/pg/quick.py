"""Reads by key, answered from the bytes: Bind, Describe, Execute and Sync of a prepared lookup that the session has seen before.

    B length  head  value-length value  tail    D E S            all but the value is as it was the first time

Always true: an answer is, byte for byte, what the messages one by one would have been answered; whatever is not exactly as
learned, or not as usual (a transaction, an error, a view that is not ready), is left to them. One read by key is one probe.
Deliberately unknown: sockets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from dataflow.types import ColumnType, Kind
from planner.scalar import Parameter
from serve.pg import messages
from serve.pg.frontend import Frontend, ProtocolError, read_bind, read_execute
from serve.pg.portal import Portal, Statement, spread
from serve.pg.state import IDLE, State, columns_of
from serve.sql.errors import QueryError

Reader = Callable[[bytes], pa.Array | None]

_LENGTH = struct.Struct("!i")
_INT64, _INT32, _ENDS = struct.Struct("<q"), struct.Struct("<i"), struct.Struct("<qq")


@dataclass(frozen=True, slots=True)
class Template:
    """A lookup as a client sends it. name: of its statement. read: its value as an array of one; None for an unusual one."""

    head: bytes
    tail: bytes
    rest: bytes
    name: str
    statement: Statement
    read: Reader
    portal: Portal
    before: bytes

    def value(self, data: bytes, at: int) -> tuple[bytes, int] | None:
        """The value of a lookup that begins at `at`, and where it ends; None when it is another message."""
        begin = at + 5 + len(self.head)
        if data[at : at + 1] != b"B" or not data.startswith(self.head, at + 5) or len(data) < begin + 4:
            return None
        size = _LENGTH.unpack_from(data, begin)[0]
        end = begin + 4 + size
        bound = end + len(self.tail) - at - 1
        if size < 0 or _LENGTH.unpack_from(data, at + 1)[0] != bound or not data.startswith(self.tail + self.rest, end):
            return None
        return data[begin + 4 : end], end + len(self.tail) + len(self.rest)


_AFTER = messages.complete("SELECT 1") + messages.ready(IDLE)
_NOTHING = messages.complete("SELECT 0") + messages.ready(IDLE)


def answer(template: Template, data: bytes, state: State) -> bytes | None:
    """The answer to bytes that are lookups of this template and nothing else; None to leave them to the session."""
    if state.transaction != IDLE or state.settings.changed or state.portals:
        return None
    if state.statements.get(template.name) is not template.statement:
        return None
    prepared, published = template.statement.prepared, state.queries.current()
    if prepared is None or prepared.lookup is None or published is None:
        return None
    if prepared.version != published.definitions.version:
        return None
    view = published.relation(prepared.lookup.source.relation)
    if view is None or view.state != "ready" or view.errors.total:
        return None
    at, answers = 0, list[bytes]()
    while at < len(data):
        found = template.value(data, at)
        if found is None or (key := template.read(found[0])) is None:
            return None
        batch = state.queries.by_key(prepared, (key,), published)
        if batch.rows == 0:
            answers += (template.before, _NOTHING)
        else:
            after = _AFTER if batch.rows == 1 else messages.complete(f"SELECT {batch.rows}") + messages.ready(IDLE)
            answers += (template.before, template.portal.encode(batch), after)
        at = found[1]
    return b"".join(answers)


def learn(data: bytes, state: State) -> Template | None:
    """The template of a lookup that these bytes are; None when they are anything else."""
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
        or (kinds == b"BDES" and found[1].body != b"P\0")
    ):
        return None
    prepared = statement.prepared
    if prepared.lookup is None or prepared.query.limit is not None or prepared.query.offset != 0:
        return None
    key = prepared.lookup.source.key
    if prepared.query.needs != {"1"} or len(key) != 1 or not isinstance(key[0], Parameter):
        return None
    reader = _READERS.get((key[0].type.kind, spread(bind.formats, 1)[0]))
    if reader is None or key[0].type != ColumnType(key[0].type.kind):
        return None
    try:
        portal = Portal(statement, {}, columns_of(prepared), bind.results)
    except QueryError:
        return None
    head = 5 + len(bind.statement.encode()) + 2 + 2 + 2 * len(bind.formats) + 2  # the last: how many values
    size = len(bind.values[0])
    end = 1 + _LENGTH.unpack_from(data, 1)[0]
    return Template(
        head=data[5:head],
        tail=data[head + 4 + size : end],
        rest=data[end:],
        name=bind.statement,
        statement=statement,
        read=reader,
        portal=portal,
        before=messages.BIND_COMPLETE + ((portal.describe() or b"") if kinds == b"BDES" else b""),
    )


def _whole(type_: pa.DataType, pack: struct.Struct, bound: int) -> Reader:
    """A number's text; up to this many digits it is one of the type."""

    def read(data: bytes) -> pa.Array | None:
        if not data.isdigit() or len(data) > bound:
            return None
        return pa.Array.from_buffers(type_, 1, [None, pa.py_buffer(pack.pack(int(data)))])

    return read


def _swapped(type_: pa.DataType, size: int) -> Reader:
    """A number in network order."""

    def read(data: bytes) -> pa.Array | None:
        return pa.Array.from_buffers(type_, 1, [None, pa.py_buffer(data[::-1])]) if len(data) == size else None

    return read


def _text(data: bytes) -> pa.Array | None:
    """Text; other bytes than ASCII are looked at by the session, which refuses those that are no UTF-8."""
    if not data.isascii() or b"\0" in data:
        return None
    ends = pa.py_buffer(_ENDS.pack(0, len(data)))
    return pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(data)])


_READERS: dict[tuple[Kind, int], Reader] = {
    (Kind.BIGINT, 0): _whole(pa.int64(), _INT64, 18),
    (Kind.BIGINT, 1): _swapped(pa.int64(), 8),
    (Kind.INTEGER, 0): _whole(pa.int32(), _INT32, 9),
    (Kind.INTEGER, 1): _swapped(pa.int32(), 4),
    (Kind.TEXT, 0): _text,
    (Kind.TEXT, 1): _text,
}
