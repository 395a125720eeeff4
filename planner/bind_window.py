"""Window functions, from sqlglot's tree to scalars that stand for them: named windows, and what PostgreSQL refuses.

Always true: what is bound here holds an order; `planner.windows` makes columns of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from dataflow.operators.window_calls import RANKINGS, WindowFunction
from dataflow.operators.window_frames import DEFAULT
from dataflow.types import BIGINT, BOOLEAN, INTEGER, ColumnType, Kind
from planner import functions
from planner.aggregates import AGGREGATE_WORDS, PAIR_NAMES, pair_call
from planner.bind_frame import frame_of
from planner.catalog import spelling
from planner.functions import FunctionError
from planner.literals import Untyped
from planner.ordered_aggregates import IN_ORDER, ORDERED_NAMES, WITHIN, ordered_call
from planner.parse import Text
from planner.rules.fold_constants import fold
from planner.scalar import Case, Literal, Over, Scalar
from planner.scalars import walk

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_ARGUMENTS = {
    "ntile": (1, 1),
    "lag": (1, 3),
    "lead": (1, 3),
    "first_value": (1, 1),
    "last_value": (1, 1),
    "nth_value": (2, 2),
}
"""Least and most arguments of the functions that take any."""

WINDOW_FUNCTIONS = frozenset((*RANKINGS, *_ARGUMENTS))
"""The functions that need OVER; every aggregate may have it too."""

NEVER_NULL = frozenset(("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "count", "count_star"))

_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)


def without_over(binder: Binder, node: exp.Expr, name: str) -> Exception:
    """The mistake of a window function that is called like any other."""
    return binder.text.error(
        node, f"window function {name} requires an OVER clause", f"write {name}(...) OVER (ORDER BY ...)"
    )


def window(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `function(...) OVER (...)`."""
    text, call = binder.text, node.this
    condition = None
    if isinstance(call, exp.Filter):
        text.only(call, "this", "expression")
        condition, call = call.expression.this, call.this
    if isinstance(call, exp.WithinGroup):
        raise _refused_order(binder, call.this)
    if not isinstance(call, exp.Anonymous) or not isinstance(call.this, str):
        raise text.unsupported(call)
    name = call.this.lower()
    if name not in WINDOW_FUNCTIONS and name not in functions.AGGREGATE_NAMES:
        raise text.error(node, f"OVER specified, but {name} is not a window function nor an aggregate function")
    text.only(call, "this", "expressions")
    if binder.clause not in ("SELECT", "ORDER BY"):
        raise text.error(node, f"window functions are not allowed in {binder.clause}", "filter in an outer SELECT")
    if binder.aggregates is not None and binder.aggregates.nested:
        raise text.error(node, "aggregate function calls cannot contain window function calls")
    made = _function(binder, call, name, condition)
    written = _resolved(binder, node, ())
    text.only(written, "this", "partition_by", "order", "over", "alias", "spec")
    partition = tuple(binder.typed(one) for one in written.args.get("partition_by") or [])
    order = _order(binder, written.args.get("order"))
    frame = frame_of(binder, written.args.get("spec"), order, written)
    made = _in_order(replace(made, partition=partition, order=order, frame=frame))
    if any(isinstance(below, Over) and below is not made for below in walk(made)):
        raise text.error(node, "window function calls cannot be nested", "compute the inner one in a subquery in FROM")
    return made


def _in_order(made: Over) -> Over:
    """An aggregate that puts values together takes them in the window's order, where there is one."""
    if made.call is None or not made.order or made.call.function not in IN_ORDER:
        return made
    return replace(made, call=replace(made.call, order=made.order))


def _resolved(binder: Binder, node: exp.Expr, above: tuple[str, ...]) -> exp.Expr:
    """A window's definition together with that of the named window it refers to."""
    alias = node.args.get("alias")
    if alias is None:
        return node
    text, name = binder.text, spelling(alias)
    named = binder.windows.get(name)
    if named is None or name in above:
        raise text.error(alias, f'window "{name}" does not exist', "define it in a WINDOW clause")
    base = _resolved(binder, named, (*above, name))
    merged = node.copy()
    merged.set("alias", None)
    for part, word in (("partition_by", "PARTITION BY"), ("order", "ORDER BY")):
        if node.args.get(part) and (part == "partition_by" or base.args.get(part)):
            raise text.error(node, f'cannot override {word} clause of window "{name}"')
        if not node.args.get(part):
            merged.set(part, base.args.get(part))
    if base.args.get("spec") is not None:
        if any(node.args.get(part) for part in ("spec", "order")):
            raise text.error(node, f'cannot copy window "{name}" because it has a frame clause')
        merged.set("spec", base.args["spec"])
    return merged


