"""Relational plans as text for people: EXPLAIN's logical plan.

Always true: one line for each node, inputs indented below it. Deliberately unknown: operators and their state
(`dataflow.nodes`).
"""

from __future__ import annotations

from dataflow.layout import Order
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
from planner.plans import inputs


def explain(plan: Plan) -> str:
    """The plan as an indented tree, one line for each node, without a line end."""
    return "\n".join(_lines(plan, 0))


def _lines(plan: Plan, depth: int) -> list[str]:
    lines = ["  " * depth + _line(plan)]
    for below in inputs(plan):
        lines += _lines(below, depth + 1)
    return lines


def _line(plan: Plan) -> str:
    match plan:
        case Get():
            return f"Get {plan.name}"
        case Constant():
            rows = ", ".join("(" + ", ".join(map(str, row)) + ")" for row in plan.rows)
            return f"Constant {rows}".rstrip()
        case Filter():
            return f"Filter {' AND '.join(map(str, plan.predicates))}"
        case Project():
            return f"Project {', '.join(map(str, plan.outputs))}"
        case Join():
            return f"Join {_on(plan)}"
        case OuterJoin():
            return f"{'Full' if plan.full else 'Left'}Join {_on(plan)}"
        case SemiJoin():
            return f"{'Anti' if plan.anti else 'Semi'}Join {_on(plan)}"
        case Reduce():
            keys = f" by {', '.join(map(str, plan.keys))}" if plan.keys else ""
            return f"Reduce {', '.join(map(str, plan.aggregates))}{keys}".replace("Reduce  by", "Reduce by")
        case TopK():
            return _top_k(plan)
        case TemporalFilter():
            return f"TemporalFilter {' AND '.join(map(str, plan.bounds))}"
        case FlatMap():
            calls = ", ".join(map(str, plan.calls))
            more = (" with ordinality" if plan.ordinality else "") + (" or NULLs" if plan.keeps else "")
            return f"FlatMap {calls}{more}"
        case Window():
            return _window(plan)
        case Single():
            return "Single" + (f" by {', '.join(f'#{i}' for i in range(plan.keys))}" if plan.keys else "")
        case Recursive():
            limit = "" if plan.limit is None else f" {'return' if plan.returns else 'error'} at {plan.limit} iterations"
            bodies = "; ".join(
                f"{name} = {' '.join(explain(body).split())}"
                for name, body in zip(plan.names, plan.bodies, strict=True)
            )
            return f"Recursive {plan.names[plan.output]}{limit} where {bodies}"
        case Distinct() | Positive() | Negate() | Union():
            return type(plan).__name__


def _on(plan: Join | OuterJoin | SemiJoin) -> str:
    sign = "is" if plan.null_safe else "="
    parts = [f"{left} {sign} {right}" for left, right in plan.equal]
    if not isinstance(plan, Join):
        parts += map(str, plan.on)
    return " AND ".join(parts) or "every row with every row"


def _term(order: Order) -> str:
    return f"#{order.column}{' desc' if order.descending else ''}{' nulls first' if order.nulls_first else ''}"


def _window(plan: Window) -> str:
    parts = [
        f"Window {', '.join(map(str, plan.calls))}",
        f"of {', '.join(f'#{i}' for i in plan.partition)}" if plan.partition else "",
        f"by {', '.join(map(_term, plan.order))}" if plan.order else "",
    ]
    return " ".join(filter(None, parts))


def _top_k(plan: TopK) -> str:
    limit = "all" if plan.limit is None else str(plan.limit)
    parts = [
        f"TopK {limit}",
        f"offset {plan.offset}" if plan.offset else "",
        f"of {', '.join(f'#{i}' for i in plan.group)}" if plan.group else "",
        f"by {', '.join(map(_term, plan.order))}" if plan.order else "",
        "numbered" if plan.numbered else "",
    ]
    return " ".join(filter(None, parts))
