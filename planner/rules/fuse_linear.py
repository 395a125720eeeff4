"""Make one list of neighbouring lists, and drop lists that change nothing.

    SELECT a + 1 FROM (SELECT b AS a FROM t)    ->  SELECT b + 1 FROM t

A computed column that is used more than once is computed once: its list stays, unless it is small.
"""

from __future__ import annotations

from planner.plan import Distinct, Filter, Plan, Project, Reduce, Union
from planner.plans import rewrite_plan, rewrite_scalars, with_inputs
from planner.scalar import ColumnRef, Literal, Scalar
from planner.scalars import size, substitute, walk

_SMALL = 4
"""Nodes of a computed column that may be computed again at each use."""


def fuse_linear(plan: Plan) -> Plan:
    """Fuse chains bottom up."""
    return rewrite_plan(plan, _fuse)


def _fuse(plan: Plan) -> Plan:
    match plan:
        case Project(input=Project() as inner) if _may_merge(plan.outputs, inner.outputs):
            return _fuse(Project(inner.input, tuple(substitute(o, inner.outputs) for o in plan.outputs)))
        case Project() if _is_identity(plan):
            return plan.input
        case Filter(input=Filter() as inner):
            return Filter(inner.input, tuple(dict.fromkeys(inner.predicates + plan.predicates)))
        case Reduce(input=Project() as inner) if _may_merge(_read(plan), inner.outputs):
            merged = rewrite_scalars(plan, lambda scalar: substitute(scalar, inner.outputs))
            return with_inputs(merged, (inner.input,))
        case Union():
            return Union(
                tuple(one for below in plan.inputs for one in (below.inputs if isinstance(below, Union) else (below,)))
            )
        case Distinct(input=Distinct() as once):
            return once
        case _:
            return plan


def _read(plan: Reduce) -> tuple[Scalar, ...]:
    return plan.keys + tuple(scalar for a in plan.aggregates for scalar in a.scalars)


def _is_identity(plan: Project) -> bool:
    positions = [output.index if isinstance(output, ColumnRef) else -1 for output in plan.outputs]
    return positions == list(range(len(plan.input.types))) and plan.types == plan.input.types


def _may_merge(outer: tuple[Scalar, ...], inner: tuple[Scalar, ...]) -> bool:
    uses = [0] * len(inner)
    for scalar in outer:
        for node in walk(scalar):
            if isinstance(node, ColumnRef):
                uses[node.index] += 1
    return all(
        count <= 1 or isinstance(made, ColumnRef | Literal) or size(made) <= _SMALL
        for count, made in zip(uses, inner, strict=True)
    )
