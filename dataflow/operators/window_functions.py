"""Window functions: how each is made of the rows around a row.

Always true: a result is a function of the rows in order and of their groups of peers alone; what has no result but an error is
marked, never raised. Deliberately unknown here: where the rows come from, and what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.layout import Order
from dataflow.operators.accumulators import MomentSums
from dataflow.operators.aggregates import FLOAT_RANGE, PAIRWISE, SPREADS, finisher, float_result
from dataflow.operators.base import Types
from dataflow.operators.exact import Mask
from dataflow.operators.window_calls import BITWISE, CHOOSING, COLLECTING, WindowCall, as_aggregate, as_collected
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
from dataflow.operators.window_frames import Frame, Places
from dataflow.operators.window_trees import Bits, Moments
from dataflow.operators.window_values import Best, Collected
from dataflow.rows import Columns, Int64s


class Folds:
    """The folds that the functions share, and where each one's columns lie among those stored with a row."""

    def __init__(self, calls: tuple[WindowCall, ...], types: Types) -> None:
        self._types = types
        self._made: dict[tuple[object, ...], tuple[Fold, int]] = {}
        self.stored: Types = ()
        for call in calls:
            for key in _folds_of(call):
                self._add(key, call)

    def _add(self, key: tuple[object, ...], call: WindowCall) -> None:
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
            case "moments":
                columns = cast("tuple[int, ...]", key[1])
                fold = Moments(columns, MomentSums(tuple(self._types[one] for one in columns)))
            case "bit_and" | "bit_or" | "bit_xor":
                fold = Bits(column, str(kind))
            case "max_by" | "min_by":
                value, by = cast("tuple[int, int]", key[1])
                fold = Best(value, by, (self._types[value], self._types[by]), kind == "max_by")
            case "collected":
                fold = Collected(as_collected(call), call.frame.start is None)
            case _:
                fold = Extreme(column, self._types[column], kind == "max")
        self._made[key] = fold, len(self.stored)
        self.stored += fold.stored

    def get(self, kind: str, of: object) -> tuple[Fold, slice]:
        """A fold of a column, or of what else it is told apart by, and its place among the stored columns."""
        fold, begin = self._made[kind, of]
        return fold, slice(begin, begin + len(fold.stored))

    def through(self, places: Places, stored: Columns) -> Columns:
        """What to store with each place's row: the folds over all rows up to it."""
        found: Columns = ()
        for fold, begin in self._made.values():
            if fold.stored:
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
        case "bit_and" | "bit_or" | "bit_xor":
            return [("count", call.column), (call.function, call.column)]
        case "max_by" | "min_by":
            return [(call.function, (call.column, call.other))]
        case function if function in COLLECTING:
            return [_collected_key(call)]
        case function if function in PAIRWISE or function in SPREADS:
            return [("count", call.column), _moments_key(call)]
        case _:
            return [("count", call.column), ("sum", call.column)]


def _moments_key(call: WindowCall) -> tuple[str, object]:
    return "moments", (call.column,) if call.other is None else (call.column, call.other)


def _collected_key(call: WindowCall) -> tuple[str, object]:
    return "collected", (call.function, call.column, call.other, call.frame.start is None)


class Answer(NamedTuple):
    """values: by place. bad: where there is an error instead (None: nowhere), and which one, everywhere or by place."""

    values: pa.Array
    bad: Mask | None = None
    message: str | pa.Array = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What functions are answered from: the rows, what is stored with them by place, the folds and the order."""

    places: Places
    stored: Columns
    folds: Folds
    types: Types
    order: tuple[Order, ...]

    def fold(self, kind: str, column: object, frame: Frame) -> Columns:
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


def _collect(call: WindowCall, scene: Scene) -> Answer:
    values, errors = scene.fold(*_collected_key(call), call.frame)
    return Answer(values, errors.is_valid().to_numpy(zero_copy_only=False), errors)


def _bits(call: WindowCall, scene: Scene) -> Answer:
    (values,) = scene.fold(call.function, call.column, call.frame)
    none = pa.array(scene.count(call.column, call.frame) == 0)
    return Answer(pc.if_else(none, pa.scalar(None, values.type), values).cast(call.type.arrow))


def _best(call: WindowCall, scene: Scene) -> Answer:
    return Answer(scene.fold(call.function, (call.column, call.other), call.frame)[0])


def _spread(call: WindowCall, scene: Scene) -> Answer:
    fold, _ = scene.folds.get(*_moments_key(call))
    assert isinstance(fold, Moments)
    made = finisher(as_aggregate(call), fold.kind)
    result = made.finish(scene.fold(*_moments_key(call), call.frame), scene.count(call.column, call.frame))
    return Answer(result.values, result.bad, made.message)


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
    made = finisher(as_aggregate(call), fold.kind)
    result = made.finish(fold.over(scene.places, stored, ranges), counts)
    bad = None if result.bad is None else result.bad & (counts > 0)
    return Answer(result.values, bad, made.message)


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
    **dict.fromkeys((*PAIRWISE, *SPREADS), _spread),
    **dict.fromkeys(COLLECTING, _collect),
    **dict.fromkeys(BITWISE, _bits),
    **dict.fromkeys(CHOOSING, _best),
}
