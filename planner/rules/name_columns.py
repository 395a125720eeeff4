"""Give column references the names that the plan below gives, so that equal plans are equal whatever aliases the SQL used.

SELECT x.a FROM t AS x      and      SELECT a FROM t        become the same plan, and so one operator
"""

from __future__ import annotations

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
)
from planner.plans import inputs, rewrite_plan, rewrite_scalars
from planner.scalar import ColumnRef, Scalar
from planner.scalars import rewrite


def name_columns(plan: Plan) -> Plan:
    """Rename every reference; positions and types stay."""
    return rewrite_plan(plan, _rename)


def _rename(plan: Plan) -> Plan:
    if isinstance(plan, Get | Constant | Union | Distinct | Negate | Positive | Single | TopK | Window | Recursive):
        return plan
    names = _apart([name for below in inputs(plan) for name in _names(below)])

    def change(node: Scalar) -> Scalar | None:
        return ColumnRef(node.index, node.type, names[node.index]) if isinstance(node, ColumnRef) else None

    return rewrite_scalars(plan, lambda scalar: rewrite(scalar, change))


def _apart(names: list[str]) -> list[str]:
    """Names with a mark on those that stand further left already: a table joined to itself."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        while name in seen:
            name += "'"
        seen.add(name)
        names[i] = name
    return names


def _names(plan: Plan) -> list[str]:
    match plan:
        case Get():
            return [f"{plan.name}.{column.name}" for column in plan.schema]
        case Filter() | TemporalFilter() | Distinct() | Negate() | Positive() | Single():
            return _names(plan.input)
        case TopK():
            return _names(plan.input) + (["row_number"] if plan.numbered else [])
        case FlatMap():
            made = [name for c in plan.calls for name in (c.function,) * len(c.types)]
            return _apart(_names(plan.input) + made + (["ordinality"] if plan.ordinality else []))
        case Window():
            return _names(plan.input) + [str(call) for call in plan.calls]
        case SemiJoin():
            return _names(plan.left)
        case Project():
            return [out.name if isinstance(out, ColumnRef) else f"#{i}" for i, out in enumerate(plan.outputs)]
        case Join() | OuterJoin():
            return _apart([name for below in inputs(plan) for name in _names(below)])
        case Reduce():
            keys = [key.name if isinstance(key, ColumnRef) else f"#{i}" for i, key in enumerate(plan.keys)]
            return keys + [str(aggregate) for aggregate in plan.aggregates]
        case Union():
            return _names(plan.inputs[0])
        case Constant() | Recursive():
            return [f"#{i}" for i in range(len(plan.types))]
