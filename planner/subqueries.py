"""Values that take rows to find: subqueries in expressions, and window functions, as columns of the rows they stand in.

    WHERE EXISTS (...), = ANY (...) and their opposites     semi-joins and anti-joins
    any other subquery in an expression                   a left join with its value for each outer row
    a window function                                     `planner.windows`

Always true: what comes out of here holds no Subquery and no window function of its SELECT; what it still refers to outside are the
SELECTs further out. Deliberately unknown: how subqueries are bound (`planner.bind_query`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dataflow.types import BOOLEAN
from planner import quantified
from planner.decorrelate import Dependent, default_of
from planner.keys import Key, keys_of
from planner.outer import is_outer, outer_columns, outward
from planner.plan import (
    Distinct,
    Filter,
    OuterJoin,
    Pairs,
    Plan,
    Project,
    Reduce,
    SemiJoin,
    Single,
    TemporalFilter,
    TopK,
    Union,
)
from planner.plans import inputs, own_scalars
from planner.scalar import Call, ColumnRef, Literal, Over, Scalar, Subquery
from planner.scalars import arguments, can_fail, conjuncts, rewrite, substitute, walk
from planner.temporal import alternatives, bounds_of, has_now
from planner.windows import with_windows

_TRUE = Literal(True, BOOLEAN)


def filtered(plan: Plan, *conditions: Scalar) -> Plan:
    """The rows for which all conditions are TRUE."""
    parts = [part for condition in conditions for part in conjuncts(condition)]
    of_time = [part for part in parts if has_now(part)]
    if of_time:
        return _while(filtered(plan, *(part for part in parts if not has_now(part))), of_time)
    plain = tuple(part for part in parts if not _stands_in(part))
    plan = Filter(plan, plain) if plain else plan
    rest: list[Scalar] = []
    for part in (part for part in parts if _stands_in(part)):
        test, anti = (part.args[0], True) if isinstance(part, Call) and part.function == "not" else (part, False)
        if not isinstance(test, Subquery) or test.kind == "scalar" or any(map(_stands_in, test.values)):
            rest.append(part)
        elif test.kind == "exists":
            plan = _semi_join(plan, test, anti)
        elif quantified.by_aggregates(test):
            rest.append(part)
        elif anti:
            none, known = quantified.rejected(test)
            plan = _semi_join(plan, none, True)
            rest += () if known is None else (known,)
        else:
            plan = _semi_join(plan, quantified.found(test), False)
    if not rest:
        return plan
    wider, tests = attached(plan, tuple(rest))
    types = plan.types
    return Project(Filter(wider, tests), tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(types)))


def _while(plan: Plan, parts: list[Scalar]) -> Plan:
    """The rows for which conditions with mz_now() are TRUE."""
    simple = [bounds_of(part) for part in parts]
    bounds = tuple(bound for found in simple if found is not None for bound in found)
    if bounds:
        width, types = len(plan.types), plan.types
        plan, values = attached(plan, tuple(bound.value for bound in bounds))
        plan = TemporalFilter(plan, tuple(replace(b, value=v) for b, v in zip(bounds, values, strict=True)))
        if len(plan.types) > width:
            plan = Project(plan, tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(types)))
    for part in (part for part, found in zip(parts, simple, strict=True) if found is None):
        # One alternative is about time: where the others are not TRUE already, it decides.
        others, other = alternatives(part)
        plan = Union((filtered(plan, others), filtered(plan, Call("is_not_true", (others,), BOOLEAN), other)))
    return plan


def attached(plan: Plan, scalars: tuple[Scalar, ...]) -> tuple[Plan, tuple[Scalar, ...]]:
    """The plan with a column more for each value that takes rows to find, and the scalars over it."""
    if not any(map(_stands_in, scalars)):
        return plan, scalars
    plan, scalars = _with_compared(plan, scalars)
    base = plan
    columns: dict[Scalar, Scalar] = {}

    def change(node: Scalar) -> Scalar | None:
        return columns.get(node)

    scalars = tuple(rewrite(scalar, _without_any) for scalar in scalars)
    for node in _nodes(scalars, Subquery):
        assert isinstance(node, Subquery)
        plan, columns[node] = _with_value(plan, base, node)
    scalars = tuple(rewrite(scalar, change) for scalar in scalars)
    return with_windows(plan, scalars)


def _with_compared(plan: Plan, scalars: tuple[Scalar, ...]) -> tuple[Plan, tuple[Scalar, ...]]:
    """A column more for each value that is compared with a subquery's rows and takes rows to find itself."""
    inner = [value for node in _nodes(scalars, Subquery) for value in arguments(node) if _stands_in(value)]
    if not inner:
        return plan, scalars
    plan, found = attached(plan, tuple(inner))
    columns = dict(zip(inner, found, strict=True))

    def change(node: Scalar) -> Scalar | None:
        if not isinstance(node, Subquery):
            return None
        return replace(node, values=tuple(columns.get(value, value) for value in node.values))

    return plan, tuple(rewrite(scalar, change) for scalar in scalars)


def _without_any(node: Scalar) -> Scalar | None:
    """Subqueries of one kind less: what is left are EXISTS and those that are values."""
    return quantified.value_of(node) if isinstance(node, Subquery) and node.kind == "any" else None


def subqueries_in(scalars: Iterable[Scalar]) -> list[Subquery]:
    """The subqueries that stand in scalars, each once, without those inside others' values."""
    found: dict[Subquery, None] = {}

    def note(node: Scalar) -> Scalar | None:
        if isinstance(node, Subquery):
            found[node] = None
            return node
        return None

    for scalar in scalars:
        rewrite(scalar, note)
    return list(found)


