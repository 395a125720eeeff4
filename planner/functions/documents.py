"""Making and changing jsonb: to_jsonb, jsonb_build_*, `||`, `-`, jsonb_extract_path, jsonb_strip_nulls, jsonb_pretty.

Always true: what is made is canonical text (see `dataflow.types.ColumnType`). Building is column by column, by joining texts
and reading the result; functions in `PER_ROW` are Python for each different document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.json import encode_rows
from dataflow.scalars import arrays, nested
from dataflow.types import JSONB, NESTED, STRINGS, TEXT, Column, ColumnType, Kind
from planner.functions.by_row import RowError, by_row
from planner.functions.conversion import cast_kernel
from planner.functions.logic import first_errors
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site
from planner.functions.types import FLOATS, INTEGERS, NUMBERS, FunctionError

_J, _T = Kind.JSONB, Kind.TEXT
_NULL, _QUOTE = pa.scalar("null", pa.large_string()), pa.scalar('"', pa.large_string())
_QUOTED = (Column("x", TEXT),)


def _text(*parts: str) -> list[pa.Array]:
    return [pa.array([part], pa.large_string()) for part in parts]


def _joined(parts: list[Any], rows: int) -> Any:
    return scalars.concat(parts, rows, True, None, TEXT.arrow)


def _escaped(values: Any) -> Any:
    """Texts as JSON strings; NULL stays NULL."""
    encoded = encode_rows([values], _QUOTED).cast(pa.large_string())
    shown = pc.utf8_slice_codeunits(encoded, start=len('{"x":'), stop=-1)
    return pc.if_else(pc.is_valid(values), shown, pa.scalar(None, pa.large_string()))


def _json_of(type_: ColumnType) -> Callable[[Any], Any]:
    """Values of a type as JSON texts; NULL stays NULL."""
    if type_.kind is Kind.JSONB:
        return lambda values: values
    if type_.kind in STRINGS:
        return _escaped
    if type_.element is not None:
        inner = _json_of(type_.element)

        def written(values: Any) -> Any:
            made, _ = arrays.each(values, len(values), type_, lambda elements, _count: (inner(elements), None))
            return arrays.json(made, len(values))

        return written
    if type_.kind in NESTED:
        return lambda values: nested.json(values, type_, _json_of)
    cast = cast_kernel(type_, TEXT)
    assert cast is not None

    def shown(values: Any) -> Any:
        texts, _ = cast(values, len(values))
        if type_.kind in (Kind.BOOLEAN, *INTEGERS, Kind.NUMERIC):
            return texts
        if type_.kind in FLOATS:
            return pc.if_else(pc.is_finite(values), texts, _joined([*_text('"'), texts, *_text('"')], len(values)))
        if type_.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            texts = pc.replace_substring(texts, pattern=" ", replacement="T", max_replacements=1)
            texts = pc.replace_substring(texts, pattern="+00", replacement="+00:00", max_replacements=1)
        return _escaped(texts)

    return shown


def _to_jsonb(site: Site) -> Kernel:
    shown = _json_of(site.operands[0].type)
    return lambda operands, rows: scalars.parse(shown(operands[0]), rows, JSONB)


def _build(site: Site) -> Kernel:
    """jsonb_build_object and jsonb_build_array: the parts' texts in brackets."""
    makes_object = site.name == "jsonb_build_object"
    if makes_object and len(site.operands) % 2:
        raise FunctionError(
            "argument list must have even number of elements", "the arguments are keys and values in turns"
        )
    if makes_object and any(operand.type.kind in (Kind.JSONB, Kind.ARRAY, *NESTED) for operand in site.operands[::2]):
        raise FunctionError("key value must be scalar, not array, composite, or json", "cast the key to text")
    shown = [_json_of(operand.type) for operand in site.operands]
    keys = [_key_of(operand.type) for operand in site.operands]

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        parts, errors = _text("{" if makes_object else "["), []
        for place, operand in enumerate(operands):
            if place:
                parts += _text(": " if makes_object and place % 2 else ", ")
            if makes_object and place % 2 == 0:
                key = keys[place](operand)
                errors.append(_missing_key(key, place + 1, rows))
                parts.append(pc.fill_null(key, pa.scalar('""', pa.large_string())))
            else:
                parts.append(pc.fill_null(shown[place](operand), _NULL))
        values, own = scalars.parse(_joined([*parts, *_text("}" if makes_object else "]")], rows), rows, JSONB)
        return values, first_errors([*errors, own])

    return kernel


def _key_of(type_: ColumnType) -> Callable[[Any], Any]:
    if type_.kind not in (Kind.BOOLEAN, *NUMBERS):
        return _json_of(type_)
    cast = cast_kernel(type_, TEXT)
    return lambda values: _escaped(values if cast is None else cast(values, len(values))[0])


