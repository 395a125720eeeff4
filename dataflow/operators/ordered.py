"""Aggregates that need all their values: string_agg, array_agg, map_agg, jsonb_agg, percentiles, mode, max_by, min_by, bit_and ...

    SELECT k, string_agg(name, ', ' ORDER BY name) FROM t GROUP BY k

Always true: a result is a function of the group's rows in the arrangement's order, ties broken by all columns; a row that is there
n times counts n times. One that is there fewer than zero times makes the group an error; first_by sees only those before its
result. The results of each touched group before and after the step are both read from the ordered arrangement: all rows of the
group, or the first one where that is all that is asked for. A group is there if any row is; `default_row` (no GROUP BY) has its
one row also when there are none, from the first step on. NULL keys are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows, scalars
from dataflow.delta import Delta
from dataflow.layout import Order
from dataflow.operators.aggregates import NEGATIVE_COUNT
from dataflow.operators.base import Operator, Types, arrangement_of, names
from dataflow.operators.exact import Mask
from dataflow.operators.extremes import spread
from dataflow.rows import Columns, Int64s
from dataflow.scalars import arrays, nested
from dataflow.snapshot import Snapshot
from dataflow.types import DOUBLE, JSONB, TEXT, ColumnType

OrderedFunction = Literal[
    "string_agg", "array_agg", "map_agg", "jsonb_agg", "jsonb_object_agg", "percentile_cont", "percentile_disc",
    "mode", "first_by", "bit_and", "bit_or", "bit_xor",
]  # fmt: skip

ORDERED = frozenset(get_args(OrderedFunction))

Values = Columns | Mapping[int, pa.Array]

_ALL = 1 << 62
"""More rows than any group has."""


@dataclass(frozen=True, slots=True)
class OrderedAggregate:
    """One aggregate over a group's rows in order; `column` is its value, a position in the input.

    other: of string_agg the delimiter, which stands before every value but the first; of first_by the column that is ordered by.
    array_agg takes arrays or lists, which it puts one after another: of values, arrays of one.
    map_agg takes maps, whose pairs it puts into one, jsonb_object_agg objects; of several with one key the last counts.
    Rows do not count where the value is NULL, or for first_by where that column is. fraction: of percentiles, 0 to 1.
    """

    function: OrderedFunction
    column: int
    type: ColumnType
    other: int | None = None
    fraction: float = 0.0

    def __str__(self) -> str:
        if self.function.startswith("percentile"):
            return f"{self.function}({self.fraction:g} of #{self.column})"
        return f"{self.function}(#{self.column}{'' if self.other is None else f', #{self.other}'})"


@dataclass(frozen=True, slots=True)
class OrderedSpec:
    """Input: the rows, arranged by key and in this order."""

    key: tuple[int, ...]
    order: tuple[Order, ...]
    aggregates: tuple[OrderedAggregate, ...]
    default_row: bool

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Ordered(self, types, inputs)

    def __str__(self) -> str:
        by = f" by ({names(self.key)})" if self.key else ""
        return (
            f"reduce {', '.join(map(str, self.aggregates))} in order of ({names([t.column for t in self.order])}){by}"
        )


class Ordered(Operator):
    """Stateless beside the arrangement it reads."""

    consolidates = True

    def __init__(self, spec: OrderedSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._spec = spec
        self._trace = arrangement_of(inputs[0])
        self._limit = 1 if all(a.function == "first_by" for a in spec.aggregates) else _ALL
        self._started = not spec.default_row
        self.due = spec.default_row

    def resume(self) -> None:
        super().resume()
        self._started = True

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        if len(delta):
            keys = tuple(delta.columns[column] for column in self._spec.key)
            _, first = rows.group(keys, len(delta))
            touched, groups = rows.take(keys, first), len(first)
        elif self._started:
            return delta
        else:
            touched, groups = (), 1
        old, failed = self._answer(self._trace.before, touched, groups, self._started)
        new, fails = self._answer(self._trace.after, touched, groups, True)
        self._started = True
        if len(failed) or len(fails):
            both = Delta((pa.concat_arrays([failed, fails]),), np.repeat([-1, 1], [len(failed), len(fails)]))
            change = rows.consolidate(both)
            self.report(change.columns[0], change.diffs)
        return rows.consolidate(rows.concat_deltas([Delta(old.columns, -old.diffs), new]))

    def _answer(self, trace: Snapshot, touched: Columns, groups: int, started: bool) -> tuple[Delta, pa.Array]:
        """The row of each touched group that there is, and the messages of those that fail."""
        probe = trace.first(touched, self._limit, rows=groups, negatives=True)
        shown = np.full(groups, self._spec.default_row and started)
        shown[probe.probe_rows] = True
        wrong = np.unique(probe.probe_rows[probe.diffs < 0])
        results, failed = [], [pa.repeat(pa.scalar(NEGATIVE_COUNT, TEXT.arrow), len(wrong))]
        shown[wrong] = False
        for aggregate in self._spec.aggregates:
            column = probe.columns[aggregate.column]
            counted = column if aggregate.function != "first_by" else probe.columns[aggregate.other or 0]
            # Copies of a row are one after the other, as in the order.
            where = np.flatnonzero(counted.is_valid().to_numpy(zero_copy_only=False))
            where = np.repeat(where, np.maximum(probe.diffs[where], 0))
            members = Members(probe.probe_rows[where], where, groups)
            values, errors = put_together(aggregate, probe.columns, members)
            if errors is not None:
                bad = errors.is_valid().to_numpy(zero_copy_only=False) & shown
                failed.append(errors.filter(pa.array(bad)))
                shown &= ~bad
            results.append(values)
        kept = np.flatnonzero(shown)
        columns = rows.take(touched, kept) + rows.take(tuple(results), kept)
        return Delta(columns, np.ones(len(kept), np.int64)), pa.concat_arrays(failed)


class Members(NamedTuple):
    """What counts, in order: `ids` says of which group each is (ascending), `where` which of the rows it is."""

    ids: Int64s
    where: Int64s
    groups: int

    @property
    def sizes(self) -> Int64s:
        """How many each group has."""
        return np.bincount(self.ids, minlength=self.groups)

    @property
    def begins(self) -> Int64s:
        """The first of each group."""
        return np.cumsum(self.sizes) - self.sizes


def _some(values: pa.Array, places: Int64s, missing: Mask) -> pa.Array:
    """The values at places, by group; NULL where a group is missing."""
    return values.take(pa.array(np.where(missing, 0, places), mask=missing))


def _string_agg(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    sizes, begins = members.sizes, members.begins
    (values,) = rows.take((columns[aggregate.column],), members.where)
    if aggregate.other is not None:
        (delimiters,) = rows.take((columns[aggregate.other],), members.where)
        first = np.zeros(len(values), np.bool_)
        first[begins[sizes > 0]] = True
        delimiters = pc.if_else(pa.array(first), pa.scalar("", TEXT.arrow), pc.fill_null(delimiters, ""))
        values = pc.binary_join_element_wise(delimiters, values, pa.scalar("", TEXT.arrow))
    return pc.if_else(pa.array(sizes > 0), _joined(values, members, ""), _NULL)


_NULL = pa.scalar(None, TEXT.arrow)


def _joined(values: pa.Array, members: Members, between: str) -> pa.Array:
    """The texts of each group, one after the other."""
    lists = pa.LargeListArray.from_arrays(pa.array(np.append(members.begins, len(values))), values)
    return pc.binary_join(lists, pa.scalar(between, TEXT.arrow))


_MERGES: Mapping[str, Callable[[pa.Array, Int64s], scalars.Result]] = {
    "array_agg": arrays.merge,
    "map_agg": nested.merge,
}


def _merged(aggregate: OrderedAggregate, columns: Values, members: Members) -> tuple[pa.Array, pa.Array | None]:
    sizes = members.sizes
    (values,) = rows.take((columns[aggregate.column],), members.where)
    made, errors = _MERGES[aggregate.function](values, sizes)
    return pc.if_else(pa.array(sizes > 0), made, pa.scalar(None, made.type)), errors


def _jsonb_agg(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    (values,) = rows.take((columns[aggregate.column],), members.where)
    return pc.if_else(pa.array(members.sizes > 0), _between("[", _joined(values, members, ", "), "]"), _NULL)


def _jsonb_object_agg(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    (values,) = rows.take((columns[aggregate.column],), members.where)
    # An object without members has nothing to put between two commas.
    inside = pc.if_else(pc.equal(values, "{}"), _NULL, pc.utf8_slice_codeunits(values, start=1, stop=-1))
    texts = _between("{", _joined(inside, members, ", "), "}")
    made, _ = scalars.parse(pc.fill_null(texts, "{}"), len(texts), JSONB)
    return pc.if_else(pa.array(members.sizes > 0), made, _NULL)


def _between(opening: str, texts: pa.Array, closing: str) -> pa.Array:
    parts = [pa.scalar(opening, TEXT.arrow), texts, pa.scalar(closing, TEXT.arrow), pa.scalar("", TEXT.arrow)]
    return pc.binary_join_element_wise(*parts)


def _percentile_disc(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    sizes = members.sizes
    number = np.maximum(np.ceil(aggregate.fraction * sizes).astype(np.int64) - 1, 0)
    places = np.append(members.where, 0)[np.minimum(members.begins + number, len(members.where))]
    return _some(columns[aggregate.column], places, sizes == 0)


def _percentile_cont(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    sizes = members.sizes
    (column,) = rows.take((columns[aggregate.column],), members.where)
    values = np.append(column.to_numpy(zero_copy_only=False), 0.0)
    number = aggregate.fraction * np.maximum(sizes - 1, 0)
    below = np.floor(number).astype(np.int64)
    above = np.ceil(number).astype(np.int64)
    low = values[np.minimum(members.begins + below, len(values) - 1)]
    high = values[np.minimum(members.begins + above, len(values) - 1)]
    with np.errstate(invalid="ignore", over="ignore"):
        between = low + (number - below) * (high - low)
    return pa.array(np.where(below == above, low, between), DOUBLE.arrow, mask=sizes == 0)


def _mode(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    (values,) = rows.take((columns[aggregate.column],), members.where)
    runs, first = rows.group((pa.array(members.ids), values))
    counts = np.bincount(runs, minlength=len(first))
    # The most frequent value of each group, of several the one that comes first.
    best = np.lexsort((first, -counts, members.ids[first]))
    ids, where = members.ids[first[best]], members.where[first[best]]
    chosen = np.flatnonzero(np.diff(ids, prepend=-1))
    return spread(columns[aggregate.column].take(pa.array(where[chosen])), ids[chosen], members.groups)


def _first_by(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
    first = np.flatnonzero(np.diff(members.ids, prepend=-1))
    found = columns[aggregate.column].take(pa.array(members.where[first]))
    return spread(found, members.ids[first], members.groups)


def _bits(fold: np.ufunc) -> Callable[[OrderedAggregate, Values, Members], pa.Array]:
    """The bits of all values folded into one."""

    def result(aggregate: OrderedAggregate, columns: Values, members: Members) -> pa.Array:
        sizes, begins = members.sizes, members.begins
        (column,) = rows.take((columns[aggregate.column],), members.where)
        folded = np.zeros(members.groups, np.int64)
        there = sizes > 0
        if there.any():
            folded[there] = fold.reduceat(column.to_numpy(zero_copy_only=False).astype(np.int64), begins[there])
        return pa.array(folded, pa.int64(), mask=~there).cast(aggregate.type.arrow)

    return result


_RESULTS: Mapping[str, Callable[[OrderedAggregate, Values, Members], pa.Array]] = {
    "string_agg": _string_agg,
    "jsonb_agg": _jsonb_agg,
    "jsonb_object_agg": _jsonb_object_agg,
    "percentile_cont": _percentile_cont,
    "percentile_disc": _percentile_disc,
    "mode": _mode,
    "first_by": _first_by,
    "bit_and": _bits(np.bitwise_and),
    "bit_or": _bits(np.bitwise_or),
    "bit_xor": _bits(np.bitwise_xor),
}


def put_together(aggregate: OrderedAggregate, columns: Values, members: Members) -> scalars.Result:
    """The aggregate of each group. columns: those that it reads, by position."""
    if aggregate.function in _MERGES:
        return _merged(aggregate, columns, members)
    return _RESULTS[aggregate.function](aggregate, columns, members), None


def check_ordered(aggregate: OrderedAggregate, types: Types) -> None:
    """ValueError unless the function takes its columns' types and gives the aggregate's."""
    column = types[aggregate.column]
    wanted = {"string_agg": TEXT, "jsonb_agg": JSONB, "jsonb_object_agg": JSONB, "percentile_cont": DOUBLE}.get(
        aggregate.function, column
    )
    fits = column == wanted == aggregate.type and 0 <= aggregate.fraction <= 1
    if not fits or (aggregate.function == "first_by" and aggregate.other is None):
        raise ValueError(f"{aggregate} over {column} cannot have the type {aggregate.type}")
