"""Column types: the one list that every room shares.

A `ColumnType` is what SQL says (`numeric(12,2)`); `ColumnType.arrow` is how its values lie in memory. Always true: one SQL
type has exactly one Arrow type, and variable-length columns use 64-bit offsets, so that a run may pass 2 GiB.
Deliberately unknown here: how a type is parsed from a message or printed (doors), and what functions it has (planner).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

NUMERIC_PRECISION = 38
"""Digits of a decimal128: what an exact number may have in all."""

UNCONSTRAINED_SCALE = 16
"""Digits after the point that a `numeric` without a declared scale keeps (also the result of avg and of division)."""


class Kind(Enum):
    """The SQL types that columns can have; the value is PostgreSQL's name of it."""

    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    REAL = "real"
    DOUBLE = "double precision"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    JSONB = "jsonb"
    BYTEA = "bytea"
    INTERVAL = "interval"
    TIME = "time"
    UUID = "uuid"
    CHAR = "character"
    VARCHAR = "character varying"
    ARRAY = "array"
    LIST = "list"
    MAP = "map"
    RECORD = "record"


NESTED = (Kind.LIST, Kind.MAP, Kind.RECORD)
"""The kinds whose types are made of others, their `parts`; arrays are not, as they have no layers."""

_ARROW: dict[Kind, pa.DataType] = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.SMALLINT: pa.int16(),
    Kind.INTEGER: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.REAL: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.TEXT: pa.large_string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Kind.JSONB: pa.large_string(),
    Kind.BYTEA: pa.large_binary(),
    Kind.INTERVAL: pa.month_day_nano_interval(),
    Kind.TIME: pa.duration("us"),
    Kind.UUID: pa.binary(16),
    Kind.CHAR: pa.large_string(),
    Kind.VARCHAR: pa.large_string(),
    Kind.ARRAY: pa.large_binary(),
    **dict.fromkeys(NESTED, pa.large_binary()),
}

_ALIASES = {
    "bool": "boolean",
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "double": "double precision",
    "float": "double precision",
    "varchar": "character varying",
    "bpchar": "character",
    "string": "text",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}

