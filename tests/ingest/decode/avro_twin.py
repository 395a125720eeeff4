"""What the native Avro reader must equal on everything that fastavro wrote: fastavro, and conversions in plain Python.

fastavro reads without logical types, because it rounds decimals and cannot hold every date; they are applied here.
"""

from __future__ import annotations

import math
from base64 import b64encode
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from io import BytesIO
from typing import Any

import fastavro
import numpy as np

from dataflow.types import Column, ColumnType, Kind, Schema
from tests.ingest.decode.twin import (
    EPOCH,
    FIRST_MICROSECOND,
    LAST_MICROSECOND,
    RANGES,
    Bad,
    Number,
    Object,
    canonical,
    within,
)

EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


def decode_avro(columns: Schema, schema: Any, body: bytes) -> list[Any]:
    """One record's values for the columns, or Bad. `schema` is a record as it stands in JSON."""
    stream = BytesIO(body)
    try:
        record: Any = fastavro.schemaless_reader(stream, fastavro.parse_schema(without_logical(schema)), None)
    except (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise Bad("corrupt") from error
    if stream.tell() != len(body):
        raise Bad("more follows")
    types = {field["name"]: field["type"] for field in schema["fields"]}
    return [convert(column, types[column.name], record[column.name]) for column in columns]


def without_logical(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_logical(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_logical(item) if key in ("type", "items", "values") else fields(key, item)
        for key, item in schema.items()
        if key != "logicalType"
    }


def fields(key: str, item: Any) -> Any:
    return [without_logical(field) for field in item] if key == "fields" else item


def convert(column: Column, schema: Any, value: Any) -> Any:
    kind = column.type.kind
    if value is None:
        if not column.nullable:
            raise Bad("null")
        return None
    if isinstance(schema, list) and kind is not Kind.JSONB:
        (schema,) = [branch for branch in schema if branch != "null"]
    logical = schema.get("logicalType", "") if isinstance(schema, dict) else ""
    if kind is Kind.JSONB:
        return canonical(jsonable(value, schema))
    if kind is Kind.NUMERIC:
        return numeric(column.type, unscaled(value), schema["scale"] if logical == "decimal" else 0)
    if kind in RANGES:
        return within(value, -RANGES[kind], RANGES[kind] - 1)
    if kind is Kind.DATE:
        return within(value, 1 - EPOCH, date.max.toordinal() - EPOCH)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return within(value * (1000 if logical.endswith("millis") else 1), FIRST_MICROSECOND, LAST_MICROSECOND)
    if kind is Kind.TEXT and "\0" in value:
        raise Bad("zero character")
    return float(value) if kind is Kind.DOUBLE else value


def unscaled(value: bytes | int) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "big", signed=True)


def numeric(type: ColumnType, value: int, scale: int) -> Decimal:
    if abs(value) >= 10**38:
        raise Bad("range")
    rounded = Decimal(value).scaleb(-scale, EXACT).quantize(Decimal(1).scaleb(-type.decimal_scale), context=EXACT)
    if abs(rounded.scaleb(type.decimal_scale, EXACT)) >= 10 ** (type.precision or 38):
        raise Bad("range")
    return rounded


def jsonable(value: Any, schema: Any) -> Any:
    """The value as twin.canonical takes it."""
    if isinstance(schema, list):
        schema = next(branch for branch in schema if is_of(value, branch))
    if value is None or isinstance(value, bool):
        return value
    base = schema["type"] if isinstance(schema, dict) else schema
    logical = schema.get("logicalType", "") if isinstance(schema, dict) else ""
    if base == "record":
        return Object((field["name"], jsonable(value[field["name"]], field["type"])) for field in schema["fields"])
    if base == "map":
        return Object((key, jsonable(item, schema["values"])) for key, item in value.items())
    if base == "array":
        return [jsonable(item, schema["items"]) for item in value]
    if logical == "decimal":
        if abs(unscaled(value)) >= 10**38:
            raise Bad("range")
        return Number(format(Decimal(unscaled(value)).scaleb(-schema["scale"], EXACT), "f"))
    if logical == "date":
        return date.fromordinal(within(value + EPOCH, 1, date.max.toordinal())).isoformat()
    if "timestamp" in logical:
        micros = within(value * (1000 if logical.endswith("millis") else 1), FIRST_MICROSECOND, LAST_MICROSECOND)
        text = (datetime(1970, 1, 1) + timedelta(microseconds=micros)).isoformat()
        return (text.rstrip("0") if "." in text else text) + ("" if logical.startswith("local") else "Z")
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return Number(np.format_float_scientific(np.float32(value) if base == "float" else value, trim="0"))
    return value if isinstance(value, str) else Number(value)


CLASSES = {"null": type(None), "boolean": bool, "int": int, "long": int, "float": float, "double": float, "string": str}
CLASSES |= {"enum": str, "bytes": bytes, "fixed": bytes, "array": list, "map": dict, "record": dict}


def is_of(value: Any, schema: Any) -> bool:
    base = schema["type"] if isinstance(schema, dict) else schema
    return isinstance(value, CLASSES[base]) and (base == "boolean" or not isinstance(value, bool))
