"""Window functions in expressions, as columns of the rows they stand in.

    row_number() alone in its window                      TopK that keeps every row and its place: a bound on it is a limit
    an aggregate over whole partitions                    Reduce by partition, joined to the rows: only what changes is seen
    everything else, one for each partition and order     Window

Always true: what comes out of here holds no Over. Deliberately unknown: SQL, and how frames were written (`planner.bind_window`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dataflow.layout import Order
from dataflow.operators.window_calls import WindowCall, WindowFunction
from planner.calls import AggregateCall, AggregateFunction
from planner.plan import Join, Plan, Project, Reduce, TopK, Window
from planner.scalar import ColumnRef, OuterRef, Over, Scalar
from planner.scalars import rewrite, walk

_ALONE = "row_number"
_NO_AGGREGATES = ("rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "row_number")
_VALUES = ("first_value", "last_value", "nth_value")


def with_windows(plan: Plan, scalars: tuple[Scalar, ...]) -> tuple[Plan, tuple[Scalar, ...]]:
    """The plan with a column more for each window function, and the scalars over it."""
    found = dict.fromkeys(node for scalar in scalars for node in walk(scalar) if isinstance(node, Over))
    columns: dict[Scalar, Scalar] = {}
    windows: dict[tuple[object, ...], list[Over]] = {}
    for node in found:
        whole = sees_all(node)
        windows.setdefault((whole, node.partition, () if whole else node.order), []).append(node)
    for nodes in windows.values():
        plan = _aggregated(plan, nodes, columns) if sees_all(nodes[0]) else _windowed(plan, nodes, columns)
    return plan, tuple(rewrite(scalar, columns.get) for scalar in scalars)


def sees_all(node: Over) -> bool:
    """Whether it is an aggregate of all rows of the partition, whatever their order."""
    if (
        node.function in (*_NO_AGGREGATES, *_VALUES)
        or node.frame.exclude != "no others"
        or node.frame.start is not None
    ):
        return False
    return node.frame.end is None or (node.frame.unit == "range" and not node.order)


def _refs(plan: Plan, begin: int = 0, end: int | None = None) -> tuple[ColumnRef, ...]:
    types = plan.types
    return tuple(ColumnRef(i, types[i], f"#{i}") for i in range(begin, len(types) if end is None else end))


def _aggregated(plan: Plan, nodes: Sequence[Over], columns: dict[Scalar, Scalar]) -> Plan:
    """The aggregates of each partition beside its rows."""
    width = len(plan.types)
    # What is the same in every row makes no partitions, and no key of a join.
    wanted = dict.fromkeys(
        key for key in nodes[0].partition if any(isinstance(n, ColumnRef | OuterRef) for n in walk(key))
    )
    computed = [key for key in wanted if not isinstance(key, ColumnRef)]
    plan = Project(plan, _refs(plan) + tuple(computed)) if computed else plan
    begin = len(plan.types)
    made = {key: ColumnRef(width + i, key.type, f"#{i}") for i, key in enumerate(computed)}
    partition = tuple(key if isinstance(key, ColumnRef) else made[key] for key in wanted)
    calls = tuple(dict.fromkeys(map(_call, nodes)))
    groups = Reduce(plan, partition, calls)
    pairs = tuple((key, ColumnRef(begin + i, key.type, f"#{i}")) for i, key in enumerate(partition))
    joined = Join((plan, groups), pairs, True)
    for node in nodes:
        call = _call(node)
        columns[node] = ColumnRef(width + calls.index(call), node.type, str(call))
    return Project(joined, _refs(joined, 0, width) + _refs(joined, begin + len(partition)))


def _call(node: Over) -> AggregateCall:
    return node.call or AggregateCall(cast(AggregateFunction, node.function), node.argument, node.type)


def _arguments(node: Over) -> tuple[Scalar | None, Scalar | None]:
    return (node.argument, None) if node.call is None else (node.call.argument, node.call.other)


def _function(node: Over) -> WindowFunction:
    """The function of a moving frame: whether the least or the greatest comes first is a part of its name there."""
    if node.call is None or node.call.function != "first_by":
        return node.function
    return "max_by" if node.call.order[0][1] else "min_by"


def _windowed(plan: Plan, nodes: Sequence[Over], columns: dict[Scalar, Scalar]) -> Plan:
    """The functions of one window beside the rows."""
    width = len(plan.types)
    first = nodes[0]
    wanted: list[Scalar] = [*first.partition, *(term for term, _, _ in first.order)]
    for node in nodes:
        wanted += [part for part in (*_arguments(node), node.amount_by, node.default) if part is not None]
    computed = list(dict.fromkeys(scalar for scalar in wanted if not isinstance(scalar, ColumnRef)))
    place = {scalar: width + i for i, scalar in enumerate(computed)}

    def column(scalar: Scalar) -> int:
        return scalar.index if isinstance(scalar, ColumnRef) else place[scalar]

    def maybe(scalar: Scalar | None) -> int | None:
        return None if scalar is None else column(scalar)

    below = Project(plan, _refs(plan) + tuple(computed)) if computed else plan
    partition = tuple(dict.fromkeys(map(column, first.partition)))
    order = tuple(Order(column(term), descending, nulls) for term, descending, nulls in first.order)
    calls = tuple(
        WindowCall(
            _function(node),
            maybe(_arguments(node)[0]),
            node.type,
            node.frame,
            node.amount,
            maybe(node.amount_by),
            maybe(node.default),
            maybe(_arguments(node)[1]),
        )
        for node in nodes
    )
    made: Plan
    if [node.function for node in nodes] == [_ALONE]:
        made = TopK(below, partition, order, None, 0, True)
    else:
        made = Window(below, partition, order, calls)
    for i, node in enumerate(nodes):
        columns[node] = ColumnRef(width + i, node.type, str(node))
    return Project(made, _refs(made, 0, width) + _refs(made, len(below.types))) if computed else made
