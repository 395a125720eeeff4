"""Which type becomes which: PostgreSQL 15's cast table and its rule for the common type of alternatives.

Always true: an implicit cast never loses a value's magnitude; numerics of every precision and scale are one type here, and
where several meet, the result keeps the largest scale. Scalar types other than numbers and times have no implicit
casts; lists, maps and records are cast by what they hold. Deliberately unknown here: how a cast is computed
(`planner.functions.conversion`).
"""

from __future__ import annotations

from collections.abc import Sequence

from dataflow.types import NESTED, NUMERIC, STRINGS, TEXT, UNCONSTRAINED_SCALE, ColumnType, Kind


class FunctionError(Exception):
    """An expression that has no meaning: no such function, operator or cast for these types.

    message: lower case, as PostgreSQL words it. hint: what to write instead, or empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
FLOATS = (Kind.REAL, Kind.DOUBLE)
NUMBERS = (*INTEGERS, Kind.NUMERIC, *FLOATS)
TIMES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)

CATEGORIES: dict[Kind, str] = {
    Kind.BOOLEAN: "boolean",
    **dict.fromkeys(NUMBERS, "number"),
    **dict.fromkeys(STRINGS, "string"),
    **dict.fromkeys(TIMES, "time"),
    Kind.JSONB: "jsonb",
    Kind.BYTEA: "bytea",
    Kind.INTERVAL: "timespan",
    Kind.TIME: "clock",
    Kind.UUID: "uuid",
    Kind.ARRAY: "array",
    Kind.LIST: "list",
    Kind.MAP: "map",
    Kind.RECORD: "record",
}
"""PostgreSQL's type categories: alternatives of different categories never have a common type."""

PREFERRED = frozenset({Kind.BOOLEAN, Kind.DOUBLE, Kind.TEXT, Kind.TIMESTAMPTZ, Kind.INTERVAL})
"""The type of each category that an ambiguous overload falls back to."""

_EXPLICIT: frozenset[tuple[Kind, Kind]] = frozenset(
    [(a, b) for a in NUMBERS for b in NUMBERS]
    + [(a, b) for a in TIMES for b in TIMES]
    + [(Kind.BOOLEAN, Kind.INTEGER), (Kind.INTEGER, Kind.BOOLEAN), (Kind.JSONB, Kind.BOOLEAN)]
    + [(Kind.JSONB, number) for number in NUMBERS]
    + [
        (Kind.TIMESTAMP, Kind.TIME),
        (Kind.TIMESTAMPTZ, Kind.TIME),
        (Kind.INTERVAL, Kind.TIME),
        (Kind.TIME, Kind.INTERVAL),
    ]
    + [(kind, string) for kind in Kind for string in STRINGS]
    + [(string, kind) for kind in Kind for string in STRINGS]
)


def type_name(type_: ColumnType | None) -> str:
    """The type as an error message names it: PostgreSQL's full name without precision; None is `unknown`."""
    if type_ is None:
        return "unknown"
    long = {
        Kind.TIMESTAMP: "timestamp without time zone",
        Kind.TIMESTAMPTZ: "timestamp with time zone",
        Kind.TIME: "time without time zone",
    }
    if type_.kind is Kind.LIST:
        return f"{type_name(type_.parts[0])} list"
    if type_.kind is Kind.MAP:
        return f"map[text=>{type_name(type_.parts[0])}]"
    return f"{type_name(type_.element)}[]" if type_.element is not None else long.get(type_.kind, type_.kind.value)


def array_of(type_: ColumnType) -> ColumnType:
    """The type of arrays of a type. FunctionError for what arrays cannot hold."""
    try:
        return type_.array
    except ValueError as error:
        raise FunctionError(str(error), "cast the values to text") from None


def implicit_kind(source: Kind, target: Kind) -> bool:
    """Whether a value of kind `source` becomes `target` without being asked: only upwards within numbers, times and strings."""
    for ladder in (NUMBERS, TIMES, STRINGS):
        if source in ladder and target in ladder:
            return ladder.index(source) <= ladder.index(target)
    return source is target


def implicit_cast(source: ColumnType, target: ColumnType) -> bool:
    """Whether `source` may stand where `target` is asked for; the cast itself must still be written into the plan."""
    if source.element is not None and target.element is not None:
        return source.element.kind is target.element.kind
    if source.parts or target.parts:
        return _alike(source, target) and all(map(implicit_cast, source.parts, target.parts))
    return implicit_kind(source.kind, target.kind)


