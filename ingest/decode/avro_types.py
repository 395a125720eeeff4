"""Avro types: which SQL type each one is by itself, which declared types take it, and its form for the kernel.

Always true: what a column takes is decided once for a writer's schema, never guessed from a value. Unknown logical types,
and a duration or uuid of a wrong size, count as the type beneath, as the Avro specification says.
Deliberately unknown here: the wire format, the registry, and the bytes of values (the kernel reads them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL,
    JSONB,
    NUMERIC_PRECISION,
    REAL,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
    Kind,
)

Named = Mapping[str, Any]
"""The parsed named types of a schema by full name."""

Node = tuple[int, int, int, int, list[str], list[int]]
"""One type as the kernel takes it: see `AvroPlan`."""

# The kernel's numbers of types, and of logical types.
_TYPES = (
    "null",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "bytes",
    "string",
    "fixed",
    "enum",
    "array",
    "map",
    "record",
    "union",
)
_LOGICALS = (
    "",
    "decimal",
    "date",
    "timestamp-millis",
    "timestamp-micros",
    "local-timestamp-millis",
    "local-timestamp-micros",
    "time-millis",
    "time-micros",
    "duration",
    "uuid",
)
_TIMESTAMPS = _LOGICALS[3:7]
_BENEATH: dict[str, tuple[str, ...]] = {
    "decimal": ("bytes", "fixed"),
    "date": ("int",),
    **dict.fromkeys(_TIMESTAMPS, ("long",)),
    "time-millis": ("int",),
    "time-micros": ("long",),
    "duration": ("fixed",),
    "uuid": ("string", "fixed"),
}
_SIZES = {"duration": 12, "uuid": 16}
"""Bytes of the fixed types beneath: with any other size the logical type counts for nothing."""
_PLAIN: dict[str, ColumnType] = {
    "boolean": BOOLEAN,
    "int": INTEGER,
    "long": BIGINT,
    "float": REAL,
    "double": DOUBLE,
    "bytes": BYTEA,
    "fixed": BYTEA,
    "string": TEXT,
    "enum": TEXT,
    "date": DATE,
    "timestamp-millis": TIMESTAMPTZ,
    "timestamp-micros": TIMESTAMPTZ,
    "local-timestamp-millis": TIMESTAMP,
    "local-timestamp-micros": TIMESTAMP,
    "time-millis": TIME,
    "time-micros": TIME,
    "duration": INTERVAL,
    "uuid": UUID,
}
_TAKES: dict[Kind, frozenset[str]] = {
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.SMALLINT: frozenset({"int", "long"}),
    Kind.INTEGER: frozenset({"int", "long", "time-millis"}),
    Kind.BIGINT: frozenset({"int", "long", "time-millis", "time-micros"}),
    Kind.NUMERIC: frozenset({"decimal", "int", "long"}),
    Kind.REAL: frozenset({"float"}),
    Kind.DOUBLE: frozenset({"float", "double", "int"}),
    Kind.TEXT: frozenset({"string", "enum", "uuid"}),
    Kind.CHAR: frozenset({"string", "enum"}),
    Kind.VARCHAR: frozenset({"string", "enum", "uuid"}),
    Kind.DATE: frozenset({"date"}),
    Kind.TIMESTAMP: frozenset(_TIMESTAMPS),
    Kind.TIMESTAMPTZ: frozenset({"timestamp-millis", "timestamp-micros"}),
    Kind.BYTEA: frozenset({"bytes", "fixed"}),
    Kind.INTERVAL: frozenset({"string", "duration"}),
    Kind.TIME: frozenset({"string", "time-millis", "time-micros"}),
    Kind.UUID: frozenset({"string", "uuid"}),
}


_ELEMENTS = frozenset(("null", "boolean", "int", "long", "float", "double", "string", "enum", "uuid"))
"""Types of elements whose jsonb reads as the value itself."""


@dataclass(frozen=True, slots=True)
class AvroType:
    """One resolved Avro type. name: a key of `_PLAIN`, or decimal, record, map, array, union, null."""

    name: str
    schema: Any
    nullable: bool


def resolve(schema: Any, named: Named) -> AvroType:
    """What a schema is, names looked up; a union of null and one other type is that type, nullable."""
    if isinstance(schema, list):
        others = [branch for branch in schema if branch not in ("null", {"type": "null"})]
        nullable = len(others) < len(schema)
        if len(others) != 1:
            return AvroType("union" if others else "null", schema, nullable)
        only = resolve(others[0], named)
        return AvroType(only.name, only.schema, nullable or only.nullable)
    definition = _definition(schema, named)
    if isinstance(definition, list):
        return resolve(definition, named)
    name = _name(definition)
    return AvroType(name, definition, name == "null")


def _definition(schema: Any, named: Named) -> Any:
    """A dictionary whose type is a word that Avro defines, or a union."""
    while True:
        if isinstance(schema, list):
            return schema
        if isinstance(schema, str):
            schema = named.get(schema, {"type": schema})
        base = schema["type"]
        if isinstance(base, str) and base not in named:
            return schema
        schema = base


def _name(definition: Mapping[str, Any]) -> str:
    base, logical = str(definition["type"]), definition.get("logicalType", "")
    sized = base != "fixed" or definition["size"] == _SIZES.get(logical, definition["size"])
    if base in _BENEATH.get(logical, ()) and sized:
        return str(logical)
    return "record" if base == "error" else base


def column_type(type: AvroType) -> ColumnType:
    """The SQL type of an Avro type when the source declares none; ValueError when it has no equal."""
    if type.name == "decimal":
        precision, scale = type.schema["precision"], type.schema.get("scale", 0)
        if not 1 <= precision <= NUMERIC_PRECISION or not 0 <= scale <= precision:
            raise ValueError(f"decimal({precision},{scale}) has more than {NUMERIC_PRECISION} digits")
        return ColumnType(Kind.NUMERIC, precision, scale)
    return _PLAIN.get(type.name, JSONB)


def takes(target: ColumnType, type: AvroType, named: Named) -> bool:
    """Whether a column of type `target` can be filled from this Avro type; single values may still be out of range."""
    inner = target.parts[0] if target.kind in (Kind.LIST, Kind.MAP) else target.element
    if inner is not None:
        base, values = ("map", "values") if target.kind is Kind.MAP else ("array", "items")
        if type.name != base:
            return type.name == "null"
        held = resolve(type.schema[values], named)
        return (held.name in _ELEMENTS or held.name in ("array", "map")) and takes(inner, held, named)
    return target.kind is Kind.JSONB or type.name == "null" or type.name in _TAKES[target.kind]


def kernel_nodes(schema: Any, named: Named) -> list[Node]:
    """The schema as the kernel takes it; ValueError for decimals that no column can have."""
    nodes: list[Node] = []
    places: dict[str, int] = {}

    def add(schema: Any) -> int:
        definition = _definition(schema, named)
        union = isinstance(definition, list)
        full_name = "" if union else definition.get("name", "")
        if full_name and full_name in places:
            return places[full_name]
        name = "union" if union else _name(definition)
        base = name if union or name == "record" else definition["type"]
        names: list[str] = []
        children: list[int] = []
        if union:
            children = [add(branch) for branch in definition]
        elif name == "record":
            names = [field["name"] for field in definition["fields"]]
            children = [add(field["type"]) for field in definition["fields"]]
        elif name == "enum":
            names = list(definition["symbols"])
        elif name in ("array", "map"):
            children = [add(definition["items" if name == "array" else "values"])]
        scale = definition.get("scale", 0) if name == "decimal" else 0
        if not 0 <= scale <= NUMERIC_PRECISION:
            raise ValueError(f"a decimal of scale {scale} has more than {NUMERIC_PRECISION} digits")
        size = definition["size"] if base == "fixed" else 0
        logical = _LOGICALS.index(name) if name in _BENEATH else 0
        nodes.append((_TYPES.index(base), logical, size, scale, names, children))
        if full_name:
            places[full_name] = len(nodes) - 1
        return len(nodes) - 1

    add(schema)
    return nodes


def named_types(schema: Any) -> Iterator[tuple[str, Any]]:
    """Full name and definition of every named type inside a parsed schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch)
    elif isinstance(schema, dict):
        if "name" in schema and schema.get("type") in ("record", "error", "enum", "fixed"):
            yield schema["name"], schema
        for key in ("type", "items", "values"):
            yield from named_types(schema.get(key))
        for field in schema.get("fields", ()):
            yield from named_types(field)


def check_bounded(schema: Any, named: Named, around: tuple[str, ...] = ()) -> int:
    """The fewest bytes that a value takes.

    Raises ValueError for schemas whose few bytes can stand for unbounded values (recursive records, arrays of items
    without bytes): a corrupt message could then take all memory or the whole stack.
    """
    definition = _definition(schema, named)
    if isinstance(definition, list):
        for branch in definition:
            check_bounded(branch, named, around)
        return 1
    name = _name(definition)
    if name == "record":
        record = definition["name"]
        if record in around:
            raise ValueError(f"record {record} contains itself, which columns cannot hold")
        return sum(check_bounded(field["type"], named, (*around, record)) for field in definition["fields"])
    if name == "array" and check_bounded(definition["items"], named, around) == 0:
        raise ValueError("an array's items have no bytes, so nothing bounds their number")
    if name == "map":
        check_bounded(definition["values"], named, around)
    if definition["type"] == "fixed":
        return int(definition["size"])
    return 0 if name == "null" else 1