def _missing_key(key: Any, place: int, rows: int) -> Any:
    if key.null_count == 0:
        return None
    message = pa.scalar(f"argument {place}: key must not be null", pa.large_string())
    errors = pc.if_else(pc.is_null(key), message, pa.scalar(None, pa.large_string()))
    return errors if len(errors) == rows else pa.repeat(errors[0], rows)


def _concat(_site: Site) -> Kernel:
    """`||`: the members of two objects, the later winning; else the elements, what is no array being one element."""

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        left, right = (value if len(value) == rows else pa.repeat(value[0], rows) for value in operands)
        objects = pc.and_(pc.starts_with(left, pattern="{"), pc.starts_with(right, pattern="{"))
        inner = [pc.if_else(objects, _inside(value, "{"), _inside(value, "[")) for value in (left, right)]
        both = pc.and_(pc.not_equal(inner[0], ""), pc.not_equal(inner[1], ""))
        comma = pc.if_else(both, pa.scalar(", ", pa.large_string()), pa.scalar("", pa.large_string()))
        opening = pc.if_else(objects, pa.scalar("{", pa.large_string()), pa.scalar("[", pa.large_string()))
        closing = pc.if_else(objects, pa.scalar("}", pa.large_string()), pa.scalar("]", pa.large_string()))
        return scalars.parse(_joined([opening, inner[0], comma, inner[1], closing], rows), rows, JSONB)

    return kernel


def _inside(value: Any, opening: str) -> Any:
    """What stands between the brackets of an object or array; a value without such brackets is itself."""
    return pc.if_else(pc.starts_with(value, pattern=opening), pc.utf8_slice_codeunits(value, start=1, stop=-1), value)


class _Number(str):
    """A number as it is written."""


def read_document(text: str) -> Any:
    """A document as Python's values; its numbers are texts of a class of their own."""
    return json.loads(text, parse_int=_Number, parse_float=_Number)


def write_document(value: Any) -> str:
    """Canonical text of what was read from canonical text: members keep their order."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write_document(key)}: {write_document(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_document, value)) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def _without_key(document: str, key: str) -> str:
    value = read_document(document)
    if isinstance(value, dict):
        return write_document({name: item for name, item in value.items() if name != key})
    if isinstance(value, list):
        return write_document([item for item in value if isinstance(item, _Number) or item != key])
    raise RowError("cannot delete from scalar")


def _without_element(document: str, index: int) -> str:
    value = read_document(document)
    if isinstance(value, dict):
        raise RowError("cannot delete from object using integer index")
    if not isinstance(value, list):
        raise RowError("cannot delete from scalar")
    place = index + len(value) if index < 0 else index
    return write_document([item for at, item in enumerate(value) if at != place])


def _strip_nulls(document: str) -> str:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if item is not None}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return write_document(strip(read_document(document)))


def _pretty(document: str) -> str:
    def show(value: Any, indent: str) -> str:
        deeper = indent + "    "
        if isinstance(value, dict):
            parts = [f"{deeper}{write_document(key)}: {show(item, deeper)}" for key, item in value.items()]
        elif isinstance(value, list):
            parts = [deeper + show(item, deeper) for item in value]
        else:
            return write_document(value)
        opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
        return "\n".join([opening, *([",\n".join(parts)] if parts else []), indent + closing])

    return show(read_document(document), "")


def _path(as_text: bool) -> Callable[..., str | None]:
    def walk(document: str, *path: str) -> str | None:
        value = read_document(document)
        for step in path:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.lstrip("+-").isdigit() and -len(value) <= int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        if as_text:
            return None if value is None else str(value) if isinstance(value, str) else write_document(value)
        return write_document(value)

    return walk


_BUILD = Implementation(_build)

FUNCTIONS: tuple[Function, ...] = (
    Function("to_jsonb", (Pattern.ANYTHING,), JSONB, Implementation(_to_jsonb)),
    Function("array_to_json", (Pattern.ARRAY,), JSONB, Implementation(_to_jsonb)),
    *(
        Function(name, (Pattern.ANYTHING,), JSONB, _BUILD, True, 1)
        for name in ("jsonb_build_object", "jsonb_build_array")
    ),
    Function("||", (_J, _J), JSONB, Implementation(_concat)),
    Function("-", (_J, _T), JSONB, by_row(_without_key)),
    Function("-", (_J, Kind.INTEGER), JSONB, by_row(_without_element)),
    Function("jsonb_strip_nulls", (_J,), JSONB, by_row(_strip_nulls)),
    Function("jsonb_pretty", (_J,), TEXT, by_row(_pretty)),
    Function("jsonb_extract_path", (_J, _T), JSONB, by_row(_path(False)), variadic=True),
    Function("jsonb_extract_path_text", (_J, _T), TEXT, by_row(_path(True)), variadic=True),
)

PER_ROW = frozenset(("- (jsonb)", "jsonb_strip_nulls", "jsonb_pretty", "jsonb_extract_path", "jsonb_extract_path_text"))
"""Functions that are Python for each different document."""
