"""What EXPLAIN says: the plan as it was written, as it is after the rules, and as operators; as text and as JSON.

    logical      names and types are known, subqueries are joins                 planner.bind*
    optimized    what the rules made of it                                       planner.rules
    physical     operators, arrangements by key, what is shared with whom        planner.lower, dataflow.nodes

Always true: one line, or one object, for each node, inputs below it. JSON has the names that tools know from PostgreSQL's:
`Plan`, `Node Type`, `Plans`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from dataflow.layout import Order
from dataflow.nodes import Told
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

STAGES = ("logical", "optimized", "physical")
"""In the order in which one is made of the other."""


@dataclass(frozen=True, slots=True)
class Line:
    """One node: its text, what JSON says besides, the nodes below."""

    text: str
    facts: Mapping[str, Any]
    inputs: tuple[Line, ...]

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Its text and those of what is below it, indented."""
        yield "  " * depth + self.text
        for below in self.inputs:
            yield from below.lines(depth + 1)

    def document(self) -> dict[str, Any]:
        """The node as JSON's objects."""
        below = {"Plans": [one.document() for one in self.inputs]} if self.inputs else {}
        return {**self.facts, "Text": self.text, **below}


@dataclass(frozen=True, slots=True)
class Explanation:
    """How something is computed.

    stages: those that there are, by name. hints: what grows without end, and how to bound it. reader: what happens to the rows
    of a query.
    """

    stages: Mapping[str, Line]
    hints: tuple[str, ...] = ()
    reader: tuple[str, ...] = ()

    def text(self, stage: str) -> str:
        """One stage and the hints, without a line end."""
        return "\n".join([*self.stages[stage].lines(), *self.reader, *(f"Hint: {hint}" for hint in self.hints)])

    def json(self, stage: str) -> str:
        """One stage and the hints as JSON."""
        made = {
            "Plan": self.stages[stage].document(),
            "Stage": stage,
            "Reader": list(self.reader),
            "Hints": list(self.hints),
        }
        return dumps([made], indent=2)


def explain(plan: Plan) -> str:
    """The plan as an indented tree, one line for each node, without a line end."""
    return "\n".join(tree(plan).lines())


def tree(plan: Plan) -> Line:
    """The plan's nodes."""
    facts: dict[str, Any] = {"Node Type": type(plan).__name__, "Output": [str(type_) for type_ in plan.types]}
    if isinstance(plan, Recursive):
        facts["Bodies"] = {name: tree(body).document() for name, body in zip(plan.names, plan.bodies, strict=True)}
    return Line(_line(plan), facts, tuple(tree(below) for below in inputs(plan)))


def operators(told: Told) -> Line:
    """The operators of a view, or of a query."""
    facts: dict[str, Any] = {"Node Type": told.kind, "Node": told.number}
    if told.key is not None:
        facts["Arranged By"] = list(told.key)
    if told.shared:
        facts["Shared With"] = list(told.shared)
    if told.again:
        facts["Seen Above"] = True
    line = next(iter(told.lines(0))).strip()
    return Line(line, facts, tuple(map(operators, told.inputs)))


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
