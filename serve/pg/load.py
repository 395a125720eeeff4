"""COPY table FROM STDIN: a client's rows become one write.

Always true: all rows are there or none; the client is told how many once they are durable and seen by all who read. While it sends,
at most what it may send ahead and one piece wait to be read; the rows, as typed columns, have at most MAX_WRITE_BYTES.
Deliberately unknown: formats, and how writes become durable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.rows import concat_deltas
from planner.catalog import quoted
from serve.definitions import Definition
from serve.pg import messages
from serve.pg.commands import CopyFrom
from serve.pg.copy_rows import CopyReader
from serve.pg.follow import Client
from serve.pg.frontend import Message
from serve.pg.portal import Run
from serve.pg.state import State
from serve.pg.write import MAX_WRITE_BYTES, Writer
from serve.sql.changes import Write
from serve.sql.dml import cast
from serve.sql.errors import QueryError
from serve.sql.results import Batch

PIECE_BYTES = 1 << 20
"""Bytes that are read as rows at a time."""

Compute = Callable[..., Awaitable[Any]]
More = Callable[[Run], Awaitable[None]]


class Loader:
    """Loads rows for one client."""

    def __init__(self, state: State, client: Client, compute: Compute, more: More, writer: Writer) -> None:
        """more: waits for the client's next message; ends early as `compute` does."""
        self._state, self._client, self._compute, self._more, self._writer = state, client, compute, more, writer

    async def load(self, copy: CopyFrom) -> None:
        """Have the client send its rows, and write them."""
        self._writer.check_possible("COPY FROM")
        table = self._table(copy)
        run = Run(self._state.settings.timeout)
        named = {column.name: column for column in table.schema}
        columns = tuple(named[name] for name in copy.columns)
        fill = await self._compute(partial(self._filler, table, copy.columns), run)
        reader = CopyReader(table.name, columns, copy)
        self._client.send(messages.copy_in(len(columns), int(copy.format == "binary")))
        parts: list[Delta] = []
        waiting: list[bytes] = []
        size = rows = 0
        last = False
        while not last:
            message = await self._received(run)
            last = message.kind == b"c"
            if not last:
                waiting.append(message.body)
                size += len(message.body)
            if size >= PIECE_BYTES or last:
                data, waiting, size = b"".join(waiting), [], 0
                delta = await self._compute(lambda data=data, last=last: fill(reader.read(data, last)), run)
                parts.append(delta)
                rows += sum(int(column.nbytes) for column in delta.columns)
                if rows > MAX_WRITE_BYTES:
                    raise QueryError(
                        "54000",
                        f"the rows of one COPY may have {MAX_WRITE_BYTES >> 20} MiB",
                        hint="send them in several",
                    )
        delta = await self._compute(lambda: concat_deltas(parts), run)
        if table.checks and (moment := self._state.queries.current()) is not None:
            await self._writer.keep_checks(moment, table.name, delta, run)
        await self._writer.hand_over(Write(table.name, table.oid, delta))
        self._client.send(messages.complete(f"COPY {len(delta)}"))

    def _table(self, copy: CopyFrom) -> Definition:
        table = self._state.queries.objects().get(copy.table)
        if table is None or table.oid != copy.oid:
            raise QueryError("42P01", f'relation "{copy.table}" does not exist')
        return table

    async def _received(self, run: Run) -> Message:
        """The next message that is rows, or their end. QueryError when the client gives up."""
        while True:
            message = self._client.next()
            if message is None:
                await self._more(run)
            elif message.kind in b"dc":
                return message
            elif message.kind == b"f":
                why = message.body.partition(b"\0")[0].decode(errors="replace")
                raise QueryError("57014", f"COPY from stdin failed: {why}")
            elif message.kind == b"X":
                self._client.close()
                raise ConnectionResetError("the client is gone")
            elif message.kind not in b"HS":
                what = f"unexpected message type 0x{message.kind[0]:02X} during COPY from stdin"
                raise QueryError("08P01", what)

    def _filler(self, table: Definition, given: tuple[str, ...]) -> Callable[[Batch], Delta]:
        """What makes rows of the table of those that are sent: columns that are not sent have their defaults."""
        queries = self._state.queries
        absent = [column for column in table.schema if column.name not in given]
        values: dict[str, pa.Array] = {}
        if absent:
            listed = ", ".join(f"{cast(table, c.name, None)} AS {quoted(c.name)}" for c in absent)
            prepared = queries.prepare(f"SELECT {listed}")
            (one,) = queries.run(prepared, self._state.values(prepared.query.needs), queries.current(), lambda: None)
            values = {column.name: array for column, array in zip(absent, one.columns, strict=True)}

        def fill(batch: Batch) -> Delta:
            zeros = pa.array(np.zeros(batch.rows, np.int64))
            found = dict(zip(given, batch.columns, strict=True))
            columns = [found[c.name] if c.name in found else values[c.name].take(zeros) for c in table.schema]
            for column, array in zip(table.schema, columns, strict=True):
                if not column.nullable and array.null_count:
                    raise QueryError(
                        "23502",
                        f'null value in column "{column.name}" of relation "{table.name}" violates not-null constraint',
                    )
            return Delta(tuple(columns), np.ones(batch.rows, np.int64))

        return fill
