"""A tree of binary joins seen as one join of all its inputs, for the delta join that may stand for it.

Always true: the flat join has the rows of the tree, its columns at `places`; the links that are kept make a tree over the inputs,
and what else is to be equal is among the predicates. Deliberately unknown: arrangements, and whether a delta join is worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dataflow.types import BOOLEAN
from planner.plan import Filter, Join, Pairs, Plan, Project
from planner.rules.push_filters import input_of
from planner.scalar import Call, ColumnRef, Scalar
from planner.scalars import move


@dataclass(frozen=True, slots=True)
class FlatJoin:
    """Inputs side by side, pairs and predicates over their columns, and where the columns of the joins' result are."""

    inputs: tuple[Plan, ...]
    equal: Pairs
    predicates: tuple[Scalar, ...]
    places: tuple[int, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Position of each input's first column, and after the last the width."""
        return Join(self.inputs).offsets


@dataclass(frozen=True, slots=True)
class Side:
    """An input and scalars over it, as it is alone, that are its side of a link."""

    of: int
    key: tuple[Scalar, ...]


Linked = tuple[Side, Side]
"""The keys of two inputs are equal, each to the one at its place."""


class FlatJoins:
    """The flat joins of plans that contain each other, each made once. It holds on to the plans."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Plan, FlatJoin]] = {}

    def of(self, plan: Plan) -> FlatJoin:
        """The joins of a plan as one; a plan that is no join, or none that can be flat, is the one input itself."""
        known = self._known.get(id(plan))
        if known is None:
            known = self._known[id(plan)] = plan, _flat(plan, self.of)
        return known[1]


def _flat(plan: Plan, flatten: Callable[[Plan], FlatJoin]) -> FlatJoin:
    match plan:
        case Join(inputs=(_, _), null_safe=False) if plan.equal:
            return _joined(plan, *map(flatten, plan.inputs)) or _alone(plan)
        case Project() if all(isinstance(output, ColumnRef) for output in plan.outputs):
            below = flatten(plan.input)
            if len(below.inputs) == 1:
                return _alone(plan)
            chosen = tuple(below.places[o.index] for o in plan.outputs if isinstance(o, ColumnRef))
            return FlatJoin(below.inputs, below.equal, below.predicates, chosen)
        case Filter():
            below = flatten(plan.input)
            if len(below.inputs) == 1:
                return _alone(plan)
            more = tuple(move(p, below.places.__getitem__) for p in plan.predicates)
            return FlatJoin(below.inputs, below.equal, below.predicates + more, below.places)
        case _:
            return _alone(plan)


def _alone(plan: Plan) -> FlatJoin:
    return FlatJoin((plan,), (), (), tuple(range(len(plan.types))))


def _joined(plan: Join, left: FlatJoin, right: FlatJoin) -> FlatJoin | None:
    shift = left.offsets[-1]

    def behind(index: int) -> int:
        return index + shift

    places = (*left.places, *map(behind, right.places))
    equal = left.equal + _moved(right.equal, behind) + _moved(plan.equal, places.__getitem__)
    predicates = left.predicates + tuple(move(p, behind) for p in right.predicates)
    flat = FlatJoin(left.inputs + right.inputs, equal, predicates, places)
    # A key that is computed from several inputs belongs to none of them.
    offsets = flat.offsets
    single = all(input_of(side, offsets) is not None for pair in equal for side in pair)
    return flat if single else None


def _moved(pairs: Pairs, place: Callable[[int], int]) -> Pairs:
    return tuple((move(a, place), move(b, place)) for a, b in pairs)


def links_of(flat: FlatJoin, narrow: Callable[[Side], bool]) -> tuple[list[Linked], list[Scalar]]:
    """Links that make a tree, and the equalities of the others as predicates.

    narrow: whether a side of a link has at most one row for a key. Such links are taken first: their lookups find no more rows
    than they had.
    """
    offsets = flat.offsets
    pairs: dict[tuple[int, int], list[tuple[Scalar, Scalar]]] = {}
    for a, b in flat.equal:
        left, right = _one(a, offsets), _one(b, offsets)
        pairs.setdefault((min(left, right), max(left, right)), []).append((a, b) if left < right else (b, a))

    def side(of: int, which: int, equal: Pairs) -> Side:
        return Side(of, tuple(move(pair[which], lambda index: index - offsets[of]) for pair in equal))

    links = [
        (side(left, 0, equal), side(right, 1, equal), equal)
        for (left, right), own in pairs.items()
        for equal in [in_order(own)]
    ]
    part = list(range(len(flat.inputs)))
    kept: list[Linked] = []
    rest: list[Scalar] = []
    for left_side, right_side, equal in sorted(links, key=lambda link: not (narrow(link[0]) or narrow(link[1]))):
        here, there = part[left_side.of], part[right_side.of]
        if here == there:
            rest += [Call("=", pair, BOOLEAN) for pair in equal]
            continue
        part = [here if one == there else one for one in part]
        kept.append((left_side, right_side))
    return kept, rest


def _one(scalar: Scalar, offsets: tuple[int, ...]) -> int:
    side = input_of(scalar, offsets)
    if side is None:
        raise ValueError(f"join key {scalar} does not read exactly one input; this is a planner mistake")
    return side


def in_order(pairs: Iterable[tuple[Scalar, Scalar]]) -> Pairs:
    """One order of the key columns for all joins on them, so that they share an arrangement."""
    return tuple(sorted(pairs, key=lambda pair: (str(pair[1]), str(pair[0]))))
