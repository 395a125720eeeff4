"""The upsert envelope: deltas of one or several ticks as one change per key.

Always true: folding the changes over a map from keys to rows that holds the view before the first tick gives the view after the
last; a key whose row is the same before and after has no change. Deliberately unknown here: Kafka, transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.types import Schema
from sinks.encode.json import encode_keys, encode_values


class KeyNotUniqueError(ValueError):
    """A key has two rows at one time, so that a map from keys to rows cannot hold the view."""


@dataclass(frozen=True, slots=True)
class Changes:
    """One message for each key that changed.

    values: null is a tombstone: the key has no row any more. times: int64, the tick at which the key last changed.
    """

    keys: pa.LargeBinaryArray
    values: pa.LargeBinaryArray
    times: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)


def upserts(ticks: Sequence[tuple[int, Delta]], schema: Schema, key: tuple[int, ...]) -> Changes:
    """Consolidate the ticks' deltas into one change per key.

    ticks: (time, delta) in rising order of time. Raises KeyNotUniqueError if the deltas alone prove that a key has two rows.
    """
    ticks = [(time, delta) for time, delta in ticks if len(delta)]
    columns, diffs, times = _joined(ticks, schema)
    same_key, first_of_key = rows.group(tuple(columns[i] for i in key))
    keys = len(first_of_key)
    if keys == len(diffs):  # no row can meet another, as in the first fill of a view
        first, net = first_of_key, diffs
    else:
        same_row, first = rows.group(columns)
        net = np.zeros(len(first), np.int64)
        np.add.at(net, same_row, diffs)
    changed = np.flatnonzero(net)
    # The key and the diff of each distinct row that the ticks together add or take away.
    owner, diff = same_key[first[changed]], net[changed]
    added, removed = np.zeros(keys, np.int64), np.zeros(keys, np.int64)
    np.add.at(added, owner, np.maximum(diff, 0))
    np.add.at(removed, owner, np.maximum(-diff, 0))
    if keys and max(int(added.max()), int(removed.max())) > 1:
        raise KeyNotUniqueError
    upserted = first[changed[diff > 0]]
    deleted = first[changed[(diff < 0) & (added[owner] == 0)]]
    touched = np.concatenate([upserted, deleted])
    if len(ticks) == 1:
        last = np.full(len(touched), ticks[0][0], np.int64)
    else:
        of_key = np.zeros(keys, np.int64)
        np.maximum.at(of_key, same_key, times)
        last = of_key[same_key[touched]]
    return _encoded(columns, upserted, deleted, last, schema, key)


def _joined(
    ticks: Sequence[tuple[int, Delta]], schema: Schema
) -> tuple[tuple[pa.Array, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All rows of the ticks, their diffs and times."""
    if len(ticks) == 1:
        delta = ticks[0][1]
        return delta.columns, delta.diffs, np.full(len(delta), ticks[0][0], np.int64)
    if not ticks:
        empty = Delta.empty([column.type for column in schema])
        return empty.columns, empty.diffs, np.empty(0, np.int64)
    return (
        tuple(pa.concat_arrays(arrays) for arrays in zip(*(delta.columns for _, delta in ticks), strict=True)),
        np.concatenate([delta.diffs for _, delta in ticks]),
        np.repeat([time for time, _ in ticks], [len(delta) for _, delta in ticks]).astype(np.int64, copy=False),
    )


def _encoded(
    columns: tuple[pa.Array, ...],
    upserted: npt.NDArray[np.int64],
    deleted: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    schema: Schema,
    key: tuple[int, ...],
) -> Changes:
    keys = tuple(columns[i] for i in key)
    if len(upserted) == len(columns[0]):  # distinct indices: every row, in its order
        return Changes(encode_keys(keys, tuple(schema[i] for i in key)), encode_values(columns, schema), times)
    every = rows.take(keys, np.concatenate([upserted, deleted]))
    values = encode_values(rows.take(columns, upserted), schema)
    if len(deleted):
        values = pa.concat_arrays([values, pa.nulls(len(deleted), pa.large_binary())])
    return Changes(encode_keys(every, tuple(schema[i] for i in key)), values, times)
