"""Drop columns and aggregates that nothing above needs, as near to the sources as possible.

    SELECT t.a FROM t JOIN u ON t.b = u.b       ->  t gives a and b, u gives b, the join's result a

State is what a streaming join costs: a column that is not kept is memory that is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Negate,
    OuterJoin,
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
    sides,
)
from planner.plans import with_inputs
from planner.scalar import ColumnRef, Scalar
from planner.scalars import columns, move


def prune_columns(plan: Plan) -> Plan:
    """The same rows from inputs without unneeded columns."""
    return _keep(plan, tuple(range(len(plan.types))))


def _keep(plan: Plan, wanted: tuple[int, ...]) -> Plan:
    """A plan of exactly the wanted columns (ascending) of `plan`."""
    match plan:
        case Get():
            return _select(plan, wanted)
        case Constant():
            if wanted == tuple(range(len(plan.types))):
                return plan
            types = tuple(plan.types[i] for i in wanted)
            return Constant(tuple(tuple(row[i] for i in wanted) for row in plan.rows), types)
        case Filter():
            needed = _union(wanted, *map(columns, plan.predicates))
            kept = Filter(_keep(plan.input, needed), tuple(_moved(p, needed) for p in plan.predicates))
            return _select(kept, tuple(needed.index(i) for i in wanted))
        case Project():
            outputs = [plan.outputs[i] for i in wanted]
            needed = _union((), *map(columns, outputs))
            return Project(_keep(plan.input, needed), tuple(_moved(o, needed) for o in outputs))
        case Join():
            return _join(plan, wanted)
        case OuterJoin() | SemiJoin():
            return _two_sided(plan, wanted)
        case Reduce():
            return _reduce(plan, wanted)
        case TemporalFilter():
            needed = _union(wanted, *(columns(bound.value) for bound in plan.bounds))
            bounds = tuple(replace(bound, value=_moved(bound.value, needed)) for bound in plan.bounds)
            return _select(TemporalFilter(_keep(plan.input, needed), bounds), tuple(needed.index(i) for i in wanted))
        case FlatMap():
            return _flat_map(plan, wanted)
        case TopK():
            return _top_k(plan, wanted)
        case Window():
            return _window(plan, wanted)
        case Union():
            return Union(tuple(_keep(below, wanted) for below in plan.inputs))
        case Negate():
            return Negate(_keep(plan.input, wanted))
        case Distinct() | Positive() | Single():
            # How often a row stands there depends on all of its columns.
            return _select(with_inputs(plan, (prune_columns(plan.input),)), wanted)
        case Recursive():
            return _select(with_inputs(plan, tuple(map(prune_columns, plan.inputs))), wanted)


def _join(plan: Join, wanted: tuple[int, ...]) -> Plan:
    offsets = plan.offsets
    needed = _union(wanted, *(columns(side) for pair in plan.equal for side in pair))
    inputs = []
    for below, first, end in zip(plan.inputs, offsets, offsets[1:], strict=False):
        inputs.append(_keep(below, tuple(i - first for i in needed if first <= i < end)))
    equal = tuple((_moved(left, needed), _moved(right, needed)) for left, right in plan.equal)
    return _select(replace(plan, inputs=tuple(inputs), equal=equal), tuple(needed.index(i) for i in wanted))


def _two_sided(plan: OuterJoin | SemiJoin, wanted: tuple[int, ...]) -> Plan:
    _, width, end = sides(plan)
    needed = _union(wanted, *(columns(side) for pair in plan.equal for side in pair), *map(columns, plan.on))
    left = _keep(plan.left, tuple(i for i in needed if i < width))
    right = _keep(plan.right, tuple(i - width for i in needed if width <= i < end))
    equal = tuple((_moved(a, needed), _moved(b, needed)) for a, b in plan.equal)
    on = tuple(_moved(p, needed) for p in plan.on)
    kept = replace(plan, left=left, right=right, equal=equal, on=on)
    return _select(kept, tuple(needed.index(i) for i in wanted))


def _top_k(plan: TopK, wanted: tuple[int, ...]) -> Plan:
    width = len(plan.input.types)
    numbered = plan.numbered and width in wanted
    if not numbered and plan.limit is None and not plan.offset:
        return _keep(plan.input, wanted)
    needed = _union((i for i in wanted if i < width), set(plan.group), {term.column for term in plan.order})
    # Rows without columns could not be told apart from rows without an order.
    needed = needed or (0,)
    kept = TopK(
        _keep(plan.input, needed),
        tuple(map(needed.index, plan.group)),
        tuple(replace(term, column=needed.index(term.column)) for term in plan.order),
        plan.limit,
        plan.offset,
        numbered,
    )
    return _select(kept, tuple(len(needed) if i == width else needed.index(i) for i in wanted))


def _flat_map(plan: FlatMap, wanted: tuple[int, ...]) -> Plan:
    """How many rows there are is the calls' doing, whether or not their columns are needed."""
    width = len(plan.input.types)
    read = {i for call in plan.calls for arg in call.args for i in columns(arg)}
    needed = _union((i for i in wanted if i < width), read)
    calls = tuple(replace(c, args=tuple(_moved(arg, needed) for arg in c.args)) for c in plan.calls)
    kept = replace(plan, input=_keep(plan.input, needed), calls=calls)
    return _select(kept, tuple(needed.index(i) if i < width else i - width + len(needed) for i in wanted))


def _window(plan: Window, wanted: tuple[int, ...]) -> Plan:
    width = len(plan.input.types)
    calls = [call for i, call in enumerate(plan.calls) if width + i in wanted]
    if not calls:
        return _keep(plan.input, wanted)
    read = {column for call in calls for column in call.reads}
    needed = _union((i for i in wanted if i < width), set(plan.partition), {term.column for term in plan.order}, read)
    # Rows without columns could not be told apart from rows without an order.
    needed = needed or (0,)
    kept = Window(
        _keep(plan.input, needed),
        tuple(map(needed.index, plan.partition)),
        tuple(replace(term, column=needed.index(term.column)) for term in plan.order),
        tuple(call.move(needed.index) for call in calls),
    )
    made = {i: len(needed) + calls.index(plan.calls[i - width]) for i in wanted if i >= width}
    return _select(kept, tuple(made[i] if i >= width else needed.index(i) for i in wanted))


def _reduce(plan: Reduce, wanted: tuple[int, ...]) -> Plan:
    count = len(plan.keys)
    calls = tuple(plan.aggregates[i - count] for i in wanted if i >= count)
    needed = _union((), *map(columns, plan.keys), *(columns(scalar) for call in calls for scalar in call.scalars))
    keys = tuple(_moved(key, needed) for key in plan.keys)
    moved = tuple(c.change(lambda scalar: _moved(scalar, needed)) for c in calls)
    reduced = Reduce(_keep(plan.input, needed), keys, moved)
    kept_keys = tuple(i for i in wanted if i < count)
    return _select(reduced, kept_keys + tuple(range(count, count + len(calls))))


def _select(plan: Plan, wanted: tuple[int, ...]) -> Plan:
    """The wanted columns, without a node when that is all of them."""
    types = plan.types
    if wanted == tuple(range(len(types))):
        return plan
    names = [column.name for column in plan.schema] if isinstance(plan, Get) else [f"#{i}" for i in range(len(types))]
    return Project(plan, tuple(ColumnRef(i, types[i], names[i]) for i in wanted))


def _union(first: Iterable[int], *more: set[int]) -> tuple[int, ...]:
    return tuple(sorted(set(first).union(*more)))


def _moved(scalar: Scalar, needed: tuple[int, ...]) -> Scalar:
    return move(scalar, needed.index)
