"""Move temporal filters down to the rows they are about, so that joins and groups forget what is over.

    SELECT * FROM t JOIN u ON t.a = u.a WHERE mz_now() <= t.at      ->  the filter over t alone, below the join

Unlike other predicates a bound goes below a join also where it could fail: a timestamp beyond the year 294276 is then an error of
its row, whether or not that has a partner, which is little against state that is never freed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from planner.calls import Bound
from planner.plan import Filter, FlatMap, Join, Negate, OuterJoin, Plan, Project, SemiJoin, TemporalFilter, Union
from planner.plans import inputs, rewrite_plan, with_inputs
from planner.rules.push_filters import input_of
from planner.scalar import Scalar
from planner.scalars import columns, move, size, substitute

_LIMIT = 64
"""Nodes that a bound may grow to when it goes below the list that computes its columns."""


def push_temporal(plan: Plan) -> Plan:
    """Move every temporal filter as far down as it may go."""
    return rewrite_plan(plan, lambda node: _push(node.input, node.bounds) if isinstance(node, TemporalFilter) else node)


def _push(plan: Plan, bounds: tuple[Bound, ...]) -> Plan:
    """The plan while the bounds hold."""
    if not bounds:
        return plan
    match plan:
        case TemporalFilter():
            return _push(plan.input, tuple(dict.fromkeys(plan.bounds + bounds)))
        case Union() | Negate():
            return with_inputs(plan, tuple(_push(below, bounds) for below in inputs(plan)))
        case Project():
            down = _each(bounds, lambda value: substitute(value, plan.outputs))
            if all(size(bound.value) <= _LIMIT for bound in down):
                return Project(_push(plan.input, down), plan.outputs)
            return TemporalFilter(plan, bounds)
        case Join():
            return _through_join(plan, bounds)
        case OuterJoin(full=False) | SemiJoin():
            return _left(plan, bounds)
        case FlatMap():
            own, other = _split(bounds, len(plan.input.types))
            return _above(replace(plan, input=_push(plan.input, own)), other)
        case Filter():
            # Above a filter fewer rows wait; below it are only further filters and what computes its columns.
            return _under_filter(plan, bounds)
        case _:
            return TemporalFilter(plan, bounds)


def _under_filter(plan: Filter, bounds: tuple[Bound, ...]) -> Plan:
    if isinstance(plan.input, Join | OuterJoin | SemiJoin | FlatMap):
        return Filter(_push(plan.input, bounds), plan.predicates)
    return TemporalFilter(plan, bounds)


def _through_join(plan: Join, bounds: tuple[Bound, ...]) -> Plan:
    offsets = plan.offsets
    new = list(plan.inputs)
    stay: list[Bound] = []
    for i, first in enumerate(offsets[:-1]):
        own = tuple(bound for bound in bounds if input_of(bound.value, offsets) == i)
        new[i] = _push(new[i], _each(own, partial(_shifted, first)))
    stay = [bound for bound in bounds if input_of(bound.value, offsets) is None]
    return _above(replace(plan, inputs=tuple(new)), tuple(stay))


def _left(plan: OuterJoin | SemiJoin, bounds: tuple[Bound, ...]) -> Plan:
    own, other = _split(bounds, len(plan.left.types))
    return _above(replace(plan, left=_push(plan.left, own)), other)


def _split(bounds: tuple[Bound, ...], width: int) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """The bounds over the first `width` columns alone, and the others."""
    own = tuple(b for b in bounds if columns(b.value) and max(columns(b.value)) < width)
    return own, tuple(b for b in bounds if b not in own)


def _shifted(first: int, value: Scalar) -> Scalar:
    return move(value, lambda index: index - first)


def _above(plan: Plan, bounds: tuple[Bound, ...]) -> Plan:
    return TemporalFilter(plan, bounds) if bounds else plan


def _each(bounds: tuple[Bound, ...], change: Callable[[Scalar], Scalar]) -> tuple[Bound, ...]:
    return tuple(replace(bound, value=change(bound.value)) for bound in bounds)
