"""Which state of a plan grows without end, and what bounds it: EXPLAIN's hints.

    SELECT DISTINCT page FROM clicks                                   keeps every page that there ever was
    ... WHERE mz_now() <= at + INTERVAL '1 day'                        those of a day

Rows of a source without an envelope only ever come. What follows from them grows with them, until a condition on mz_now() lets rows
go, LIMIT keeps a few, or an aggregate without keys makes one row of them.
Always true: a plan without such sources has no hints. Deliberately unknown: how fast anything grows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dataflow.operators.ordered import ORDERED
from dataflow.types import Kind
from planner.plan import (
    Constant,
    Distinct,
    Get,
    Join,
    OuterJoin,
    Plan,
    Recursive,
    Reduce,
    SemiJoin,
    TemporalFilter,
    TopK,
    Window,
)
from planner.plans import inputs

_TIMES = (Kind.TIMESTAMPTZ, Kind.TIMESTAMP, Kind.DATE)


def grows(plan: Plan, known: Collection[str]) -> bool:
    """Whether the plan's rows become more and more as those of `known` do: the sources and views of which that is true."""
    match plan:
        case Get():
            return plan.name in known
        case Constant():
            return False
        case TemporalFilter() if any(bound.operator in ("<", "<=") for bound in plan.bounds):
            return False
        case Reduce(keys=()):
            return False
        case TopK(group=(), limit=limit) if limit is not None:
            return False
        case SemiJoin():
            return grows(plan.left, known)
        case _:
            return any(grows(below, known) for below in inputs(plan))


def hints(plan: Plan, known: Collection[str]) -> tuple[str, ...]:
    """What the plan keeps that grows without end, each with what to write; `known` as for `grows`."""
    found = list(dict.fromkeys(_hints(plan, known)))
    if not found and grows(plan, known):
        found.append(f"the view keeps every row of {_names(plan, known)}: {_remedy(plan, known)}")
    return tuple(found)


def _hints(plan: Plan, known: Collection[str]) -> Iterator[str]:
    for below in inputs(plan):
        yield from _hints(below, known)
    growing = [below for below in inputs(plan) if grows(below, known)]
    if not growing:
        return
    names, remedy = " and ".join(_names(below, known) for below in growing), _remedy(growing[0], known)
    match plan:
        case Join() | OuterJoin() | SemiJoin():
            yield f"the join keeps all rows of {names}: {remedy}"
        case Window():
            yield f"the window functions keep all rows of {names}: {remedy}"
        case Distinct():
            yield f"DISTINCT keeps each different row of {names}: {remedy}"
        case Recursive():
            yield f"the recursion keeps all rows of {names}: {remedy}"
        case TopK(limit=None):
            yield f"the order keeps all rows of {names}: write LIMIT, or {remedy}"
        case TopK(group=group) if group:
            yield f"the first rows of each group of {names} are kept, and groups stay for ever: {remedy}"
        case Reduce():
            every = [str(a) for a in plan.aggregates if a.distinct or a.function in ORDERED]
            if every:
                yield f"{', '.join(every)} keeps all values of {names}: {remedy}"
            if plan.keys:
                of_time = [str(key) for key in plan.keys if key.type.kind in _TIMES]
                what = (
                    f"{', '.join(of_time)}, of which new ones always come"
                    if of_time
                    else ", ".join(map(str, plan.keys))
                )
                yield f"GROUP BY keeps a row for each {what}, for ever: {remedy}"


def _gets(plan: Plan, known: Collection[str]) -> list[Get]:
    """The relations below that make it grow."""
    if isinstance(plan, Get):
        return [plan] if plan.name in known else []
    return [get for below in inputs(plan) if grows(below, known) for get in _gets(below, known)]


def _names(plan: Plan, known: Collection[str]) -> str:
    return " and ".join(dict.fromkeys(get.name for get in _gets(plan, known)))


def _remedy(plan: Plan, known: Collection[str]) -> str:
    """A condition that lets rows go, over a column that there is."""
    for get in _gets(plan, known):
        for kind in _TIMES:
            for column in get.schema:
                if column.type.kind is kind:
                    return f"filter with WHERE mz_now() <= {get.name}.{column.name} + INTERVAL '1 day'"
    return "filter with mz_now() on a time in the rows; they have none yet"
