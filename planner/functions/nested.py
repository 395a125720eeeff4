"""Lists, maps and records: making, reading and changing them, as Materialize has them.

Always true: elements, keys and fields are compared as `=` compares them, NULL with NULL where elements or pairs are looked for.
`list`, `list_subscript`, `list_slice`, `map`, `row` and `record_field` are what LIST[...], l[i], l[i:j], MAP[...], ROW(...) and
r.f1 are bound to. Deliberately unknown here: how the values are held (`dataflow.scalars.nested`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.scalars import arrays, nested
from dataflow.scalars.arrays import Measure
from dataflow.types import BOOLEAN, INTEGER, TEXT, ColumnType, Kind, record
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site, fixed, predicate
from planner.functions.types import FunctionError, common_type

_L, _E, _M, _T, _I = Pattern.LIST, Pattern.LISTED, Pattern.MAP, Kind.TEXT, Kind.INTEGER
Types = tuple[ColumnType, ...]
Literals = tuple[object, ...]


def _one(values: Any) -> Any:
    """Values as lists of one element."""
    return arrays.make([values], len(values))


def _first(arguments: Types, _literals: Literals) -> ColumnType:
    return arguments[0]


def _second(arguments: Types, _literals: Literals) -> ColumnType:
    return arguments[1]


def _part(arguments: Types, _literals: Literals) -> ColumnType:
    return arguments[0].parts[0]


def _list_of(arguments: Types, _literals: Literals) -> ColumnType:
    return arguments[0].list


def _map_of(arguments: Types, _literals: Literals) -> ColumnType:
    return map_type(arguments)


def map_type(arguments: Types) -> ColumnType:
    """The type of a map of keys and values in turns. FunctionError where keys are no texts or values of no common type."""
    for key in arguments[::2]:
        if key.kind not in (Kind.TEXT, Kind.VARCHAR, Kind.CHAR):
            raise FunctionError(f"map keys must be text, not {key}", "cast the key to text")
    return common_type(arguments[1::2], "MAP").map


def _record_of(arguments: Types, _literals: Literals) -> ColumnType:
    return record(*arguments)


def _place(literals: Literals) -> int:
    """The field that the second argument names, from 0."""
    return int(str(literals[1])) - 1


def _field_type(arguments: Types, literals: Literals) -> ColumnType:
    return arguments[0].parts[_place(literals)]


def _field(site: Site) -> Kernel:
    constant = site.operands[1].constant
    place = _place((None, None if constant is None else constant.as_py()))
    return lambda operands, rows: (nested.field(operands[0], rows, site.operands[0].type, place), None)


def _subscript(site: Site) -> Kernel:
    type_ = site.operands[0].type
    return lambda operands, rows: (arrays.subscript(operands[0], operands[1:], rows, type_), None)


def _slice(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.slice(operands[0], operands[1:2], operands[2:3], rows), None


def _longest(site: Site) -> Kernel:
    type_, layers = site.operands[0].type, layers_of(site.operands[0].type)

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        values, wanted = (nested.whole(one, rows) for one in operands)
        result = pa.nulls(rows, pa.int32())
        for layer in range(1, layers + 1):
            chosen = pc.fill_null(pc.equal(wanted, layer), False)
            if pc.any(chosen).as_py():
                result = pc.if_else(chosen, nested.longest(values, rows, type_, layer), result)
        wrong = pc.fill_null(pc.or_(pc.less(wanted, 1), pc.greater(wanted, layers)), False)
        wrong = pc.and_(wrong, values.is_valid())
        if not pc.any(wrong).as_py():
            return result, None
        message = f"invalid layer: there are layers 1 to {layers}"
        return result, pc.if_else(wrong, pa.scalar(message, TEXT.arrow), pa.scalar(None, TEXT.arrow))

    return kernel


def layers_of(type_: ColumnType) -> int:
    """How many layers lists of a type have."""
    return 1 + layers_of(type_.parts[0]) if type_.kind is Kind.LIST else 0


def _layers(site: Site) -> Kernel:
    layers = pa.scalar(layers_of(site.operands[0].type), pa.int32())

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        values = nested.whole(operands[0], rows)
        return pc.if_else(values.is_valid(), layers, pa.scalar(None, pa.int32())), None

    return kernel


def _map(site: Site) -> Kernel:
    """MAP[k => v, ...]: pairs of all rows, one after another."""
    number = len(site.operands) // 2

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        keys, values = (pa.concat_arrays([nested.whole(one, rows) for one in operands[first::2]]) for first in (0, 1))
        places = pa.array(np.arange(number * rows).reshape(number, rows).T.ravel())
        return nested.maps(keys.take(places), values.take(places), np.full(rows, number))

    return kernel


def _built(arguments: Types, _literals: Literals) -> ColumnType:
    pair = arguments[0].parts[0]
    if pair.kind is not Kind.RECORD or len(pair.parts) != 2 or pair.parts[0].kind is not Kind.TEXT:
        raise FunctionError(
            f"function map_build({arguments[0]}) does not exist", "it takes a list of records of a text and a value"
        )
    return pair.parts[1].map


def _build(site: Site) -> Kernel:
    type_ = site.operands[0].type

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        lists = nested.whole(operands[0], rows)
        counts, pairs = arrays.elements(lists, rows, type_)
        there = pairs.is_valid().to_numpy(zero_copy_only=False)
        kept = np.bincount(np.repeat(np.arange(rows), counts)[there], minlength=rows)
        _, (keys, values) = nested.take_apart(pairs.drop_null(), type_.parts[0])
        made, errors = nested.maps(keys, values, kept)
        return pc.if_else(lists.is_valid(), made, pa.scalar(None, made.type)), errors

    return kernel


def _lookup(site: Site) -> Kernel:
    type_ = site.operands[0].type
    return lambda operands, rows: (nested.lookup(operands[0], operands[1], rows, type_), None)


def _has_key(operands: Operands, rows: int) -> tuple[Any, Any]:
    key = nested.whole(operands[1], rows)
    found = nested.has_keys(operands[0], _one(key), rows, True)
    return (pc.if_else(key.is_valid(), found, pa.scalar(None, pa.bool_())) if key.null_count else found), None


def _keys(every: bool) -> Implementation:
    return fixed(lambda operands, rows: (nested.has_keys(operands[0], operands[1], rows, every), None))


def _texts(arguments: Types, _literals: Literals) -> ColumnType:
    if arguments[1] != arrays.TEXTS:
        raise FunctionError(f"the keys are text[], not {arguments[1]}", "write ARRAY['a', 'b']")
    return BOOLEAN


FUNCTIONS: tuple[Function, ...] = (
    Function("list", (Pattern.UNIFIED,), _list_of, fixed(lambda a, rows: (arrays.make(a, rows), None)), variadic=True),
    Function("list_subscript", (_L, _I), _part, Implementation(_subscript)),
    Function("list_slice", (_L, _I, _I), _first, fixed(_slice)),
    *(
        Function(name, (_L, _L), _first, fixed(lambda a, rows: arrays.cat(a[0], a[1], rows)))
        for name in ("||", "list_cat")
    ),
    *(
        Function(name, (_L, _E), _first, fixed(lambda a, rows: arrays.push(a[0], _one(a[1]), rows, front=False)))
        for name in ("||", "list_append")
    ),
    *(
        Function(name, (_E, _L), _second, fixed(lambda a, rows: arrays.push(a[1], _one(a[0]), rows, front=True)))
        for name in ("||", "list_prepend")
    ),
    predicate("@>", fixed(lambda a, rows: (arrays.contains(a[0], a[1], rows), None)), _L, _L),
    predicate("<@", fixed(lambda a, rows: (arrays.contains(a[1], a[0], rows), None)), _L, _L),
    Function(
        "list_length", (_L,), INTEGER, fixed(lambda a, rows: (arrays.measure(Measure.CARDINALITY, a[0], rows), None))
    ),
    Function("list_length_max", (_L, _I), INTEGER, Implementation(_longest)),
    *(Function(name, (_L,), INTEGER, Implementation(_layers)) for name in ("list_n_layers", "list_ndims")),
    Function("list_remove", (_L, _E), _first, fixed(lambda a, rows: arrays.remove(a[0], _one(a[1]), rows))),
    Function("map", (Pattern.ANYTHING, Pattern.ANYTHING), _map_of, Implementation(_map), variadic=True),
    Function("map_build", (_L,), _built, Implementation(_build)),
    Function("map_length", (_M,), INTEGER, fixed(lambda a, rows: (nested.length(a[0], rows), None))),
    Function("->", (_M, _T), _part, Implementation(_lookup)),
    predicate("?", fixed(_has_key), _M, _T),
    Function("?&", (_M, Pattern.ARRAY), _texts, _keys(True)),
    Function("?|", (_M, Pattern.ARRAY), _texts, _keys(False)),
    predicate("@>", fixed(lambda a, rows: (nested.contains(a[0], a[1], rows), None)), _M, _M),
    predicate("<@", fixed(lambda a, rows: (nested.contains(a[1], a[0], rows), None)), _M, _M),
    Function(
        "row",
        (Pattern.ANYTHING,),
        _record_of,
        fixed(lambda a, rows: (nested.records(a, rows), None)),
        variadic=True,
    ),
    Function("record_field", (Pattern.RECORD, _I), _field_type, Implementation(_field)),
)
