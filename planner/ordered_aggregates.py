"""Aggregates that need their values in order, from sqlglot's tree to calls: string_agg, jsonb_agg, percentiles, max_by ...

    string_agg(DISTINCT a, ',' ORDER BY a DESC)     percentile_cont(0.5) WITHIN GROUP (ORDER BY x)      max_by(name, at)

Always true: the call's order is what decides its result, ties aside; rows that FILTER leaves out have NULL for what makes a row
count. Deliberately unknown here: how they are maintained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from dataflow.operators.ordered import OrderedFunction
from dataflow.types import DOUBLE, JSONB, ColumnType, Kind
from planner import functions
from planner.calls import AggregateCall
from planner.compile import compile_scalar
from planner.functions import FunctionError
from planner.literals import Untyped
from planner.scalar import Call, Case, Cast, Literal, Scalar
from planner.scalars import walk

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_BY = {"max_by": True, "min_by": False, "arg_max": True, "arg_min": False}
"""Whether the greatest comes first."""

WITHIN = ("percentile_cont", "percentile_disc", "mode")
"""Those that are written with WITHIN GROUP."""

IN_ORDER = ("string_agg", "array_agg", "list_agg", "map_agg", "jsonb_agg", "jsonb_object_agg")
"""Those that put all values together, one after the other."""

_BITS = ("bit_and", "bit_or", "bit_xor")

_OF_PAIRS = ("jsonb_object_agg", "map_agg")

ORDERED_NAMES = frozenset((*IN_ORDER, *_BITS, *_BY, *WITHIN))

Terms = tuple[tuple[Scalar, bool, bool], ...]


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between an aggregate's parentheses: nodes, DISTINCT, and ORDER BY's items."""

    nodes: tuple[exp.Expr, ...]
    distinct: bool
    order: tuple[exp.Expr, ...]


def arguments_of(binder: Binder, node: exp.Anonymous) -> Arguments:
    """Take the arguments of an aggregate apart."""
    text, nodes = binder.text, list(node.expressions)
    order: tuple[exp.Expr, ...] = ()
    if nodes and isinstance(nodes[-1], exp.Order):
        last = nodes.pop()
        text.only(last, "this", "expressions")
        nodes.append(last.this)
        order = tuple(last.expressions)
    distinct = bool(nodes) and isinstance(nodes[0], exp.Distinct)
    if distinct:
        text.only(nodes[0], "expressions")
        nodes = [*nodes[0].expressions, *nodes[1:]]
    return Arguments(tuple(nodes), distinct, order)


def terms(binder: Binder, items: Sequence[exp.Expr]) -> Terms:
    """ORDER BY's items."""
    found: list[tuple[Scalar, bool, bool]] = []
    for item in items:
        binder.text.only(item, "this", "desc", "nulls_first")
        term = _sortable(binder, binder.typed(item.this), item.this)
        found.append((term, bool(item.args.get("desc")), bool(item.args.get("nulls_first"))))
    return tuple(found)


def _sortable(binder: Binder, scalar: Scalar, node: exp.Expr) -> Scalar:
    if scalar.type.kind is Kind.JSONB:
        raise binder.text.unsupported(node, "ORDER BY jsonb", "order by a value in it: doc ->> 'a'")
    return scalar


