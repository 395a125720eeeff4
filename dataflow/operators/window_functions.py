"""Window functions: what each needs of the rows around a row, and how it is made of them.

Always true: a result is a function of the rows in order and of their groups of peers alone; what has no result but an error is
marked, never raised. Deliberately unknown here: where the rows come from, and what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.operators.aggregates import FLOAT_RANGE, Aggregate, check_aggregate, finisher, float_result
from dataflow.operators.aggregates import Function as AggregateFunction
from dataflow.operators.base import Types
from dataflow.operators.exact import Mask
from dataflow.operators.window_folds import (
    Count,
    Extreme,
    First,
    Fold,
    Groups,
    based,
    fold_of_sum,
    nth,
    pick,
    sizes,
)
from dataflow.operators.window_folds import ExactSum as ExactFold
from dataflow.operators.window_folds import FloatSum as FloatFold
from dataflow.operators.window_frames import DEFAULT, Frame, Places
from dataflow.rows import Columns, Int64s
from dataflow.spine import Order
from dataflow.types import BIGINT, DOUBLE, INTEGER, ColumnType, Kind

Ranking = Literal["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"]
Value = Literal["lag", "lead", "first_value", "last_value", "nth_value"]
WindowFunction = Ranking | Value | AggregateFunction

_VALUES = get_args(Value)
_RESULTS: dict[str, ColumnType] = {
    "row_number": BIGINT,
    "rank": BIGINT,
    "dense_rank": BIGINT,
    "percent_rank": DOUBLE,
    "cume_dist": DOUBLE,
    "ntile": INTEGER,
}
_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)


@dataclass(frozen=True, slots=True)
class WindowCall:
    """One window function. column: its argument, a position in the input; None where it takes none.

    amount: how many rows lag and lead go, the number of nth_value, the buckets of ntile; a constant, or a column's position in
    `amount_column`. default: the column that lag and lead give where there is no row (None: NULL).
    """

    function: WindowFunction
    column: int | None
    type: ColumnType
    frame: Frame = DEFAULT
    amount: int = 1
    amount_column: int | None = None
    default: int | None = None

    def __str__(self) -> str:
        arguments = [] if self.column is None else [f"#{self.column}"]
        if self.function in ("lag", "lead", "nth_value", "ntile"):
            arguments.append(str(self.amount) if self.amount_column is None else f"#{self.amount_column}")
        if self.default is not None:
            arguments.append(f"#{self.default}")
        name = "count" if self.function == "count_star" else self.function
        text = f"{name}({', '.join(arguments) or ('*' if name == 'count' else '')})"
        return text if self.function in _RESULTS or self.function in ("lag", "lead") else f"{text} over {self.frame}"


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


class Folds:
    """The folds that the functions share, and where each one's columns lie among those stored with a row."""

    def __init__(self, calls: tuple[WindowCall, ...], types: Types) -> None:
        self._types = types
        self._made: dict[tuple[object, ...], tuple[Fold, int]] = {}
        self.stored: Types = ()
        for call in calls:
            for key in _folds_of(call):
                self._add(key)

    def _add(self, key: tuple[object, ...]) -> None:
        if key in self._made:
            return
        kind, column = key[0], cast(int, key[1])
        fold: Fold
        match kind:
            case "count":
                fold = Count(cast("int | None", key[1]))
            case "groups":
                fold = Groups()
            case "first":
                fold = First(column, self._types[column])
            case "sum":
                fold = fold_of_sum(column, self._types[column])
            case _:
                fold = Extreme(column, self._types[column], kind == "max")
        self._made[key] = fold, len(self.stored)
        self.stored += fold.stored

    def get(self, kind: str, column: int | None) -> tuple[Fold, slice]:
        """A fold, and its place among the stored columns."""
        fold, begin = self._made[kind, column]
        return fold, slice(begin, begin + len(fold.stored))

    def through(self, places: Places, stored: Columns) -> Columns:
        """What to store with each place's row: the folds over all rows up to it."""
        found: Columns = ()
        for fold, begin in self._made.values():
            found += fold.over(places, stored[begin : begin + len(fold.stored)], places.whole())
        return found


