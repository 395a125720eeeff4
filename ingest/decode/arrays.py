"""Columns of array types: arrays of JSON and of Avro, read as jsonb first, whose elements are read like values that stand bare.

Always true: an array has one dimension; what a bare value of the element's type may be, an element may be, and null is NULL; a
message with an element that is none, or with a value that is no array, is an error. Deliberately unknown here: formats.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import arrays
from dataflow.types import JSONB, Column, ColumnType, Kind, Schema
from ingest.decode.decoded import Fields, MessageError
from ingest.kernels import _decode

_KINDS = {kind: number for number, kind in enumerate(Kind)}
_NULL = "an element without a value"


def kernel_columns(schema: Schema) -> list[tuple[str, int, int, int, bool, str]]:
    """The schema as the kernel takes it: name, kind, digits or characters (0: not limited), scale, nullable, type."""
    return [_kernel_column(column, JSONB if column.type.kind is Kind.ARRAY else column.type) for column in schema]


def _kernel_column(column: Column, type_: ColumnType) -> tuple[str, int, int, int, bool, str]:
    return (
        column.name,
        _KINDS[type_.kind],
        type_.precision or type_.length or 0,
        type_.decimal_scale if type_.kind is Kind.NUMERIC else 0,
        column.nullable,
        str(column.type),
    )


class ArrayColumns:
    """What makes arrays of the columns of a schema that were read as jsonb."""

    def __init__(self, schema: Schema) -> None:
        self._columns = {
            place: (column, _decode.Spec([_kernel_column(Column("element", element), element)], _NULL, True))
            for place, column in enumerate(schema)
            if (element := column.type.element) is not None
        }

    def read(self, fields: Fields) -> Fields:
        """The fields with arrays for jsonb, without the messages that hold no such arrays."""
        if not self._columns:
            return fields
        columns, failed = list(fields.columns), dict[int, str]()
        for place, (column, spec) in self._columns.items():
            columns[place], wrong = _arrays(columns[place], column, spec)
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


def _arrays(documents: pa.Array, column: Column, spec: _decode.Spec) -> tuple[pa.Array, list[tuple[int, str]]]:
    """The arrays, and the rows that have none with the reasons."""
    number = len(documents)
    counted, _, members, refused = scalars.json_expand(documents, number, "array", is_object=False, as_text=False)
    counts: npt.NDArray[np.int64] = counted.to_numpy()
    failed: list[tuple[int, str]] = []
    if refused is not None:
        rows = np.flatnonzero(refused.is_valid().to_numpy(zero_copy_only=False))
        failed += [(int(row), f"expected {column.type}, found no array") for row in rows]
    good, (capsules,), errors = spec.json(members.cast(pa.large_binary()))
    values = pa.Array._import_from_c_capsule(*capsules)
    if errors:
        owners = np.repeat(np.arange(number), counts)
        failed += [(int(owners[at]), f"an element of {column.type}: {_reason(reason)}") for at, reason in errors]
        places = np.full(len(members), -1)
        places[good] = np.arange(len(good))
        values = values.take(pa.array(np.maximum(places, 0), mask=places < 0))
    made, large = arrays.group(values, counts)
    if large is not None:
        rows = np.flatnonzero(large.is_valid().to_numpy(zero_copy_only=False))
        failed += [(int(row), str(large[int(row)])) for row in rows]
    return pc.if_else(documents.is_valid(), made, pa.scalar(None, made.type)), failed


def _reason(reason: str) -> str:
    """A reason without the name that the element's column has here."""
    return reason.removeprefix("column element: ")