def _nodes(scalars: Iterable[Scalar], kind: type) -> list[Scalar]:
    return list(dict.fromkeys(node for scalar in scalars for node in walk(scalar) if isinstance(node, kind)))


def _stands_in(scalar: Scalar) -> bool:
    """Whether there is a value in it that takes rows to find."""
    return any(isinstance(node, Subquery | Over) for node in walk(scalar))


# Semi-joins


def _semi_join(plan: Plan, test: Subquery, anti: bool) -> Plan:
    """The rows for which the subquery has rows, or has none."""
    width, depth = len(plan.types), test.depth
    below, on = _pulled(test.plan)
    # What could fail is asked of the rows alone that the other conditions let meet.
    correlated = any(is_outer(p, depth) for p in on)
    here = tuple(p for p in on if is_outer(p, depth) or (correlated and can_fail(p)))
    inner = tuple(p for p in on if p not in here)
    if not outer_columns(below, depth):
        right = Filter(below, inner) if inner else below
        return SemiJoin(plan, right, (), tuple(outward(p, depth, width) for p in here), anti)
    values, equal = dependent(plan, plan, test.plan, depth, False)
    return SemiJoin(plan, values, equal, (), anti, True)


def _pulled(plan: Plan) -> tuple[Plan, tuple[Scalar, ...]]:
    """A plan and predicates over it that leave rows exactly where the given plan has some."""
    predicates: tuple[Scalar, ...] = ()
    while True:
        match plan:
            case Filter():
                predicates = plan.predicates + predicates
                plan = plan.input
            case Project():
                predicates = tuple(substitute(p, plan.outputs) for p in predicates)
                plan = plan.input
            case Distinct():
                plan = plan.input
            case TopK(offset=0, numbered=False, limit=None | int() as limit) if not predicates and limit != 0:
                plan = plan.input
            case _:
                return plan, predicates


# Values


def dependent(plan: Plan, base: Plan, subquery: Plan, depth: int, exact: bool) -> tuple[Plan, Pairs]:
    """The subquery for all rows of `base`, and the pairs that join it to `plan`, whose first columns are those of `base`."""
    references = outer_columns(subquery, depth)
    if not references:
        return subquery, ()
    domain = Dependent(base, references, depth, exact or _may_fail(subquery))
    return domain.over(subquery), domain.pairs(references, len(plan.types))


def _may_fail(plan: Plan) -> bool:
    """Whether rows of a plan may be errors, aggregates that overflow aside."""
    own = isinstance(plan, Single) or any(map(can_fail, own_scalars(plan)))
    return own or any(map(_may_fail, inputs(plan)))


def _with_value(plan: Plan, base: Plan, test: Subquery) -> tuple[Plan, Scalar]:
    """The plan with a column from which the subquery's value is computed, and how."""
    if test.kind == "scalar":
        aggregate = _aggregate(test.plan)
        if aggregate is not None:
            return _with_aggregates(plan, base, test, *aggregate)
    rows = test.plan
    single = test.kind == "scalar" and Key() not in keys_of(rows, {})
    values, equal = dependent(plan, base, rows, test.depth, single)
    count = len(equal)
    if test.kind == "exists":
        keys = tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(values.types[:count]))
        values = Distinct(Project(values, (*keys, _TRUE)))
    elif single:
        values = Single(values, count)
    joined, (value,) = _joined(plan, values, equal)
    return joined, Call("is_true", (value,), BOOLEAN) if test.kind == "exists" else value


def _joined(plan: Plan, values: Plan, equal: Pairs) -> tuple[Plan, tuple[ColumnRef, ...]]:
    """The plan with the values beside it, NULL where there are none."""
    width, count = len(plan.types), len(equal)
    joined = OuterJoin(plan, values, equal, (), False, True)
    types = joined.types
    kept = [*range(width), *range(width + count, len(types))]
    wider = Project(joined, tuple(ColumnRef(i, types[i], f"#{i}") for i in kept))
    return wider, tuple(ColumnRef(i, wider.types[i], f"#{i}") for i in range(width, len(kept)))


def _aggregate(plan: Plan) -> tuple[Reduce, Scalar] | None:
    """A subquery that is one expression over aggregates without GROUP BY, as these two."""
    value: Scalar = ColumnRef(0, plan.types[0], "value")
    while isinstance(plan, Project):
        value = substitute(value, plan.outputs)
        plan = plan.input
    return (plan, value) if isinstance(plan, Reduce) and not plan.keys else None


def _with_aggregates(plan: Plan, base: Plan, test: Subquery, reduce: Reduce, value: Scalar) -> tuple[Plan, Scalar]:
    """Beside each row the aggregates over its subquery's rows; the value is computed from them and the row itself."""
    references = outer_columns(reduce, test.depth)
    equal: Pairs = ()
    groups, width = reduce, len(plan.types)
    if references:
        domain = Dependent(base, references, test.depth, _may_fail(reduce))
        groups, equal = domain.grouped(reduce), domain.pairs(references, width)
    joined, found = _joined(plan, groups, equal)
    values = tuple(default_of(call, ref) for call, ref in zip(groups.aggregates, found, strict=True))
    # The columns of the subquery are moved out of the way of the row's own while both are in one expression.
    moved = outward(value, test.depth, width)

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, ColumnRef):
            return values[node.index - width] if node.index >= width else node
        return None

    return joined, rewrite(moved, change)
