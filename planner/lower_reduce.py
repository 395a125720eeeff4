"""How a GROUP BY is made: one reduce where its aggregates take all rows, several side by side where some take rows of their own.

Always true: every part has the same groups, so joining them by the keys loses none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from dataflow.graph import Aggregate, Node
from dataflow.layout import Order
from dataflow.operators.aggregates import Function
from dataflow.operators.ordered import ORDERED, OrderedAggregate, OrderedFunction
from planner.calls import AggregateCall
from planner.plan import Project, Reduce

if TYPE_CHECKING:
    from planner.lower import Lowering


def reduced(lowering: Lowering, plan: Reduce) -> Node:
    """One reduce for the aggregates of all rows, and one for each column whose values count once, side by side."""
    plain = [a for a in plan.aggregates if not a.distinct and a.function not in ORDERED]
    alone: dict[object, list[AggregateCall]] = {}
    for a in plan.aggregates:
        if a.function in ORDERED:
            alone.setdefault((a.order, a.distinct and a.scalars), []).append(a)
        elif a.distinct:
            alone.setdefault(a.argument, []).append(a)
    groups = list(alone.values())
    if plain or not groups:
        groups.insert(0, plain)
    width = len(plan.keys)
    node = _aggregated(lowering, plan, groups[0])
    for calls in groups[1:]:
        other = _aggregated(lowering, plan, calls)
        # Every group is in both, for each has rows.
        joined = lowering.builder.join(node, other, range(width), range(width), nulls_match=True)
        begin = len(node.types)
        kept = [*range(begin), *range(begin + width, len(joined.types))]
        node = lowering.builder.linear(joined, (), kept, [joined.types[i] for i in kept])
    made = [call for calls in groups for call in calls]
    order = [*range(width), *(width + made.index(call) for call in plan.aggregates)]
    return lowering.builder.linear(node, (), order, plan.types)


def _aggregated(lowering: Lowering, plan: Reduce, calls: Sequence[AggregateCall]) -> Node:
    """The keys and some of the aggregates, which all take all rows, or all the distinct values of one column."""
    arguments = [scalar for a in calls for scalar in a.scalars]
    scalars = list(dict.fromkeys((*plan.keys, *arguments)))
    place = {scalar: i for i, scalar in enumerate(scalars)}
    below = lowering.lower(Project(plan.input, tuple(scalars)))
    if any(call.distinct for call in calls):
        below = lowering.builder.distinct(below, lowering.grows(plan.input), reports=True)
    keys, grows = [place[key] for key in plan.keys], lowering.grows(plan.input)
    if calls and calls[0].function in ORDERED:
        order = [Order(place[term], descending, nulls) for term, descending, nulls in calls[0].order]
        ordered = [
            OrderedAggregate(
                cast(OrderedFunction, a.function),
                place[a.scalars[0]],
                a.type,
                None if a.other is None else place[a.other],
                a.fraction,
            )
            for a in calls
        ]
        return lowering.builder.reduce_ordered(below, keys, order, ordered, default_row=not plan.keys)
    aggregates = [
        Aggregate(
            cast(Function, a.function),
            None if a.argument is None else place[a.argument],
            a.type,
            None if a.other is None else place[a.other],
        )
        for a in calls
    ]
    return lowering.builder.reduce(below, keys, aggregates, default_row=not plan.keys, append_only=grows)
