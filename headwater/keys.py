"""The keys of a table, and what rows that are to be written find there.

Always true: a row with a NULL among a key's columns has the same key as no other row. Deliberately unknown: who writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.delta import Delta
from dataflow.snapshot import Snapshot
from serve.sql.errors import QueryError

Counts = dict[tuple[Any, ...], int]
"""By a key's values, how many rows with them came or went since the last tick."""


NAN = float("nan")
"""Every NaN of a key is this one: as a Python value it is equal to itself only if it is the same object."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a key's index has for rows. at: the rows without NULL in the key; ids: the group of each of those; first: of each group,
    the first of those; names: its values; there: how many rows have them already."""

    at: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    names: list[tuple[Any, ...]]
    there: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. number: its own among those of all tables. rows: the table's as of the last tick, indexed by the key."""

    number: int
    name: str
    places: tuple[int, ...]
    rows: Callable[[], Snapshot]

    def look(self, delta: Delta, *earlier: Counts | None) -> Looked:
        """Look rows up: one probe for all of them. earlier: what was written since the last tick."""
        at, columns = without_nulls(delta, self.places)
        ids, first = rows.group(columns, len(at))
        touched = rows.take(columns, first)
        there = np.zeros(len(first), np.int64)
        found = self.rows().probe(touched, True, rows=len(first))
        np.add.at(there, found.probe_rows, found.diffs)
        names = _names(touched)
        for counts in earlier:
            if counts:
                there += np.array([counts.get(name, 0) for name in names], np.int64)
        return Looked(at, ids, first, names, there)


def _names(keys: Sequence[pa.Array]) -> list[tuple[Any, ...]]:
    """Keys as Python values that are equal where the keys are."""
    columns = [column.to_pylist() for column in keys]
    for place, column in enumerate(keys):
        if pa.types.is_floating(column.type):
            columns[place] = [NAN if value != value else value for value in columns[place]]
    return list(zip(*columns, strict=True))


def without_nulls(delta: Delta, places: Sequence[int]) -> tuple[npt.NDArray[np.int64], tuple[pa.Array, ...]]:
    """The rows that have a value in all of these columns, and those columns of them."""
    columns = tuple(delta.columns[place] for place in places)
    if not any(column.null_count for column in columns):
        return np.arange(len(delta), dtype=np.int64), columns
    valid = np.ones(len(delta), np.bool_)
    for column in columns:
        valid &= np.asarray(pc.is_valid(column))
    return np.flatnonzero(valid).astype(np.int64), rows.filter_rows(columns, valid)


def already_there(constraint: str, columns: Sequence[str], values: Sequence[Any]) -> QueryError:
    """The error of a key that is there."""
    return QueryError(
        "23505",
        f'duplicate key value violates unique constraint "{constraint}"',
        detail=f"Key ({', '.join(columns)})=({', '.join(map(str, values))}) already exists.",
    )
