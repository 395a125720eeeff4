"""Inserts of single rows by many clients, written together: what a prepared INSERT of constants and parameters makes of them all.

    B length  head  values  end          Bind, Describe, Execute and Sync: all but the values is as it was the first time

Always true: who is answered is told, byte for byte, what the messages one by one would have been answered; whatever is not exactly
as learned, or cannot be read or computed, is handled as messages after all, in its place. Each row is a transaction of its own; all
that one look at the sockets brought are read, computed and handed on as columns.
Deliberately unknown: sockets, and how writes become durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa

from dataflow import scalars
from dataflow.delta import Delta
from dataflow.expression import Expression
from dataflow.types import STRINGS, ColumnType, Kind
from planner.compile import compile_scalar
from planner.scalar import ColumnRef, Parameter, Scalar
from planner.scalars import rewrite, walk
from serve.definitions import Definition
from serve.pg import messages, values
from serve.pg.copy_values import limited
from serve.pg.perform import error_message
from serve.pg.quick import LENGTH, Seen
from serve.pg.state import IDLE, State
from serve.reads import Published
from serve.sql.changes import Transaction, Write
from serve.sql.dml import Dml
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared, Queries
from serve.told import told

Value = bool | int | float | str | bytes | None
Row = tuple[Value, ...]
"""A row's parameters as literals hold them, but for the texts of numbers and such: those are read with all others of the column."""


class Writing(Protocol):
    """Whose row it is. One of these is called once."""

    def answered(self, answer: bytes) -> None:
        """The row is written and seen by all, or refused: what its client is told."""
        ...

    def again(self, data: bytes) -> None:
        """The row was not looked at: handle the bytes as messages."""
        ...


class Rows:
    """What one INSERT makes of rows of parameters. The same for all sessions that have prepared the same text."""

    def __init__(
        self, dml: Dml, prepared: Prepared, types: Sequence[ColumnType], outputs: Sequence[Expression]
    ) -> None:
        """types: of the parameters, the session's values behind the client's. outputs: over them as columns."""
        self.dml, self.prepared = dml, prepared
        self._types, self._outputs = types, outputs

    def delta(self, rows: Sequence[Row], published: Published) -> tuple[Delta, np.ndarray]:
        """The table's new rows, and which of those that were given they are: the others cannot be read or computed."""
        table = published.definitions.objects.get(self.dml.table)
        count = len(rows)
        good = np.zeros(count, np.bool_)
        if table is not None and table.oid == self.dml.oid and published.definitions.version == self.prepared.version:
            good[:] = True
            columns = tuple(self._columns(rows, table, good))
            if good.all():
                return Delta(columns, np.ones(count, np.int64)), good
            if good.any():
                mask = pa.array(good)
                return Delta(tuple(column.filter(mask) for column in columns), np.ones(int(good.sum()), np.int64)), good
        return Delta.empty([column.type for column in table.schema] if table is not None else []), good

    def _columns(self, rows: Sequence[Row], table: Definition, good: np.ndarray) -> Iterator[pa.Array]:
        """The table's columns; `good` loses the rows that cannot be."""
        count = len(rows)
        given = []
        for type_, cells in zip(self._types, zip(*rows, strict=True), strict=True):
            column, errors = _column(cells, type_)
            _lose(good, errors)
            given.append(column)
        for column, output in zip(table.schema, self._outputs, strict=True):
            found, errors = output.evaluate(tuple(given), count)
            _lose(good, errors)
            if column.type.length is not None:
                found, errors = limited(found, column.type)
                _lose(good, errors)
            if not column.nullable and found.null_count:
                good &= np.asarray(found.is_valid())
            yield found


def _lose(good: np.ndarray, errors: pa.Array | None) -> None:
    if errors is not None:
        good &= np.asarray(errors.is_null())


def _column(cells: Sequence[Value], type_: ColumnType) -> tuple[pa.Array, pa.Array | None]:
    """Values of a parameter as a column, and what is wrong with some of them."""
    texts = type_.kind not in STRINGS and any(type(cell) is str for cell in cells)
    if not texts:
        return pa.array(cells, type_.arrow), None
    return scalars.parse(pa.array(cells, pa.large_string()), len(cells), type_)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT as a client sends it.

    head: of Bind's body, up to the first value. end: what is behind the last one, to the end of Sync; bound: how many bytes of that
    are Bind's. forms: of each parameter, whether it is binary. session: the names of the session's values. before, answer: what is
    told before an error, and when it is written.
    """

    name: str
    seen: Seen
    rows: Rows
    head: bytes
    end: bytes
    bound: int
    forms: tuple[bool, ...]
    session: tuple[str, ...]
    before: bytes
    answer: bytes

    def read(self, data: bytes, state: State) -> Row | None:
        """The parameters of such an INSERT; None when the bytes are anything else, or it has to be told what is wrong with them."""
        if (
            state.transaction != IDLE
            or state.settings.changed
            or state.portals
            or state.statements.get(self.name) is not self.seen.statement
            or not (data.startswith(self.head, 5) and data.endswith(self.end))
        ):
            return None
        at, row = 5 + len(self.head), list[Value]()
        types = self.seen.statement.types
        last = len(data) - len(self.end)
        for number, binary in enumerate(self.forms):
            if at + 4 > last:
                return None
            (size,) = LENGTH.unpack_from(data, at)
            at += 4
            if size < -1 or at + size > last:
                return None
            if size < 0:
                row.append(None)
                continue
            cell = data[at : at + size]
            at += size
            try:
                row.append(
                    values.literal(cell, True, types[number], number).value if binary else _text(cell, types[number])
                )
            except (QueryError, ValueError):
                return None
        if at != last or LENGTH.unpack_from(data, 1)[0] != at + self.bound - 1:
            return None
        if self.session:
            session = state.values(self.session)
            state.settle()
            row += [session[name].value for name in self.session]
        return tuple(row)

    def refusal(self, error: Exception) -> bytes:
        """What is told when the row is not written."""
        return self.before + error_message(error) + messages.ready(IDLE)


def _text(cell: bytes, type_: ColumnType) -> str:
    """A parameter's text. ValueError when it is none."""
    text = cell.decode()
    if "\0" in text:
        raise ValueError(text)
    return text.rstrip(" ") if type_.kind is Kind.CHAR else text