def _order(binder: Binder, clause: exp.Expr | None) -> tuple[tuple[Scalar, bool, bool], ...]:
    if clause is None:
        return ()
    text = binder.text
    text.only(clause, "expressions")
    order: list[tuple[Scalar, bool, bool]] = []
    for item in clause.expressions:
        text.only(item, "this", "desc", "nulls_first")
        term = binder.typed(item.this)
        if term.type.kind is Kind.JSONB:
            raise text.unsupported(item.this, "ORDER BY jsonb", "order by a value in it: doc ->> 'a'")
        order.append((term, bool(item.args.get("desc")), bool(item.args.get("nulls_first"))))
    return tuple(order)


def _function(binder: Binder, call: exp.Anonymous, name: str, condition: exp.Expr | None) -> Over:
    """The function with its arguments, without a window."""
    text, args = binder.text, call.expressions
    blank = Over(cast(WindowFunction, name), None, (), (), DEFAULT, RANKINGS.get(name, BIGINT))
    if name not in WINDOW_FUNCTIONS:
        return _aggregate(binder, call, name, condition, blank)
    if condition is not None:
        raise text.error(call, "FILTER is not implemented for non-aggregate window functions")
    least, most = _ARGUMENTS.get(name, (0, 0))
    if not least <= len(args) <= most:
        raise text.error(
            call, f"function {name} takes {least if least == most else f'{least} to {most}'} arguments, not {len(args)}"
        )
    if name == "ntile":
        return _with_amount(binder, blank, args[0], INTEGER)
    if not args:
        return blank
    if len(args) == 3:
        (value, default), type_ = binder.alike(
            [args[0], args[2]], [binder.bind(args[0]), binder.bind(args[2])], name.upper()
        )
        blank = replace(blank, default=None if isinstance(default, Literal) and default.value is None else default)
    else:
        value = binder.typed(args[0])
        type_ = value.type
    blank = replace(blank, argument=value, type=type_)
    return blank if len(args) == 1 else _with_amount(binder, blank, args[1], INTEGER)


def _with_amount(binder: Binder, call: Over, node: exp.Expr, type_: ColumnType) -> Over:
    bound = binder.bind(node)
    if not isinstance(bound, Untyped) and bound.type.kind not in _INTEGERS:
        raise binder.text.error(node, f"{call.function} takes an integer here, not {bound.type}", "cast it to integer")
    amount = fold(binder.cast(bound, type_, node))
    if isinstance(amount, Literal) and isinstance(amount.value, int):
        return replace(call, amount=amount.value)
    return replace(call, amount_by=amount)


def _refused_order(binder: Binder, call: exp.Expr) -> Exception:
    message = f"OVER is not supported for ordered-set aggregate {str(call.this).lower()}"
    return binder.text.error(call, message, "aggregate in a subquery and join it")


def _aggregate(binder: Binder, call: exp.Anonymous, name: str, condition: exp.Expr | None, blank: Over) -> Over:
    text, args = binder.text, call.expressions
    if name in WITHIN:
        raise _refused_order(binder, call)
    for arg in args:
        if isinstance(arg, exp.Distinct):
            raise text.error(
                arg, "DISTINCT is not implemented for window functions", "aggregate in a subquery and join it"
            )
        if isinstance(arg, exp.Order):
            raise text.error(arg, "aggregate ORDER BY is not implemented for window functions", "order the window")
    test = None if condition is None else binder.condition(condition, "FILTER")
    if name in ORDERED_NAMES or name in PAIR_NAMES:
        found = (
            pair_call(binder, call, name, test) if name in PAIR_NAMES else ordered_call(binder, call, name, test, None)
        )
        return replace(blank, function=cast(WindowFunction, found.function), type=found.type, call=found)
    if name == "count" and len(args) == 1 and isinstance(args[0], exp.Star):
        text.only(args[0])
        if test is None:
            return replace(blank, function="count_star")
        argument: Bound = Literal(True, BOOLEAN)
    elif len(args) == 1:
        argument = binder.bind(args[0])
    else:
        raise text.error(call, f"function {name} takes one argument, not {len(args)}")
    try:
        resolved = functions.resolve_aggregate(name, [None if isinstance(argument, Untyped) else argument.type])
    except FunctionError as error:
        raise text.error(call, error.message, error.hint or None) from None
    scalar = binder.cast(argument, resolved.arguments[0], call)
    if test is not None:
        scalar = Case(((test, scalar),), Literal(None, scalar.type), scalar.type)
    made = AGGREGATE_WORDS.get(name, name)
    return replace(blank, function=cast(WindowFunction, made), argument=scalar, type=resolved.result)


def named_windows(select: exp.Expr, text: Text) -> dict[str, exp.Expr]:
    """The definitions of a WINDOW clause by name."""
    found: dict[str, exp.Expr] = {}
    for node in select.args.get("windows") or []:
        name = spelling(node.this)
        if name in found:
            raise text.error(node, f'window "{name}" is already defined')
        found[name] = node
    return found
