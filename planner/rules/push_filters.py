"""Move predicates down to the rows they are about, so that joins, groups and indexes hold only what can matter.

    SELECT * FROM t JOIN u ON t.a = u.a WHERE t.b > 1   ->  SELECT * FROM (SELECT * FROM t WHERE b > 1) t JOIN u ...

Below a join or a group only predicates go that cannot fail: there they would also see rows without a partner, whose errors
nobody asked for.
"""

from __future__ import annotations

from planner.plan import (
    Constant,
    Distinct,
    Filter,
    Get,
    Join,
    Negate,
    Plan,
    Project,
    Reduce,
    Union,
    rewrite_plan,
    with_inputs,
)
from planner.scalar import Scalar
from planner.scalars import can_fail, columns, move, size, substitute

_LIMIT = 64
"""Nodes that a predicate may grow to when it goes below the list that computes its columns."""


def push_filters(plan: Plan) -> Plan:
    """Move every predicate as far down as it may go."""
    return rewrite_plan(plan, lambda node: _push(node.input, node.predicates) if isinstance(node, Filter) else node)


def _push(plan: Plan, predicates: tuple[Scalar, ...]) -> Plan:
    """The plan filtered by predicates over its rows."""
    predicates = tuple(dict.fromkeys(predicates))
    if not predicates:
        return plan
    match plan:
        case Filter():
            return _push(plan.input, plan.predicates + predicates)
        case Project():
            return _through_project(plan, predicates)
        case Join():
            return _through_join(plan, predicates)
        case Reduce():
            return _through_reduce(plan, predicates)
        case Union():
            return Union(tuple(_push(below, predicates) for below in plan.inputs))
        case Distinct() | Negate():
            return with_inputs(plan, (_push(plan.input, predicates),))
        case Get() | Constant():
            return Filter(plan, predicates)


def _through_project(plan: Project, predicates: tuple[Scalar, ...]) -> Plan:
    below = {p: substitute(p, plan.outputs) for p in predicates}
    down = tuple(new for new in below.values() if size(new) <= _LIMIT)
    stay = tuple(old for old, new in below.items() if size(new) > _LIMIT)
    plan = Project(_push(plan.input, down), plan.outputs)
    return Filter(plan, stay) if stay else plan


def _through_join(plan: Join, predicates: tuple[Scalar, ...]) -> Plan:
    offsets = plan.offsets
    down: list[list[Scalar]] = [[] for _ in plan.inputs]
    stay: list[Scalar] = []
    for predicate in predicates:
        side = input_of(predicate, offsets)
        if side is None or can_fail(predicate):
            stay.append(predicate)
        else:
            down[side].append(move(predicate, lambda index, first=offsets[side]: index - first))  # type: ignore[misc]
    inputs = tuple(_push(below, tuple(own)) for below, own in zip(plan.inputs, down, strict=True))
    joined = Join(inputs, plan.equal)
    return Filter(joined, tuple(stay)) if stay else joined


def _through_reduce(plan: Reduce, predicates: tuple[Scalar, ...]) -> Plan:
    down: list[Scalar] = []
    stay: list[Scalar] = []
    for predicate in predicates:
        read = columns(predicate)
        below = substitute(predicate, plan.keys) if read and max(read) < len(plan.keys) else None
        if below is None or can_fail(below):
            stay.append(predicate)
        else:
            down.append(below)
    reduced = Reduce(_push(plan.input, tuple(down)), plan.keys, plan.aggregates)
    return Filter(reduced, tuple(stay)) if stay else reduced


def input_of(scalar: Scalar, offsets: tuple[int, ...]) -> int | None:
    """The one input of a join whose columns a scalar reads; None when there are none or several."""
    sides = {next(i for i, end in enumerate(offsets[1:]) if index < end) for index in columns(scalar)}
    return sides.pop() if len(sides) == 1 else None
