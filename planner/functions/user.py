"""Functions that a service brings along: Python over whole columns, with types of SQL.

Always true: what comes back is checked: as many values as rows went in, of the declared type, in its range. Where a call fails, its
rows are halved until it is known which of them fail alone, so that a row's error does not depend on its neighbours: it must
leave with the row. NULLs are handed over, not kept back.
Deliberately unknown: where the functions come from (`headwater.functions`), and whether they are pure, as they must be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import JSONB, TEXT, ColumnType, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site, choose

Called = Callable[..., Any]
"""Takes an argument for each parameter: pyarrow arrays of one length, a pyarrow scalar for what is constant in the query.

Gives an array of that length or a scalar; or such values and, beside them, texts: the error of each row, NULL where there is none.
"""

HANDED = (
    *(Kind.BOOLEAN, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.NUMERIC, Kind.REAL, Kind.DOUBLE, Kind.TEXT),
    *(Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.JSONB, Kind.BYTEA, Kind.UUID),
)
"""The types whose values lie in memory as Arrow's users expect them."""

MESSAGE = 200
"""Characters of an exception that stand in an error."""

_SIGNATURE = re.compile(r"\s*(\w+)\s*\((.*)\)\s*returns\s+(.+?)\s*", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r"\s*([A-Za-z_]\w*)\s+(.+?)\s*", re.DOTALL)
_COMMA = re.compile(r",(?![^()]*\))")
_MICROSECONDS = 86_400_000_000
_FIRST_DAY, _DATE_END, _TIMESTAMP_END = -2_440_588, 2_145_042_906, 106_751_990
"""Days since 1970: PostgreSQL's first, and those behind the last of a date and of a timestamp (`kernels/text_time.h`)."""


class SignatureError(ValueError):
    """A signature that cannot be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class UserFunction:
    """One function. parameters: names and types. text: a hash of what defines it: two are the same when that and the rest is."""

    name: str
    parameters: tuple[tuple[str, ColumnType], ...]
    result: ColumnType
    text: str
    call: Called = field(compare=False, repr=False)

    @property
    def types(self) -> tuple[ColumnType, ...]:
        """The parameters' types."""
        return tuple(type_ for _, type_ in self.parameters)

    def kernel(self, site: Site) -> Kernel:
        """The kernel of one call."""
        del site  # the declared types are those of every call
        return self._run

    def _run(self, operands: Operands, rows: int) -> tuple[Any, Any]:
        if rows == 0:
            return pa.nulls(0, self.result.arrow), None
        parts = self._parts([_handed(one, type_) for one, type_ in zip(operands, self.types, strict=True)], rows)
        if len(parts) == 1:
            return parts[0]
        none = [pa.nulls(len(values), TEXT.arrow) if errors is None else errors for values, errors in parts]
        return pa.concat_arrays([values for values, _ in parts]), pa.concat_arrays(none)

    def _parts(self, operands: Operands, rows: int) -> list[tuple[pa.Array, pa.Array | None]]:
        """Values and errors, in pieces as large as the function takes."""
        try:
            return [self._checked(self.call(*operands), rows)]
        except Exception as error:  # noqa: BLE001 - whatever it raises is an error of the row that it is about
            if rows == 1:
                return [(pa.nulls(1, self.result.arrow), pa.array([self._said(error)], TEXT.arrow))]
        half = rows // 2
        pieces = ((0, half), (half, rows - half))
        return [
            part for at, count in pieces for part in self._parts([_piece(one, at, count) for one in operands], count)
        ]

    def _said(self, error: Exception) -> str:
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        return f"function {self.name}: {first[:MESSAGE]}"

    def _checked(self, made: Any, rows: int) -> tuple[pa.Array, pa.Array | None]:
        """What the function gave, as values of the declared type and errors; an exception says what is wrong with it."""
        values, said = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        values, own = self._domain(_column(values, rows, self.result.arrow), rows)
        if said is None:
            return values, own
        said = _column(said, rows, TEXT.arrow)
        said = pc.binary_join_element_wise(
            pa.scalar(f"function {self.name}", TEXT.arrow), said, pa.scalar(": ", TEXT.arrow)
        )
        return values, said if own is None else pc.coalesce(said, own)

    def _domain(self, values: pa.Array, rows: int) -> tuple[pa.Array, pa.Array | None]:
        """The values as the type has them, and errors of those that are none of it."""
        values.validate(full=True)
        match self.result.kind:
            case Kind.JSONB:
                return scalars.parse(values, rows, JSONB)
            case Kind.NUMERIC if self.result.precision is not None:
                return scalars.cast_number(values, rows, self.result)
            case Kind.DATE | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
                self._in_range(values)
        return values, None

    def _in_range(self, values: pa.Array) -> None:
        date = self.result.kind is Kind.DATE
        ends = pc.min_max(values.cast(pa.int32()) if date else values.cast(pa.int64()))
        unit, end = (1, _DATE_END) if date else (_MICROSECONDS, _TIMESTAMP_END)
        if ends["min"].is_valid and not _FIRST_DAY * unit <= ends["min"].as_py() <= ends["max"].as_py() < end * unit:
            raise ValueError(f"{'date' if date else 'timestamp'} out of range")

    def __str__(self) -> str:
        inner = ", ".join(f"{name} {type_}" for name, type_ in self.parameters)
        return f"{self.name}({inner}) returns {self.result}"


