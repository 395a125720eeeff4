"""Arrays: making, reading and changing them, comparisons with ANY and ALL, and texts taken apart into arrays.

Always true: elements are compared as `=` compares them, NULL with NULL where PostgreSQL looks for elements; what is done to each
element is done to those of all rows at once. `array`, `array_subscript` and `array_slice` are what ARRAY[...], a[i] and a[i:j]
are bound to; `any` and `all` of an operator's name, a value and an array are `value operator ANY (array)`. Functions in `PER_ROW`
are Python for each different text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.scalars import arrays
from dataflow.scalars.arrays import Measure
from dataflow.types import BOOLEAN, INTEGER, TEXT, ColumnType, Kind
from planner.functions.conversion import cast_kernel
from planner.functions.logic import first_errors
from planner.functions.registry import (
    Function,
    Implementation,
    Kernel,
    Operand,
    Operands,
    Pattern,
    Resolved,
    Site,
    fixed,
    predicate,
    signature,
)
from planner.functions.strings import compiled, constant_of, flags_of
from planner.functions.types import FunctionError, array_of

_A, _E, _T, _I = Pattern.ARRAY, Pattern.ELEMENT, Kind.TEXT, Kind.INTEGER
_TEXTS = arrays.TEXTS
_INTEGERS = INTEGER.array

QUANTIFIED = (
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "like",
    "ilike",
    "not_like",
    "not_ilike",
    "~",
    "~*",
    "!~",
    "!~*",
    "@>",
    "<@",
    "&&",
)
"""The operators that stand before ANY and ALL of an array."""


def _one(values: Any) -> Any:
    """Values as arrays of one element."""
    return arrays.make([values], len(values))


def _same(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _part(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    if len(arguments) % 2 == 0:
        raise FunctionError("a slice has two bounds in each dimension")
    return arguments[0]


def _second(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[1]


def _of_argument(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return array_of(arguments[0])


def _filled(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    if arguments[0].kind is Kind.ARRAY or any(arrays.element_of(one).kind is not Kind.INTEGER for one in arguments[1:]):
        raise FunctionError(
            f"function {signature('array_fill', arguments)} does not exist", "write array_fill(value, ARRAY[2, 3])"
        )
    return array_of(arguments[0])


def _element(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arrays.element_of(arguments[0])


def _make(site: Site) -> Kernel:
    if site.operands[0].type.kind is Kind.ARRAY:
        return arrays.stack
    return lambda operands, rows: (arrays.make(operands, rows), None)


def _subscript(site: Site) -> Kernel:
    type_ = site.operands[0].type
    return lambda operands, rows: (arrays.subscript(operands[0], operands[1:], rows, type_), None)


def _slice(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.slice(operands[0], operands[1::2], operands[2::2], rows), None


def _measure(what: Measure) -> Implementation:
    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        return arrays.measure(what, operands[0], rows, *operands[1:]), None

    return fixed(kernel)


def _replace(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.replace(operands[0], _one(operands[1]), _one(operands[2]), rows)


def _position(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.position(operands[0], _one(operands[1]), operands[2] if len(operands) > 2 else None, rows)


def _fill(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.fill(_one(operands[0]), operands[1], operands[2] if len(operands) > 2 else None, rows)


def _to_string(site: Site) -> Kernel:
    type_ = site.operands[0].type

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        texts = arrays.texts(operands[0], len(operands[0]), type_)
        return arrays.join(texts, operands[1], operands[2] if len(operands) > 2 else None, rows), None

    return kernel


def _to_array(operands: Operands, rows: int) -> tuple[Any, Any]:
    return arrays.split(operands[0], operands[1], operands[2] if len(operands) > 2 else None, rows), None


def _resolved(operator: object, value: ColumnType, array: ColumnType) -> Resolved:
    """The operator of a value and an element."""
    from planner.functions import resolve

    if operator not in QUANTIFIED:
        raise FunctionError(f"ANY and ALL of an array take no {operator}", f"the operators are {' '.join(QUANTIFIED)}")
    return resolve(str(operator), [value, arrays.element_of(array)])


def _truth(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    return _resolved(literals[0], *arguments[1:]).result


def _quantified(every: bool) -> Callable[[Site], Kernel]:
    """`value operator ANY (array)`, or ALL: the operator itself, of each value with each element."""
    return lambda site: _each_compared(site, every)


def _each_compared(site: Site, every: bool) -> Kernel:
    constant, value, array = site.operands
    operator = "" if constant.constant is None else str(constant.constant.as_py())
    resolved = _resolved(operator, value.type, array.type)
    wanted = resolved.arguments
    element = arrays.element_of(array.type)
    before, each = cast_kernel(value.type, wanted[0]), cast_kernel(element, wanted[1])
    assert resolved.function.implementation is not None
    test = resolved.function.implementation.build(Site(operator, tuple(map(Operand, wanted)), BOOLEAN))

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        given, held = (one if len(one) == rows else pa.repeat(one[0], rows) for one in operands[1:])
        counts, elements = arrays.elements(held, rows, array.type)
        count = len(elements)
        repeated = given.take(pa.array(np.repeat(np.arange(rows), counts)))
        errors: list[Any] = []
        for cast, side in ((before, 0), (each, 1)):
            if cast is not None:
                made, failed = cast(repeated if side == 0 else elements, count)
                repeated, elements = (made, elements) if side == 0 else (repeated, made)
                errors.append(failed)
        tests, failed = test([repeated, elements], count)
        answers = arrays.fold(tests, counts, every)
        if held.null_count:
            answers = pc.if_else(held.is_valid(), answers, pa.scalar(None, pa.bool_()))
        return answers, arrays.spread(first_errors([*errors, failed]), counts)

    return kernel


def texts_to_arrays(found: Iterable[Sequence[str | None] | None]) -> pa.Array:
    """Lists of texts as text[]; None as NULL."""
    lists = list(found)
    values = pa.array([text for one in lists if one is not None for text in one], TEXT.arrow)
    made, _ = arrays.group(values, np.array([len(one or ()) for one in lists], np.int64))
    missing = pa.array([one is None for one in lists])
    return pc.if_else(missing, pa.scalar(None, made.type), made)


def _pattern_of(site: Site) -> tuple[re.Pattern[str], bool] | None:
    """The second argument as a pattern, read with the flags of the third, and whether all matches are meant; None for a NULL."""
    pattern = constant_of(site, 1, "pattern")
    flags = constant_of(site, 2, "flags") if len(site.operands) > 2 else ""
    return None if pattern is None or flags is None else read_pattern(pattern, flags)


@lru_cache(256)
def read_pattern(pattern: str, flags: str) -> tuple[re.Pattern[str], bool]:
    """A pattern, and whether all its matches are meant. FunctionError when it is none."""
    every, any_case = flags_of(flags)
    compiled(pattern, flags)
    try:
        return re.compile(pattern, re.DOTALL | (re.IGNORECASE if any_case else 0)), every
    except re.error as error:
        raise FunctionError(f"invalid regular expression: {error}", "write it without what only RE2 has") from None


def groups_of(match: re.Match[str]) -> list[str | None]:
    """What each pair of parentheses holds of a match; the whole of it where there are none."""
    return list(match.groups()) if match.re.groups else [match[0]]


def _by_text(use: Callable[[re.Pattern[str], str], Sequence[str | None] | None], site: Site) -> Kernel:
    found = _pattern_of(site)
    if found is None:
        return lambda _operands, rows: (pa.nulls(rows, _TEXTS.arrow), None)
    pattern, _ = found

    def kernel(operands: Operands, _rows: int) -> tuple[Any, Any]:
        distinct = pc.dictionary_encode(operands[0])
        made = texts_to_arrays(None if t is None else use(pattern, t) for t in distinct.dictionary.to_pylist())
        return made.take(distinct.indices), None

    return kernel


def _match(site: Site) -> Kernel:
    found = _pattern_of(site)
    if found is not None and found[1]:
        raise FunctionError('regexp_match() does not support the "global" option', "use regexp_matches")
    return _by_text(lambda pattern, text: None if (m := pattern.search(text)) is None else groups_of(m), site)


def split_of(pattern: re.Pattern[str], text: str) -> list[str]:
    """A text cut at the matches of a pattern; an empty match at its beginning, its end or behind another one cuts nothing."""
    parts, begin, last = [], 0, 0
    for match in pattern.finditer(text):
        empty = match.start() == match.end()
        if empty and (match.start() in (0, len(text)) or match.start() == last):
            continue
        parts.append(text[begin : match.start()])
        begin = last = match.end()
    return [*parts, text[begin:]]


_LENGTH, _TO_STRING, _TO_ARRAY = _measure(Measure.LENGTH), Implementation(_to_string), fixed(_to_array)

FUNCTIONS: tuple[Function, ...] = (
    Function("array", (Pattern.UNIFIED,), _of_argument, Implementation(_make), variadic=True),
    Function("array_subscript", (_A, _I), _element, Implementation(_subscript), variadic=True),
    Function("array_slice", (_A, _I, _I), _part, fixed(_slice), variadic=True),
    predicate("@>", fixed(lambda a, rows: (arrays.contains(a[0], a[1], rows), None)), _A, _A),
    predicate("<@", fixed(lambda a, rows: (arrays.contains(a[1], a[0], rows), None)), _A, _A),
    predicate("&&", fixed(lambda a, rows: (arrays.overlaps(a[0], a[1], rows), None)), _A, _A),
    *(
        Function(name, (_A, _A), _same, fixed(lambda a, rows: arrays.cat(a[0], a[1], rows)))
        for name in ("||", "array_cat")
    ),
    *(
        Function(name, (_A, _E), _same, fixed(lambda a, rows: arrays.push(a[0], _one(a[1]), rows, front=False)))
        for name in ("||", "array_append")
    ),
    *(
        Function(name, (_E, _A), _second, fixed(lambda a, rows: arrays.push(a[1], _one(a[0]), rows, front=True)))
        for name in ("||", "array_prepend")
    ),
    Function("array_length", (_A, _I), INTEGER, _LENGTH),
    Function("array_lower", (_A, _I), INTEGER, _measure(Measure.LOWER)),
    Function("array_upper", (_A, _I), INTEGER, _measure(Measure.UPPER)),
    Function("array_ndims", (_A,), INTEGER, _measure(Measure.DIMENSIONS)),
    Function("cardinality", (_A,), INTEGER, _measure(Measure.CARDINALITY)),
    Function("array_dims", (_A,), TEXT, fixed(lambda a, rows: (arrays.dims(a[0], rows), None))),
    Function("array_remove", (_A, _E), _same, fixed(lambda a, rows: arrays.remove(a[0], _one(a[1]), rows))),
    Function("array_replace", (_A, _E, _E), _same, fixed(_replace)),
    Function("array_position", (_A, _E, _I), INTEGER, fixed(_position), optional=1),
    Function("array_positions", (_A, _E), _INTEGERS, fixed(lambda a, rows: arrays.positions(a[0], _one(a[1]), rows))),
    Function("array_fill", (Pattern.ANYTHING, _A, _A), _filled, fixed(_fill), optional=1),
    Function("trim_array", (_A, _I), _same, fixed(lambda a, rows: arrays.trim(a[0], a[1], rows))),
    Function("array_to_string", (_A, _T, _T), TEXT, _TO_STRING, optional=1),
    Function("string_to_array", (_T, _T, _T), _TEXTS, _TO_ARRAY, optional=1),
    Function("regexp_match", (_T, _T, _T), _TEXTS, Implementation(_match), optional=1),
    Function(
        "regexp_split_to_array",
        (_T, _T, _T),
        _TEXTS,
        Implementation(lambda site: _by_text(split_of, site)),
        optional=1,
    ),
    *(
        Function(name, (_T, Pattern.ANYTHING, of), _truth, Implementation(_quantified(every)))
        for name, every in (("any", False), ("all", True))
        for of in (_A, Pattern.LIST)
    ),
)

PER_ROW = frozenset(("regexp_match", "regexp_split_to_array"))
"""Functions that are Python for each different text."""