def _alike(one: ColumnType, other: ColumnType) -> bool:
    """Whether two are lists, maps or records of as many fields."""
    return one.kind is other.kind and one.kind in NESTED and len(one.parts) == len(other.parts)


def has_record(type_: ColumnType) -> bool:
    """Whether a type is of records, or holds some: such values have no literals."""
    held = type_.parts if type_.element is None else (type_.element,)
    return type_.kind is Kind.RECORD or any(map(has_record, held))


def can_cast(source: ColumnType, target: ColumnType) -> bool:
    """Whether `value::target` is allowed. Everything has a text form; boolean goes to and from integer only."""
    if source.element is not None and target.element is not None:
        return can_cast(source.element, target.element)
    if source.element is not None and target.kind is Kind.LIST:
        return can_cast(source.element, target.parts[0])
    if source.parts and target.parts:
        return _alike(source, target) and all(map(can_cast, source.parts, target.parts))
    if has_record(target):
        return False
    return source.kind is target.kind or (source.kind, target.kind) in _EXPLICIT


def numeric_of(type_: ColumnType) -> ColumnType:
    """The exact numeric type that holds `type_`, a number: integers have scale 0, floats become unconstrained."""
    if type_.kind is Kind.NUMERIC:
        return type_
    return derived_numeric(0) if type_.kind in INTEGERS else NUMERIC


def derived_numeric(scale: int) -> ColumnType:
    """A numeric with this scale and no declared precision."""
    return ColumnType(Kind.NUMERIC, None, scale)


def numeric_with_scale(scale: int, types: Sequence[ColumnType]) -> ColumnType:
    """The numeric of `scale` that results from operands of these types: unconstrained if one of them was and it fits."""
    if any(type_.trims for type_ in types) and scale <= UNCONSTRAINED_SCALE:
        return NUMERIC
    return derived_numeric(scale)


def common_numeric(types: Sequence[ColumnType]) -> ColumnType:
    """The numeric type that holds every value of these numeric types exactly."""
    if len(set(types)) == 1:
        return types[0]
    return numeric_with_scale(max(type_.decimal_scale for type_ in types), types)


def common_type(types: Sequence[ColumnType | None], context: str = "CASE") -> ColumnType:
    """The type of alternatives (CASE, COALESCE, UNION, IN): PostgreSQL's rule, None being an untyped literal or NULL.

    All None gives text. FunctionError when two have no common type; `context` is the word that the message starts with.
    """
    known = [type_ for type_ in types if type_ is not None]
    if not known:
        return TEXT
    chosen = known[0]
    for type_ in known[1:]:
        if _alike(type_, chosen):
            parts = (common_type(pair, context) for pair in zip(chosen.parts, type_.parts, strict=True))
            chosen = ColumnType(chosen.kind, parts=tuple(parts))
            continue
        if type_.element is not None and chosen.element is not None and type_.element.kind is chosen.element.kind:
            chosen = common_type((chosen.element, type_.element), context).array
            continue
        if type_.kind is chosen.kind and type_.element is None and not type_.parts:
            chosen = chosen if chosen == type_ or chosen.length is None else ColumnType(chosen.kind)
            continue
        if CATEGORIES[type_.kind] != CATEGORIES[chosen.kind] or type_.element is not None or type_.parts:
            raise FunctionError(
                f"{context} types {type_name(chosen)} and {type_name(type_)} cannot be matched",
                f"cast one side, such as value::{type_name(chosen)}",
            )
        if implicit_kind(chosen.kind, type_.kind):
            chosen = type_ if type_.length is None else ColumnType(type_.kind)
    if chosen.kind is Kind.NUMERIC:
        return common_numeric([numeric_of(type_) for type_ in known])
    return chosen


def operator_type(left: ColumnType | None, right: ColumnType | None) -> ColumnType | None:
    """The type in which a binary operator meets its operands: as `common_type`, but a float beside another number is double.

    None when they cannot meet. Of two numerics or of an integer and a numeric it is only the kind that counts.
    """
    if left is None or right is None:
        return left or right or TEXT
    kinds = (left.kind, right.kind)
    if (
        left.kind is not right.kind
        and CATEGORIES[left.kind] == "number" == CATEGORIES[right.kind]
        and Kind.REAL in kinds
    ):
        return ColumnType(Kind.DOUBLE)
    try:
        return common_type((left, right))
    except FunctionError:
        return None
