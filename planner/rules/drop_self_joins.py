"""Drop a join of rows with themselves: by a unique key each meets nothing but itself.

    SELECT a.x, b.y FROM t a JOIN t b ON b.id = a.id       ->  SELECT x, y FROM t WHERE id IS NOT NULL       where id is t's key

Both inputs may be filtered and have columns of their own; what is left of both is one input with the columns of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from dataflow.types import BOOLEAN
from planner.keys import Key, keys_of
from planner.plan import Filter, Join, Plan, Project
from planner.plans import rewrite_plan
from planner.rules.drop_redundant import counts_up
from planner.scalar import Call, ColumnRef, Scalar
from planner.scalars import columns, move, substitute


def drop_self_joins(plan: Plan, known: Mapping[str, frozenset[Key]] | None = None) -> Plan:
    """Drop them everywhere. `known`: the unique keys of sources and views."""
    keys = known or {}
    return rewrite_plan(plan, lambda node: _drop(node, keys) if isinstance(node, Join) and not node.null_safe else node)


@dataclass(frozen=True, slots=True)
class _Part:
    """An input as columns of some rows, filtered. predicates: over all columns of the rows."""

    rows: Plan
    columns: tuple[int, ...]
    predicates: tuple[Scalar, ...]


def _part(plan: Plan) -> _Part:
    if isinstance(plan, Filter):
        below = _part(plan.input)
        types = below.rows.types
        refs = [ColumnRef(c, types[c], f"#{c}") for c in below.columns]
        return replace(below, predicates=(*below.predicates, *(substitute(p, refs) for p in plan.predicates)))
    if isinstance(plan, Project) and all(isinstance(output, ColumnRef) for output in plan.outputs):
        below = _part(plan.input)
        kept = tuple(below.columns[output.index] for output in plan.outputs if isinstance(output, ColumnRef))
        return replace(below, columns=kept)
    return _Part(plan, tuple(range(len(plan.types))), ())


def _drop(join: Join, known: Mapping[str, frozenset[Key]]) -> Plan:
    parts = [_part(below) for below in join.inputs]
    for first, second in combinations(range(len(parts)), 2):
        if parts[first].rows == parts[second].rows and counts_up(parts[first].rows):
            same = _same(join, parts, first, second)
            if any(key and key <= same for key in keys_of(parts[first].rows, known)):
                return _drop_one(join, parts, first, second, same, known)
    return join


def _same(join: Join, parts: list[_Part], first: int, second: int) -> frozenset[int]:
    """The columns of the rows that both inputs are joined by."""
    offsets = join.offsets
    begin = offsets[first], offsets[second]
    found = set()
    for pair in join.equal:
        if all(isinstance(side, ColumnRef) for side in pair):
            low, high = sorted(side.index for side in pair if isinstance(side, ColumnRef))
            if begin[0] <= low < offsets[first + 1] and begin[1] <= high < offsets[second + 1]:
                mine, its = parts[first].columns[low - begin[0]], parts[second].columns[high - begin[1]]
                found |= {mine} if mine == its else set()
    return frozenset(found)


def _drop_one(
    join: Join, parts: list[_Part], first: int, second: int, same: frozenset[int], known: Mapping[str, frozenset[Key]]
) -> Plan:
    """The join with one input in the place of two, its columns in the order that they had."""
    one, other = parts[first], parts[second]
    types, offsets = one.rows.types, join.offsets
    there = tuple(Call("is_not_null", (ColumnRef(c, types[c], f"#{c}"),), BOOLEAN) for c in sorted(same))
    predicates = tuple(dict.fromkeys((*one.predicates, *other.predicates, *there)))
    both = (*one.columns, *other.columns)
    merged = Project(Filter(one.rows, predicates), tuple(ColumnRef(c, types[c], f"#{c}") for c in both))
    left = [merged if i == first else below for i, below in enumerate(join.inputs) if i != second]
    width = len(one.columns)
    place: dict[int, int] = {}
    begin = 0
    for i, _ in enumerate(join.inputs):
        if i == second:
            continue
        for column in range(len(parts[i].columns)):
            place[offsets[i] + column] = begin + column
        if i == first:
            place |= {offsets[second] + column: begin + width + column for column in range(len(other.columns))}
        begin += len(both) if i == first else len(parts[i].columns)

    def moved(scalar: Scalar) -> Scalar:
        return move(scalar, place.__getitem__)

    inside = {*range(offsets[first], offsets[first + 1]), *range(offsets[second], offsets[second + 1])}
    apart = [pair for pair in join.equal if not all(_within(side, inside) for side in pair)]
    own = [pair for pair in join.equal if all(_within(side, inside) for side in pair)]
    made: Plan = Join(tuple(left), tuple((moved(a), moved(b)) for a, b in apart)) if len(left) > 1 else left[0]
    conditions = tuple(Call("=", (moved(a), moved(b)), BOOLEAN) for a, b in own if not _is_same(a, b, join, parts))
    if isinstance(made, Join):
        made = _drop(made, known)
    if conditions:
        made = Filter(made, conditions)
    whole = join.types
    return Project(made, tuple(ColumnRef(place[i], type_, f"#{place[i]}") for i, type_ in enumerate(whole)))


def _within(scalar: Scalar, places: set[int]) -> bool:
    return columns(scalar) <= places


def _is_same(a: Scalar, b: Scalar, join: Join, parts: list[_Part]) -> bool:
    """Whether both are the same column of the same rows."""

    def column(scalar: Scalar) -> int | None:
        if not isinstance(scalar, ColumnRef):
            return None
        side = next(i for i, end in enumerate(join.offsets[1:]) if scalar.index < end)
        return parts[side].columns[scalar.index - join.offsets[side]]

    return column(a) is not None and column(a) == column(b)
