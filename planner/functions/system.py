"""Functions of pg_catalog that clients call in queries of the catalog. Views cannot name them: they stand under a prefix.

Always true: each is a pure function of its arguments; what depends on the session is a parameter (`planner.parameters`). There
is one user, who owns everything and may read everything; oids of types are PostgreSQL's own.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.scalars.arrays import TEXTS
from dataflow.types import BIGINT, BOOLEAN, INTEGER, JSONB, TEXT, ColumnType, Kind
from planner.functions.arrays import texts_to_arrays
from planner.functions.registry import Function, Operands, Pattern, fixed

PREFIX = "pg_catalog."

OWNER_OID = 10
OWNER = "headwater"

INFORMATION_SCHEMA_FIRST, INFORMATION_SCHEMA_LAST = 13_000, 14_999
"""Oids of the relations of information_schema and headwater, which names without a schema do not find."""

WELL_KNOWN = {
    "pg_type": 1247, "pg_attribute": 1249, "pg_proc": 1255, "pg_class": 1259, "pg_database": 1262, "pg_description": 2609,
    "pg_namespace": 2615, "pg_constraint": 2606, "pg_index": 2610, "pg_attrdef": 2604,
}  # fmt: skip
"""Oids of catalog relations that clients have built in."""

OIDS: dict[Kind, int] = {
    Kind.BOOLEAN: 16,
    Kind.BYTEA: 17,
    Kind.BIGINT: 20,
    Kind.SMALLINT: 21,
    Kind.INTEGER: 23,
    Kind.TEXT: 25,
    Kind.REAL: 700,
    Kind.DOUBLE: 701,
    Kind.DATE: 1082,
    Kind.TIMESTAMP: 1114,
    Kind.TIMESTAMPTZ: 1184,
    Kind.INTERVAL: 1186,
    Kind.TIME: 1083,
    Kind.UUID: 2950,
    Kind.CHAR: 1042,
    Kind.VARCHAR: 1043,
    Kind.NUMERIC: 1700,
    Kind.JSONB: 3802,
    Kind.RECORD: 2249,
    Kind.LIST: 16384,
    Kind.MAP: 16385,
}
"""PostgreSQL's oids of the types that columns have, but for arrays; of lists and maps Materialize's, whatever they hold."""

ARRAY_OIDS: dict[Kind, int] = {
    Kind.BOOLEAN: 1000,
    Kind.BYTEA: 1001,
    Kind.BIGINT: 1016,
    Kind.SMALLINT: 1005,
    Kind.INTEGER: 1007,
    Kind.TEXT: 1009,
    Kind.REAL: 1021,
    Kind.DOUBLE: 1022,
    Kind.DATE: 1182,
    Kind.TIMESTAMP: 1115,
    Kind.TIMESTAMPTZ: 1185,
    Kind.TIME: 1183,
    Kind.UUID: 2951,
    Kind.CHAR: 1014,
    Kind.VARCHAR: 1015,
    Kind.NUMERIC: 1231,
    Kind.JSONB: 3807,
    Kind.INTERVAL: 1187,
    Kind.RECORD: 2287,
}
"""Those of arrays, by the kind of their elements."""

SAID = "headwater_said"
SAID_COLUMNS = ("headwater_what text", "headwater_oid bigint", "headwater_place integer", "headwater_text text")
"""A relation of pg_catalog, and its columns: what LOOKED_UP answer; place is the column that was asked for, 0 for all."""
DEFINITION, COMMENT, NAME = "definition", "comment", "name"
"""What it says of things: how they are made, what is written of them, and how they may be called."""
LOOKED_UP = {
    "pg_get_indexdef": (DEFINITION, True),
    "pg_get_constraintdef": (DEFINITION, False),
    "pg_get_viewdef": (DEFINITION, False),
    "obj_description": (COMMENT, False),
    "col_description": (COMMENT, True),
}
"""Functions of a number whose answers are rows of it: of which kind, and whether their second argument is a column's place."""

