"""JSON: one object for each message, read by the native kernel straight into columns.

Always true: RFC 8259 to the letter (valid UTF-8, no NaN, nothing after the value), at most MAXIMUM_DEPTH nested values, and a
declared column at most once in an object. Unknown fields are checked as JSON and dropped; a missing field is NULL.
Deliberately unknown here: envelopes.
"""

from __future__ import annotations

import pyarrow as pa

from dataflow.types import Schema
from ingest.decode.arrays import ArrayColumns, kernel_columns
from ingest.decode.decoded import Fields, MessageError
from ingest.kernels import _decode

MAXIMUM_DEPTH: int = _decode.MAXIMUM_DEPTH
"""How deep objects and arrays may nest, the message's own object included."""


class JsonFields:
    """Reads a binary column of JSON objects.

    null_reason: the error of a NULL entry; None makes it a row of NULLs, `not null` columns included.
    scalar: a schema of one column may also stand bare, without an object around it (message keys).
    """

    def __init__(self, schema: Schema, null_reason: str | None, scalar: bool = False) -> None:
        if scalar and len(schema) != 1:
            raise ValueError(f"a bare key is one column, not {len(schema)}")
        self._spec = _decode.Spec(kernel_columns(schema), null_reason, scalar)
        self._arrays = ArrayColumns(schema)

    def decode(self, values: pa.LargeBinaryArray) -> Fields:
        """Decode every entry."""
        return self._arrays.read(kernel_fields(self._spec.json(values)))


def kernel_fields(result: _decode.Result) -> Fields:
    """The kernel's columns as arrays; nothing is copied."""
    rows, columns, errors = result
    arrays = tuple(pa.Array._import_from_c_capsule(*capsules) for capsules in columns)
    return Fields(arrays, rows, [MessageError(row, reason) for row, reason in errors])
