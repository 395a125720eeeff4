"""Types as PostgreSQL's catalog and wire number and measure them.

Always true: pg_type and RowDescription say the same of a type. Deliberately unknown: values.
"""

from __future__ import annotations

from dataflow.types import ColumnType, Kind
from planner.functions.system import ARRAY_OIDS, OIDS

_NAMES = {
    Kind.BOOLEAN: "bool", Kind.SMALLINT: "int2", Kind.INTEGER: "int4", Kind.BIGINT: "int8", Kind.REAL: "float4",
    Kind.DOUBLE: "float8", Kind.CHAR: "bpchar", Kind.VARCHAR: "varchar",
}  # fmt: skip
_SIZES = {
    Kind.BOOLEAN: 1,
    Kind.SMALLINT: 2,
    Kind.INTEGER: 4,
    Kind.BIGINT: 8,
    Kind.REAL: 4,
    Kind.DOUBLE: 8,
    Kind.DATE: 4,
    Kind.TIMESTAMP: 8,
    Kind.TIMESTAMPTZ: 8,
    Kind.INTERVAL: 16,
    Kind.TIME: 8,
    Kind.UUID: 16,
}


def type_name(type_: ColumnType) -> str:
    """The name of a type in pg_type."""
    if type_.element is not None:
        return f"_{type_name(type_.element)}"
    return _NAMES.get(type_.kind, type_.kind.value)


def oid(type_: ColumnType) -> int:
    """PostgreSQL's number of the type."""
    return OIDS[type_.kind] if type_.element is None else ARRAY_OIDS[type_.element.kind]


def size(type_: ColumnType) -> int:
    """Bytes of a value in PostgreSQL's own storage; -1 when they vary."""
    return _SIZES.get(type_.kind, -1)


def modifier(type_: ColumnType) -> int:
    """The typmod: of a numeric its precision and scale, of char and varchar their length, else -1."""
    if type_.element is not None:
        return modifier(type_.element)
    if type_.length is not None:
        return type_.length + 4
    return -1 if type_.precision is None else ((type_.precision << 16) | (type_.scale or 0)) + 4
