"""LATERAL: a FROM item that refers to the columns of the items on its left, joined to their rows.

    CROSS JOIN LATERAL (SELECT t.a + 1 AS b) x                                          a list over t's rows, no join at all
    CROSS JOIN LATERAL (SELECT * FROM u WHERE u.a = t.a) x                              a plain join
    CROSS JOIN LATERAL (SELECT * FROM u WHERE u.a = t.a ORDER BY b LIMIT 3) x           top-k of each value of t.a, joined

Always true: each left row meets the rows that the item gives for its columns, as often as it is there itself. Deliberately
unknown: how the item was bound; it refers to the left rows as to the SELECT at `depth`.
"""

from __future__ import annotations

from planner.decorrelate import Dependent
from planner.outer import outer_columns
from planner.plan import Constant, Filter, FlatMap, Get, Join, Negate, Pairs, Plan, Project, TemporalFilter, Union
from planner.plans import inputs
from planner.scalar import ColumnRef
from planner.subqueries import dependent


def joined(left: Plan, item: Plan, depth: int) -> Plan:
    """The left rows, each beside the item's rows for it: the columns of both."""
    if _linear(item, depth):
        return Dependent.of_rows(left, depth).over(item)
    values, equal = matched(left, item, depth)
    both = Join((left, values), equal, True)
    width, types = len(left.types), both.types
    kept = [*range(width), *range(width + len(equal), len(types))]
    return Project(both, tuple(ColumnRef(i, types[i], f"#{i}") for i in kept))


def matched(left: Plan, item: Plan, depth: int) -> tuple[Plan, Pairs]:
    """The item for all left rows at once, behind the columns that it refers to, and the pairs that join it to them."""
    return dependent(left, left, item, depth, False)


def _linear(item: Plan, depth: int) -> bool:
    """Whether the item's rows for equal left rows may be made of each of these by itself, so that nothing need be kept."""
    if not outer_columns(item, depth):
        return True
    match item:
        case Filter() | Project() | FlatMap() | TemporalFilter() | Union() | Negate() | Get() | Constant():
            return all(_linear(below, depth) for below in inputs(item))
        case Join():
            own = [below for below in item.inputs if outer_columns(below, depth)]
            return len(own) <= 1 and all(_linear(below, depth) for below in own)
        case _:
            return False
