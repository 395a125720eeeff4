"""When a delta join stands for joins of two, and how it is made.

Joins of two arrange each input once, and what every join but the last one makes; a delta join arranges nothing but its inputs, each
by every key that it is linked by. It is taken where it makes strictly fewer new arrangements, and of no input more than joins of
two would: what is between two joins may be far smaller than an input. What other views have asked for is not new.
"""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from dataflow.graph import Keyed, Link, Node
from planner.flat_joins import FlatJoin, Linked, Side, in_order, links_of
from planner.keys import keys_of
from planner.plan import Filter, Join, Plan, Project
from planner.scalar import ColumnRef, Scalar
from planner.scalars import columns, move

if TYPE_CHECKING:
    from planner.lower import Lowering


def delta_join(lowering: Lowering, plan: Join) -> Node | None:
    """The joins of a plan as one delta join; None where that keeps no fewer arrangements."""
    flat = lowering.flat.of(plan)
    if len(flat.inputs) < 3:
        return None
    keys = [keys_of(below, lowering.keys) for below in flat.inputs]

    def narrow(side: Side) -> bool:
        own = {column.index for column in side.key if isinstance(column, ColumnRef)}
        return any(unique <= own for unique in keys[side.of])

    linked, predicates = links_of(flat, narrow)
    nodes, sides = _inputs(lowering, flat, linked)
    builder = lowering.builder
    ends = {(nodes[of].number, key): (of, key) for of, key in sides.values()}
    new = Counter(flat.inputs[of] for of, key in ends.values() if not builder.is_arranged(nodes[of], key))
    instead = Counter(below for below, _ in _of_two(lowering, plan))
    if not new < instead:
        return None
    unique = {keyed for side, keyed in sides.items() if narrow(side)}
    joined = builder.delta_join(nodes, [Link(sides[left], sides[right]) for left, right in linked], unique)
    # Computed keys stand behind an input's own columns.
    starts = accumulate((len(node.types) for node in nodes), initial=0)
    place = [
        start + column for start, below in zip(starts, flat.inputs, strict=False) for column in range(len(below.types))
    ]
    compiled = [lowering.compile(move(p, place.__getitem__)) for p in (*flat.predicates, *predicates)]
    return builder.linear(joined, compiled, [place[index] for index in flat.places], plan.types)


def _inputs(lowering: Lowering, flat: FlatJoin, linked: list[Linked]) -> tuple[list[Node], dict[Side, Keyed]]:
    """The inputs with all keys of their links as columns, and for each side of a link which columns those are."""
    nodes: list[Node] = []
    sides: dict[Side, Keyed] = {}
    for number, below in enumerate(flat.inputs):
        own = [side for link in linked for side in link if side.of == number]
        scalars = list(dict.fromkeys(scalar for side in own for scalar in side.key))
        node, places = lowering.keyed(below, scalars, 0)
        nodes.append(node)
        at = dict(zip(scalars, places, strict=True))
        sides |= {side: (number, tuple(at[scalar] for scalar in side.key)) for side in own}
    return nodes, sides


def _of_two(lowering: Lowering, plan: Plan) -> set[tuple[Plan, tuple[object, ...]]]:
    """What joins of two would arrange, and by what, for a plan of joins that nobody has arranged yet."""
    while isinstance(plan, Project | Filter) and plan not in lowering.nodes:
        plan = plan.input
    if not isinstance(plan, Join) or plan in lowering.nodes:
        return set()
    left, right = plan.inputs
    width = len(left.types)
    pairs = in_order(p if max(columns(p[0])) < width else (p[1], p[0]) for p in plan.equal)
    found: set[tuple[Plan, tuple[object, ...]]] = set()
    for side, (below, offset) in enumerate(((left, 0), (right, width))):
        key: list[Scalar] = [pair[side] for pair in pairs]
        if below not in lowering.nodes and len(lowering.flat.of(below).inputs) > 1:
            found |= {(below, tuple(key)), *_of_two(lowering, below)}
            continue
        node, places = lowering.keyed(below, key, offset)
        if not lowering.builder.is_arranged(node, places):
            found.add((below, tuple(places)))
    return found