def _folds_of(call: WindowCall) -> list[tuple[object, ...]]:
    match call.function:
        case "row_number" | "rank" | "percent_rank" | "cume_dist" | "ntile":
            return [("count", None)]
        case "dense_rank":
            return [("groups", None)]
        case "first_value":
            return [("first", call.column)]
        case "lag" | "lead" | "last_value" | "nth_value":
            return []
        case "count" | "count_star":
            return [("count", call.column)]
        case "min" | "max":
            return [(call.function, call.column)]
        case _:
            return [("count", call.column), ("sum", call.column)]


class Answer(NamedTuple):
    """values: by place. bad: where there is an error instead (None: nowhere), and which."""

    values: pa.Array
    bad: Mask | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What functions are answered from: the rows, what is stored with them by place, the folds and the order."""

    places: Places
    stored: Columns
    folds: Folds
    types: Types
    order: tuple[Order, ...]

    def fold(self, kind: str, column: int | None, frame: Frame) -> Columns:
        """A fold over each row's frame."""
        fold, where = self.folds.get(kind, column)
        return fold.over(self.places, self.stored[where], self.places.frame(frame, self.order))

    def count(self, column: int | None, frame: Frame) -> Int64s:
        """How many rows, or values that are not NULL, each row's frame has."""
        return np.asarray(self.fold("count", column, frame)[0].to_numpy(), np.int64)


def answer(call: WindowCall, scene: Scene) -> Answer:
    """The function's result for each place; wrong at bases, and where what it needs is not there."""
    return _ANSWERS.get(call.function, _aggregate)(call, scene)


_UP_TO = Frame("rows", None, 0)


def _row_number(_call: WindowCall, scene: Scene) -> Answer:
    return Answer(scene.fold("count", None, _UP_TO)[0])


def _before_peers(scene: Scene) -> Int64s:
    """How many rows come before each row's group of peers."""
    through = scene.count(None, _UP_TO)
    own = scene.places.index - scene.places.peers_begin + 1
    return through - own


def _rank(_call: WindowCall, scene: Scene) -> Answer:
    return Answer(pa.array(_before_peers(scene) + 1))


def _dense_rank(_call: WindowCall, scene: Scene) -> Answer:
    fold, where = scene.folds.get("groups", None)
    return Answer(fold.over(scene.places, scene.stored[where], scene.places.whole())[0])


def _percent_rank(_call: WindowCall, scene: Scene) -> Answer:
    size = scene.places.end - scene.places.begin
    return Answer(pa.array((scene.places.peers_begin - scene.places.begin) / np.maximum(size - 1, 1)))


def _cume_dist(_call: WindowCall, scene: Scene) -> Answer:
    places = scene.places
    return Answer(pa.array((places.peers_end - places.begin) / (places.end - places.begin)))


def _amounts(call: WindowCall, scene: Scene) -> tuple[Int64s, Mask]:
    """The amount by place, and where it is NULL."""
    if call.amount_column is None:
        return np.full(len(scene.places), call.amount, np.int64), np.zeros(len(scene.places), np.bool_)
    column = scene.places.take(call.amount_column)
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    return np.asarray(column.fill_null(1).to_numpy(zero_copy_only=False), np.int64), nulls