def ordered_call(
    binder: Binder, node: exp.Anonymous, name: str, test: Scalar | None, within: exp.Expr | None
) -> AggregateCall:
    """Bind such an aggregate. within: the ORDER BY of WITHIN GROUP; test: FILTER's condition."""
    text = binder.text
    if (within is not None) != (name in WITHIN):
        if within is not None:
            raise text.error(node, f"{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP")
        hint = f"write {name}(...) WITHIN GROUP (ORDER BY ...)"
        raise text.error(node, f"WITHIN GROUP is required for ordered-set aggregate {name}", hint)
    given = arguments_of(binder, node)
    if within is not None:
        return _within(binder, node, name, given, within, test)
    if name in IN_ORDER and name != "string_agg":
        return _collected(binder, node, name, given, test)
    if name in _BITS:
        return _of_bits(binder, node, name, given, test)
    if len(given.nodes) != 2:
        hint = "string_agg(value, delimiter)" if name == "string_agg" else f"{name}(value, by)"
        raise text.error(node, f"function {name} takes 2 arguments, not {len(given.nodes)}", f"write {hint}")
    (value, other), type_ = _resolved(binder, node, name, given.nodes)
    if name == "string_agg":
        order = terms(binder, given.order)
        if given.distinct and any(term not in (value, other) for term, _, _ in order):
            raise text.error(node, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
        value = _kept(value, test)
        # Without an order any will do, but it has to be one.
        order = order or ((value, False, False),)
        return AggregateCall("string_agg", value, type_, given.distinct, other, order)
    by = _kept(_sortable(binder, other, given.nodes[1]), test)
    first = (by, _BY[name], False)
    return AggregateCall("first_by", value, type_, False, by, (first, *terms(binder, given.order)))


def _of_bits(binder: Binder, node: exp.Anonymous, name: str, given: Arguments, test: Scalar | None) -> AggregateCall:
    """bit_and, bit_or, bit_xor, which no order changes."""
    if len(given.nodes) != 1:
        raise binder.text.error(
            node, f"function {name} takes 1 argument(s), not {len(given.nodes)}", f"write {name}(value)"
        )
    (value,), type_ = _resolved(binder, node, name, given.nodes)
    terms(binder, given.order)
    value = _kept(value, test)
    return AggregateCall(cast(OrderedFunction, name), value, type_, given.distinct, None, ((value, False, False),))


def _collected(binder: Binder, node: exp.Anonymous, name: str, given: Arguments, test: Scalar | None) -> AggregateCall:
    """jsonb_agg, array_agg and list_agg of values, NULLs too; jsonb_object_agg and map_agg of what has one key and its value."""
    text, several = binder.text, name in _OF_PAIRS
    if len(given.nodes) != 1 + several:
        hint = f"{name}(key, value)" if several else f"{name}(value)"
        raise text.error(
            node, f"function {name} takes {1 + several} argument(s), not {len(given.nodes)}", f"write {hint}"
        )
    values, type_ = _resolved(binder, node, name, given.nodes)
    order = terms(binder, given.order)
    if given.distinct and any(term not in values for term, _, _ in order):
        raise text.error(node, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
    if name in ("array_agg", "list_agg"):
        # Arrays of one, which are never NULL, and compare as their values do.
        made = binder.call(node, name.removesuffix("_agg"), values)
    elif name == "map_agg":
        made = binder.call(node, "map", values)
    elif several:
        made = binder.call(node, "jsonb_build_object", values)
    else:
        made = binder.call(node, "coalesce", [binder.call(node, "to_jsonb", values), Literal("null", JSONB)])
    made = _kept(made, test)
    # A list is put together as an array is.
    function = "array_agg" if name == "list_agg" else name
    return AggregateCall(
        cast(OrderedFunction, function), made, type_, given.distinct, None, order or ((made, False, False),)
    )


def _within(
    binder: Binder, node: exp.Anonymous, name: str, given: Arguments, within: exp.Expr, test: Scalar | None
) -> AggregateCall:
    text = binder.text
    if given.distinct or given.order:
        raise text.error(node, "cannot use DISTINCT or ORDER BY with WITHIN GROUP")
    text.only(within, "expressions")
    if len(within.expressions) != 1 or len(given.nodes) != (name != "mode"):
        raise text.error(
            node, f"function {name} takes {'no' if name == 'mode' else 'one'} argument and one ORDER BY item"
        )
    (item,) = within.expressions
    ((_, descending, nulls_first),) = terms(binder, within.expressions)
    (value,), type_ = _resolved(binder, node, name, (item.this,))
    value = _kept(value, test)
    fraction = _fraction(binder, given.nodes[0], name) if given.nodes else 0.0
    order = ((value, descending, nulls_first),)
    return AggregateCall(cast(OrderedFunction, name), value, type_, False, None, order, fraction)


def _fraction(binder: Binder, node: exp.Expr, name: str) -> float:
    found = binder.cast(binder.bind(node), DOUBLE, node)
    constant = all(isinstance(part, Literal | Cast | Call) for part in walk(found))
    value = compile_scalar(found).evaluate((), 1).values[0].as_py() if constant else None
    if value is None:
        raise binder.text.unsupported(node, f"{name} with a fraction that is no constant", "write the number itself")
    fraction = float(value)
    if not 0 <= fraction <= 1:
        raise binder.text.error(node, f"percentile value {fraction:g} is not between 0 and 1")
    return fraction


def _kept(scalar: Scalar, test: Scalar | None) -> Scalar:
    """The value where FILTER lets the row pass, else NULL."""
    return scalar if test is None else Case(((test, scalar),), Literal(None, scalar.type), scalar.type)


def _resolved(
    binder: Binder, node: exp.Anonymous, name: str, nodes: Sequence[exp.Expr]
) -> tuple[tuple[Scalar, ...], ColumnType]:
    bound: list[Bound] = [binder.bind(one) for one in nodes]
    try:
        resolved = functions.resolve_aggregate(name, [None if isinstance(b, Untyped) else b.type for b in bound])
    except FunctionError as error:
        raise binder.text.error(node, error.message, error.hint or None) from None
    values = tuple(binder.cast(b, t, n) for b, t, n in zip(bound, resolved.arguments, nodes, strict=True))
    return values, resolved.result
