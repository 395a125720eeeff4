"""Aggregates inside expressions: where they may stand, and what GROUP BY makes of the rest.

Always true: while a select list is bound, aggregate k of the query is column `width + k`, beyond the columns of FROM; `regroup`
then replaces these, and whatever equals a GROUP BY expression, by columns of the Reduce node, and refuses every other column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from dataflow.types import BOOLEAN
from planner import functions
from planner.functions import FunctionError
from planner.literals import Untyped
from planner.parse import Text
from planner.plan import AggregateCall, AggregateFunction
from planner.scalar import Case, ColumnRef, Literal, Scalar
from planner.scalars import rewrite

if TYPE_CHECKING:
    from planner.bind import Binder, Bound


@dataclass
class Aggregates:
    """The aggregates of one query, each once. `width`: how many columns FROM has. `nested`: inside an argument now."""

    width: int
    calls: list[AggregateCall] = field(default_factory=list)
    nested: bool = False

    def column(self, call: AggregateCall) -> ColumnRef:
        """The stand-in for an aggregate."""
        if call not in self.calls:
            self.calls.append(call)
        return ColumnRef(self.width + self.calls.index(call), call.type, str(call))


def aggregate_of(binder: Binder, node: exp.Anonymous, name: str, condition: exp.Expr | None) -> Bound:
    """Bind an aggregate call, with the condition of FILTER if there is one."""
    aggregates, text = binder.aggregates, binder.text
    if aggregates is None:
        raise text.error(node, f"aggregate functions are not allowed in {binder.clause}", _hint(binder.clause))
    if aggregates.nested:
        raise text.error(node, "aggregate function calls cannot be nested", "aggregate in a subquery in FROM first")
    aggregates.nested = True
    try:
        argument = _argument(binder, node, name)
        test = None if condition is None else binder.condition(condition, "FILTER")
    finally:
        aggregates.nested = False
    if argument is None:
        if test is None:
            return aggregates.column(AggregateCall("count_star", None, _resolve(text, node, name, []).result))
        # count(*) FILTER (WHERE c) counts the rows for which some value is not NULL exactly when c is TRUE.
        argument = Literal(True, BOOLEAN)
    given = None if isinstance(argument, Untyped) else argument.type
    resolved = _resolve(text, node, name, [given])
    scalar = binder.cast(argument, resolved.arguments[0], node)
    if test is not None:
        scalar = Case(((test, scalar),), Literal(None, scalar.type), scalar.type)
    return aggregates.column(AggregateCall(cast(AggregateFunction, name), scalar, resolved.result))


def _hint(clause: str) -> str | None:
    return "use HAVING to filter groups" if clause == "WHERE" else None


def _argument(binder: Binder, node: exp.Anonymous, name: str) -> Bound | None:
    """The one argument, or None for count(*)."""
    text, args = binder.text, node.expressions
    if not args:
        if name == "count":
            raise text.error(node, "count(*) must be used to call a parameterless aggregate function")
        raise text.error(node, f"function {name}() does not exist", f"give {name} the column to aggregate")
    if isinstance(args[0], exp.Star):
        text.only(args[0])
        if name != "count":
            raise text.error(node, f"function {name}() does not exist", f"give {name} the column to aggregate")
        return None
    first = args[0]
    if isinstance(first, exp.Distinct):
        # The least and the greatest of a set do not depend on how often a value stands in it.
        if name not in ("min", "max") or len(first.expressions) != 1:
            raise text.unsupported(node, f"{name}(DISTINCT ...)", "aggregate over (SELECT DISTINCT ...) in FROM")
        text.only(first, "expressions")
        first = first.expressions[0]
    if len(args) > 1:
        raise text.error(node, f"function {name} takes one argument, not {len(args)}")
    return binder.bind(first)


def _resolve(text: Text, node: exp.Expr, name: str, types: Sequence[object]) -> functions.Resolved:
    try:
        return functions.resolve_aggregate(name, types)  # type: ignore[arg-type]
    except FunctionError as error:
        raise text.error(node, error.message, error.hint or None) from None


def regroup(
    scalar: Scalar,
    keys: Sequence[Scalar],
    width: int,
    places: Mapping[int, tuple[ColumnRef, exp.Expr]],
    text: Text,
) -> Scalar:
    """The scalar over the rows of a Reduce by `keys`. Raises SqlError for a column that is neither grouped nor aggregated."""

    def change(node: Scalar) -> Scalar | None:
        if node in keys:
            return ColumnRef(keys.index(node), node.type, node.name if isinstance(node, ColumnRef) else str(node))
        if not isinstance(node, ColumnRef):
            return None
        if node.index >= width:
            return ColumnRef(len(keys) + node.index - width, node.type, node.name)
        place = places[id(node)][1]
        raise text.error(
            place,
            f'column "{node.name}" must appear in the GROUP BY clause or be used in an aggregate function',
            f"add {node.name} to GROUP BY, or write max({node.name})",
        )

    return rewrite(scalar, change)
