"""Writes to tables: constraints are checked on the tick thread, and all that came since the last tick share the next one's fsync.

Rows that many clients insert are looked at together: one probe for all their keys, one delta for the source.

Always true: a transaction is written whole or not at all; it is checked against the rows of now, those of writes before it in the
same tick included; who is told that it is done finds it in every read. Deliberately unknown: SQL, and files.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from dataflow import rows
from dataflow.delta import Delta
from dataflow.rows import concat_deltas
from dataflow.types import Schema
from headwater.calls import Calls
from headwater.keys import Counts, Key, already_there
from ingest.tables import TableSource
from serve.sql.changes import Transaction, Write, Written
from serve.sql.errors import QueryError


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a write finds it. keys: what no two of its rows may have the same of."""

    oid: int
    schema: Schema
    keys: tuple[Key, ...]
    source: TableSource

    def missing(self, delta: Delta) -> str | None:
        """A column that may not be NULL and is, in rows to be written."""
        pairs = zip(self.schema, delta.columns, strict=True)
        return next((column.name for column, values in pairs if not column.nullable and values.null_count), None)


@dataclass(slots=True, eq=False)
class _Asked:
    """A transaction that somebody waits for. counts, refused: what it did, see `Written`."""

    transaction: Transaction
    told: Future[Written] = field(default_factory=Future)
    counts: tuple[int, ...] = ()
    refused: dict[int, QueryError] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether it inserts rows into one table, whatever else is there."""
        writes = self.transaction.writes
        return (
            len(writes) == 1
            and not (self.transaction.reads or writes[0].ignore)
            and len(writes[0].delta) > 0
            and (self.transaction.apart or bool((writes[0].delta.diffs == 1).all()))
        )

    def fail(self, error: BaseException) -> None:
        """Nothing of it is written, or nobody knows."""
        self.told.set_exception(_reason(error))


class Writes:
    """The writes of one loop. `write` is for any thread, everything else for the loop's."""

    def __init__(self, calls: Calls, now: Callable[[], int], tables: Callable[[str], Table | None]) -> None:
        """now: the last time that was bound. tables: the table of a name."""
        self._calls, self._now, self._tables = calls, now, tables
        self._time = -1
        self._fresh: dict[int, Counts] = {}
        self._held: frozenset[int] = frozenset()
        self._parked: list[_Asked] = []
        self._lock = threading.Lock()
        self._batch: list[_Asked] | None = None

    def write(self, transaction: Transaction) -> Future[Written]:
        """See `serve.sql.changes.Changer`. What comes until the loop looks is one batch."""
        asked = _Asked(transaction)
        self._ask(asked)
        return asked.told

    def hold(self, oids: frozenset[int]) -> None:
        """Let writes to these tables, and no others, wait from now on. For the loop's thread."""
        self._held = oids
        waiting, self._parked = self._parked, []
        for asked in waiting:
            self._ask(asked)

    def close(self) -> None:
        """Tell those who wait that nothing more is done."""
        waiting, self._parked = self._parked, []
        for asked in waiting:
            asked.told.set_exception(QueryError("57P01", "the service is stopping"))

    def _ask(self, asked: _Asked) -> None:
        with self._lock:
            batch, new = self._batch, self._batch is None
            if batch is None:
                batch = self._batch = []
            batch.append(asked)
        if new:
            self._calls.call(partial(self._apply_all, batch)).add_done_callback(partial(self._tell, batch))

    def _close(self, batch: list[_Asked]) -> None:
        """Nothing comes into this batch any more."""
        with self._lock:
            if self._batch is batch:
                self._batch = None

    def _tell(self, batch: list[_Asked], done: Future[tuple[None, int]]) -> None:
        """The batch is visible, or it is known that nobody will say so."""
        self._close(batch)
        error = done.exception()
        time = done.result()[1] if error is None else 0
        for asked in batch:
            if asked.told.done():
                continue
            if error is None:
                asked.told.set_result(Written(time, asked.counts, asked.refused))
            else:
                asked.fail(error)

    def _apply_all(self, batch: list[_Asked]) -> None:
        self._close(batch)
        now = self._now()
        if self._time != now:
            self._time, self._fresh = now, {}
        if self._held:
            self._parked += [asked for asked in batch if self._waits(asked)]
            batch[:] = [asked for asked in batch if not self._waits(asked)]
        plain: dict[str, list[_Asked]] = {}
        for asked in batch:
            if asked.plain:
                plain.setdefault(asked.transaction.writes[0].table, []).append(asked)
            else:  # those before it come first, and matter to it
                self._insert(plain)
                self._one(asked)
        self._insert(plain)

    def _waits(self, asked: _Asked) -> bool:
        """Whether a table that it writes to is held."""
        return any(write.oid in self._held for write in asked.transaction.writes)

    def _one(self, asked: _Asked) -> None:
        try:
            asked.counts = self._apply(asked.transaction)
        except Exception as error:  # noqa: BLE001  (it is its caller's, who is told)
            asked.fail(error)

    def _insert(self, plain: dict[str, list[_Asked]]) -> None:
        """Insert what came for each table, looked at together; only those that share a key with another row are looked at alone."""
        for name, several in plain.items():
            try:
                table = self._tables(name) if len(several) > 1 or several[0].transaction.apart else None
            except QueryError:  # each of them is told alone; what is written to other tables is not theirs
                table = None
            if table is not None:
                mine, others = list[_Asked](), list[_Asked]()
                for asked in several:
                    (mine if asked.transaction.writes[0].oid == table.oid else others).append(asked)
                several = self._together(table, mine) + others
            for asked in several:
                self._one(asked)
        plain.clear()

    def _together(self, table: Table, several: list[_Asked]) -> list[_Asked]:
        """Insert all of these but those that are returned: they have a key that is there, was written since the last tick, or comes
        twice. Of those whose rows are apart such rows are looked at here, and alone.
        """
        if not several:
            return []
        deltas = [asked.transaction.writes[0].delta for asked in several]
        delta = concat_deltas(deltas)
        owns = [len(part) if asked.transaction.apart else 1 for asked, part in zip(several, deltas, strict=True)]
        begins = np.cumsum([0, *owns])
        owners = np.concatenate(
            [
                np.arange(begin, begin + own) if asked.transaction.apart else np.full(len(part), begin)
                for asked, part, begin, own in zip(several, deltas, begins.tolist(), owns, strict=False)
            ]
        )
        wrong = self._sharing(table, delta, owners) if table.keys else np.zeros(int(begins[-1]), np.bool_)
        if table.missing(delta) is not None:
            for column, values in zip(table.schema, delta.columns, strict=True):
                if not column.nullable:
                    wrong[owners[np.asarray(values.is_null())]] = True
        if wrong.any():
            kept = ~wrong[owners]
            delta = Delta(rows.filter_rows(delta.columns, kept), delta.diffs[kept])
        if len(delta):
            table.source.write(delta, self._time)
        left = []
        for asked, part, begin, own in zip(several, deltas, begins.tolist(), owns, strict=False):
            bad = np.flatnonzero(wrong[begin : begin + own]).tolist()
            if asked.transaction.apart:
                self._rows_alone(asked, bad)
            elif bad:
                left.append(asked)
                continue
            asked.counts = (len(part) - len(asked.refused),)
        return left

    def _rows_alone(self, asked: _Asked, places: list[int]) -> None:
        """Insert rows that are apart one after the other, as far as that is possible."""
        (write,) = asked.transaction.writes
        for place in places:
            row = Delta(
                tuple(column.slice(place, 1) for column in write.delta.columns), write.delta.diffs[place : place + 1]
            )
            try:
                self._apply(Transaction((replace(write, delta=row),)))
            except Exception as error:  # noqa: BLE001  (it is this row's, whose writer is told)
                asked.refused[place] = _reason(error)

    def _sharing(self, table: Table, delta: Delta, owners: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which owners of rows have a key that is somewhere else too. The keys of the others count as written from now on."""
        wrong = np.zeros(int(owners[-1]) + 1, np.bool_)
        looked = [key.look(delta, self._fresh.get(key.number)) for key in table.keys]
        for found in looked:
            net = np.bincount(found.ids, minlength=len(found.names)) + found.there
            wrong[owners[found.at][(net > 1)[found.ids]]] = True
        for key, found in zip(table.keys, looked, strict=True):
            fresh = self._fresh.setdefault(key.number, {})
            for group, owner in zip(found.ids.tolist(), owners[found.at].tolist(), strict=True):
                if not wrong[owner]:
                    fresh[found.names[group]] = fresh.get(found.names[group], 0) + 1
        return wrong

    def _apply(self, transaction: Transaction) -> tuple[int, ...]:
        for name in transaction.reads:
            table = self._tables(name)
            if table is None or transaction.read <= table.source.changed_after:
                raise QueryError("40001", f"table {name} was changed meanwhile")
        checked: list[tuple[Table, Delta]] = []
        coming: dict[int, Counts] = {}
        for write in transaction.writes:
            table = self._table(write)
            checked.append((table, self._checked(table, write, coming)))
        for number, counts in coming.items():
            fresh = self._fresh.setdefault(number, {})
            for values, count in counts.items():
                fresh[values] = fresh.get(values, 0) + count
        for table, delta in checked:
            if len(delta):
                table.source.write(delta, self._time)
        return tuple(int(delta.diffs[delta.diffs > 0].sum()) for _, delta in checked)

    def _table(self, write: Write) -> Table:
        table = self._tables(write.table)
        if table is None or table.oid != write.oid:
            raise QueryError("42P01", f'relation "{write.table}" does not exist')
        return table

    def _checked(self, table: Table, write: Write, coming: dict[int, Counts]) -> Delta:
        """What is written; QueryError where a key would be there twice."""
        delta = write.delta
        if (column := table.missing(delta)) is not None:  # it waited while the column was made NOT NULL
            raise QueryError(
                "23502", f'null value in column "{column}" of relation "{write.table}" violates not-null constraint'
            )
        if not table.keys or not len(delta):
            return delta
        if write.ignore:
            delta = self._new(table, write, coming)
        for key in table.keys:
            found = key.look(delta, self._fresh.get(key.number), coming.get(key.number))
            net = np.zeros(len(found.names), np.int64)
            np.add.at(net, found.ids, delta.diffs[found.at])
            if len(twice := np.flatnonzero((found.there + net > 1) & (net > 0))):
                raise already_there(
                    key.name, [table.schema[place].name for place in key.places], found.names[int(twice[0])]
                )
            own = coming.setdefault(key.number, {})
            for place in np.flatnonzero(net):
                own[found.names[int(place)]] = own.get(found.names[int(place)], 0) + int(net[place])
        return delta

    def _new(self, table: Table, write: Write, coming: dict[int, Counts]) -> Delta:
        """The rows of an INSERT without those whose keys, of the ones to be ignored, are there already or come before them."""
        delta = write.delta
        kept = np.ones(len(delta), np.bool_)
        keys = [key for key in table.keys if key.name in write.ignore]
        looked = [key.look(delta, self._fresh.get(key.number), coming.get(key.number)) for key in keys]
        for found in looked:
            kept[found.at[(found.there > 0)[found.ids]]] = False
        if len(looked) == 1:  # one key: the first row of each
            (found,) = looked
            seen = found.at[found.first]
            again = np.ones(len(delta), np.bool_)
            again[seen] = False
            again[np.setdiff1d(np.arange(len(delta)), found.at)] = False
            kept &= ~again
        else:  # which row is the first of a key depends on which ones another key leaves out
            groups = np.full((len(looked), len(delta)), -1, np.int64)
            for row, found in zip(groups, looked, strict=True):
                row[found.at] = found.ids
            taken: list[set[int]] = [set() for _ in looked]
            for at in np.flatnonzero(kept).tolist():
                mine = groups[:, at].tolist()
                if any(group in there for group, there in zip(mine, taken, strict=True)):
                    kept[at] = False
                    continue
                for group, there in zip(mine, taken, strict=True):
                    if group >= 0:
                        there.add(group)
        return Delta(rows.filter_rows(delta.columns, kept), np.ones(int(kept.sum()), np.int64))


def _reason(error: BaseException) -> QueryError:
    """What a writer is told."""
    return (
        error
        if isinstance(error, QueryError)
        else QueryError("57P01", f"it is not known whether it is written: {error}")
    )
