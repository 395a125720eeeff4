"""Avro types: which SQL type each one is by itself, and how its values become those of a declared column.

Always true: a conversion is exact or a fault; it is chosen once for a writer's schema, never guessed from a value. Logical
types that SQL has no type for (time-millis, duration) count as the type beneath, as the Avro specification says of unknown ones.
Deliberately unknown here: the wire format, the registry, and how a value's bytes are read.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite
from typing import Any

import msgspec

from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    JSONB,
    NUMERIC_PRECISION,
    REAL,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    ColumnType,
    Kind,
)

Named = Mapping[str, Any]
"""The parsed named types of a schema by full name."""

Convert = Callable[[Any], Any]
"""From what fastavro reads (without logical types) to what pyarrow takes for the column; raises `UnfitError`."""

# Years 0001 to 9999, as in JSON.
_DAYS = range(-719_162, 2_932_897)
_MICROSECONDS = range(_DAYS.start * 86_400_000_000, _DAYS.stop * 86_400_000_000)
_EPOCH = datetime(1970, 1, 1)
# No rounding before the one that is wanted.
_EXACT = Context(prec=2000, rounding=ROUND_HALF_UP)
_LOGICAL = {
    ("bytes", "decimal"): "decimal",
    ("fixed", "decimal"): "decimal",
    ("int", "date"): "date",
    ("long", "timestamp-millis"): "timestamp-millis",
    ("long", "timestamp-micros"): "timestamp-micros",
    ("long", "local-timestamp-millis"): "local-timestamp-millis",
    ("long", "local-timestamp-micros"): "local-timestamp-micros",
}
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
}
# Which Avro types a declared type takes, besides jsonb, which takes all.
_TAKES: dict[Kind, frozenset[str]] = {
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.SMALLINT: frozenset({"int", "long"}),
    Kind.INTEGER: frozenset({"int", "long"}),
    Kind.BIGINT: frozenset({"int", "long"}),
    Kind.NUMERIC: frozenset({"decimal", "int", "long"}),
    Kind.REAL: frozenset({"float"}),
    Kind.DOUBLE: frozenset({"float", "double", "int"}),
    Kind.TEXT: frozenset({"string", "enum"}),
    Kind.DATE: frozenset({"date"}),
    Kind.TIMESTAMP: frozenset({kind for kind in _PLAIN if "timestamp" in kind}),
    Kind.TIMESTAMPTZ: frozenset({"timestamp-millis", "timestamp-micros"}),
    Kind.BYTEA: frozenset({"bytes", "fixed"}),
}
_INTEGERS = {Kind.SMALLINT: range(-(2**15), 2**15), Kind.INTEGER: range(-(2**31), 2**31)}


class UnfitError(Exception):
    """A value that its column cannot hold; the text says what was read, without the value."""


@dataclass(frozen=True, slots=True)
class AvroType:
    """One resolved Avro type. name: a key of `_PLAIN`, or decimal, record, map, array, union, null."""

    name: str
    schema: Any
    nullable: bool


def resolve(schema: Any, named: Named) -> AvroType:
    """What a schema is, names looked up; a union of null and one other type is that type, nullable."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if isinstance(schema, str):
        return AvroType(schema, {"type": schema}, schema == "null")
    if isinstance(schema, list):
        others = [branch for branch in schema if branch not in ("null", {"type": "null"})]
        nullable = len(others) < len(schema)
        if len(others) == 1:
            return AvroType(*_parts(resolve(others[0], named)), nullable)
        return AvroType("union" if others else "null", others, nullable)
    base = schema["type"]
    if not isinstance(base, str) or base in named:
        return resolve(base, named)
    return AvroType(_LOGICAL.get((base, schema.get("logicalType", "")), base), schema, base == "null")


def _parts(type: AvroType) -> tuple[str, Any]:
    return type.name, type.schema


def column_type(type: AvroType) -> ColumnType:
    """The SQL type of an Avro type when the source declares none; ValueError when it has no equal."""
    if type.name == "decimal":
        precision, scale = type.schema["precision"], type.schema.get("scale", 0)
        if not 1 <= precision <= NUMERIC_PRECISION or not 0 <= scale <= precision:
            raise ValueError(f"decimal({precision},{scale}) has more than {NUMERIC_PRECISION} digits")
        return ColumnType(Kind.NUMERIC, precision, scale)
    if type.name in ("null", "record", "error", "map", "array", "union"):
        return JSONB
    return _PLAIN[type.name]


