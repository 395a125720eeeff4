"""Columns of arrays, lists and maps: arrays and objects of JSON, arrays and maps of Avro, read as jsonb first, then what they hold.

Always true: an array has one dimension, a list the layers of its type; what a bare value of the element's type may be, an element
may be, and null is NULL; a message with an element that is none, or with a value that is no array (of a map: no object), is an
error. Deliberately unknown here: formats.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import arrays, nested
from dataflow.types import JSONB, Column, ColumnType, Kind, Schema
from ingest.decode.decoded import Fields, MessageError
from ingest.kernels import _decode

_KINDS = {kind: number for number, kind in enumerate(Kind)}
_NULL = "an element without a value"


def kernel_columns(schema: Schema) -> list[tuple[str, int, int, int, bool, str]]:
    """The schema as the kernel takes it: name, kind, digits or characters (0: not limited), scale, nullable, type."""
    return [_kernel_column(column, JSONB if _inner(column.type) else column.type) for column in schema]


def _kernel_column(column: Column, type_: ColumnType) -> tuple[str, int, int, int, bool, str]:
    return (
        column.name,
        _KINDS[type_.kind],
        type_.precision or type_.length or 0,
        type_.decimal_scale if type_.kind is Kind.NUMERIC else 0,
        column.nullable,
        str(column.type),
    )


def _inner(type_: ColumnType) -> ColumnType | None:
    """The type of what an array, a list or a map holds; None for all other types."""
    return type_.parts[0] if type_.kind in (Kind.LIST, Kind.MAP) else type_.element


class ArrayColumns:
    """What makes arrays, lists and maps of the columns of a schema that were read as jsonb."""

    def __init__(self, schema: Schema) -> None:
        self._columns = {
            place: (column, _spec(column.type))
            for place, column in enumerate(schema)
            if _inner(column.type) is not None
        }

    def read(self, fields: Fields) -> Fields:
        """The fields with arrays, lists and maps for jsonb, without the messages that hold no such values."""
        if not self._columns:
            return fields
        columns, failed = list(fields.columns), dict[int, str]()
        for place, (column, spec) in self._columns.items():
            columns[place], wrong = _read(columns[place], column.type, spec)
            for row, reason in wrong:
                failed.setdefault(row, f"column {column.name}: {reason}")
        if not failed:
            return replace(fields, columns=tuple(columns))
        kept = np.ones(len(fields.rows), np.bool_)
        kept[list(failed)] = False
        errors = [MessageError(int(fields.rows[row]), reason) for row, reason in failed.items()]
        return Fields(
            tuple(column.filter(pa.array(kept)) for column in columns),
            fields.rows[kept],
            sorted([*fields.errors, *errors]),
        )


def _spec(type_: ColumnType) -> _decode.Spec:
    """What reads the innermost values of a type."""
    inner = _inner(type_)
    return (
        _decode.Spec([_kernel_column(Column("element", type_), type_)], _NULL, True) if inner is None else _spec(inner)
    )


Failed = list[tuple[int, str]]


def _read(documents: pa.Array, type_: ColumnType, spec: _decode.Spec) -> tuple[pa.Array, Failed]:
    """The values that documents hold, and the rows that have none with the reasons."""
    number, inner, of_objects = len(documents), _inner(type_), type_.kind is Kind.MAP
    assert inner is not None
    word = "object" if of_objects else "array"
    counted, keys, members, refused = scalars.json_expand(documents, number, word, is_object=of_objects, as_text=False)
    counts: npt.NDArray[np.int64] = counted.to_numpy()
    failed: Failed = []
    if refused is not None:
        rows = np.flatnonzero(refused.is_valid().to_numpy(zero_copy_only=False))
        failed += [(int(row), f"expected {type_}, found no {word}") for row in rows]
    values, wrong = _innermost(members, spec) if _inner(inner) is None else _layer(members, inner, spec)
    owners = np.repeat(np.arange(number), counts)
    failed += [(int(owners[at]), f"an element of {type_}: {reason}") for at, reason in wrong]
    made, large = nested.maps(keys, values, counts) if of_objects else arrays.group(values, counts)
    if large is not None:
        rows = np.flatnonzero(large.is_valid().to_numpy(zero_copy_only=False))
        failed += [(int(row), str(large[int(row)])) for row in rows]
    return pc.if_else(documents.is_valid(), made, pa.scalar(None, made.type)), failed


def _innermost(members: pa.Array, spec: _decode.Spec) -> tuple[pa.Array, Failed]:
    good, (capsules,), errors = spec.json(members.cast(pa.large_binary()))
    values = pa.Array._import_from_c_capsule(*capsules)
    if errors:
        places = np.full(len(members), -1)
        places[good] = np.arange(len(good))
        values = values.take(pa.array(np.maximum(places, 0), mask=places < 0))
    return values, [(at, _reason(reason)) for at, reason in errors]


def _layer(members: pa.Array, type_: ColumnType, spec: _decode.Spec) -> tuple[pa.Array, Failed]:
    return _read(pc.if_else(pc.equal(members, "null"), pa.scalar(None, members.type), members), type_, spec)


def _reason(reason: str) -> str:
    """A reason without the name that the element's column has here."""
    return reason.removeprefix("column element: ")