_LONG = {
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.TIMESTAMPTZ: "timestamp with time zone",
}
_NAMES = {oid: _LONG.get(kind, kind.value) for kind, oid in OIDS.items()} | {
    18: '"char"',
    19: "name",
    26: "oid",
    705: "unknown",
    2205: "regclass",
    2206: "regtype",
}
_ELEMENTS = {oid: OIDS[kind] for kind, oid in ARRAY_OIDS.items()} | {1003: 19, 1028: 26, 1002: 18}
_ARRAY_OIDS = pa.array(list(_ELEMENTS), pa.int64())
_ELEMENT_OIDS = pa.array(list(_ELEMENTS.values()), pa.int64())
_OIDS = pa.array([*_NAMES, *_ELEMENTS], pa.int64())
_NAME_VALUES = pa.array([*_NAMES.values(), *(f"{_NAMES[oid]}[]" for oid in _ELEMENTS.values())], pa.large_string())


def _format_type(operands: Operands, rows: int) -> tuple[Any, Any]:
    """format_type(oid, typmod): the name of a type; of a numeric with its precision and scale."""
    oids, modifiers = (_whole(operand, rows) for operand in operands)
    of_arrays = pc.is_in(oids, _ARRAY_OIDS)
    if pc.any(of_arrays).as_py():
        elements = pc.coalesce(_ELEMENT_OIDS.take(pc.index_in(oids, _ARRAY_OIDS)), oids)
        names, _ = _format_type((elements, modifiers), rows)
        brackets = pc.if_else(pc.fill_null(of_arrays, False), "[]", "").cast(pa.large_string())
        return pc.binary_join_element_wise(names, brackets, pa.scalar("", pa.large_string())), None
    names = _NAME_VALUES.take(pc.index_in(oids, _OIDS))
    unknown = pc.and_kleene(pc.is_valid(oids), pc.is_null(names))
    names = pc.if_else(unknown, pa.scalar("???", pa.large_string()), names)
    names = _lengths(names, oids, modifiers)
    limited = pc.and_(pc.equal(oids, OIDS[Kind.NUMERIC]), pc.fill_null(pc.greater(modifiers, 3), False))
    if pc.any(limited).as_py():
        rest = pc.subtract(modifiers, 4)
        precision = pc.cast(pc.shift_right(rest, 16), pa.large_string())
        scale = pc.cast(pc.bit_wise_and(rest, 0xFFFF), pa.large_string())
        parts = [pa.scalar(part, pa.large_string()) for part in ("numeric(", ",", ")", "")]
        written = pc.binary_join_element_wise(parts[0], precision, parts[1], scale, parts[2], parts[3])
        names = pc.if_else(pc.fill_null(limited, False), written, names)
    return names, None


def _lengths(names: Any, oids: Any, modifiers: Any) -> Any:
    """The names, those of char and varchar with their length; char without one is bpchar."""
    texts = pc.is_in(oids, pa.array([OIDS[Kind.CHAR], OIDS[Kind.VARCHAR]]))
    if not pc.any(texts).as_py():
        return names
    known = pc.fill_null(pc.greater(modifiers, 4), False)
    length = pc.cast(pc.subtract(modifiers, 4), pa.large_string())
    parts = [pa.scalar(part, pa.large_string()) for part in ("(", ")", "")]
    written = pc.binary_join_element_wise(names, parts[0], length, parts[1], parts[2])
    names = pc.if_else(pc.and_(texts, known), written, names)
    bare = pc.and_(pc.equal(oids, OIDS[Kind.CHAR]), pc.invert(known))
    return pc.if_else(bare, pa.scalar("bpchar", pa.large_string()), names)


def _whole(values: Any, rows: int) -> Any:
    """An argument as one value for each row."""
    values = values if len(values) == rows else pa.repeat(values[0], rows)
    return pc.cast(values, pa.int64())


def _to_regtype(operands: Operands, rows: int) -> tuple[Any, Any]:
    """to_regtype(name): the oid of a type, NULL when there is none of the name."""
    names = operands[0] if len(operands[0]) == rows else pa.repeat(operands[0][0], rows)
    return _OIDS.take(pc.index_in(names, _NAME_VALUES)), None


def _json_build_object(_operands: Operands, rows: int) -> tuple[Any, Any]:
    """json_build_object(...), which SQLAlchemy asks for of columns that there are not here: an error where it is computed."""
    message = pa.scalar("json_build_object is not supported", pa.large_string())
    return pa.nulls(rows, JSONB.arrow), pa.repeat(message, rows)


