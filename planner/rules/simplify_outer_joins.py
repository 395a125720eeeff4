"""Make an outer join an inner one, or a full join one of a side, where the rows without a partner cannot reach the result.

    SELECT * FROM t LEFT JOIN u ON u.x = t.x WHERE u.y > 1               ->  JOIN
    SELECT * FROM t LEFT JOIN u ON u.x = t.x JOIN v ON v.z = u.z         ->  JOIN, for NULL equals nothing
    SELECT * FROM t FULL JOIN u ON u.x = t.x WHERE t.y > 1               ->  LEFT JOIN

What the rows must fulfil is carried down from the filters and joins above: a row with NULLs for a whole side that some condition
certainly refuses is superfluous.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dataflow.types import BOOLEAN
from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Negate,
    OuterJoin,
    Pairs,
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
    sides,
)
from planner.plans import inputs, with_inputs
from planner.rules.push_filters import input_of
from planner.scalar import Call, ColumnRef, Scalar
from planner.scalars import columns, move, rejects_nulls, size, substitute, walk

_LIMIT = 64
"""Nodes that a condition may grow to when it goes below the list that computes its columns."""

Conditions = tuple[Scalar, ...]
"""What holds for every row of a plan that can reach the result."""


def simplify_outer_joins(plan: Plan) -> Plan:
    """Simplify every outer join that the conditions around it allow."""
    return _visit(plan, ())


def _visit(plan: Plan, conditions: Conditions) -> Plan:
    match plan:
        case Filter():
            return with_inputs(plan, (_visit(plan.input, (*conditions, *plan.predicates)),))
        case Project():
            below = (substitute(condition, plan.outputs) for condition in conditions)
            return with_inputs(plan, (_visit(plan.input, tuple(c for c in below if size(c) <= _LIMIT)),))
        case Join():
            return with_inputs(plan, _inputs_of_join(plan, conditions))
        case OuterJoin():
            return _outer_join(plan, conditions)
        case SemiJoin():
            return _semi_join(plan, conditions)
        case Reduce():
            kept = _only(conditions, range(len(plan.keys)))
            return with_inputs(plan, (_visit(plan.input, tuple(substitute(c, plan.keys) for c in kept)),))
        case TemporalFilter():
            known = tuple(Call("is_not_null", (bound.value,), BOOLEAN) for bound in plan.bounds)
            return with_inputs(plan, (_visit(plan.input, conditions + known),))
        case TopK():
            return with_inputs(plan, (_visit(plan.input, _only(conditions, plan.group)),))
        case Window():
            return with_inputs(plan, (_visit(plan.input, _only(conditions, plan.partition)),))
        case Single():
            return with_inputs(plan, (_visit(plan.input, _only(conditions, range(plan.keys))),))
        case FlatMap():
            return with_inputs(plan, (_visit(plan.input, _only(conditions, range(len(plan.input.types)))),))
        case Distinct() | Positive() | Negate() | Union():
            return with_inputs(plan, tuple(_visit(below, conditions) for below in inputs(plan)))
        case Recursive():
            return with_inputs(plan, tuple(_visit(below, ()) for below in plan.inputs))
        case Get() | Constant():
            return plan


def _only(conditions: Conditions, places: Iterable[int]) -> Conditions:
    """The conditions on some columns alone."""
    allowed = set(places)
    return tuple(condition for condition in _known(conditions) if columns(condition) and columns(condition) <= allowed)


def _known(conditions: Conditions) -> Conditions:
    """The conditions, and that a column has a value where one of them needs it."""
    found = dict.fromkeys(conditions)
    for condition in conditions:
        for place in columns(condition):
            if rejects_nulls(condition, (place,)):
                reference = next(n for n in walk(condition) if isinstance(n, ColumnRef) and n.index == place)
                found[Call("is_not_null", (reference,), BOOLEAN)] = None
    return tuple(found)


def _of_pairs(pairs: Pairs, null_safe: bool) -> Conditions:
    """That the keys of an inner match have values."""
    return () if null_safe else tuple(Call("is_not_null", (side,), BOOLEAN) for pair in pairs for side in pair)


def _split(conditions: Conditions, offsets: tuple[int, ...]) -> list[Conditions]:
    """For each input the conditions that are about it alone, over its own columns."""
    found: list[list[Scalar]] = [[] for _ in offsets[1:]]
    for condition in _known(conditions):
        side = input_of(condition, offsets)
        if side is not None:
            found[side].append(_from(condition, offsets[side]))
    return [tuple(own) for own in found]


def _from(scalar: Scalar, first: int) -> Scalar:
    """The scalar over the one input whose columns begin at `first`."""
    return move(scalar, lambda index: index - first)


def _inputs_of_join(plan: Join, conditions: Conditions) -> tuple[Plan, ...]:
    own = _split(conditions + _of_pairs(plan.equal, plan.null_safe), plan.offsets)
    return tuple(_visit(below, known) for below, known in zip(plan.inputs, own, strict=True))


def _outer_join(plan: OuterJoin, conditions: Conditions) -> Plan:
    _, width, end = sides(plan)
    needs_left = any(rejects_nulls(c, range(width)) for c in conditions)
    needs_right = any(rejects_nulls(c, range(width, end)) for c in conditions)
    if needs_right and (needs_left or not plan.full):
        joined = Join((plan.left, plan.right), plan.equal, plan.null_safe)
        return _visit(Filter(joined, plan.on) if plan.on else joined, conditions)
    if plan.full and needs_left:
        return _outer_join(replace(plan, full=False), conditions)
    if plan.full and needs_right:
        return _visit(_mirrored(plan), conditions)
    if plan.full:
        return with_inputs(plan, (_visit(plan.left, ()), _visit(plan.right, ())))
    (of_left, _), (_, of_right) = (
        _split(known, (0, width, end)) for known in (conditions, plan.on + _of_pairs(plan.equal, plan.null_safe))
    )
    return with_inputs(plan, (_visit(plan.left, of_left), _visit(plan.right, of_right)))


def _semi_join(plan: SemiJoin, conditions: Conditions) -> Plan:
    match_ = plan.on + _of_pairs(plan.equal, plan.null_safe)
    of_left, of_right = _split(match_, sides(plan))
    left = conditions if plan.anti else conditions + of_left
    return with_inputs(plan, (_visit(plan.left, left), _visit(plan.right, of_right)))


def _mirrored(plan: OuterJoin) -> Plan:
    """The rows of a full join with a right side, as a left join of the other side, its columns put back in order."""
    _, width, end = sides(plan)
    other = end - width

    def moved(scalar: Scalar) -> Scalar:
        return move(scalar, lambda index: index + other if index < width else index - width)

    equal = tuple((moved(b), moved(a)) for a, b in plan.equal)
    mirrored = OuterJoin(plan.right, plan.left, equal, tuple(map(moved, plan.on)), False, plan.null_safe)
    types = plan.types
    places = [*range(other, end), *range(other)]
    return Project(mirrored, tuple(ColumnRef(p, types[i], f"#{p}") for i, p in enumerate(places)))
