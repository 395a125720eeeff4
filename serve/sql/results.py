"""The rows of a result: what a dataflow of one step makes of them, in order, cut off, and in pieces.

Always true: a piece has at most PIECE_ROWS rows and is never empty; what has to be whole has at most MAX_RESULT_BYTES.
Deliberately unknown: queries, and where the rows come from.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.layout import Layout, Order
from dataflow.once import Once
from dataflow.rows import consolidate
from dataflow.spine import Spine
from dataflow.types import STRINGS, ColumnType, Kind
from serve.sql.errors import QueryError, from_row

PIECE_ROWS = 65_536
"""Rows of a result that are handed out at a time."""

MAX_RESULT_BYTES = 1 << 30
"""Bytes of a result that has to be whole before its first row is known."""


class Batch(NamedTuple):
    """Rows of a result."""

    columns: tuple[pa.Array, ...]
    rows: int


_PACKED = {Kind.SMALLINT: struct.Struct("=h"), Kind.INTEGER: struct.Struct("=i"), Kind.BIGINT: struct.Struct("=q")}
_ENDS = struct.Struct("=qq")


def one(value: object, type_: ColumnType) -> pa.Array:
    """A value of Python's as an array of one. Numbers and text, of which writes and reads by key are made, without what `pa.array`
    does for everything else: a tenth of the time.
    """
    if value is not None and (packed := _PACKED.get(type_.kind)) is not None:
        return pa.Array.from_buffers(type_.arrow, 1, [None, pa.py_buffer(packed.pack(value))], 0)
    if type(value) is str and type_.kind in STRINGS:
        data = value.encode()
        return pa.Array.from_buffers(
            type_.arrow, 1, [None, pa.py_buffer(_ENDS.pack(0, len(data))), pa.py_buffer(data)], 0
        )
    return pa.array([value], type_.arrow)


def computed(once: Once, inputs: Mapping[str, Delta]) -> Delta:
    """What a dataflow makes of its inputs. QueryError with a row that cannot be computed."""
    result, errors = once.run(inputs)
    if len(errors):
        errors = consolidate(errors)
        wrong = np.flatnonzero(errors.diffs > 0)
        if len(wrong):
            raise from_row(errors.columns[0][int(wrong[0])].as_py())
    return result


def check_size(result: Delta) -> None:
    """QueryError when a result that is whole is too large."""
    size = sum(column.nbytes for column in result.columns)
    if size > MAX_RESULT_BYTES:
        raise QueryError(
            "53400",
            f"the result has {size >> 20} MiB, and may have {MAX_RESULT_BYTES >> 20} MiB",
            hint="aggregate or filter it, or leave out ORDER BY and read it with COPY",
        )


def ordered(result: Delta, types: Sequence[ColumnType], order: tuple[Order, ...]) -> Delta:
    """The rows, consolidated, in the query's order; ties by all columns."""
    spine = Spine(Layout(tuple(types), (), order))
    spine.insert(result)
    return spine.snapshot().rows()


def take(parts: Iterator[Delta], offset: int, limit: int | None, check: Callable[[], None]) -> Iterator[Batch]:
    """The rows at the places that OFFSET and LIMIT leave, of parts that come one after the other."""
    for part in parts:
        check()
        total = int(part.diffs.sum())
        if total > offset:
            for batch in cut(part, offset, limit):
                yield batch
                limit = None if limit is None else limit - batch.rows
        offset = max(0, offset - total)
        if limit == 0:
            return


def cut(rows: Delta, offset: int, limit: int | None) -> Iterator[Batch]:
    """The rows of a consolidated delta, each as often as its diff says, from `offset` on, at most `limit`; in pieces."""
    single = bool((rows.diffs == 1).all())
    upto = np.arange(1, len(rows) + 1) if single else np.cumsum(rows.diffs)
    total = int(upto[-1]) if len(upto) else 0
    end = total if limit is None else min(total, offset + limit)
    for begin in range(offset, end, PIECE_ROWS):
        count = min(PIECE_ROWS, end - begin)
        if single:
            yield Batch(tuple(column.slice(begin, count) for column in rows.columns), count)
        else:
            places = pa.array(np.searchsorted(upto, np.arange(begin, begin + count), side="right"))
            yield Batch(tuple(column.take(places) for column in rows.columns), count)
