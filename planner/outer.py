"""References of a subquery to the rows around it, and what becomes of them when either side of the border moves.

Always true: `depth` names one SELECT around; references to others are left as they are. Deliberately unknown: how such plans are
joined to the rows (`planner.decorrelate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from planner.plan import Plan
from planner.plans import inputs, own_scalars, rewrite_plan, rewrite_scalars
from planner.scalar import ColumnRef, OuterRef, Scalar, Subquery
from planner.scalars import rewrite, walk


def outer_columns(plan: Plan, depth: int) -> dict[int, OuterRef]:
    """The columns of the SELECT at `depth` that a plan refers to, by position."""
    found = {
        node.index: node
        for scalar in own_scalars(plan)
        for node in walk(scalar)
        if isinstance(node, OuterRef) and node.depth == depth
    }
    for below in inputs(plan):
        found |= outer_columns(below, depth)
    return dict(sorted(found.items()))


def is_outer(scalar: Scalar, depth: int) -> bool:
    """Whether a scalar refers to the SELECT at `depth`."""
    return any(isinstance(node, OuterRef) and node.depth == depth for node in walk(scalar))


def inward(scalar: Scalar, depth: int) -> Scalar:
    """A scalar over the rows of the SELECT at `depth`, as a subquery in it sees it."""
    return rewrite(scalar, lambda s: OuterRef(depth, s.index, s.type, s.name) if isinstance(s, ColumnRef) else None)


def outward(scalar: Scalar, depth: int, shift: int) -> Scalar:
    """The reverse, for a scalar over a subquery's rows that stand `shift` columns to the right of the outer ones."""

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, OuterRef) and node.depth == depth:
            return ColumnRef(node.index, node.type, node.name)
        return ColumnRef(node.index + shift, node.type, node.name) if isinstance(node, ColumnRef) else None

    return rewrite(scalar, change)


def relocate(scalar: Scalar, place: Callable[[int], int]) -> Scalar:
    """A bound scalar over rows whose columns stand elsewhere, also for the subqueries in it."""

    def inside(subquery: Subquery, node: Scalar) -> Scalar | None:
        if isinstance(node, OuterRef) and node.depth == subquery.depth:
            return replace(node, index=place(node.index))
        return None

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, ColumnRef):
            return ColumnRef(place(node.index), node.type, node.name)
        if not isinstance(node, Subquery):
            return None
        plan = rewrite_plan(
            node.plan, lambda below: rewrite_scalars(below, lambda s: rewrite(s, partial(inside, node)))
        )
        return replace(node, plan=plan, values=tuple(rewrite(value, change) for value in node.values))

    return rewrite(scalar, change)
