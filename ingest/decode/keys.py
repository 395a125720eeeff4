"""Message keys to key columns: JSON, text or avro.

Always true: key columns are typed values like any other column, so two spellings of one key (`1`, ` {"id": 1}`) are the same key.
Deliberately unknown here: what the value says about the same columns; the key wins.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from dataflow.types import Schema
from ingest.decode.arrays import ArrayColumns, kernel_columns
from ingest.decode.avro import AvroFields
from ingest.decode.decoded import FieldDecoder, Fields
from ingest.decode.json import JsonFields, kernel_fields
from ingest.decode.messages import NULL_KEY
from ingest.kernels import _decode
from ingest.registry import Registry


class TextFields:
    """Reads a binary column whose bytes are the text of one typed value: `42`, `2026-11-22`, `a,b`.

    Text and bytea columns take the bytes as they are, none included; numbers, booleans and jsonb are written as in JSON.
    """

    def __init__(self, schema: Schema, null_reason: str) -> None:
        if len(schema) != 1:
            raise ValueError(f"key_format text holds one column, not {len(schema)}; use json or avro")
        self._spec = _decode.Spec(kernel_columns(schema), null_reason, True)
        self._arrays = ArrayColumns(schema)

    def decode(self, values: pa.LargeBinaryArray) -> Fields:
        """Decode every entry."""
        return self._arrays.read(kernel_fields(self._spec.text(values)))


def make_key_fields(
    key_format: Literal["json", "text", "avro"], schema: Schema, registry: Registry | None
) -> FieldDecoder:
    """The reader of keys that hold the columns `schema`; raises ValueError when the format cannot hold them."""
    if key_format == "text":
        return TextFields(schema, NULL_KEY)
    if key_format == "avro" and registry is not None:
        return AvroFields(schema, registry, NULL_KEY, scalar=len(schema) == 1)
    return JsonFields(schema, NULL_KEY, scalar=len(schema) == 1)
