"""Writes to tables: constraints are checked on the tick thread, and all that came since the last tick share the next one's fsync.

Always true: a transaction is written whole or not at all; it is checked against the rows of now, those of writes before it in the
same tick included; who is told that it is done finds it in every read. Deliberately unknown: SQL, and files.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataflow import rows
from dataflow.delta import Delta
from dataflow.snapshot import Snapshot
from dataflow.types import Schema
from headwater.calls import Calls
from ingest.tables import TableSource
from serve.sql.changes import Transaction, Write, Written
from serve.sql.errors import QueryError

Keys = dict[tuple[Any, ...], int]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a write finds it. rows: as of the last tick, indexed by the key at `key`."""

    oid: int
    schema: Schema
    key: tuple[int, ...]
    source: TableSource
    rows: Callable[[], Snapshot]


class Writes:
    """The writes of one loop. `write` is for any thread, everything else for the loop's."""

    def __init__(self, calls: Calls, now: Callable[[], int], tables: Callable[[str], Table | None]) -> None:
        """now: the last time that was bound. tables: the table of a name."""
        self._calls, self._now, self._tables = calls, now, tables
        self._time = -1
        self._fresh: dict[int, Keys] = {}

    def write(self, transaction: Transaction) -> Future[Written]:
        """See `serve.sql.changes.Changer`."""
        told: Future[Written] = Future()

        def tell(done: Future[tuple[tuple[int, ...], int]]) -> None:
            if (error := done.exception()) is not None:
                told.set_exception(
                    error
                    if isinstance(error, QueryError)
                    else QueryError("57P01", f"it is not known whether it is written: {error}")
                )
            else:
                counts, time = done.result()
                told.set_result(Written(time, counts))

        self._calls.call(lambda: self._apply(transaction)).add_done_callback(tell)
        return told

    def _apply(self, transaction: Transaction) -> tuple[int, ...]:
        now = self._now()
        if self._time != now:
            self._time, self._fresh = now, {}
        for name in transaction.reads:
            table = self._tables(name)
            if table is None or transaction.read <= table.source.changed_after:
                raise QueryError("40001", f"table {name} was changed meanwhile")
        checked: list[tuple[Table, Delta]] = []
        coming: dict[int, Keys] = {}
        for write in transaction.writes:
            table = self._table(write)
            checked.append((table, self._checked(table, write, coming)))
        for oid, keys in coming.items():
            fresh = self._fresh.setdefault(oid, {})
            for key, count in keys.items():
                fresh[key] = fresh.get(key, 0) + count
        for table, delta in checked:
            if len(delta):
                table.source.write(delta, now)
        return tuple(int(delta.diffs[delta.diffs > 0].sum()) for _, delta in checked)

    def _table(self, write: Write) -> Table:
        table = self._tables(write.table)
        if table is None or table.oid != write.oid:
            raise QueryError("42P01", f'relation "{write.table}" does not exist')
        return table

    def _checked(self, table: Table, write: Write, coming: dict[int, Keys]) -> Delta:
        """What is written; QueryError where a key would be there twice."""
        delta = write.delta
        if not table.key or not len(delta):
            return delta
        keys = tuple(delta.columns[column] for column in table.key)
        ids, first = rows.group(keys, len(delta))
        net = np.zeros(len(first), np.int64)
        np.add.at(net, ids, delta.diffs)
        touched = rows.take(keys, first)
        there = np.zeros(len(first), np.int64)
        found = table.rows().probe(touched, True, rows=len(first))
        np.add.at(there, found.probe_rows, found.diffs)
        names = list(zip(*(column.to_pylist() for column in touched), strict=True))
        own = coming.setdefault(table.oid, {})
        for earlier in (self._fresh.get(table.oid, {}), own):
            if earlier:
                there += np.array([earlier.get(name, 0) for name in names], np.int64)
        if write.ignore:
            kept = (there[ids] == 0) & (first[ids] == np.arange(len(delta)))
            delta = Delta(rows.filter_rows(delta.columns, kept), np.ones(int(kept.sum()), np.int64))
            net = np.where(there == 0, 1, 0)
        twice = np.flatnonzero(there + net > 1)
        if len(twice):
            columns = ", ".join(table.schema[column].name for column in table.key)
            values = ", ".join(str(value) for value in names[int(twice[0])])
            raise QueryError(
                "23505",
                f'duplicate key value violates unique constraint "{write.table}_pkey"',
                detail=f"Key ({columns})=({values}) already exists.",
            )
        for place in np.flatnonzero(net):
            own[names[int(place)]] = own.get(names[int(place)], 0) + int(net[place])
        return delta
