"""Rows in columns: hashing, gathering, grouping and summing them with the native kernels.

Always true: rows are equal when every value is, where NULL equals NULL, NaN equals NaN, 0.0 equals -0.0 and text compares
bytewise; hashes only place rows, equality decides. Every function is pure, and the loops run without the GIL.
Deliberately unknown here: keys, layouts and runs (layout.py), and what a column is called or means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.delta import Delta, Diffs
from dataflow.kernels import _rows

Columns = tuple[pa.Array, ...]
Int64s = npt.NDArray[np.int64]

_from_capsules = pa.Array._import_from_c_capsule


def _columns(pairs: Sequence[tuple[Any, Any]]) -> Columns:
    return tuple([_from_capsules(schema, array) for schema, array in pairs])


def _length(columns: Sequence[pa.Array], rows: int | None) -> int:
    if rows is None:
        return len(columns[0]) if columns else 0
    return rows


INTERVAL_PARTS = ("months", "days", "micros")
INTERVAL = np.dtype(list(zip(INTERVAL_PARTS, ("<i4", "<i4", "<i8"), strict=True)))
"""How an interval lies in memory (`dataflow.types`)."""


def interval_parts(values: pa.Array) -> npt.NDArray[np.void]:
    """Intervals as records of INTERVAL; where the value is NULL they mean nothing."""
    buffer = values.buffers()[1]
    if not len(values) or buffer is None:
        return np.zeros(len(values), INTERVAL)
    return np.frombuffer(buffer, INTERVAL)[values.offset : values.offset + len(values)]


def hash_rows(columns: Sequence[pa.Array], rows: int | None = None) -> npt.NDArray[np.uint64]:
    """The 64-bit hash of each row of these columns, shape (n,); equal rows hash alike on every machine.

    rows: the number of rows, needed only where there are no columns; then every row has one constant hash.
    """
    return _rows.hash_rows(columns, _length(columns, rows))


def take(columns: Sequence[pa.Array], indices: Int64s) -> Columns:
    """The rows at `indices`, in their order; IndexError when a row does not exist. Never shares memory with its input."""
    return _columns(_rows.take(columns, indices))


def take_delta(delta: Delta, indices: Int64s) -> Delta:
    """As `take`, of the rows and their diffs."""
    *columns, diffs = take((*delta.columns, pa.array(delta.diffs)), indices)
    return Delta(tuple(columns), diffs.to_numpy())


def concat(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, one after the other; there must be at least one part, and all have the same types."""
    if len(parts) == 1:
        return parts[0]
    return tuple(pa.concat_arrays(list(pieces)) for pieces in zip(*parts, strict=True))


def concat_deltas(deltas: Sequence[Delta]) -> Delta:
    """The sum of deltas of the same types, not consolidated; there must be at least one."""
    if len(deltas) == 1:
        return deltas[0]
    return Delta(concat([delta.columns for delta in deltas]), np.concatenate([delta.diffs for delta in deltas]))


def filter_rows(columns: Sequence[pa.Array], mask: pa.BooleanArray | npt.NDArray[np.bool_]) -> Columns:
    """The rows where the mask is true; a NULL in an Arrow mask counts as false."""
    if not isinstance(mask, np.ndarray):
        if mask.null_count:
            mask = mask.fill_null(False)
        mask = mask.to_numpy(zero_copy_only=False)
    return take(columns, np.flatnonzero(mask))


def consolidate(delta: Delta) -> Delta:
    """The same change with equal rows added up and zero diffs dropped; rows keep the order they were first seen in."""
    pairs, diffs = _rows.consolidate(delta.columns, delta.diffs)
    return Delta(_columns(pairs), diffs)


def group(columns: Sequence[pa.Array], rows: int | None = None) -> tuple[Int64s, Int64s]:
    """Number the distinct rows of these columns.

    Returns (ids, representatives): ids has shape (n,) and holds each row's group, 0 to g-1 as first seen; representatives
    has shape (g,) and holds the first row of each group. No columns (then `rows` says n): one group, if there are rows.
    """
    return _rows.group(columns, _length(columns, rows))


def sum_by(
    ids: Int64s, groups: int, values: pa.Array | None, diffs: Diffs
) -> tuple[pa.Array, npt.NDArray[np.bool_] | None]:
    """The exact sum of value * diff of each group.

    values: boolean, integer or decimal128 of length n, NULLs skipped; or None, then the diffs are summed.
    Returns (sums, overflow): sums is decimal128(38, scale of the values, 0 for integers), or int64 where values is None.
    overflow is None, or shape (g,) and true where a sum has more than 38 digits: such a sum is given modulo 2**128. What
    overflows on the way to a sum that fits does no harm.
    """
    if values is None:
        return pa.array(_rows.sum_diffs(ids, groups, diffs)), None
    pair, overflow = _rows.sum_values(ids, groups, values, diffs)
    return _from_capsules(*pair), None if overflow is None else overflow.view(np.bool_)


STAYS, LOST = -1, -2
"""What `leaders` says of a group without one."""


def leaders(ids: Int64s, groups: int, values: pa.Array, diffs: Diffs, current: pa.Array, descending: bool) -> Int64s:
    """Which row's value now comes first in each group, shape (g,), as far as these changes say.

    current: by group, of the values' type; NULL where the group has no value. A row that is added and whose value comes before
    `current` and before every other one added (the first such row); else LOST where `current` is taken away; else STAYS: the
    group's first value is surely the same. descending: whether greater values come first. NULL values never come first.
    """
    return _rows.leaders(ids, groups, values, diffs, current, descending)


def float_sums(ids: Int64s, groups: int, values: pa.Array, diffs: Diffs) -> pa.FixedSizeBinaryArray:
    """The exact sum of value * diff of each group as an accumulator (fixed_size_binary); values are float32 or float64.

    Accumulators form a commutative group: what was added can be taken away without a trace. NULLs are skipped; NaN and
    the infinities are counted apart.
    """
    return _from_capsules(*_rows.float_sums(ids, groups, values, diffs))


def float_add(a: pa.FixedSizeBinaryArray, b: pa.FixedSizeBinaryArray) -> pa.FixedSizeBinaryArray:
    """Add accumulators row by row; NULL counts as zero."""
    return _from_capsules(*_rows.float_add(a, b))


def float_round(sums: pa.FixedSizeBinaryArray) -> pa.DoubleArray:
    """The sums as float64, rounded once, ties to even. NULL stays NULL.

    NaN where a NaN or both infinities are in the sum, an infinity where one is or where the sum is beyond float64.
    """
    return _from_capsules(*_rows.float_round(sums))


def float_frames(
    values: pa.Array, bases: pa.Array, ranges: Sequence[tuple[Int64s, Int64s]]
) -> tuple[pa.LargeBinaryArray, pa.DoubleArray, npt.NDArray[np.bool_]]:
    """The exact sum over ranges of rows, for each row of the ranges: what slides along with them is added and taken away.

    values: float32 or float64, NULLs count for nothing. bases: as many packed accumulators that stand in the place of a value,
    NULL where there is none. ranges: one or more (lows, highs), each of shape (m,): the rows low to high - 1; they are added up.
    Returns the sums packed and rounded, and where finite numbers add up to more than a float64 holds.
    """
    packed, rounded, overflow = _rows.float_frames(
        values, bases, [low for low, _ in ranges], [high for _, high in ranges]
    )
    return _from_capsules(*packed), _from_capsules(*rounded), overflow.view(np.bool_)
