"""What an entry of the function registry is, and the overload resolution over entries.

Always true: entries are frozen; a name may have several (overloads); the resolution follows PostgreSQL 15's chapter 10:
exact match, then most exact arguments, then preferred types, then the category of untyped literals.
Deliberately unknown here: which functions there are (one module for each family) and how they are computed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa

from dataflow.types import BOOLEAN, TEXT, ColumnType, Kind
from planner.functions.types import (
    CATEGORIES,
    INTEGERS,
    NUMBERS,
    PREFERRED,
    FunctionError,
    array_of,
    common_type,
    implicit_kind,
    numeric_of,
    operator_type,
    type_name,
)
from planner.hints import elsewhere


class Pattern(Enum):
    """Parameters that take more than one kind of type."""

    COMPARED = "any types that can be compared with each other; numerics keep their own scale"
    UNIFIED = "any types with a common type, to which all are cast; the result rule is given that type"
    ANYTHING = "any type, left as it is"
    AS_TEXT = "any type but arrays, lists and maps, cast to text"
    TEXTS = "an array of texts"
    ARRAY = "an array; its elements have the common type of all elements of such arguments"
    ELEMENT = "an element of such arrays, of any type but arrays, lists and maps"
    LIST = "a list; its elements have the common type of all elements of such arguments"
    LISTED = "an element of such lists"
    MAP = "a map; its values have the common type of the values of all such arguments"
    RECORD = "a record"


Parameter = Kind | Pattern
ResultRule = Callable[[tuple[ColumnType, ...], tuple[object, ...]], ColumnType]
"""(argument types after resolution, literal values of arguments where known, else None) -> type of the result."""


Operands = Sequence[Any]
"""Runtime arguments: arrays of n rows; constants as arrays of one row, or as pa.Scalar where the entry says `scalars`."""

Kernel = Callable[[Operands, int], tuple[Any, Any]]
"""(operands, rows) -> (values, errors): the shape of `dataflow.scalars.Result`. A lenient entry's operands are such pairs."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What is known of an argument when its call is compiled: its type and, of a constant, its value (maybe a NULL)."""

    type: ColumnType
    constant: pa.Scalar | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One call as its implementation sees it when compiled."""

    name: str
    operands: tuple[Operand, ...]
    result: ColumnType


@dataclass(frozen=True, slots=True)
class Implementation:
    """How an entry is computed: `build` makes the kernel of one call, once.

    scalars: constants are handed over as pa.Scalar, for pyarrow.compute. lenient: the kernel gets (values, errors) pairs and
    decides itself which errors count; its constants are pa.Scalar too. Otherwise errors of arguments win over its own.
    """

    build: Callable[[Site], Kernel]
    scalars: bool = False
    lenient: bool = False


def fixed(kernel: Kernel, scalars: bool = False, lenient: bool = False) -> Implementation:
    """The implementation of an entry whose kernel is the same for every call."""

    def build(_site: Site) -> Kernel:
        return kernel

    return Implementation(build, scalars, lenient)


@dataclass(frozen=True, slots=True)
class Function:
    """One overload of a function or operator.

    name: as plans write it: SQL's own spelling for operators (`+`, `<=`, `||`, `like`), lower case otherwise.
    parameters: a kind or pattern for each argument; with `variadic` the last one repeats, one time or more.
    result: the type of the result, or a rule that derives it from the arguments' types.
    implementation: how calls are computed; None for aggregates, which the engine maintains.
    optional: how many of the last parameters may be left out.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: ColumnType | ResultRule
    implementation: Implementation | None = None
    variadic: bool = False
    optional: int = 0

    def expand(self, count: int) -> tuple[Parameter, ...] | None:
        """The parameters for `count` arguments; None when it takes another number of them."""
        if self.variadic and count >= len(self.parameters):
            return self.parameters + self.parameters[-1:] * (count - len(self.parameters))
        if len(self.parameters) - self.optional <= count <= len(self.parameters):
            return self.parameters[:count]
        return None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A chosen overload: the types its arguments must be cast to, the type of its result, and the entry itself."""

    arguments: tuple[ColumnType, ...]
    result: ColumnType
    function: Function


@dataclass(frozen=True, slots=True)
class _Candidate:
    function: Function
    parameters: tuple[Parameter, ...]

    def exact(self, args: Sequence[ColumnType | None]) -> int:
        return sum(1 for p, a in zip(self.parameters, args, strict=True) if a is not None and p is a.kind)

    def preferred(self, args: Sequence[ColumnType | None]) -> int:
        """How many arguments match exactly or would be cast to the preferred type of their category."""
        return sum(
            1
            for p, a in zip(self.parameters, args, strict=True)
            if a is not None and (p is a.kind or (isinstance(p, Kind) and p in PREFERRED))
        )


_OF_KIND: Mapping[Parameter, Kind] = {
    Pattern.ARRAY: Kind.ARRAY,
    Pattern.LIST: Kind.LIST,
    Pattern.MAP: Kind.MAP,
    Pattern.RECORD: Kind.RECORD,
}
"""The patterns that take one kind of types."""


def _accepts(parameter: Parameter, arg: ColumnType | None) -> bool:
    if arg is None:
        return True
    if parameter is Pattern.TEXTS:
        return arg.element is not None and implicit_kind(arg.element.kind, Kind.TEXT)
    if parameter in _OF_KIND:
        return arg.kind is _OF_KIND[parameter]
    if parameter in (Pattern.ELEMENT, Pattern.AS_TEXT):
        return arg.kind not in (Kind.ARRAY, Kind.LIST, Kind.MAP)
    return isinstance(parameter, Pattern) or implicit_kind(arg.kind, parameter)


def _by_unknowns(candidates: list[_Candidate], args: Sequence[ColumnType | None]) -> list[_Candidate]:
    """Choose by the category that each untyped literal most likely has: text if any candidate takes text there."""
    for position, arg in enumerate(args):
        if arg is not None:
            continue
        kinds = {c.parameters[position] for c in candidates if isinstance(c.parameters[position], Kind)}
        categories = {CATEGORIES[kind] for kind in kinds if isinstance(kind, Kind)}
        category = "string" if "string" in categories else next(iter(categories)) if len(categories) == 1 else None
        if category is None:
            continue
        kept = [c for c in candidates if isinstance(p := c.parameters[position], Pattern) or CATEGORIES[p] == category]
        preferred = [c for c in kept if c.parameters[position] in PREFERRED]
        candidates = preferred or kept
    return candidates


def _best(candidates: list[_Candidate], args: Sequence[ColumnType | None]) -> list[_Candidate]:
    for score in (_Candidate.exact, _Candidate.preferred):
        if len(candidates) == 1:
            return candidates
        top = max(score(c, args) for c in candidates)
        candidates = [c for c in candidates if score(c, args) == top]
    for pattern in (Pattern.ARRAY, Pattern.LIST, Pattern.MAP):
        if len(candidates) > 1 and None in args and any(a is not None and a.kind is _OF_KIND[pattern] for a in args):
            # A literal beside an array is an array, and so on.
            literals = [place for place, arg in enumerate(args) if arg is None]
            alike = [c for c in candidates if all(c.parameters[place] is pattern for place in literals)]
            alone = [c for c in alike if all(one is pattern for one in c.parameters)]
            candidates = alone or alike or candidates
    if len(candidates) > 1 and None in args:
        # A literal beside arguments of one type is first tried as that type: `date + '1'` is no date plus date.
        known = {a.kind for a in args if a is not None}
        if len(known) == 1:
            kind = next(iter(known))
            alike = [c for c in candidates if all(p is kind for p in c.parameters)]
            if len(alike) == 1:
                return alike
        candidates = _by_unknowns(candidates, args)
    return candidates


def _argument(parameter: Parameter, arg: ColumnType | None) -> ColumnType:
    if parameter is Pattern.AS_TEXT:
        return TEXT
    if parameter is Pattern.TEXTS:
        return TEXT.array
    if isinstance(parameter, Pattern):
        return arg or TEXT
    if parameter is Kind.NUMERIC and arg is not None:
        return numeric_of(arg)
    return arg if arg is not None and arg.kind is parameter else ColumnType(parameter)


def _compared(args: Sequence[ColumnType | None]) -> list[ColumnType] | None:
    """The types in which n values are compared with each other: one kind, numerics each with its own scale."""
    met: ColumnType | None = None
    for arg in args:
        met = arg if met is None else operator_type(met, arg)
        if met is None and arg is not None:
            return None
    met = met or TEXT
    if met.kind is Kind.NUMERIC:
        return [numeric_of(arg) if arg is not None else ColumnType(Kind.NUMERIC) for arg in args]
    if met.length is not None:  # a length is no part of a comparison: it would cut the other side
        met = ColumnType(met.kind)
    return [met] * len(args)


def _arguments(candidate: _Candidate, args: Sequence[ColumnType | None]) -> tuple[ColumnType, ...] | None:
    types = [_argument(p, a) for p, a in zip(candidate.parameters, args, strict=True)]
    for pattern in (Pattern.COMPARED, Pattern.UNIFIED):
        places = [i for i, p in enumerate(candidate.parameters) if p is pattern]
        if not places:
            continue
        group = [args[i] for i in places]
        if pattern is Pattern.COMPARED:
            met = _compared(group)
        else:
            met = [common_type(group, candidate.function.name.upper())] * len(group)
        if met is None:
            return None
        for place, type_ in zip(places, met, strict=True):
            types[place] = type_
    return _with_elements(candidate, args, types)


def _with_elements(
    candidate: _Candidate, args: Sequence[ColumnType | None], types: list[ColumnType]
) -> tuple[ColumnType, ...] | None:
    """The types, those of arrays, lists and maps and of what they hold being of one type; None when they have none in common."""
    for of, pattern, inner in _HOLDING:
        places = [i for i, p in enumerate(candidate.parameters) if p in (pattern, inner)]
        if not places:
            continue
        try:
            held = common_type([_held(args[i]) if candidate.parameters[i] is pattern else args[i] for i in places])
        except FunctionError:
            return None
        for place in places:
            types[place] = of(held) if candidate.parameters[place] is pattern else held
    return tuple(types)


def _held(type_: ColumnType | None) -> ColumnType | None:
    """The type of what an array, a list or a map holds."""
    return None if type_ is None else type_.parts[0] if type_.parts else type_.element


_HOLDING: tuple[tuple[Callable[[ColumnType], ColumnType], Pattern, Pattern | None], ...] = (
    (array_of, Pattern.ARRAY, Pattern.ELEMENT),
    (lambda part: part.list, Pattern.LIST, Pattern.LISTED),
    (lambda part: part.map, Pattern.MAP, None),
)
"""For patterns of what holds values of one type, and of such a value: the type that holds such."""


def is_operator(name: str) -> bool:
    """Whether the name is written between or before its operands."""
    return not name[0].isalpha() or name in ("like", "ilike", "not_like", "not_ilike")


def signature(name: str, args: Sequence[ColumnType | None]) -> str:
    """The call as PostgreSQL writes it in errors: `upper(integer)`, `text + integer`."""
    names = [type_name(arg) for arg in args]
    if is_operator(name) and len(args) <= 2:
        return " ".join([*names[:-1], name, *names[-1:]])
    return f"{name}({', '.join(names)})"


def missing(name: str, args: Sequence[ColumnType | None], known: Mapping[str, Sequence[Function]]) -> FunctionError:
    """The error for a call that no entry takes."""
    if is_operator(name) and name in known:
        return FunctionError(f"operator does not exist: {signature(name, args)}", _operator_hint(name, args))
    message = f"function {signature(name, args)} does not exist"
    if name in known:
        forms = sorted({f"{name}({', '.join(describe(p) for p in f.parameters)})" for f in known[name]})
        return FunctionError(message, f"there is {', '.join(forms)}; you might need to add explicit type casts")
    if instead := elsewhere(name):
        return FunctionError(message, instead)
    close = difflib.get_close_matches(name, known, n=3)
    return FunctionError(message, f"did you mean {', '.join(close)}?" if close else "")


_MOMENTS = frozenset((Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME))


def _operator_hint(name: str, args: Sequence[ColumnType | None]) -> str:
    """What to write instead of an operator that these types do not have."""
    kinds = {None if arg is None else arg.kind for arg in args}
    if name in "+-" and kinds & _MOMENTS and kinds.intersection(INTEGERS):
        return f"write {name} INTERVAL '1 day'"
    if name == "+" and Kind.TEXT in kinds:
        return "texts are put together by ||; a text that holds a number becomes one by value::numeric"
    if name == "||":
        return "cast what is no text: value::text"
    if name in ("=", "<>", "<", "<=", ">", ">=") and args[0] is not None:
        return f"cast one side to the type of the other, such as value::{type_name(args[0])}"
    return "no operator matches the given name and argument types; you might need to add explicit type casts"


def describe(parameter: Parameter) -> str:
    """A parameter as signatures name it."""
    names = {
        Pattern.TEXTS: "text[]",
        Pattern.ARRAY: "any[]",
        Pattern.LIST: "any list",
        Pattern.MAP: "map[text=>any]",
        Pattern.RECORD: "record",
    }
    return parameter.value if isinstance(parameter, Kind) else names.get(parameter, "any")


def _widened(name: str, args: Sequence[ColumnType | None]) -> Sequence[ColumnType | None]:
    """PostgreSQL has operators of mixed float types: real beside any other number computes in double precision."""
    kinds = {arg.kind for arg in args if arg is not None}
    if (
        len(args) != 2
        or not is_operator(name)
        or Kind.REAL not in kinds
        or len(kinds) == 1
        or not kinds <= set(NUMBERS)
    ):
        return args
    return [ColumnType(Kind.DOUBLE) if arg is not None and arg.kind is Kind.REAL else arg for arg in args]


def choose(
    known: Mapping[str, Sequence[Function]],
    name: str,
    args: Sequence[ColumnType | None],
    literals: Sequence[object] = (),
) -> Resolved:
    """Resolve a call against the registry; FunctionError when nothing, or more than one overload, matches."""
    given, args = args, _widened(name, args)
    candidates = [
        _Candidate(function, parameters)
        for function in known.get(name, ())
        if (parameters := function.expand(len(args))) is not None
        and all(_accepts(p, a) for p, a in zip(parameters, args, strict=True))
    ]
    if len(candidates) > 1:
        # Lists hold lists: what takes a list, and what takes an element of one, are told apart by the layers.
        candidates = [c for c in candidates if Pattern.LIST not in c.parameters or _arguments(c, args) is not None]
    if len(candidates) > 1:
        candidates = _best(candidates, args)
    if not candidates:
        raise missing(name, given, known)
    if len(candidates) > 1:
        kind = "operator" if is_operator(name) else "function"
        raise FunctionError(
            f"{kind} is not unique: {signature(name, given)}", "add explicit type casts to choose one of the candidates"
        )
    arguments = _arguments(candidates[0], args)
    if arguments is None:
        raise missing(name, given, known)
    function = candidates[0].function
    values = tuple(literals) + (None,) * (len(args) - len(literals))
    result = function.result if isinstance(function.result, ColumnType) else function.result(arguments, values)
    return Resolved(arguments, result, function)


def predicate(
    name: str, implementation: Implementation, *parameters: Parameter, variadic: bool = False, optional: int = 0
) -> Function:
    """An entry whose result is boolean."""
    return Function(name, parameters, BOOLEAN, implementation, variadic, optional)
