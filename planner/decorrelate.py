"""Correlated subqueries: a plan that refers to the rows around it becomes one that holds for all of them at once.

The values of the outer columns that the plan refers to are its domain. `Dependent.over` answers the plan joined to its domain:
the domain's columns in front, and for each of its rows what the plan gives for it. Operators pass the domain down until what is
below them refers to nothing outside; there it meets the rows by a join, whose conditions the rules make keys of.
Always true: the answer is right for every row of the domain, and is joined to the outer rows by these columns, NULL equal to
NULL; it may hold more than the domain asked for, except where that could fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dataflow.types import BIGINT, BOOLEAN
from planner.calls import AggregateCall
from planner.outer import is_outer, outer_columns
from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Negate,
    OuterJoin,
    Pairs,
    Plan,
    Positive,
    Project,
    Recursive,
    Reduce,
    SemiJoin,
    Single,
    TemporalFilter,
    TopK,
    Union,
    Window,
)
from planner.plans import inputs, with_inputs
from planner.rules.order_joins import order_joins
from planner.scalar import Call, ColumnRef, Literal, OuterRef, Scalar
from planner.scalars import can_fail, rewrite


class Dependent:
    """Joins plans to the domain of `references`, columns of the rows of `outer`.

    exact: the answer holds nothing but the domain's rows, because what is made of it could fail for others.
    """

    def __init__(self, outer: Plan, references: dict[int, OuterRef], depth: int, exact: bool) -> None:
        self._depth = depth
        self._exact = exact
        self._place = {index: place for place, index in enumerate(references)}
        self.width = len(references)
        self._keys = tuple(ColumnRef(place, ref.type, ref.name) for place, ref in enumerate(references.values()))
        refs = tuple(ColumnRef(ref.index, ref.type, ref.name) for ref in references.values())
        self._domain: Plan = Distinct(Project(outer, refs))

    @classmethod
    def of_rows(cls, outer: Plan, depth: int) -> Dependent:
        """With the outer rows themselves, all their columns, as domain: for plans that make each row's answer by itself."""
        references = {i: OuterRef(depth, i, type_, f"#{i}") for i, type_ in enumerate(outer.types)}
        made = cls(outer, references, depth, True)
        made._domain = outer
        return made

    def over(self, plan: Plan) -> Plan:
        """The plan for each row of the domain."""
        if not outer_columns(plan, self._depth):
            return self._beside(plan)
        match plan:
            case Filter():
                known = None if self._exact else self._equalities(plan)
                return known or Filter(self.over(plan.input), tuple(map(self._moved, plan.predicates)))
            case Project():
                return Project(self.over(plan.input), self._keys + tuple(map(self._moved, plan.outputs)))
            case Join():
                return self._join(plan)
            case OuterJoin():
                return self._outer_join(plan)
            case SemiJoin():
                return self._semi_join(plan)
            case Reduce():
                return self._reduce(plan)
            case TopK():
                group = (*range(self.width), *(column + self.width for column in plan.group))
                order = tuple(replace(term, column=term.column + self.width) for term in plan.order)
                return replace(plan, input=self.over(plan.input), group=group, order=order)
            case TemporalFilter():
                bounds = tuple(replace(b, value=self._moved(b.value)) for b in plan.bounds)
                return TemporalFilter(self.over(plan.input), bounds)
            case FlatMap():
                calls = tuple(replace(c, args=tuple(map(self._moved, c.args))) for c in plan.calls)
                return replace(plan, input=self.over(plan.input), calls=calls)
            case Window():
                return self._window(plan)
            case Single():
                return Single(self.over(plan.input), plan.keys + self.width)
            case Distinct() | Positive() | Negate() | Union():
                return with_inputs(plan, tuple(map(self.over, inputs(plan))))
            case Get() | Constant() | Recursive():
                return self._beside(plan)

    def _beside(self, plan: Plan) -> Plan:
        """The domain with every row of a plan that does not refer to it."""
        if plan == Constant(((),), ()):
            return self._domain
        if isinstance(plan, Join) and not plan.null_safe:
            # One join of all of them, whose order is a rule's work.
            return Join((self._domain, *plan.inputs), tuple((self._moved(a), self._moved(b)) for a, b in plan.equal))
        return Join((self._domain, plan))

    def _moved(self, scalar: Scalar) -> Scalar:
        """A scalar over one input, where that has the domain's columns in front."""
        return self._with(scalar, lambda index: index + self.width)

    def _with(self, scalar: Scalar, place: Callable[[int], int]) -> Scalar:
        def change(node: Scalar) -> Scalar | None:
            if isinstance(node, OuterRef) and node.depth == self._depth:
                return self._keys[self._place[node.index]]
            return ColumnRef(place(node.index), node.type, node.name) if isinstance(node, ColumnRef) else None

        return rewrite(scalar, change)

    def _equalities(self, plan: Filter) -> Plan | None:
        """A filter that sets every outer column equal to an expression of its own input: that gives the domain's columns.

        None where some outer column has no such condition, or where what is left could fail for values outside the domain.
        """
        if outer_columns(plan.input, self._depth):
            return None
        found: dict[int, Scalar] = {}
        rest: list[Scalar] = []
        for predicate in plan.predicates:
            pair = self._equality(predicate)
            if pair is not None and pair[0] not in found:
                found[pair[0]] = pair[1]
                rest.append(Call("is_not_null", (pair[1],), BOOLEAN))
            else:
                rest.append(predicate)
        if len(found) < self.width or any(can_fail(p) or is_outer(p, self._depth) for p in (*rest, *found.values())):
            return None
        own = tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(plan.types))
        return Project(Filter(plan.input, tuple(rest)), tuple(found[place] for place in range(self.width)) + own)

    def _equality(self, predicate: Scalar) -> tuple[int, Scalar] | None:
        """The domain's column that a predicate sets equal to an inner expression of the same type."""
        if not isinstance(predicate, Call) or predicate.function != "=":
            return None
        for outer, inner in (predicate.args, predicate.args[::-1]):
            mine = isinstance(outer, OuterRef) and outer.depth == self._depth and inner.type == outer.type
            if mine and isinstance(outer, OuterRef) and not is_outer(inner, self._depth):
                return self._place[outer.index], inner
        return None

    def _pairs(self, right: int) -> Pairs:
        """The domain's columns in front of the left side equal to those that begin at `right`."""
        return tuple((key, ColumnRef(key.index + right, key.type, key.name)) for key in self._keys)

    def _join(self, plan: Join) -> Plan:
        if len(plan.inputs) != 2:
            return self.over(plan.inputs[0] if len(plan.inputs) == 1 else order_joins(plan))
        left, right = plan.inputs
        width, k = len(left.types), self.width
        if not outer_columns(left, self._depth):
            mirrored = tuple((b, a) for a, b in plan.equal)
            turned = Join(
                (right, left),
                tuple((_turn(a, width, plan), _turn(b, width, plan)) for a, b in mirrored),
                plan.null_safe,
            )
            other = len(right.types)
            places = [*range(other, other + width), *range(other)]
            return self.over(Project(turned, _columns(turned, places)))
        both = bool(outer_columns(right, self._depth))
        start = k + width + (k if both else 0)

        def place(index: int) -> int:
            return index + k if index < width else start + index - width

        equal = tuple((self._with(a, place), self._with(b, place)) for a, b in plan.equal)
        if not both:
            return Join((self.over(left), right), equal, plan.null_safe)
        joined: Plan = Join((self.over(left), self.over(right)), self._pairs(k + width) + equal, True)
        if equal and not plan.null_safe:
            joined = Filter(joined, tuple(Call("is_not_null", (a,), BOOLEAN) for a, _ in equal))
        return Project(joined, _columns(joined, [*range(k + width), *range(start, start + len(right.types))]))

    def _outer_join(self, plan: OuterJoin) -> Plan:
        if plan.full:
            nulls = tuple(Literal(None, type_) for type_ in plan.left.types)
            width, end = len(plan.left.types), len(plan.types)
            turned = tuple((_turn(a, width, plan), _turn(b, width, plan)) for a, b in plan.equal)
            on = tuple(_turn(p, width, plan) for p in plan.on)
            rest = SemiJoin(plan.right, plan.left, turned, on, True, plan.null_safe)
            alone = Project(rest, nulls + _columns(rest, range(end - width)))
            return self.over(Union((replace(plan, full=False), alone)))
        joined = self._two_sided(plan)
        begin = len(joined.types) - len(plan.right.types)
        places = [*range(self.width + len(plan.left.types)), *range(begin, len(joined.types))]
        return Project(joined, _columns(joined, places))

    def _semi_join(self, plan: SemiJoin) -> Plan:
        return self._two_sided(plan)

    def _two_sided(self, plan: OuterJoin | SemiJoin) -> Plan:
        """The join with the domain in front of the left side, and of the right side if that refers to it."""
        width, k = len(plan.left.types), self.width
        both = bool(outer_columns(plan.right, self._depth))
        start = k + width + (k if both else 0)

        def place(index: int) -> int:
            return index + k if index < width else start + index - width

        equal = tuple((self._with(a, place), self._with(b, place)) for a, b in plan.equal)
        on = tuple(self._with(p, place) for p in plan.on)
        left = self.over(plan.left)
        if not both:
            return replace(plan, left=left, equal=equal, on=on)
        if not plan.null_safe:
            on += tuple(Call("=", (a, b), BOOLEAN) for a, b in equal)
            equal = ()
        equal = self._pairs(k + width) + equal
        return replace(plan, left=left, right=self.over(plan.right), equal=equal, on=on, null_safe=True)

    def grouped(self, plan: Reduce) -> Reduce:
        """The aggregates over the rows that there are, also by the domain's columns."""
        keys = self._keys + tuple(map(self._moved, plan.keys))
        calls = tuple(call.change(self._moved) for call in plan.aggregates)
        return Reduce(self.over(plan.input), keys, calls)

    def pairs(self, references: dict[int, OuterRef], width: int) -> Pairs:
        """The outer rows' columns and, `width` columns to the right of these rows, the domain's."""
        return tuple(
            (ColumnRef(ref.index, ref.type, ref.name), ColumnRef(width + place, ref.type, ref.name))
            for place, ref in enumerate(references.values())
        )

    def _window(self, plan: Window) -> Plan:
        partition = (*range(self.width), *(column + self.width for column in plan.partition))
        order = tuple(replace(term, column=term.column + self.width) for term in plan.order)
        calls = tuple(call.move(lambda column: column + self.width) for call in plan.calls)
        return Window(self.over(plan.input), partition, order, calls)

    def _reduce(self, plan: Reduce) -> Plan:
        reduced = self.grouped(plan)
        if plan.keys:
            return reduced
        # Without GROUP BY there is a row also where there is no input.
        joined = OuterJoin(self._domain, reduced, self._pairs(self.width), (), False, True)
        begin = 2 * self.width
        calls = reduced.aggregates
        values = tuple(default_of(call, ColumnRef(begin + i, call.type, str(call))) for i, call in enumerate(calls))
        return Project(joined, self._keys + values)


def default_of(call: AggregateCall, value: ColumnRef) -> Scalar:
    """An aggregate's value where NULL stands for a group without rows: counts are 0, all others NULL."""
    if call.function in ("count", "count_star"):
        return Call("coalesce", (value, Literal(0, BIGINT)), BIGINT)
    return value


def _turn(scalar: Scalar, width: int, plan: Join | OuterJoin) -> Scalar:
    """A scalar over both sides of a join, where the sides have changed places."""
    other = len(plan.types) - width

    def change(node: Scalar) -> Scalar | None:
        if not isinstance(node, ColumnRef):
            return None
        return ColumnRef(node.index + other if node.index < width else node.index - width, node.type, node.name)

    return rewrite(scalar, change)


def _columns(plan: Plan, places: range | list[int]) -> tuple[ColumnRef, ...]:
    types = plan.types
    return tuple(ColumnRef(place, types[place], f"#{place}") for place in places)
