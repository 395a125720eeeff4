"""Executes what writes to tables: at once, or at the end of the transaction.

Always true: a client is told that it wrote once all who read see it, and it outlasts kill -9; a statement that follows from rows is
computed again when tables that it read have changed meanwhile, so all statements are as if one after the other.
Deliberately unknown: how writes become durable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.delta import Delta
from dataflow.rows import concat_deltas
from dataflow.types import ColumnType
from planner.catalog import qualified
from planner.query import Values
from serve.definitions import Definition
from serve.pg import messages
from serve.pg.commands import End
from serve.pg.copy_values import limited
from serve.pg.perform import Performer
from serve.pg.portal import Portal, Run
from serve.pg.state import INSIDE, State
from serve.reads import Published, PublishedView
from serve.sql.changes import Transaction, Write
from serve.sql.dml import PAIRS, Dml, pairs_schema
from serve.sql.errors import QueryError, from_row
from serve.sql.queries import Prepared
from serve.sql.results import Batch
from serve.told import told

CONFLICT = "40001"
MAX_WRITE_BYTES = 1 << 30
"""Bytes of the rows of one transaction, as columns: they become one frame of the tables' log for each table."""
Compute = Callable[..., Awaitable[Any]]


class Writer:
    """Writes for one client."""

    def __init__(self, state: State, send: Callable[[bytes], None], compute: Compute, performer: Performer) -> None:
        self._state, self._send, self._compute, self._performer = state, send, compute, performer

    async def write(self, portal: Portal, dml: Dml) -> None:
        """Execute a statement that writes."""
        state = self._state
        if state.transaction == INSIDE and (dml.kind != "insert" or dml.merge):
            what = "ON CONFLICT DO UPDATE" if dml.merge else dml.kind.upper()
            raise QueryError("25001", f"{what} cannot run inside a transaction block")
        self.check_possible("INSERT")
        run = Run(state.settings.timeout)
        while True:
            moment = state.queries.current()
            if moment is None:
                raise QueryError("57P03", "no table can be written to yet", hint="try again")
            prepared = portal.statement.prepared
            assert prepared is not None
            given = {**portal.values, **state.values(prepared.query.needs)}
            prepared = state.queries.fresh(prepared, moment)
            one = state.queries.constant(prepared, given) if dml.kind == "insert" else None
            if one is not None:
                delta = _delta(dml, [one], moment)
            else:
                delta = await self._compute(partial(self._computed, dml, prepared, given, moment, run), run)
            reads = moment.definitions.tables(prepared.query.reads)
            if dml.merge:
                merging = self.merging(dml, portal.statement.types)
                assert merging is not None
                own = {**portal.values, **state.values(merging.query.needs)}
                delta = await self._compute(partial(self._merged, dml, merging, own, delta, moment), run)
                reads |= moment.definitions.tables([dml.table, *merging.query.reads - {PAIRS}])
            await self.keep_checks(moment, dml.table, delta, run)
            try:
                count = await self.hand_over(Write(dml.table, dml.oid, delta, dml.ignore), reads, moment.time)
                break
            except QueryError as error:
                if error.code != CONFLICT:
                    raise
                run.check()
        if dml.kind == "delete":
            count = int((delta.diffs < 0).sum())
        await self._return(portal, dml, delta)
        self._send(messages.complete(dml.tag(count)))

    async def keep_checks(self, moment: Published, name: str, delta: Delta, run: Run) -> None:
        """QueryError when a row that enters does not keep a CHECK of the table."""
        table = moment.definitions.objects[name]
        new = delta.diffs > 0
        if not table.checks or not new.any():
            return
        entering = Delta(rows.filter_rows(delta.columns, new), delta.diffs[new])
        for check, condition in table.checks.items():
            await self._compute(partial(self._keep_check, table, check, condition, entering), run)

    def _keep_check(self, table: Definition, check: str, condition: str, entering: Delta) -> None:
        queries = self._state.queries
        prepared = queries.prepare(f"SELECT 1 FROM {qualified(table.name)} WHERE NOT ({condition})")
        if queries.returned(prepared, self._state.values(prepared.query.needs), table.name, entering):
            raise QueryError(
                "23514", f'new row for relation "{table.name}" violates check constraint "{check}"',
                detail=f"The constraint is CHECK ({condition}).",
            )  # fmt: skip

    def check_possible(self, what: str) -> None:
        """QueryError in a transaction that has read."""
        if self._state.transaction == INSIDE and self._state.has_read:
            raise QueryError(
                "25006", f"cannot execute {what} in a transaction that has read", hint="write COMMIT first"
            )

    async def hand_over(self, write: Write, reads: frozenset[str] = frozenset(), read: int = 0) -> int:
        """Write rows, inside a transaction when that ends; how many enter. reads, read: see `Transaction`."""
        state = self._state
        kept = sum(_size(one) for one in state.writes) if state.writes else 0
        if kept + _size(write) > MAX_WRITE_BYTES:
            raise QueryError(
                "54000", f"what a transaction writes may have {MAX_WRITE_BYTES >> 20} MiB", hint="write it in several"
            )
        if state.transaction == INSIDE:
            state.writes.append(write)
            return len(write.delta)
        written = await told(state.queries.write(Transaction((write,), reads, read)))
        state.settle()
        return written.counts[0]

    async def commit(self, end: End) -> None:
        """Write what the transaction has gathered, all at once."""
        try:
            await told(self._state.queries.write(Transaction(tuple(self._state.writes))))
        except QueryError:
            self._state.end_transaction()
            raise
        self._send(messages.complete(self._performer.perform(end)))

    def merging(self, dml: Dml, types: Sequence[ColumnType | None]) -> Prepared | None:
        """The plan of ON CONFLICT DO UPDATE; None for any other statement. QueryError for what is wrong with it."""
        table = self._state.queries.objects().get(dml.table)
        if not dml.merge or table is None:
            return None
        self._state.queries.prepare(dml.told, types)
        return self._state.queries.over(dml.merge, types, PAIRS, pairs_schema(table))

    def _merged(self, dml: Dml, merging: Prepared, values: Values, new: Delta, moment: Published) -> Delta:
        """What is inserted, and what is changed where a row with the same key is there."""
        table = moment.definitions.objects[dml.table]
        target = next(key for key in table.keys if key.name == dml.target)
        view = _by_key(moment, table, target.places)
        valued = np.ones(len(new), np.bool_)
        for place in target.places:
            valued &= np.asarray(pc.is_valid(new.columns[place]))
        key = tuple(new.columns[place] for place in target.places)
        _, first = rows.group(rows.filter_rows(key, valued), int(valued.sum()))
        if len(first) < valued.sum():
            raise QueryError(
                "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time",
                hint="Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            )  # fmt: skip
        found = view.rows.probe(key, False)
        there = rows.consolidate(Delta((pa.array(found.probe_rows), *found.columns), found.diffs))
        places = np.asarray(there.columns[0])
        absent = np.ones(len(new), np.bool_)
        absent[places] = False
        pairs = Delta((*there.columns[1:], *rows.take(new.columns, places)), there.diffs)
        batches = self._state.queries.returned(merging, values, PAIRS, pairs, moment)
        changed = _delta(dml, batches, moment, replaces=True)
        return concat_deltas([Delta(rows.filter_rows(new.columns, absent), new.diffs[absent]), changed])

    def _computed(self, dml: Dml, prepared: Prepared, given: Any, moment: Published, run: Run) -> Delta:
        """What a statement changes, as of a time."""
        queries = self._state.queries
        found = queries.look_up(prepared, given, moment)
        batches = [found] if found is not None else list(queries.run(prepared, given, moment, run.check))
        return _delta(dml, batches, moment)

    async def _return(self, portal: Portal, dml: Dml, delta: Delta) -> None:
        returning = portal.statement.returning
        if returning is None:
            return
        sign = -1 if dml.kind == "delete" else 1
        mask = delta.diffs == sign
        written = Delta(
            tuple(column.filter(pa.array(mask)) for column in delta.columns), np.ones(int(mask.sum()), np.int64)
        )
        values = self._state.values(returning.query.needs)
        for batch in await self._compute(lambda: self._state.queries.returned(returning, values, dml.table, written)):
            self._send(portal.encode(batch))


def _by_key(moment: Published, table: Definition, places: tuple[int, ...]) -> PublishedView:
    """A table's rows by a key of its. QueryError while the index hydrates."""
    there = (moment.relation(table.name), *(moment.indexes.get(key.index) for key in table.keys))
    found = next((view for view in there if view is not None and view.key == places and view.state == "ready"), None)
    if found is None:
        raise QueryError(
            "57P03", f"the index of table {table.name} that finds the rows is being filled", hint="try again"
        )
    return found


def _size(write: Write) -> int:
    return sum(int(column.nbytes) for column in write.delta.columns)


def _delta(dml: Dml, batches: Sequence[Batch], moment: Published, replaces: bool = False) -> Delta:
    """The rows of a statement's query as what they change. replaces: they are old rows and new ones, as an update's."""
    replaces = replaces or dml.kind == "update"
    table = moment.definitions.objects.get(dml.table)
    if table is None or table.oid != dml.oid:
        raise QueryError("42P01", f'relation "{dml.table}" does not exist')
    width = len(table.schema)
    parts = []
    for batch in batches:
        ones = np.ones(batch.rows, np.int64)
        if replaces or dml.kind != "insert":
            parts.append(Delta(tuple(batch.columns[:width]), -ones))
        if replaces or dml.kind == "insert":
            new = tuple(
                _bounded(values, column.type)
                for column, values in zip(table.schema, batch.columns[-width:], strict=True)
            )
            _check_nulls(table, new)
            parts.append(Delta(new, ones))
    return concat_deltas(parts) if parts else Delta.empty([column.type for column in table.schema])


def _bounded(values: pa.Array, type_: ColumnType) -> pa.Array:
    """Values as a column's that may bound their length. QueryError when one is too long."""
    if type_.length is None:
        return values
    values, errors = limited(values, type_)
    if errors is not None and (wrong := errors.drop_null()):
        raise from_row(wrong[0].as_py())
    return values


def _check_nulls(table: Definition, columns: Sequence[pa.Array]) -> None:
    for column, values in zip(table.schema, columns, strict=True):
        if not column.nullable and values.null_count:
            raise QueryError(
                "23502", f'null value in column "{column.name}" of relation "{table.name}" violates not-null constraint'
            )