class Inserts:
    """The inserts of one server, on its event loop."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._rows: WeakValueDictionary[tuple[object, ...], Rows] = WeakValueDictionary()
        self._waiting: dict[Rows, list[tuple[Row, bytes, Insert, Writing]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def learn(self, seen: Seen) -> Insert | None:
        """The insert of what was seen; None when it is no INSERT of one row of constants and parameters."""
        statement = seen.statement
        dml, prepared = statement.command, statement.prepared
        if (
            not isinstance(dml, Dml)
            or prepared is None
            or dml.kind != "insert"
            or dml.ignore
            or dml.merge
            or statement.returning is not None
            or not statement.types
            or ((table := self._queries.object(dml.table)) is not None and table.checks)
        ):
            return None
        try:
            prepared = self._queries.fresh(prepared, self._queries.current())
        except QueryError:  # it has no such columns any more: the usual way says so
            return None
        outputs = self._queries.row(prepared)
        if outputs is None or "mz_now" in prepared.query.needs:
            return None
        forms = tuple(code == 1 for code in seen.formats)
        session = tuple(sorted(name for name in prepared.query.needs if not name.isdigit()))
        key = dml.table, dml.oid, prepared.version, prepared.sql, statement.types, forms, session
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = _rows(dml, prepared, statement.types, session, outputs)
        before = messages.BIND_COMPLETE + (messages.NO_DATA if seen.described else b"")
        answer = before + messages.complete(dml.tag(1)) + messages.ready(IDLE)
        end = seen.tail + seen.rest
        return Insert(seen.name, seen, rows, seen.head, end, len(seen.tail), forms, session, before, answer)

    def take(self, insert: Insert, data: bytes, state: State, who: Writing) -> bool:
        """Have a row written with all that the loop finds now, and `who` answered later; False to have it handled as usual."""
        published = self._queries.current()
        if published is None or published.definitions.version != insert.rows.prepared.version:
            return False
        row = insert.read(data, state)
        if row is None:
            return False
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._waiting.setdefault(insert.rows, []).append((row, data, insert, who))
        return True

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for rows, asked in waiting.items():
            task = asyncio.get_running_loop().create_task(self._write(rows, asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, rows: Rows, asked: list[tuple[Row, bytes, Insert, Writing]]) -> None:
        try:
            published = self._queries.current()
            assert published is not None  # a statement was prepared
            delta, good = rows.delta([row for row, *_ in asked], published)
            if not good.all():
                for (_, data, _, who), fine in zip(asked, good.tolist(), strict=True):
                    if not fine:
                        who.again(data)
                asked = [one for one, fine in zip(asked, good.tolist(), strict=True) if fine]
            if not asked:
                return
            dml = rows.dml
            written = await told(self._queries.write(Transaction((Write(dml.table, dml.oid, delta),), apart=True)))
        except Exception as error:  # noqa: BLE001  (each of them is told)
            for _, _, insert, who in asked:
                who.answered(insert.refusal(error))
            return
        refused = written.refused
        for place, (_, _, insert, who) in enumerate(asked):
            if place in refused:
                who.answered(insert.refusal(refused[place]))
            else:
                who.answered(insert.answer)


def _rows(
    dml: Dml, prepared: Prepared, types: Sequence[ColumnType], session: Sequence[str], outputs: Sequence[Scalar]
) -> Rows:
    parameters = {p.name: p.type for output in outputs for p in walk(output) if isinstance(p, Parameter)}
    places = {str(number): number - 1 for number in range(1, len(types) + 1)}
    places |= {name: len(types) + number for number, name in enumerate(session)}

    def column(node: Scalar) -> Scalar | None:
        return ColumnRef(places[node.name], node.type) if isinstance(node, Parameter) else None

    compiled = [compile_scalar(rewrite(output, column)) for output in outputs]
    return Rows(dml, prepared, (*types, *(parameters[name] for name in session)), compiled)
