"""Avro: Confluent's wire format (a zero byte, the writer's schema id in four bytes, the value), read by the native kernel.

Always true: a value is read with the schema that wrote it, exactly, and nothing may follow it. Fields are columns by name; fields
that are no columns are checked and dropped. Parsing schemas is fastavro's; its reader is the kernel's twin in the tests, not used
here: it takes booleans besides 0 and 1 and negative branches, and rounds decimals to a context that threads share.
Deliberately unknown here: envelopes, and when to ask an unreachable registry again.
"""

from __future__ import annotations

import pyarrow as pa

from dataflow.types import Column, Schema
from ingest.decode.arrays import ArrayColumns, kernel_columns
from ingest.decode.avro_types import check_bounded, column_type, kernel_nodes, named_types, resolve, takes
from ingest.decode.decoded import Fields
from ingest.decode.json import kernel_fields
from ingest.kernels import _decode
from ingest.registry import Registry, UnknownSchemaError

_NO_COLUMN = -1


class AvroFields:
    """Reads a binary column of Avro values.

    null_reason: the error of a NULL entry; None makes it a row of NULLs, `not null` columns included.
    scalar: a schema of one column may also be written bare, without a record around it (message keys).
    """

    def __init__(self, schema: Schema, registry: Registry, null_reason: str | None, scalar: bool = False) -> None:
        self._schema = schema
        self._registry = registry
        self._scalar = scalar
        self._spec = _decode.Spec(kernel_columns(schema), null_reason, scalar)
        self._arrays = ArrayColumns(schema)
        self._plans: dict[int, _decode.AvroPlan | str] = {}

    def decode(self, values: pa.LargeBinaryArray) -> Fields:
        """Decode every entry; raises RegistryUnavailable when a schema cannot be had now."""
        plans = {schema_id: self._plan(schema_id) for schema_id in _decode.schema_ids(values)}
        return self._arrays.read(kernel_fields(self._spec.avro(values, plans)))

    def _plan(self, schema_id: int) -> _decode.AvroPlan | str:
        """How to read what a schema wrote, or the error of every message that has its id."""
        found = self._plans.get(schema_id)
        if found is None:
            try:
                found = self._plans[schema_id] = self._make_plan(schema_id)
            except UnknownSchemaError as error:
                # Not kept: a schema may be registered after the first message that names it was seen.
                return str(error)
        return found

    def _make_plan(self, schema_id: int) -> _decode.AvroPlan | str:
        schema = self._registry.by_id(schema_id)
        named = dict(named_types(schema))
        try:
            check_bounded(schema, named)
            nodes = kernel_nodes(schema, named)
        except ValueError as error:
            return f"schema {schema_id}: {error}"
        whole = resolve(schema, named)
        bare = whole.name != "record" or whole.nullable
        if bare and not self._scalar:
            return f"schema {schema_id} is avro {'union' if whole.nullable else whole.name}, not a record"
        written = {} if bare else {field["name"]: field["type"] for field in whole.schema["fields"]}
        for column in self._schema:
            if not bare and column.name not in written:
                if not column.nullable:
                    return f"column {column.name}: missing in schema {schema_id}, but must not be null"
                continue
            type = resolve(schema if bare else written[column.name], named)
            if not takes(column.type, type, named):
                return f"column {column.name}: expected {column.type}, schema {schema_id} has avro {type.name}"
        places = {column.name: place for place, column in enumerate(self._schema)}
        return _decode.AvroPlan(nodes, bare, [places.get(name, _NO_COLUMN) for name in written])


def avro_columns(registry: Registry, topic: str) -> Schema:
    """The columns of a source that names none: the fields of the newest schema of subject `<topic>-value`.

    Raises RegistryUnavailable, UnknownSchemaError, or ValueError when the schema cannot be columns.
    """
    subject = f"{topic}-value"
    schema = registry.latest(subject)
    named = dict(named_types(schema))
    try:
        check_bounded(schema, named)
    except ValueError as error:
        raise ValueError(f"subject {subject!r}: {error}") from error
    whole = resolve(schema, named)
    if whole.name != "record" or whole.nullable:
        raise ValueError(f"subject {subject!r} is avro {'union' if whole.nullable else whole.name}, not a record")
    columns: list[Column] = []
    for field in whole.schema["fields"]:
        type = resolve(field["type"], named)
        try:
            columns.append(Column(field["name"], column_type(type), type.nullable))
        except ValueError as error:
            raise ValueError(
                f"subject {subject!r}, field {field['name']}: {error}; declare `columns` instead"
            ) from error
    return tuple(columns)