_NUMERIC = re.compile(r"(?:numeric|decimal)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_LIMITED = re.compile(r"(char|character|varchar|character varying|bpchar)\s*\(\s*(\d+)\s*\)")
_MAP = re.compile(r"map\s*\[\s*text\s*=>\s*(.*)\]")
MAXIMUM_LENGTH = 10_485_760
"""Characters that a char or varchar may be declared with, as in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One SQL type. `precision` and `scale` are numeric's own, `length` is that of a char(n) or varchar(n) in characters.

    Invariant: both are None unless kind is NUMERIC. A NUMERIC with scale and no precision is a derived one, as of
    sum(numeric(12,2)): exact to `scale` digits, up to 38 digits in all. With neither it is unconstrained: it keeps
    UNCONSTRAINED_SCALE digits after the point and prints without trailing zeros.
    JSONB values are canonical JSON text: keys sorted by length, then bytes, and unique; `{"a": 1, "b": [1, 2]}` spacing.
    INTERVAL values are Arrow's month_day_nano_interval with microseconds in the third field (nanoseconds would end at 292
    years). Two that compare equal (`1 mon`, `30 days`) are one value to every operator: which of them is shown is not said.
    TIME is a duration since midnight, 24:00 included, which Arrow's time64 has not. CHAR values are kept without the blanks at
    their end, which count for nothing in comparisons: they are put back where a value is shown.
    ARRAY values, of any number of dimensions, are bytes that compare as arrays do: `dataflow.scalars.arrays` alone reads them.
    `element` is the type of what an array has, None unless kind is ARRAY; it is no array, list or map.
    LIST, MAP and RECORD values are bytes that compare as they do: `dataflow.scalars.nested` alone reads them. `parts` are the types
    of what they hold: of a list its elements', of a map its values' (its keys are text), of a record those of its fields f1, f2 ...
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    element: ColumnType | None = None
    parts: tuple[ColumnType, ...] = ()

    @property
    def array(self) -> ColumnType:
        """The type of arrays of this type; an array's own, as its dimensions are no part of its type.

        ValueError for lists and maps: these have layers, for which lists are there.
        """
        if self.kind in (Kind.LIST, Kind.MAP):
            raise ValueError(f"arrays of {self} are not supported: write {self} list")
        return self if self.kind is Kind.ARRAY else ColumnType(Kind.ARRAY, element=self)

    @property
    def list(self) -> ColumnType:
        """The type of lists of this type."""
        return ColumnType(Kind.LIST, parts=(self,))

    @property
    def map(self) -> ColumnType:
        """The type of maps from texts to this type."""
        return ColumnType(Kind.MAP, parts=(self,))

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the values: decimal128(38, scale) for every numeric."""
        if self.kind is Kind.NUMERIC:
            return pa.decimal128(NUMERIC_PRECISION, self.decimal_scale)
        return _ARROW[self.kind]

    @property
    def decimal_scale(self) -> int:
        """Digits after the point that a numeric keeps in memory."""
        return UNCONSTRAINED_SCALE if self.scale is None else self.scale

    @property
    def trims(self) -> bool:
        """Whether trailing zeros are left out when printed: only an unconstrained numeric does so."""
        return self.kind is Kind.NUMERIC and self.scale is None

    def __str__(self) -> str:
        if self.element is not None:
            return f"{self.element}[]"
        if self.kind is Kind.LIST:
            return f"{self.parts[0]} list"
        if self.kind is Kind.MAP:
            return f"map[text=>{self.parts[0]}]"
        if self.kind is Kind.RECORD:
            return f"record({','.join(map(str, self.parts))})"
        if self.precision is not None:
            return f"numeric({self.precision},{self.scale})"
        if self.length is not None:
            return f"{self.kind.value}({self.length})"
        if self.kind is Kind.CHAR:
            return "bpchar"  # `character` alone is character(1)
        return str(self.kind.value)

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Read PostgreSQL's name of a type, or Materialize's of a list or a map; ValueError says which names there are."""
        name = " ".join(text.strip().lower().split())
        if name.endswith("[]"):
            return cls.parse(name[:-2]).array
        if name.endswith(" list"):
            return cls.parse(name[:-5]).list
        if found := _MAP.fullmatch(name):
            return cls.parse(found[1]).map
        if found := _NUMERIC.fullmatch(name):
            precision, scale = int(found[1]), int(found[2] or 0)
            if not 1 <= precision <= NUMERIC_PRECISION or scale > precision:
                raise ValueError(
                    f"numeric({precision},{scale}): precision is 1 to {NUMERIC_PRECISION}, scale 0 to precision"
                )
            return cls(Kind.NUMERIC, precision, scale)
        if found := _LIMITED.fullmatch(name):
            kind, length = Kind(_ALIASES.get(found[1], "character" if found[1] == "char" else found[1])), int(found[2])
            if not 1 <= length <= MAXIMUM_LENGTH:
                raise ValueError(f"{name}: the length is 1 to {MAXIMUM_LENGTH}")
            return cls(kind, length=length)
        if name in ("char", "character"):
            return cls(Kind.CHAR, length=1)
        try:
            return cls(Kind(_ALIASES.get(name, name if name in _NAMED else "")))
        except ValueError:
            raise ValueError(
                f"unknown type {text!r}; the types are {KIND_NAMES}, numeric(p,s), char(n), varchar(n), arrays, such as bigint[], "
                "lists, such as bigint list, and maps, such as map[text=>bigint]"
            ) from None


def record(*fields: ColumnType) -> ColumnType:
    """The type of records with fields of these types. ValueError for none."""
    if not fields:
        raise ValueError("a record has one field at least")
    return ColumnType(Kind.RECORD, parts=fields)


_NAMED = tuple(kind.value for kind in Kind if kind is not Kind.ARRAY and kind not in NESTED)
KIND_NAMES = ", ".join(_NAMED)
"""The types that have a name of their own, for messages."""

BOOLEAN = ColumnType(Kind.BOOLEAN)
SMALLINT = ColumnType(Kind.SMALLINT)
INTEGER = ColumnType(Kind.INTEGER)
BIGINT = ColumnType(Kind.BIGINT)
NUMERIC = ColumnType(Kind.NUMERIC)
REAL = ColumnType(Kind.REAL)
DOUBLE = ColumnType(Kind.DOUBLE)
TEXT = ColumnType(Kind.TEXT)
DATE = ColumnType(Kind.DATE)
TIMESTAMP = ColumnType(Kind.TIMESTAMP)
TIMESTAMPTZ = ColumnType(Kind.TIMESTAMPTZ)
JSONB = ColumnType(Kind.JSONB)
BYTEA = ColumnType(Kind.BYTEA)
INTERVAL = ColumnType(Kind.INTERVAL)
TIME = ColumnType(Kind.TIME)
UUID = ColumnType(Kind.UUID)
CHAR = ColumnType(Kind.CHAR)
VARCHAR = ColumnType(Kind.VARCHAR)
STRINGS = (Kind.CHAR, Kind.VARCHAR, Kind.TEXT)
"""The kinds whose values are texts, each implicitly cast to those behind it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A named, typed column of a relation."""

    name: str
    type: ColumnType
    nullable: bool = True


Schema = tuple[Column, ...]
"""The columns of a relation, in order."""
