"""Message keys and values as JSON objects.

Always true: keys that are equal in SQL are equal bytes, because partitioning and compaction go by the bytes.
Deliberately unknown here: which rows are written, tombstones.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.json import encode_rows
from dataflow.types import Kind, Schema

_ZERO = {Kind.REAL: pa.scalar(0.0, pa.float32()), Kind.DOUBLE: pa.scalar(0.0, pa.float64())}


def encode_keys(columns: Sequence[pa.Array], schema: Schema) -> pa.LargeBinaryArray:
    """An object of the key columns for each row."""
    # 0.0 and -0.0 are one key but print differently; adding 0.0 makes both 0.0.
    plain = [
        pc.add(array, _ZERO[column.type.kind]) if column.type.kind in _ZERO else array
        for array, column in zip(columns, schema, strict=True)
    ]
    return encode_rows(plain, schema)


def encode_values(columns: Sequence[pa.Array], schema: Schema) -> pa.LargeBinaryArray:
    """An object of all columns for each row."""
    return encode_rows(columns, schema)
