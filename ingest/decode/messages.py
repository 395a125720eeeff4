"""Decoders of whole messages: the value alone (envelope none), or key and value together (envelope upsert).

Always true: under upsert the key columns come from the message key even where the value carries them too; a message whose
key and value are both bad has one error, the key's. Deliberately unknown here: formats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode.decoded import Decoded, FieldDecoder, MessageError, Rows
from ingest.messages import Messages

NULL_VALUE = "null value under envelope none; a topic with tombstones needs envelope upsert"
NULL_KEY = "null key under envelope upsert"


class PlainDecoder:
    """Envelope none: each message is one row."""

    def __init__(self, values: FieldDecoder) -> None:
        self._values = values

    def decode(self, messages: Messages) -> Decoded:
        """Decode a batch; a NULL value is an error."""
        fields = self._values.decode(messages.values)
        return Decoded(fields.columns, np.ones(len(fields.rows), np.int64), fields.rows, fields.errors)


class UpsertDecoder:
    """Envelope upsert: the key names a row, the value is its new state, a NULL value deletes it.

    values: gives a row of NULLs for a NULL value.
    order: for each column of the schema its place among key columns followed by value columns.
    """

    def __init__(self, keys: FieldDecoder, values: FieldDecoder, order: tuple[int, ...]) -> None:
        self._keys = keys
        self._values = values
        self._order = order

    def decode(self, messages: Messages) -> Decoded:
        """Decode a batch; a NULL key is an error."""
        keys = self._keys.decode(messages.keys)
        values = self._values.decode(messages.values)
        rows = keys.rows
        key_columns, value_columns = keys.columns, values.columns
        if keys.errors or values.errors:
            rows = np.intersect1d(keys.rows, values.rows, assume_unique=True)
            key_columns = _pick(key_columns, keys.rows, rows)
            value_columns = _pick(value_columns, values.rows, rows)
        columns = key_columns + value_columns
        tombstones = pc.is_null(messages.values).to_numpy(zero_copy_only=False)[rows]
        diffs = np.where(tombstones, np.int64(-1), np.int64(1))
        return Decoded(tuple(columns[place] for place in self._order), diffs, rows, _merge(keys.errors, values.errors))


def _pick(columns: tuple[pa.Array, ...], rows: Rows, wanted: Rows) -> tuple[pa.Array, ...]:
    """The entries of `columns` (which stand for `rows`) that stand for `wanted`, a subset."""
    if len(rows) == len(wanted):
        return columns
    indices = pa.array(np.searchsorted(rows, wanted))
    return tuple(column.take(indices) for column in columns)


def _merge(keys: Sequence[MessageError], values: Sequence[MessageError]) -> list[MessageError]:
    """Both lists by row, a key's error before a value's."""
    reasons: dict[int, str] = dict(values)
    reasons.update((row, reason if reason == NULL_KEY else f"key: {reason}") for row, reason in keys)
    return [MessageError(row, reasons[row]) for row in sorted(reasons)]
