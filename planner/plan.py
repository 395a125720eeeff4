"""The relational plan: few node kinds, all immutable, all printable.

Always true: every node knows the types of its rows; a scalar in a node refers to columns of the node's one input (for Join: of all
inputs side by side, in order); equal plans are equal objects. Rows are Z-sets: Union adds, Negate changes signs, Distinct keeps
rows whose count is above zero, once. Deliberately unknown: names of SQL scopes, arrangements, and how any node is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal as OneOf

from dataflow.spine import Order
from dataflow.types import BIGINT, ColumnType, Schema
from planner.scalar import Scalar, Value

Types = tuple[ColumnType, ...]
AggregateFunction = OneOf["count_star", "count", "sum", "avg", "min", "max"]


@dataclass(frozen=True, slots=True)
class Get:
    """All rows of a source or of another view."""

    name: str
    schema: Schema

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return tuple(column.type for column in self.schema)


@dataclass(frozen=True, slots=True)
class Constant:
    """Rows written in the query, each once."""

    rows: tuple[tuple[Value, ...], ...]
    types: Types


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows for which every predicate is TRUE."""

    input: Plan
    predicates: tuple[Scalar, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Project:
    """One output column for each scalar (SELECT's list: it maps, reorders and drops)."""

    input: Plan
    outputs: tuple[Scalar, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return tuple(scalar.type for scalar in self.outputs)


Pairs = tuple[tuple[Scalar, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Every combination of one row of each input for which all `equal` pairs are equal.

    NULL equals nothing, unless `null_safe`: then NULL equals NULL in every pair.
    Invariant: both scalars of a pair lie in memory alike, and each reads the columns of exactly one input, not the same one.
    """

    inputs: tuple[Plan, ...]
    equal: Pairs = ()
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows: the columns of all inputs."""
        return tuple(t for plan in self.inputs for t in plan.types)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Position of each input's first column, and after the last the width."""
        offsets = [0]
        for plan in self.inputs:
            offsets.append(offsets[-1] + len(plan.types))
        return tuple(offsets)


@dataclass(frozen=True, slots=True)
class OuterJoin:
    """The pairs of rows that match, and each left row without a match once, NULL for the right columns.

    Rows match where all `equal` pairs are (as in Join) and all predicates of `on`, over both sides, are TRUE. `full`: right
    rows without a match stand in it too.
    """

    left: Plan
    right: Plan
    equal: Pairs = ()
    on: tuple[Scalar, ...] = ()
    full: bool = False
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows: the columns of both inputs."""
        return self.left.types + self.right.types


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """The left rows, each as often as it is there, that match some right row; `anti`: those that match none.

    What matches is said as in OuterJoin.
    """

    left: Plan
    right: Plan
    equal: Pairs = ()
    on: tuple[Scalar, ...] = ()
    anti: bool = False
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the left rows."""
        return self.left.types


def sides(plan: OuterJoin | SemiJoin) -> tuple[int, int, int]:
    """Position of each side's first column in the scalars, and the width of both."""
    width = len(plan.left.types)
    return 0, width, width + len(plan.right.types)


@dataclass(frozen=True, slots=True)
class TopK:
    """The rows at the places `offset + 1` to `offset + limit` (None: to the end) of each group.

    group: columns that are alike in a group. Ties of the order are broken by all columns. `numbered`: a last column has the place.
    """

    input: Plan
    group: tuple[int, ...]
    order: tuple[Order, ...]
    limit: int | None
    offset: int = 0
    numbered: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows, then of the place."""
        return (*self.input.types, BIGINT) if self.numbered else self.input.types


@dataclass(frozen=True, slots=True)
class Positive:
    """The rows whose count is above zero, as often as they count."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Single:
    """The rows, of which there may be one for each value of the first `keys` columns: several are an error.

    Invariant: there is one column besides those.
    """

    input: Plan
    keys: int

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """One aggregate; `argument` is None for count(*) alone. `distinct`: each value counts once."""

    function: AggregateFunction
    argument: Scalar | None
    type: ColumnType
    distinct: bool = False

    def __str__(self) -> str:
        word = "DISTINCT " if self.distinct else ""
        return "count(*)" if self.argument is None else f"{self.function}({word}{self.argument})"


@dataclass(frozen=True, slots=True)
class Reduce:
    """One row for each group: the keys, then the aggregates. With no keys: exactly one row, even over no input."""

    input: Plan
    keys: tuple[Scalar, ...]
    aggregates: tuple[AggregateCall, ...]

    @property
    def types(self) -> Types:
        """Types of the keys, then of the aggregates."""
        return tuple(key.type for key in self.keys) + tuple(aggregate.type for aggregate in self.aggregates)


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each row whose count is above zero, once."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Negate:
    """The same rows with the opposite sign."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Union:
    """The sum of inputs of the same types."""

    inputs: tuple[Plan, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.inputs[0].types


Plan = (
    Get
    | Constant
    | Filter
    | Project
    | Join
    | OuterJoin
    | SemiJoin
    | Reduce
    | TopK
    | Distinct
    | Positive
    | Single
    | Negate
    | Union
)


def inputs(plan: Plan) -> tuple[Plan, ...]:
    """The plans directly below."""
    if isinstance(plan, Join | Union):
        return plan.inputs
    if isinstance(plan, Get | Constant):
        return ()
    if isinstance(plan, OuterJoin | SemiJoin):
        return plan.left, plan.right
    return (plan.input,)


def with_inputs(plan: Plan, new: tuple[Plan, ...]) -> Plan:
    """The same node over other inputs; the very same object when nothing changed."""
    if all(a is b for a, b in zip(inputs(plan), new, strict=True)):
        return plan
    match plan:
        case Get() | Constant():
            return plan
        case Join() | Union():
            return replace(plan, inputs=new)
        case OuterJoin() | SemiJoin():
            return replace(plan, left=new[0], right=new[1])
        case _:
            return replace(plan, input=new[0])


def rewrite_plan(plan: Plan, change: Callable[[Plan], Plan]) -> Plan:
    """Bottom up: `change` sees every node after its inputs were changed."""
    return change(with_inputs(plan, tuple(rewrite_plan(below, change) for below in inputs(plan))))


def rewrite_scalars(plan: Plan, change: Callable[[Scalar], Scalar]) -> Plan:
    """The node with its own scalars changed; its inputs are left as they are."""
    match plan:
        case Filter():
            return Filter(plan.input, tuple(map(change, plan.predicates)))
        case Project():
            return Project(plan.input, tuple(map(change, plan.outputs)))
        case Join():
            return replace(plan, equal=_pairs(plan.equal, change))
        case OuterJoin() | SemiJoin():
            return replace(plan, equal=_pairs(plan.equal, change), on=tuple(map(change, plan.on)))
        case Reduce():
            calls = tuple(
                replace(a, argument=None if a.argument is None else change(a.argument)) for a in plan.aggregates
            )
            return Reduce(plan.input, tuple(map(change, plan.keys)), calls)
        case Get() | Constant() | TopK() | Distinct() | Positive() | Single() | Negate() | Union():
            return plan


def _pairs(pairs: Pairs, change: Callable[[Scalar], Scalar]) -> Pairs:
    return tuple((change(left), change(right)) for left, right in pairs)


def own_scalars(plan: Plan) -> tuple[Scalar, ...]:
    """The scalars that a node itself holds."""
    match plan:
        case Filter():
            return plan.predicates
        case Project():
            return plan.outputs
        case Join():
            return tuple(side for pair in plan.equal for side in pair)
        case OuterJoin() | SemiJoin():
            return tuple(side for pair in plan.equal for side in pair) + plan.on
        case Reduce():
            return plan.keys + tuple(a.argument for a in plan.aggregates if a.argument is not None)
        case Get() | Constant() | TopK() | Distinct() | Positive() | Single() | Negate() | Union():
            return ()


def relations(plan: Plan) -> set[str]:
    """Names of the sources and views that a plan reads."""
    found = {plan.name} if isinstance(plan, Get) else set()
    return found.union(*(relations(below) for below in inputs(plan)))


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
        case Single():
            return "Single" + (f" by {', '.join(f'#{i}' for i in range(plan.keys))}" if plan.keys else "")
        case Distinct() | Positive() | Negate() | Union():
            return type(plan).__name__


def _on(plan: Join | OuterJoin | SemiJoin) -> str:
    sign = "is" if plan.null_safe else "="
    parts = [f"{left} {sign} {right}" for left, right in plan.equal]
    if not isinstance(plan, Join):
        parts += map(str, plan.on)
    return " AND ".join(parts) or "every row with every row"


def _top_k(plan: TopK) -> str:
    def term(order: Order) -> str:
        return f"#{order.column}{' desc' if order.descending else ''}{' nulls first' if order.nulls_first else ''}"

    limit = "all" if plan.limit is None else str(plan.limit)
    parts = [
        f"TopK {limit}",
        f"offset {plan.offset}" if plan.offset else "",
        f"of {', '.join(f'#{i}' for i in plan.group)}" if plan.group else "",
        f"by {', '.join(map(term, plan.order))}" if plan.order else "",
        "numbered" if plan.numbered else "",
    ]
    return " ".join(filter(None, parts))