def _visible(operands: Operands, rows: int) -> tuple[Any, Any]:
    oids = _whole(operands[0], rows)
    inside = pc.and_(pc.greater_equal(oids, INFORMATION_SCHEMA_FIRST), pc.less_equal(oids, INFORMATION_SCHEMA_LAST))
    return pc.invert(inside), None


def _written(operands: Operands, rows: int) -> tuple[Any, Any]:
    """pg_get_expr: expressions are kept as they were written."""
    return operands[0] if len(operands[0]) == rows else pa.repeat(operands[0][0], rows), None


def _schemas(operands: Operands, rows: int) -> tuple[Any, Any]:
    """current_schemas(implicit): where names without a schema are looked for."""
    found = texts_to_arrays([["public"], ["pg_catalog", "public"], None])
    implicit = operands[0] if len(operands[0]) == rows else pa.repeat(operands[0][0], rows)
    return found.take(pc.fill_null(implicit.cast(pa.int64()), 2)), None


def _always(value: object, type_: ColumnType) -> Any:
    scalar = pa.scalar(value, type_.arrow)
    return fixed(lambda _operands, rows: (pa.repeat(scalar, rows), None))


def _constant(name: str, value: object, type_: ColumnType, *counts: int) -> list[Function]:
    """A function that answers the same whatever its arguments, as many as `counts` says."""
    return [Function(PREFIX + name, (Pattern.ANYTHING,) * count, type_, _always(value, type_)) for count in counts]


ENTRIES = (
    Function(PREFIX + "format_type", (Kind.BIGINT, Kind.BIGINT), TEXT, fixed(_format_type)),
    *(
        Function(PREFIX + name, (Kind.BIGINT,), BOOLEAN, fixed(_visible))
        for name in ("pg_table_is_visible", "pg_type_is_visible", "pg_function_is_visible", "pg_collation_is_visible")
    ),
    Function(PREFIX + "current_schemas", (Kind.BOOLEAN,), TEXTS, fixed(_schemas)),
    *_constant("pg_get_userbyid", OWNER, TEXT, 1),
    *_constant("pg_encoding_to_char", "UTF8", TEXT, 1),
    *_constant("shobj_description", None, TEXT, 2),
    Function(PREFIX + "to_regtype", (Kind.TEXT,), BIGINT, fixed(_to_regtype)),
    Function(PREFIX + "json_build_object", (Pattern.ANYTHING,), JSONB, fixed(_json_build_object), variadic=True),
    *(
        Function(PREFIX + "pg_get_expr", (Kind.TEXT, *(Pattern.ANYTHING,) * count), TEXT, fixed(_written))
        for count in (1, 2)
    ),
    *_constant("pg_get_function_result", None, TEXT, 1),
    *_constant("pg_get_function_arguments", None, TEXT, 1),
    *_constant("pg_get_function_identity_arguments", None, TEXT, 1),
    *_constant("pg_get_ruledef", None, TEXT, 1, 2),
    *_constant("pg_get_triggerdef", None, TEXT, 1, 2),
    *_constant("pg_get_partkeydef", None, TEXT, 1),
    *_constant("pg_get_statisticsobjdef_columns", None, TEXT, 1),
    *_constant("pg_get_serial_sequence", None, TEXT, 2),
    *_constant("pg_tablespace_location", "", TEXT, 1),
    *_constant("pg_relation_is_publishable", False, BOOLEAN, 1),
    *_constant("pg_is_in_recovery", False, BOOLEAN, 0),
    *_constant("pg_is_other_temp_schema", False, BOOLEAN, 1),
    *_constant("pg_my_temp_schema", 0, INTEGER, 0),
    *_constant("pg_advisory_unlock_all", None, TEXT, 0),
    *(
        entry
        for name in ("has_table_privilege", "has_schema_privilege", "has_database_privilege", "has_column_privilege")
        for entry in _constant(name, True, BOOLEAN, 2, 3)
    ),
    *_constant("has_any_column_privilege", True, BOOLEAN, 2, 3),
    *_constant("has_function_privilege", True, BOOLEAN, 2, 3),
    *_constant("has_sequence_privilege", True, BOOLEAN, 2, 3),
    *_constant("has_type_privilege", True, BOOLEAN, 2, 3),
    *_constant("pg_has_role", True, BOOLEAN, 2, 3),
)

NAMES = frozenset(entry.name.removeprefix(PREFIX) for entry in ENTRIES)
