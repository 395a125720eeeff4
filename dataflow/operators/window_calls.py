"""Calls of window functions: their types, and which rows around a row each depends on.

Always true: what `needs` says is enough: rows beyond it do not change a result. Deliberately unknown here: how results are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, cast, get_args

from dataflow.operators.aggregates import Aggregate, check_aggregate
from dataflow.operators.aggregates import Function as AggregateFunction
from dataflow.operators.base import Types
from dataflow.operators.ordered import OrderedAggregate, check_ordered
from dataflow.operators.window_frames import DEFAULT, Frame
from dataflow.types import BIGINT, DOUBLE, INTEGER, ColumnType, Kind

Ranking = Literal["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"]
Value = Literal["lag", "lead", "first_value", "last_value", "nth_value"]
Collecting = Literal["string_agg", "array_agg", "map_agg", "jsonb_agg", "jsonb_object_agg"]
Bitwise = Literal["bit_and", "bit_or", "bit_xor"]
Choosing = Literal["max_by", "min_by"]
WindowFunction = Ranking | Value | AggregateFunction | Collecting | Bitwise | Choosing

_VALUES = get_args(Value)
COLLECTING = get_args(Collecting)
BITWISE = get_args(Bitwise)
CHOOSING = get_args(Choosing)
RANKINGS: dict[str, ColumnType] = {
    "row_number": BIGINT,
    "rank": BIGINT,
    "dense_rank": BIGINT,
    "percent_rank": DOUBLE,
    "cume_dist": DOUBLE,
    "ntile": INTEGER,
}
"""The functions that number rows, with the types of their results."""

_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)


@dataclass(frozen=True, slots=True)
class WindowCall:
    """One window function. column: its argument, a position in the input; None where it takes none.

    amount: how many rows lag and lead go, the number of nth_value, the buckets of ntile; a constant, or a column's position in
    `amount_column`. default: the column that lag and lead give where there is no row (None: NULL).
    other: the second column of an aggregate that takes two: of pairs, the delimiter of string_agg, what max_by goes by.
    """

    function: WindowFunction
    column: int | None
    type: ColumnType
    frame: Frame = DEFAULT
    amount: int = 1
    amount_column: int | None = None
    default: int | None = None
    other: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """The columns that it reads."""
        own = (self.column, self.amount_column, self.default, self.other)
        return tuple(column for column in own if column is not None)

    def move(self, move: Callable[[int], int]) -> WindowCall:
        """The same over columns that stand elsewhere."""
        own = (self.column, self.amount_column, self.default, self.other)
        column, amount_column, default, other = (None if one is None else move(one) for one in own)
        return replace(self, column=column, amount_column=amount_column, default=default, other=other)

    def __str__(self) -> str:
        arguments = [] if self.column is None else [f"#{self.column}"]
        if self.function in ("lag", "lead", "nth_value", "ntile"):
            arguments.append(str(self.amount) if self.amount_column is None else f"#{self.amount_column}")
        arguments += [f"#{column}" for column in (self.default, self.other) if column is not None]
        name = "count" if self.function == "count_star" else self.function
        text = f"{name}({', '.join(arguments) or ('*' if name == 'count' else '')})"
        return text if self.function in RANKINGS or self.function in ("lag", "lead") else f"{text} over {self.frame}"


class Needs(NamedTuple):
    """What a row's result depends on: rows (with `groups`: groups of peers) before and after it, whole groups of peers,
    everything before it by a fold, or the whole partition."""

    before: int = 0
    after: int = 0
    groups: bool = False
    peers: bool = False
    prefix: bool = False
    whole: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            max(self.before, other.before),
            max(self.after, other.after),
            *(mine or its for mine, its in zip(self[2:], other[2:], strict=True)),
        )


EVERYTHING = Needs(whole=True)


def needs(call: WindowCall) -> Needs:
    """What a function's result depends on."""
    match call.function:
        case "row_number":
            return Needs(prefix=True)
        case "rank" | "dense_rank":
            return Needs(prefix=True, peers=True)
        case "percent_rank" | "cume_dist" | "ntile":
            return EVERYTHING
        case "lag" | "lead":
            if call.amount_column is not None:
                return EVERYTHING
            back = call.amount if call.function == "lag" else -call.amount
            return Needs(before=max(back, 0), after=max(-back, 0))
        case _:
            return _needs_of_frame(call)


def _needs_of_frame(call: WindowCall) -> Needs:
    frame = call.frame
    start, end = frame.start, frame.end
    if end is None or (frame.unit == "range" and (start or end)):
        return EVERYTHING
    prefix = start is None
    if prefix and (call.function == "nth_value" or (call.function in _VALUES and frame.exclude != "no others")):
        return EVERYTHING
    if call.function == "last_value":
        prefix = False
    ends = [int(bound) for bound in (start, end) if bound is not None]
    return Needs(
        before=max(0, *(-bound for bound in ends)),
        after=max(0, *ends),
        groups=frame.unit == "groups",
        peers=frame.unit != "rows" or frame.exclude in ("group", "ties"),
        prefix=prefix,
    )


def as_aggregate(call: WindowCall) -> Aggregate:
    """The aggregate that a call is over its frame."""
    return Aggregate(cast(AggregateFunction, call.function), call.column, call.type, call.other)


def as_collected(call: WindowCall) -> OrderedAggregate:
    """The aggregate that puts the values of a call's frame together."""
    assert call.column is not None
    return OrderedAggregate(cast(Collecting, call.function), call.column, call.type, call.other)


def check_call(call: WindowCall, types: Types) -> None:
    """ValueError unless the function takes its columns' types and gives the call's."""
    column = None if call.column is None else types[call.column]
    if call.function in RANKINGS:
        fits = column is None and call.type == RANKINGS[call.function]
    elif call.function in _VALUES:
        default = None if call.default is None else types[call.default]
        fits = column == call.type and default in (None, column)
    elif call.function in COLLECTING:
        check_ordered(as_collected(call), types)
        fits = True
    elif call.function in BITWISE:
        fits = column == call.type and call.type.kind in _INTEGERS
    elif call.function in CHOOSING:
        fits = column == call.type and call.other is not None
    else:
        check_aggregate(as_aggregate(call), column, None if call.other is None else types[call.other])
        fits = True
    if call.amount_column is not None:
        fits = fits and types[call.amount_column].kind in _INTEGERS
    if not fits:
        raise ValueError(f"{call} over {column} cannot have the type {call.type}")
