"""Split a join of many inputs into joins of two, so that each has a key as long as the query gives it one.

    FROM a, b, c WHERE a.x = c.x AND c.y = b.y      ->  ((a join c) join b), its columns put back in the order a, b, c

The order is that of FROM, except that an input which has no key with those before it waits until one does.
"""

from __future__ import annotations

from planner.plan import Join, Plan, Project
from planner.plans import rewrite_plan
from planner.rules.push_filters import input_of
from planner.scalar import ColumnRef, Scalar
from planner.scalars import move


def order_joins(plan: Plan) -> Plan:
    """Make every join one of two inputs."""
    return rewrite_plan(plan, lambda node: _order(node) if isinstance(node, Join) and len(node.inputs) > 2 else node)


def _order(join: Join) -> Plan:
    offsets = join.offsets
    sides = [(_side(left, offsets), _side(right, offsets)) for left, right in join.equal]
    placed = [0]
    waiting = list(range(1, len(join.inputs)))
    plan = join.inputs[0]
    # Where each column of the whole join now stands in `plan`.
    position = {index: index for index in range(offsets[1])}
    while waiting:
        linked = [i for i in waiting if any((a in placed and b == i) or (b in placed and a == i) for a, b in sides)]
        new = linked[0] if linked else waiting[0]
        width = len(plan.types)
        position |= {offsets[new] + i: width + i for i in range(len(join.inputs[new].types))}
        pairs = []
        for (left, right), (a, b) in zip(join.equal, sides, strict=True):
            if a == new and b in placed:
                left, right = right, left
            elif not (b == new and a in placed):
                continue
            pairs.append((move(left, position.__getitem__), move(right, position.__getitem__)))
        plan = Join((plan, join.inputs[new]), tuple(pairs))
        placed.append(new)
        waiting.remove(new)
    if placed == sorted(placed):
        return plan
    types = join.types
    return Project(plan, tuple(ColumnRef(position[i], types[i], f"#{position[i]}") for i in range(len(types))))


def _side(scalar: Scalar, offsets: tuple[int, ...]) -> int:
    side = input_of(scalar, offsets)
    if side is None:
        raise ValueError(f"join key {scalar} does not read exactly one input; this is a planner mistake")
    return side
