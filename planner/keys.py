"""Which columns of a plan are unique together, as far as the plan proves it.

Always true: a key returned here is unique in every state of the data; a key that is not returned may still be unique. `()` as a
key means that there is at most one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Negate,
    OuterJoin,
    Plan,
    Positive,
    Project,
    Recursive,
    Reduce,
    SemiJoin,
    Single,
    TemporalFilter,
    TopK,
    Union,
    Window,
)
from planner.scalar import Call, ColumnRef, Literal

Key = frozenset[int]
_MOST = 32
"""Keys that are followed for one plan: joins multiply them."""


def keys_of(plan: Plan, known: Mapping[str, frozenset[Key]]) -> frozenset[Key]:
    """The unique keys of a plan as column positions; `known` gives those of sources and views."""
    match plan:
        case Get():
            return known.get(plan.name, frozenset())
        case Constant():
            return frozenset([Key()]) if len(plan.rows) <= 1 else frozenset()
        case Filter():
            fixed = {column for p in plan.predicates if (column := _fixed(p)) is not None}
            return _least(key - fixed for key in keys_of(plan.input, known))
        case Project():
            return _projected(plan, keys_of(plan.input, known))
        case Join():
            return _joined(plan, known)
        case Reduce():
            return frozenset([Key(range(len(plan.keys)))])
        case Distinct():
            return _least([*keys_of(plan.input, known), Key(range(len(plan.types)))])
        case OuterJoin():
            return _outer_joined(plan, known)
        case SemiJoin():
            return keys_of(plan.left, known)
        case FlatMap():
            place = Key([len(plan.types) - 1])
            return _least(key | place for key in keys_of(plan.input, known)) if plan.ordinality else frozenset()
        case TopK():
            return _first_rows(plan, keys_of(plan.input, known))
        case Single():
            return _least([*keys_of(plan.input, known), Key(range(plan.keys))])
        case Negate() | Positive() | Window() | TemporalFilter():
            return keys_of(plan.input, known)
        case Union() | Recursive():
            return frozenset()


def _least(keys: Iterable[Key]) -> frozenset[Key]:
    """Without keys that contain another one; the shortest ones when there are many."""
    kept: list[Key] = []
    for key in sorted(set(keys), key=lambda k: (len(k), sorted(k))):
        if not any(other <= key for other in kept):
            kept.append(key)
    return frozenset(kept[:_MOST])


def _fixed(predicate: object) -> int | None:
    """The column that a predicate sets equal to a constant."""
    if isinstance(predicate, Call) and predicate.function == "=":
        sides = predicate.args
        for column, value in (sides, sides[::-1]):
            if isinstance(column, ColumnRef) and isinstance(value, Literal):
                return column.index
    return None


def _projected(plan: Project, keys: frozenset[Key]) -> frozenset[Key]:
    places: dict[int, list[int]] = {}
    for i, output in enumerate(plan.outputs):
        if isinstance(output, ColumnRef):
            places.setdefault(output.index, []).append(i)
    found = (
        Key(choice)
        for key in keys
        if all(column in places for column in key)
        for choice in product(*(places[column][:2] for column in sorted(key)))
    )
    return _least(found)


def _joined(plan: Join, known: Mapping[str, frozenset[Key]]) -> frozenset[Key]:
    """Keys of a join: a row's keys stay unique when every other input has at most one partner for it."""
    offsets = plan.offsets
    keys = [
        _least(Key(column + first for column in key) for key in keys_of(below, known))
        for below, first in zip(plan.inputs, offsets, strict=False)
    ]
    equal = [(a.index, b.index) for a, b in plan.equal if isinstance(a, ColumnRef) and isinstance(b, ColumnRef)]
    result: set[Key] = {Key().union(*choice) for choice in product(*(sorted(k, key=sorted)[:4] for k in keys))}
    for start, own in enumerate(keys):
        reached = set(range(offsets[start], offsets[start + 1]))
        rest = set(range(len(keys))) - {start}
        while found := [i for i in rest if any(key <= _bound(reached, equal) for key in keys[i])]:
            for i in found:
                reached |= set(range(offsets[i], offsets[i + 1]))
                rest.discard(i)
        if not rest:
            result |= own
    return _least(result)


def _outer_joined(plan: OuterJoin, known: Mapping[str, frozenset[Key]]) -> frozenset[Key]:
    """Keys of a left join: a left row without a match stands in it once, like one with a single match.

    A full join has none: rows of both sides without a match are alike where the key columns themselves are NULL.
    """
    if plan.full:
        return frozenset()
    width = len(plan.left.types)
    left = keys_of(plan.left, known)
    right = _least(Key(column + width for column in key) for key in keys_of(plan.right, known))
    if any(key <= partner_columns(plan) for key in right):
        return left
    return _least(a | b for a, b in product(sorted(left, key=sorted), sorted(right, key=sorted)))


def partner_columns(plan: OuterJoin | SemiJoin) -> set[int]:
    """The right columns whose values in a match are those of the left row's keys."""
    width = len(plan.left.types)
    return {side.index for pair in plan.equal for side in pair if isinstance(side, ColumnRef) and side.index >= width}


def _first_rows(plan: TopK, keys: frozenset[Key]) -> frozenset[Key]:
    found = list(keys)
    if isinstance(plan.limit, int) and plan.limit <= 1:
        found.append(Key(plan.group))
    if plan.numbered:
        found.append(Key((*plan.group, len(plan.input.types))))
    return _least(found)


def _bound(reached: set[int], equal: list[tuple[int, int]]) -> set[int]:
    """Columns whose value is known once those of `reached` are."""
    return {b for a, b in equal if a in reached} | {a for a, b in equal if b in reached}