def converter(type: AvroType, target: ColumnType, named: Named) -> Convert | None:
    """How values of `type` become values of `target`; None: they are already. Raises UnfitError when they cannot be."""
    kind = target.kind
    if kind is Kind.JSONB:
        return lambda value: _JSON.encode(jsonable(value, type.schema, named))
    if type.name == "null":
        return None
    if type.name not in _TAKES[kind]:
        raise UnfitError(f"avro {type.name}")
    if kind is Kind.NUMERIC:
        scale = type.schema.get("scale", 0) if type.name == "decimal" else 0
        return lambda value: _numeric(value, scale, target)
    if kind in _INTEGERS:
        allowed = _INTEGERS[kind]
        return lambda value: _within(value, allowed)
    if kind is Kind.DATE:
        return lambda value: _within(value, _DAYS)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        factor = 1000 if type.name.endswith("millis") else 1
        return lambda value: _within(value * factor, _MICROSECONDS)
    return _text if kind is Kind.TEXT else None


def _within(value: int, allowed: range) -> int:
    if value not in allowed:
        raise UnfitError("a value out of range")
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise UnfitError("text with a zero character")
    return value


def _numeric(value: bytes | int, scale: int, target: ColumnType) -> Decimal:
    """The exact number at the column's scale, rounded half away from zero."""
    number = _decimal(value, scale)
    digits = target.precision or NUMERIC_PRECISION
    if number.adjusted() > NUMERIC_PRECISION:
        raise UnfitError("a value out of range")
    rounded = number.quantize(Decimal(1).scaleb(-target.decimal_scale), context=_EXACT)
    if rounded and rounded.adjusted() + target.decimal_scale >= digits:
        raise UnfitError("a value out of range")
    return rounded


def _decimal(value: bytes | int, scale: int) -> Decimal:
    if isinstance(value, bytes):
        if len(value) > 64:  # 154 digits: bounds the work on corrupt lengths
            raise UnfitError("a value out of range")
        value = int.from_bytes(value, "big", signed=True)
    return Decimal(value).scaleb(-scale, _EXACT)


_JSON = msgspec.json.Encoder(decimal_format="number")


def jsonable(value: Any, schema: Any, named: Named) -> Any:
    """An Avro value as msgspec can write it: logical types as in JSON messages, bytes as base64, NaN and infinities as text."""
    type = resolve(schema, named)
    if value is None:
        return None
    if type.name == "union":
        branch = next((branch for branch in type.schema if _is_of(value, resolve(branch, named))), None)
        return jsonable(value, branch, named)
    if type.name in ("record", "error"):
        return {field["name"]: jsonable(value[field["name"]], field["type"], named) for field in type.schema["fields"]}
    if type.name == "map":
        return {_text(key): jsonable(item, type.schema["values"], named) for key, item in value.items()}
    if type.name == "array":
        return [jsonable(item, type.schema["items"], named) for item in value]
    return _jsonable_scalar(value, type)


def _jsonable_scalar(value: Any, type: AvroType) -> Any:
    name = type.name
    if name == "decimal":
        return _decimal(value, type.schema.get("scale", 0))
    if name == "date":
        return (date(1970, 1, 1) + timedelta(days=_within(value, _DAYS))).isoformat()
    if "timestamp" in name:
        micros = _within(value * (1000 if name.endswith("millis") else 1), _MICROSECONDS)
        moment = (_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None if name.startswith("local") else UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


_CLASSES: dict[str, type[Any]] = {"boolean": bool, "float": float, "double": float, "string": str, "enum": str}
_CLASSES |= {
    "bytes": bytes,
    "fixed": bytes,
    "decimal": bytes,
    "record": dict,
    "error": dict,
    "map": dict,
    "array": list,
}


def _is_of(value: Any, type: AvroType) -> bool:
    """Whether a value that was read may have come from this branch of a union."""
    if not isinstance(value, _CLASSES.get(type.name, int)) or (isinstance(value, bool) and type.name != "boolean"):
        return False
    return type.name not in ("record", "error") or set(value) == {field["name"] for field in type.schema["fields"]}


def without_logical(schema: Any) -> Any:
    """The schema without logical types: the same bytes, read as they are."""
    if isinstance(schema, list):
        return [without_logical(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: item for key, item in schema.items() if key not in ("logicalType", "precision", "scale")}
    for key in ("type", "items", "values"):
        if key in kept:
            kept[key] = without_logical(kept[key])
    if "fields" in kept:
        kept["fields"] = [without_logical(field) for field in kept["fields"]]
    return kept


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
    type = resolve(schema, named)
    if type.name == "null":
        return 0
    if type.name in ("record", "error"):
        name = type.schema["name"]
        if name in around:
            raise ValueError(f"record {name} contains itself, which columns cannot hold")
        fewest = [check_bounded(field["type"], named, (*around, name)) for field in type.schema["fields"]]
        return 1 if type.nullable else sum(fewest)
    if type.name == "union":
        for branch in type.schema:
            check_bounded(branch, named, around)
        return 1
    if type.name == "array" and check_bounded(type.schema["items"], named, around) == 0:
        raise ValueError("an array's items have no bytes, so nothing bounds their number")
    if type.name == "map":
        check_bounded(type.schema["values"], named, around)
    if type.schema.get("type") == "fixed" and not type.nullable:
        return int(type.schema["size"])
    return 1
