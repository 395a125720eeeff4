"""Which plans never take a row back, as far as the plan proves it.

    SELECT k, max(v) FROM log GROUP BY k        the rows of `log` only ever come, so the largest `v` of a key suffices as state

Always true: every delta of a plan that is append-only here has positive diffs alone, if the sources said to be so have; a plan
that is not proved append-only may still be. An upsert source never is one. Deliberately unknown: how operators use it.
"""

from __future__ import annotations

from collections.abc import Collection

from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Plan,
    Positive,
    Project,
    Reduce,
    SemiJoin,
    Union,
)
from planner.plans import inputs


def append_only(plan: Plan, known: Collection[str]) -> bool:
    """Whether rows of the plan only come; `known` are the sources and views of which only that is true."""
    match plan:
        case Get():
            return plan.name in known
        case Constant():
            return True
        case SemiJoin(anti=True):
            return False
        case Reduce():
            # With aggregates a group's row is replaced; without any it is the group's key, which stays.
            return bool(plan.keys) and not plan.aggregates and append_only(plan.input, known)
        case Filter() | Project() | FlatMap() | Join() | SemiJoin() | Distinct() | Positive() | Union():
            return all(append_only(below, known) for below in inputs(plan))
        case _:
            return False