def _ntile(call: WindowCall, scene: Scene) -> Answer:
    places = scene.places
    amounts, nulls = _amounts(call, scene)
    # As in PostgreSQL the partition's first row says how many buckets there are.
    buckets, nulls = amounts[places.begin], nulls[places.begin]
    bad = (buckets < 1) & ~nulls
    count = np.maximum(buckets, 1)
    size, larger = np.divmod(places.end - places.begin, count)
    place, edge = places.index - places.begin, larger * (size + 1)
    late = larger + (place - edge) // np.maximum(size, 1)
    bucket = np.where(place < edge, place // (size + 1), late) + 1
    return Answer(pa.array(bucket.astype(np.int32), mask=nulls), bad, "argument of ntile must be greater than zero")


def _shifted(call: WindowCall, scene: Scene) -> Answer:
    places = scene.places
    amounts, nulls = _amounts(call, scene)
    # No partition has as many rows: what is further away is not there either.
    far = np.clip(amounts, -(2**62), 2**62)
    wanted = places.index - far if call.function == "lag" else places.index + far
    there = (wanted >= places.begin) & (wanted < places.end) & ~nulls
    assert call.column is not None
    values = pick(places.take(call.column), wanted, there)
    if call.default is not None:
        values = pc.if_else(pa.array(there | nulls), values, places.take(call.default))
    return Answer(values)


def _nth(call: WindowCall, scene: Scene) -> Answer:
    places = scene.places
    assert call.column is not None
    values = places.take(call.column)
    ranges = places.frame(call.frame, scene.order)
    bad: Mask | None = None
    if call.function == "last_value":
        numbers = sizes(ranges) - 1
    elif call.function == "first_value":
        numbers = np.zeros(len(places), np.int64)
        _, where = scene.folds.get("first", call.column)
        values = based(values, scene.stored[where][0], places.bases)
    else:
        amounts, nulls = _amounts(call, scene)
        bad = (amounts < 1) & ~nulls
        numbers = np.where(nulls, -1, amounts - 1)
    return Answer(pick(values, *nth(ranges, numbers)), bad, "argument of nth_value must be greater than zero")


def _count(call: WindowCall, scene: Scene) -> Answer:
    return Answer(scene.fold("count", call.column, call.frame)[0])


def _extreme(call: WindowCall, scene: Scene) -> Answer:
    return Answer(scene.fold(call.function, call.column, call.frame)[0])


def _aggregate(call: WindowCall, scene: Scene) -> Answer:
    assert call.column is not None
    counts = scene.count(call.column, call.frame)
    fold, where = scene.folds.get("sum", call.column)
    stored = scene.stored[where]
    ranges = scene.places.frame(call.frame, scene.order)
    if isinstance(fold, FloatFold):
        _, sums, large = fold.sums(scene.places, stored, ranges)
        result = float_result(call.type, call.function == "avg", sums, large, counts)
        return Answer(result.values, result.bad, FLOAT_RANGE)
    assert isinstance(fold, ExactFold)
    made = finisher(_as_aggregate(call), fold.kind)
    result = made.finish(fold.over(scene.places, stored, ranges), counts)
    bad = None if result.bad is None else result.bad & (counts > 0)
    return Answer(result.values, bad, made.message)


def _as_aggregate(call: WindowCall) -> Aggregate:
    return Aggregate(cast(AggregateFunction, call.function), call.column, call.type)


_ANSWERS: Mapping[str, Callable[[WindowCall, Scene], Answer]] = {
    "row_number": _row_number,
    "rank": _rank,
    "dense_rank": _dense_rank,
    "percent_rank": _percent_rank,
    "cume_dist": _cume_dist,
    "ntile": _ntile,
    "lag": _shifted,
    "lead": _shifted,
    "first_value": _nth,
    "last_value": _nth,
    "nth_value": _nth,
    "count": _count,
    "count_star": _count,
    "min": _extreme,
    "max": _extreme,
}


def check_call(call: WindowCall, types: Types) -> None:
    """ValueError unless the function takes its columns' types and gives the call's."""
    column = None if call.column is None else types[call.column]
    if call.function in _RESULTS:
        fits = column is None and call.type == _RESULTS[call.function]
    elif call.function in _VALUES:
        default = None if call.default is None else types[call.default]
        fits = column == call.type and default in (None, column)
    else:
        check_aggregate(_as_aggregate(call), column)
        fits = True
    if call.amount_column is not None:
        fits = fits and types[call.amount_column].kind in _INTEGERS
    if not fits:
        raise ValueError(f"{call} over {column} cannot have the type {call.type}")
