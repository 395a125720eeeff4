"""Walking and rewriting plans: what the rules, the binder and decorrelation share.

Always true: a node that nothing changed in stays the very same object. Deliberately unknown: what any node means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from planner.functions.user import UserFunction
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
)
from planner.scalar import Literal, Parameter, Scalar, UserCall
from planner.scalars import walk


def inputs(plan: Plan) -> tuple[Plan, ...]:
    """The plans directly below."""
    if isinstance(plan, Join | Union | Recursive):
        return plan.inputs
    if isinstance(plan, Get | Constant):
        return ()
    if isinstance(plan, OuterJoin | SemiJoin):
        return plan.left, plan.right
    return (plan.input,)


def with_inputs(plan: Plan, new: tuple[Plan, ...]) -> Plan:
    """The same node over other inputs; the very same object when nothing changed."""
    if all(a is b for a, b in zip(inputs(plan), new, strict=True)):
        return plan
    match plan:
        case Get() | Constant():
            return plan
        case Join() | Union() | Recursive():
            return replace(plan, inputs=new)
        case OuterJoin() | SemiJoin():
            return replace(plan, left=new[0], right=new[1])
        case _:
            return replace(plan, input=new[0])


def rewrite_plan(plan: Plan, change: Callable[[Plan], Plan]) -> Plan:
    """Bottom up: `change` sees every node after its inputs were changed."""
    return change(with_inputs(plan, tuple(rewrite_plan(below, change) for below in inputs(plan))))


def rewrite_scalars(plan: Plan, change: Callable[[Scalar], Scalar]) -> Plan:
    """The node with its own scalars changed; its inputs are left as they are."""
    match plan:
        case Filter():
            return Filter(plan.input, tuple(map(change, plan.predicates)))
        case Project():
            return Project(plan.input, tuple(map(change, plan.outputs)))
        case Join():
            return replace(plan, equal=_pairs(plan.equal, change))
        case OuterJoin() | SemiJoin():
            return replace(plan, equal=_pairs(plan.equal, change), on=tuple(map(change, plan.on)))
        case Reduce():
            keys = tuple(map(change, plan.keys))
            return Reduce(plan.input, keys, tuple(a.change(change) for a in plan.aggregates))
        case TemporalFilter():
            return replace(plan, bounds=tuple(replace(b, value=change(b.value)) for b in plan.bounds))
        case FlatMap():
            return replace(plan, calls=tuple(replace(c, args=tuple(map(change, c.args))) for c in plan.calls))
        case TopK():
            limit, offset = _count(plan.limit, "LIMIT", change), _count(plan.offset, "OFFSET", change)
            return replace(plan, limit=limit, offset=offset or 0)
        case Get() | Constant() | Distinct() | Positive() | Single() | Negate() | Union() | Window() | Recursive():
            return plan


def _count(number: int | Parameter | None, what: str, change: Callable[[Scalar], Scalar]) -> int | Parameter | None:
    """LIMIT's or OFFSET's number, changed. ValueError when it becomes negative."""
    if not isinstance(number, Parameter):
        return number
    changed = change(number)
    if isinstance(changed, Parameter):
        return changed
    assert isinstance(changed, Literal)
    if changed.value is not None and int(changed.value) < 0:
        raise ValueError(f"{what} must not be negative")
    return None if changed.value is None else int(changed.value)


def _pairs(pairs: Pairs, change: Callable[[Scalar], Scalar]) -> Pairs:
    return tuple((change(left), change(right)) for left, right in pairs)


def own_scalars(plan: Plan) -> tuple[Scalar, ...]:
    """The scalars that a node itself holds, in the order in which `rewrite_scalars` sees them."""
    found: list[Scalar] = []

    def keep(scalar: Scalar) -> Scalar:
        found.append(scalar)
        return scalar

    rewrite_scalars(plan, keep)
    return tuple(found)


def relations(plan: Plan) -> set[str]:
    """Names of the sources and views that a plan reads."""
    found = {plan.name} if isinstance(plan, Get) else set()
    return found.union(*(relations(below) for below in inputs(plan)))


def user_functions(plan: Plan) -> set[UserFunction]:
    """The functions of the service's module that a plan calls itself, not through views that it reads."""
    below = inputs(plan) + (plan.bodies if isinstance(plan, Recursive) else ())
    found = {node.function for one in own_scalars(plan) for node in walk(one) if isinstance(node, UserCall)}
    return found.union(*map(user_functions, below))


def is_temporal(plan: Plan) -> bool:
    """Whether rows come and go as time passes: what is asked once has no answer for that."""
    return isinstance(plan, TemporalFilter) or any(map(is_temporal, inputs(plan)))