Functions = Mapping[str, tuple[UserFunction, ...]]
"""By name, the functions of that name, which differ in their parameters' types."""


def read_signature(written: str, call: Called, text: str) -> UserFunction:
    """`vat(amount numeric(12,2), country text) returns numeric(12,2)` as a function. SignatureError when it is none."""
    found = _SIGNATURE.fullmatch(written)
    if found is None:
        raise SignatureError(f"read {written!r}, allowed: name(parameter type, ...) returns type")
    name = found[1].lower()
    parameters = []
    for one in _COMMA.split(found[2]) if found[2].strip() else ():
        parts = _PARAMETER.fullmatch(one)
        if parts is None:
            raise SignatureError(f"{name}: read {one.strip()!r}, allowed: a parameter's name and its type")
        parameters.append((parts[1].lower(), _type(name, parts[2])))
    names = [parameter for parameter, _ in parameters]
    if len(set(names)) < len(names):
        raise SignatureError(f"{name}: two parameters have one name, of {', '.join(names)}")
    return UserFunction(name, tuple(parameters), _type(name, found[3]), text, call)


def _type(function: str, written: str) -> ColumnType:
    try:
        found = ColumnType.parse(written)
    except ValueError as error:
        raise SignatureError(f"{function}: {error}") from None
    if found.kind not in HANDED:
        names = ", ".join(kind.value for kind in HANDED)
        raise SignatureError(f"{function}: {found} is not handed to Python; the types are {names}")
    return found


def resolve_user(functions: Sequence[UserFunction], args: Sequence[ColumnType | None]) -> UserFunction:
    """The function, of those of one name, that takes arguments of these types; chosen as overloads are. FunctionError as there."""
    known = {
        Function(
            one.name, tuple(type_.kind for type_ in one.types), one.result, Implementation(one.kernel, scalars=True)
        ): one
        for one in functions
    }
    name = functions[0].name
    return known[choose({name: tuple(known)}, name, args).function]


def _handed(operand: Any, type_: ColumnType) -> Any:
    """The operand as a function gets it: a numeric with its own precision, so that it can be multiplied."""
    if type_.precision is None:
        return operand
    data = pa.decimal128(type_.precision, type_.decimal_scale)
    if isinstance(operand, pa.Scalar):
        return operand.cast(data)
    return pa.Array.from_buffers(data, len(operand), operand.buffers(), offset=operand.offset)


def _piece(operand: Any, at: int, count: int) -> Any:
    """The operand of some rows; a constant is that of all."""
    return operand if isinstance(operand, pa.Scalar) else operand.slice(at, count)


_ALIKE: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_),
    lambda type_: pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_),
    pa.types.is_timestamp,
    pa.types.is_date,
)
"""Families of Arrow types of one meaning: within one, what loses nothing is cast."""


def _column(made: Any, rows: int, wanted: pa.DataType) -> pa.Array:
    """What a function gave as an array of a type. TypeError or ValueError says what it is instead."""
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    if isinstance(made, pa.Scalar):
        made = pa.repeat(made, rows)
    if not isinstance(made, pa.Array):
        raise TypeError(f"gave {type(made).__name__}, not an Arrow array of {wanted}")
    if len(made) != rows:
        raise ValueError(f"gave {len(made)} values for {rows} rows")
    if made.type == wanted:
        return made
    alike = pa.types.is_null(made.type) or any(family(made.type) and family(wanted) for family in _ALIKE)
    if pa.types.is_timestamp(made.type) and pa.types.is_timestamp(wanted):
        alike = (made.type.tz is None) == (wanted.tz is None)
    if not alike:
        raise TypeError(f"gave {made.type}, not {wanted}")
    return made.cast(wanted)
