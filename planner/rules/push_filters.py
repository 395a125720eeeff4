"""Move predicates down to the rows they are about, so that joins, groups and indexes hold only what can matter.

    SELECT * FROM t JOIN u ON t.a = u.a WHERE t.b > 1   ->  SELECT * FROM (SELECT * FROM t WHERE b > 1) t JOIN u ...

Below a join or a group only predicates go that cannot fail: there they would also see rows without a partner, whose errors
nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

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
    sides,
)
from planner.plans import rewrite_plan, with_inputs
from planner.scalar import Call, ColumnRef, Literal, Parameter, Scalar
from planner.scalars import can_fail, columns, move, size, substitute

_LIMIT = 64
"""Nodes that a predicate may grow to when it goes below the list that computes its columns."""


def push_filters(plan: Plan) -> Plan:
    """Move every predicate as far down as it may go."""
    return rewrite_plan(plan, _visit)


def _visit(plan: Plan) -> Plan:
    match plan:
        case Filter():
            return _push(plan.input, plan.predicates)
        case OuterJoin(full=False, on=on) | SemiJoin(on=on) if on:
            return _own_conditions(plan)
        case _:
            return plan


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
        case OuterJoin():
            return Filter(plan, predicates) if plan.full else _below(plan, predicates, range(len(plan.left.types)))
        case SemiJoin():
            return _below(plan, predicates, range(len(plan.left.types)))
        case FlatMap() | TemporalFilter():
            return _below(plan, predicates, range(len(plan.input.types)))
        case TopK():
            return _through_top_k(plan, predicates)
        case Window():
            return _below(plan, predicates, plan.partition)
        case Single():
            return _below(plan, predicates, range(plan.keys))
        case Distinct() | Negate() | Positive():
            return with_inputs(plan, (_push(plan.input, predicates),))
        case Get() | Constant() | Recursive():
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
            down[side].append(_from(predicate, offsets[side]))
    inputs = tuple(_push(below, tuple(own)) for below, own in zip(plan.inputs, down, strict=True))
    joined = replace(plan, inputs=inputs)
    return Filter(joined, tuple(stay)) if stay else joined


def _from(scalar: Scalar, first: int) -> Scalar:
    """The scalar over the one input whose columns begin at `first`."""
    return move(scalar, lambda index: index - first)


def _own_conditions(plan: OuterJoin | SemiJoin) -> Plan:
    """A join's own conditions, where they are about one side and decide nothing but which rows of it can match."""
    offsets = sides(plan)
    down: dict[int, list[Scalar]] = {0: [], 1: []}
    stay: list[Scalar] = []
    for predicate in plan.on:
        side = input_of(predicate, offsets)
        free = side == 1 or (side == 0 and isinstance(plan, SemiJoin) and not plan.anti)
        (down[side] if free and side is not None and not can_fail(predicate) else stay).append(predicate)
    right = tuple(_from(predicate, offsets[1]) for predicate in down[1])
    return replace(plan, left=_push(plan.left, tuple(down[0])), right=_push(plan.right, right), on=tuple(stay))


def _through_top_k(plan: TopK, predicates: tuple[Scalar, ...]) -> Plan:
    """Whole groups may go before their rows are counted; a bound on the places is a limit."""
    place = len(plan.input.types)
    if plan.numbered:
        for bound in (_bound(p, place) for p in predicates):
            if bound is not None and plan.offset == 0 and not isinstance(plan.limit, Parameter):
                plan = replace(plan, limit=min(plan.limit, bound) if isinstance(plan.limit, int) else bound)
    return _below(plan, predicates, plan.group)


def _bound(predicate: Scalar, place: int) -> int | None:
    """The last place that a predicate lets pass, if it says so with a constant."""
    if not isinstance(predicate, Call) or predicate.function not in ("=", "<", "<=", ">", ">="):
        return None
    column, value = predicate.args
    function = predicate.function
    if isinstance(column, Literal):
        column, value = value, column
        function = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(function, function)
    if not isinstance(column, ColumnRef) or column.index != place or not isinstance(value, Literal):
        return None
    if not isinstance(value.value, int) or function in (">", ">="):
        return None
    return max(0, value.value - (function == "<"))


def _below(
    plan: OuterJoin | SemiJoin | TopK | Window | Single | FlatMap | TemporalFilter,
    predicates: tuple[Scalar, ...],
    free: Iterable[int],
) -> Plan:
    """The predicates about columns that the first input has at the same places, below; the others above."""
    allowed = set(free)
    down = tuple(p for p in predicates if columns(p) and columns(p) <= allowed and not can_fail(p))
    stay = tuple(p for p in predicates if p not in down)
    if isinstance(plan, OuterJoin | SemiJoin):
        pushed: Plan = replace(plan, left=_push(plan.left, down))
    else:
        pushed = replace(plan, input=_push(plan.input, down))
    return Filter(pushed, stay) if stay else pushed


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
