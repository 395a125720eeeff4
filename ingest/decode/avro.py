"""Avro: Confluent's wire format (a zero byte, the writer's schema id in four bytes, the value) through fastavro.

Always true: a value is read with the schema that wrote it and nothing may follow it; logical types are converted here, exactly,
not by fastavro (which rounds decimals to a shared context). Fields are columns by name; fields that are no columns are dropped.
Deliberately unknown here: envelopes, and when to ask an unreachable registry again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from dataflow.types import Column, Kind, Schema
from ingest.decode.avro_types import (
    Convert,
    UnfitError,
    check_bounded,
    column_type,
    converter,
    named_types,
    resolve,
    without_logical,
)
from ingest.decode.decoded import Fields, MessageError, Rows
from ingest.decode.json import JsonTexts
from ingest.registry import Registry, UnknownSchemaError

_HEADER = 5
# What fastavro raises on bytes that the schema cannot have written.
_CORRUPT = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    MemoryError,
    StopIteration,
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How values of one writer's schema become the columns.

    schema: what fastavro reads with. bare: the value itself is the only column. fields: of each column the field's name
    (None: the schema lacks it) and the conversion (None: as it is).
    """

    schema: Any
    bare: bool
    fields: tuple[tuple[str | None, Convert | None], ...]


class AvroFields:
    """Reads a binary column of Avro values.

    null_reason: the error of a NULL entry; None makes it a row of NULLs, `not null` columns included.
    scalar: a schema of one column may also be written bare, without a record around it (message keys).
    """

    def __init__(self, schema: Schema, registry: Registry, null_reason: str | None, scalar: bool = False) -> None:
        self._schema = schema
        self._registry = registry
        self._null_reason = null_reason
        self._scalar = scalar
        self._plans: dict[int, _Plan | str] = {}

    def decode(self, values: pa.LargeBinaryArray) -> Fields:
        """Decode every entry; raises RegistryUnavailable when a schema cannot be had now."""
        rows: list[int] = []
        columns: list[list[Any]] = [[] for _ in self._schema]
        errors: list[MessageError] = []
        unknown: dict[int, str] = {}
        for row, message in enumerate(values.to_pylist()):
            try:
                record = self._row(message, unknown)
            except UnfitError as error:
                errors.append(MessageError(row, str(error)))
                continue
            rows.append(row)
            for column, value in zip(columns, record, strict=True):
                column.append(value)
        return self._finish(np.array(rows, np.int64), columns, errors)

    def _row(self, message: bytes | None, unknown: dict[int, str]) -> list[Any]:
        """One message as values for pyarrow; `unknown` remembers this batch's ids that the registry does not know."""
        if message is None:
            if self._null_reason is not None:
                raise UnfitError(self._null_reason)
            return [None] * len(self._schema)
        if len(message) < _HEADER or message[0] != 0:
            raise UnfitError("not in Confluent's wire format: a zero byte, a schema id of four bytes, then the value")
        plan = self._plan(int.from_bytes(message[1:_HEADER], "big"), unknown)
        stream = BytesIO(message)
        stream.seek(_HEADER)
        try:
            value = fastavro.schemaless_reader(stream, plan.schema, None)
        except _CORRUPT as error:
            raise UnfitError(f"not what its avro schema describes: {type(error).__name__}") from error
        if stream.tell() != len(message):
            raise UnfitError("not what its avro schema describes: bytes follow the value")
        return self._convert(value, plan)

    def _convert(self, value: Any, plan: _Plan) -> list[Any]:
        converted: list[Any] = []
        for column, (name, convert) in zip(self._schema, plan.fields, strict=True):
            item = value if plan.bare else None if name is None else value[name]
            if item is None:
                if not column.nullable:
                    raise UnfitError(f"column {column.name}: null, but must not be null")
            elif convert is not None:
                try:
                    item = convert(item)
                except UnfitError as error:
                    raise UnfitError(f"column {column.name}: expected {column.type}, read {error}") from error
            converted.append(item)
        return converted

    def _plan(self, schema_id: int, unknown: dict[int, str]) -> _Plan:
        """The plan of a writer's schema; UnfitError when no message of it can be read."""
        found = self._plans.get(schema_id) or unknown.get(schema_id)
        if found is None:
            try:
                found = self._plans[schema_id] = self._make_plan(schema_id)
            except UnknownSchemaError as error:
                found = unknown[schema_id] = str(error)
        if isinstance(found, str):
            raise UnfitError(found)
        return found

    def _make_plan(self, schema_id: int) -> _Plan | str:
        schema = self._registry.by_id(schema_id)
        named = dict(named_types(schema))
        try:
            check_bounded(schema, named)
        except ValueError as error:
            return f"schema {schema_id}: {error}"
        whole = resolve(schema, named)
        bare = whole.name != "record"
        if bare and not self._scalar:
            return f"schema {schema_id} is avro {whole.name}, not a record"
        written = {} if bare else {field["name"]: field["type"] for field in whole.schema["fields"]}
        fields: list[tuple[str | None, Convert | None]] = []
        for column in self._schema:
            if not bare and column.name not in written:
                if not column.nullable:
                    return f"column {column.name}: missing in schema {schema_id}, but must not be null"
                fields.append((None, None))
                continue
            try:
                type = resolve(schema if bare else written[column.name], named)
                fields.append((column.name, converter(type, column.type, named)))
            except UnfitError as error:
                return f"column {column.name}: expected {column.type}, schema {schema_id} has {error}"
        return _Plan(fastavro.parse_schema(without_logical(schema)), bare, tuple(fields))

    def _finish(self, rows: Rows, lists: list[list[Any]], errors: list[MessageError]) -> Fields:
        columns: list[pa.Array] = []
        bad: dict[int, str] = {}
        for column, values in zip(self._schema, lists, strict=True):
            if column.type.kind is Kind.JSONB:
                array, faults = JsonTexts(column.name).canonical(pa.array(values, pa.large_binary()))
                for place, reason in faults:
                    bad.setdefault(place, reason)
            else:
                array = pa.array(values, column.type.arrow)
            columns.append(array)
        if not bad:
            return Fields(tuple(columns), rows, errors)
        good = np.ones(len(rows), np.bool_)
        good[list(bad)] = False
        mask = pa.array(good)
        errors = sorted([*errors, *(MessageError(int(rows[place]), reason) for place, reason in bad.items())])
        return Fields(tuple(column.filter(mask) for column in columns), rows[good], errors)


def avro_columns(registry: Registry, topic: str) -> Schema:
    """The columns of a source that names none: the fields of the newest schema of subject `<topic>-value`.

    Raises RegistryUnavailable, UnknownSchemaError, or ValueError when the schema cannot be columns.
    """
    subject = f"{topic}-value"
    schema = registry.latest(subject)
    named = dict(named_types(schema))
    check_bounded(schema, named)
    whole = resolve(schema, named)
    if whole.name != "record":
        raise ValueError(f"subject {subject!r} is avro {whole.name}, not a record")
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
