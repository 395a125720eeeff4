"""Split a join of many inputs into joins of two, so that each has a key as long as the query gives it one.

    FROM a, b, c WHERE a.x = c.x AND c.y = b.y      ->  ((a join c) join b), its columns put back in the order a, b, c

The order is that of FROM, except that an input which has no key with those before it waits until one does. Where keys are known
that keep every step from meeting many rows with many, the inputs with the narrowest filters go first:

    FROM orders, customers WHERE customers.id = orders.customer AND customers.name = 'a'    ->  customers join orders

so that what is between two joins, which is state, holds few rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.keys import Key, keys_of
from planner.plan import Filter, Join, Plan, Project
from planner.plans import rewrite_plan
from planner.rules.push_filters import input_of
from planner.scalar import Call, ColumnRef, Literal, Scalar
from planner.scalars import columns, move

Known = Mapping[str, frozenset[Key]]


def order_joins(plan: Plan, known: Known | None = None) -> Plan:
    """Make every join one of two inputs. `known`: the unique keys of sources and views."""
    keys = known or {}
    return rewrite_plan(
        plan, lambda node: _order(node, keys) if isinstance(node, Join) and len(node.inputs) > 2 else node
    )


def _order(join: Join, known: Known) -> Plan:
    narrow = _by_width(join, known)
    if narrow is not None:
        return narrow.whole()
    tree = _Tree(join, 0)
    while tree.waiting:
        linked = [i for i in tree.waiting if tree.pairs(i)]
        tree.add(linked[0] if linked else tree.waiting[0])
    return tree.whole()


def _by_width(join: Join, known: Known) -> _Tree | None:
    """The narrowest input first, then always the narrowest of those that can be joined; None where none can at some step."""
    widths = [_width(below) for below in join.inputs]
    tree = _Tree(join, min(range(len(widths)), key=widths.__getitem__))
    while tree.waiting:
        # Those that find at most one partner add no rows, so that among equals they go first.
        found = [(widths[i], fan, i) for i in tree.waiting if (fan := _fan(tree, i, known)) is not None]
        if not found:
            return None
        tree.add(min(found)[2])
    return tree


def _fan(tree: _Tree, new: int, known: Known) -> int | None:
    """How many rows a join with a new input meets: 0: at most one for each so far, 1: each new one at most once; None: any."""
    pairs = tree.pairs(new)
    if not pairs:
        return None
    width = len(tree.plan.types)
    if _covers([right for _, right in pairs], width, keys_of(tree.join.inputs[new], known)):
        return 0
    return 1 if _covers([left for left, _ in pairs], 0, keys_of(tree.plan, known)) else None


def _covers(sides: Sequence[Scalar], first: int, keys: frozenset[Key]) -> bool:
    own = {side.index - first for side in sides if isinstance(side, ColumnRef)}
    return any(key <= own for key in keys)


def _width(plan: Plan) -> int:
    """How much of its rows an input lets through, as far as its filters tell: 0 for a constant, 1 for a condition, 2 for all."""
    while isinstance(plan, Project):
        plan = plan.input
    if not isinstance(plan, Filter):
        return 2
    return 0 if any(_is_constant(predicate) for predicate in plan.predicates) else 1


def _is_constant(predicate: Scalar) -> bool:
    if not isinstance(predicate, Call) or predicate.function != "=":
        return False
    return any(isinstance(side, Literal) for side in predicate.args) and bool(columns(predicate))


class _Tree:
    """Joins of two made so far. `plan` has the inputs in the order in which they were added."""

    def __init__(self, join: Join, start: int) -> None:
        self.join = join
        self.offsets = join.offsets
        self.sides = [(_side(left, self.offsets), _side(right, self.offsets)) for left, right in join.equal]
        self.placed = [start]
        self.waiting = [i for i in range(len(join.inputs)) if i != start]
        self.plan = join.inputs[start]
        # Where each column of the whole join now stands in `plan`.
        self.position = {self.offsets[start] + i: i for i in range(len(self.plan.types))}

    def pairs(self, new: int) -> list[tuple[Scalar, Scalar]]:
        """The keys of a join with one more input, its own sides second."""
        place = self._with(new).__getitem__
        found = []
        for (left, right), (a, b) in zip(self.join.equal, self.sides, strict=True):
            if a == new and b in self.placed:
                left, right = right, left
            elif not (b == new and a in self.placed):
                continue
            found.append((move(left, place), move(right, place)))
        return found

    def add(self, new: int) -> None:
        """Join one more input to what is there."""
        joined = Join((self.plan, self.join.inputs[new]), tuple(self.pairs(new)))
        self.position = self._with(new)
        self.plan = joined
        self.placed.append(new)
        self.waiting.remove(new)

    def _with(self, new: int) -> dict[int, int]:
        width = len(self.plan.types)
        return self.position | {self.offsets[new] + i: width + i for i in range(len(self.join.inputs[new].types))}

    def whole(self) -> Plan:
        """The joins, with the columns in the order of the inputs."""
        if self.placed == sorted(self.placed):
            return self.plan
        types = self.join.types
        places = [self.position[i] for i in range(len(types))]
        return Project(self.plan, tuple(ColumnRef(p, types[i], f"#{p}") for i, p in enumerate(places)))


def _side(scalar: Scalar, offsets: tuple[int, ...]) -> int:
    side = input_of(scalar, offsets)
    if side is None:
        raise ValueError(f"join key {scalar} does not read exactly one input; this is a planner mistake")
    return side
