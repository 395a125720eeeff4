"""The rows of a subscription: what a change looks like to the one who reads it.

    mz_timestamp [mz_progressed] mz_diff columns...                          no envelope
    mz_timestamp [mz_progressed] mz_state key... values...                   upsert: what the key's row is now
    mz_timestamp [mz_progressed] mz_state key... before_values... after_...  debezium: what it was, too

Always true: the rows of one time depend on its changes alone, so they can be made once for all who ask for the same shape.
Whole columns at once. Deliberately unknown: readers, bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.delta import Delta
from dataflow.layout import Layout, Order
from dataflow.rows import Int64s, group
from dataflow.spine import Spine
from dataflow.types import BIGINT, BOOLEAN, TEXT, ColumnType, Schema
from serve.sql.errors import QueryError
from serve.sql.results import Batch
from serve.subscribe.options import Options, OrderTerm

TIMESTAMP = ColumnType.parse("numeric(38,0)")
"""The type of mz_timestamp."""

_UPSERT, _DELETE, _VIOLATION, _INSERT = "upsert", "delete", "key_violation", "insert"


@dataclass(frozen=True)
class Shape:
    """How the changes of a collection are shown."""

    schema: Schema
    progress: bool
    envelope: str
    key: tuple[int, ...]
    order: tuple[Order, ...]

    @property
    def columns(self) -> list[tuple[str, ColumnType]]:
        """Name and type of each column of the rows."""
        shown = [("mz_timestamp", TIMESTAMP), *([("mz_progressed", BOOLEAN)] if self.progress else [])]
        if not self.envelope:
            return [*shown, ("mz_diff", BIGINT), *((column.name, column.type) for column in self.schema)]
        keys = [(self.schema[index].name, self.schema[index].type) for index in self.key]
        values = [(self.schema[index].name, self.schema[index].type) for index in self._values]
        if self.envelope == "upsert":
            return [*shown, ("mz_state", TEXT), *keys, *values]
        twice = [(f"{side}_{name}", type_) for side in ("before", "after") for name, type_ in values]
        return [*shown, ("mz_state", TEXT), *keys, *twice]

    @property
    def _values(self) -> list[int]:
        return [index for index in range(len(self.schema)) if index not in self.key]

    def rows(self, time: int, delta: Delta) -> Batch:
        """The changes of a time."""
        shown = self._enveloped(delta) if self.envelope else self._plain(delta)
        count = len(shown[0])
        return Batch((*self._head(time, count, progressed=False), *shown), count)

    def told(self, time: int) -> Batch:
        """The row that says that nothing will come before a time any more."""
        types = [type_ for _, type_ in self.columns[2:]]
        return Batch((*self._head(time, 1, progressed=True), *(pa.nulls(1, type_.arrow) for type_ in types)), 1)

    def _head(self, time: int, count: int, progressed: bool) -> list[pa.Array]:
        times = pc.cast(pa.repeat(pa.scalar(time, pa.int64()), count), TIMESTAMP.arrow)
        return [times, *([pa.repeat(pa.scalar(progressed), count)] if self.progress else [])]

    def _plain(self, delta: Delta) -> list[pa.Array]:
        columns: list[pa.Array] = [pa.array(delta.diffs), *delta.columns]
        if not self.order:
            return columns
        # Sorted with mz_diff as a column like the others.
        types = (BIGINT, *(column.type for column in self.schema))
        spine = Spine(Layout(types, (), self.order))
        spine.insert(Delta(tuple(columns), np.ones(len(delta), np.int64)))
        return list(spine.snapshot().rows().columns)

    def _enveloped(self, delta: Delta) -> list[pa.Array]:
        """A row for each key; a key with more than one row before or after is a violation, and its values are not shown."""
        ids, places = group([delta.columns[index] for index in self.key], len(delta))
        before, after = (_only(ids, delta.diffs, len(places), sign) for sign in (-1, 1))
        added = np.bincount(ids, np.maximum(delta.diffs, 0), len(places))
        taken = np.bincount(ids, np.maximum(-delta.diffs, 0), len(places))
        wrong = (added > 1) | (taken > 1)
        before, after = np.where(wrong, -1, before), np.where(wrong, -1, after)
        replaced = _UPSERT if self.envelope == "upsert" else _INSERT
        names = np.where(wrong, _VIOLATION, np.where(after < 0, _DELETE, np.where(before < 0, replaced, _UPSERT)))
        keys = [delta.columns[index].take(pa.array(places)) for index in self.key]
        shown = [pa.array(names.tolist(), TEXT.arrow), *keys]
        for side in (before, after) if self.envelope == "debezium" else (after,):
            at = pa.array(side, mask=side < 0)
            shown += [delta.columns[index].take(at) for index in self._values]
        return shown


def _only(ids: Int64s, diffs: Int64s, groups: int, sign: int) -> Int64s:
    """For each group, the place of a row whose diff has this sign; -1 for none."""
    found = np.full(groups, -1, np.int64)
    places = np.flatnonzero(diffs * sign > 0)
    found[ids[places]] = places
    return found


def make_shape(schema: Schema, options: Options) -> Shape:
    """The shape that the options ask for. QueryError when they name columns that there are not."""
    names = [column.name for column in schema]
    key = tuple(_position(names, name) for name in options.key)
    if len(set(key)) != len(key):
        raise QueryError("42701", "a column is named twice in the envelope's KEY")
    if options.envelope and options.order:
        raise QueryError("0A000", "WITHIN TIMESTAMP ORDER BY goes with no ENVELOPE", hint="leave one of them out")
    return Shape(schema, options.progress, options.envelope, key, _order(["mz_diff", *names], options.order))


def _order(names: Sequence[str], terms: Sequence[OrderTerm]) -> tuple[Order, ...]:
    return tuple(
        Order(
            _position(names, term.column),
            term.descending,
            term.descending if term.nulls_first is None else term.nulls_first,
        )
        for term in terms
    )


def _position(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise QueryError("42703", f'column "{name}" does not exist', hint=f"the columns are {', '.join(names)}")
    return names.index(name)
