"""Aggregates inside expressions: where they may stand, and what GROUP BY makes of the rest.

Always true: while a select list is bound, aggregate k of the query is column `width + k`, beyond the columns of FROM; `regroup`
then replaces these, and whatever equals a GROUP BY expression, by columns of the Reduce node, and refuses every other column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from dataflow.operators.aggregates import PAIRWISE
from dataflow.types import BOOLEAN, INTEGER, ColumnType
from planner import functions
from planner.calls import AggregateCall, AggregateFunction
from planner.functions import FunctionError
from planner.literals import Untyped
from planner.ordered_aggregates import ORDERED_NAMES, arguments_of, ordered_call, terms
from planner.parse import Text
from planner.plans import rewrite_plan, rewrite_scalars
from planner.scalar import Call, Case, ColumnRef, Grouping, Literal, OuterRef, Scalar, Subquery
from planner.scalars import TESTS_WITH_OPPOSITES, rewrite, walk

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


def aggregate_of(
    binder: Binder, node: exp.Anonymous, name: str, condition: exp.Expr | None, within: exp.Expr | None = None
) -> Bound:
    """Bind an aggregate call, with the condition of FILTER and the order of WITHIN GROUP if there are any."""
    aggregates, text = binder.aggregates, binder.text
    if aggregates is None:
        raise text.error(node, f"aggregate functions are not allowed in {binder.clause}", _hint(binder.clause))
    if aggregates.nested:
        raise text.error(node, "aggregate function calls cannot be nested", "aggregate in a subquery in FROM first")
    aggregates.nested = True
    try:
        test = None if condition is None else binder.condition(condition, "FILTER")
        if within is not None and (fractions := _fractions(node, name)):
            return _several(binder, node, name, fractions, test, within)
        if name in ORDERED_NAMES or within is not None:
            call = ordered_call(binder, node, name, test, within)
            _refuse_outer(binder, node, name, call.scalars)
            return aggregates.column(call)
        if name in PAIR_NAMES:
            return aggregates.column(pair_call(binder, node, name, test))
        argument, distinct = _argument(binder, node, name)
    finally:
        aggregates.nested = False
    if argument is None:
        if test is None:
            return aggregates.column(AggregateCall("count_star", None, _resolve(text, node, name, []).result))
        # count(*) FILTER (WHERE c) counts the rows for which some value is not NULL exactly when c is TRUE.
        argument = Literal(True, BOOLEAN)
    if not isinstance(argument, Untyped):
        _refuse_outer(binder, node, name, (argument,))
    given = None if isinstance(argument, Untyped) else argument.type
    resolved = _resolve(text, node, name, [given])
    scalar = binder.cast(argument, resolved.arguments[0], node)
    if test is not None:
        scalar = Case(((test, scalar),), Literal(None, scalar.type), scalar.type)
    function = cast(AggregateFunction, AGGREGATE_WORDS.get(name, name))
    # The least and the greatest of a set do not depend on how often a value stands in it.
    distinct = distinct and function not in ("min", "max")
    return aggregates.column(AggregateCall(function, scalar, resolved.result, distinct))


def _fractions(node: exp.Anonymous, name: str) -> list[exp.Expr]:
    """The fractions of `percentile_cont(ARRAY[0.25, 0.5])`; none of any other call."""
    if name not in ("percentile_cont", "percentile_disc") or len(node.expressions) != 1:
        return []
    array = node.expressions[0]
    return list(array.expressions) if isinstance(array, exp.Array) else []


def _several(
    binder: Binder,
    node: exp.Anonymous,
    name: str,
    fractions: Sequence[exp.Expr],
    test: Scalar | None,
    within: exp.Expr,
) -> Bound:
    """An array of percentiles, NULL where there are no values; of a NULL fraction NULL."""
    made: list[Scalar | None] = []
    for fraction in fractions:
        single = node.copy()
        single.set("expressions", [fraction])
        if isinstance(fraction, exp.Null):
            made.append(None)
            continue
        call = ordered_call(binder, single, name, test, within)
        _refuse_outer(binder, node, name, call.scalars)
        assert binder.aggregates is not None
        made.append(binder.aggregates.column(call))
    known = [one for one in made if one is not None]
    if not known:
        raise binder.text.unsupported(node, f"{name} of fractions that are all NULL", "write a number among them")
    array = binder.call(node, "array", [one or Literal(None, known[0].type) for one in made])
    empty = Call("is_null", (known[0],), BOOLEAN)
    return Case(((empty, Literal(None, array.type)),), array, array.type)


def _refuse_outer(binder: Binder, node: exp.Expr, name: str, scalars: Sequence[Scalar]) -> None:
    read = [below for scalar in scalars for below in walk(scalar) if isinstance(below, OuterRef | ColumnRef)]
    if read and all(isinstance(below, OuterRef) for below in read):
        raise binder.text.unsupported(node, f"{name} of an outer query's column in a subquery", "aggregate it outside")


AGGREGATE_WORDS = {
    "bool_and": "min",
    "every": "min",
    "bool_or": "max",
    "stddev": "stddev_samp",
    "variance": "var_samp",
}
"""Other names. Aggregates of truth values are the least and the greatest of them: FALSE comes before TRUE."""

PAIR_NAMES = frozenset((*PAIRWISE, "regr_count", "regr_avgx", "regr_avgy"))
"""Aggregates of the pairs of which neither value is NULL."""


def pair_call(binder: Binder, node: exp.Anonymous, name: str, test: Scalar | None) -> AggregateCall:
    """Bind an aggregate of pairs. test: FILTER's condition."""
    given = arguments_of(binder, node)
    if given.distinct:
        raise binder.text.unsupported(
            node, f"{name} with DISTINCT", "take the pairs in a subquery with SELECT DISTINCT"
        )
    if len(given.nodes) != 2:
        raise binder.text.error(
            node, f"function {name} takes 2 arguments, not {len(given.nodes)}", f"write {name}(y, x)"
        )
    terms(binder, given.order)
    bound = [binder.bind(one) for one in given.nodes]
    resolved = _resolve(binder.text, node, name, [None if isinstance(b, Untyped) else b.type for b in bound])
    values = tuple(binder.cast(b, t, n) for b, t, n in zip(bound, resolved.arguments, given.nodes, strict=True))
    _refuse_outer(binder, node, name, values)
    tests = [Call("is_not_null", (value,), BOOLEAN) for value in values]
    both = Call("and", (*tests, *(() if test is None else (test,))), BOOLEAN)
    y, x = (Case(((both, value),), Literal(None, value.type), value.type) for value in values)
    if name == "regr_count":
        return AggregateCall("count", y, resolved.result)
    if name in ("regr_avgx", "regr_avgy"):
        return AggregateCall("avg", x if name == "regr_avgx" else y, resolved.result)
    # The accumulators take x first.
    return AggregateCall(cast(AggregateFunction, name), x, resolved.result, other=y)


def grouping_of(binder: Binder, node: exp.Anonymous) -> Bound:
    """Bind `grouping(a, b)`, whose arguments GROUP BY must have."""
    aggregates, text = binder.aggregates, binder.text
    text.only(node, "this", "expressions")
    if aggregates is None or aggregates.nested:
        where = "aggregate function calls" if aggregates is not None else binder.clause
        raise text.error(node, f"grouping operations are not allowed in {where}")
    if not 1 <= len(node.expressions) <= _MOST_BITS:
        raise text.error(node, f"GROUPING takes 1 to {_MOST_BITS} arguments, not {len(node.expressions)}")
    return binder.placed(Grouping(tuple(binder.typed(argument) for argument in node.expressions), INTEGER), node)


_MOST_BITS = 31


def _hint(clause: str) -> str | None:
    return "use HAVING to filter groups" if clause == "WHERE" else None


def _argument(binder: Binder, node: exp.Anonymous, name: str) -> tuple[Bound | None, bool]:
    """The one argument, or None for count(*), and whether each of its values counts once."""
    text, args = binder.text, node.expressions
    if not args:
        if name == "count":
            raise text.error(node, "count(*) must be used to call a parameterless aggregate function")
        raise text.error(node, f"function {name}() does not exist", f"give {name} the column to aggregate")
    if isinstance(args[0], exp.Star):
        text.only(args[0])
        if name != "count":
            raise text.error(node, f"function {name}() does not exist", f"give {name} the column to aggregate")
        return None, False
    given = arguments_of(binder, node)
    if len(given.nodes) > 1:
        raise text.error(node, f"function {name} takes one argument, not {len(given.nodes)}")
    if not given.nodes:
        raise text.error(node, f"function {name}() does not exist", f"give {name} the column to aggregate")
    # These do not depend on an order: it is checked, and has no effect.
    terms(binder, given.order)
    return binder.bind(given.nodes[0]), given.distinct


def _resolve(text: Text, node: exp.Expr, name: str, types: Sequence[ColumnType | None]) -> functions.Resolved:
    try:
        return functions.resolve_aggregate(name, types)
    except FunctionError as error:
        raise text.error(node, error.message, error.hint or None) from None


_NEGATED = {opposite: test for test, opposite in TESTS_WITH_OPPOSITES.items()}


def regroup(
    scalar: Scalar,
    keys: Sequence[Scalar],
    width: int,
    groupings: Sequence[Grouping],
    places: Mapping[int, tuple[Scalar, exp.Expr]],
    text: Text,
) -> Scalar:
    """The scalar over grouped rows: `keys`, a column for each of `groupings`, then the aggregates.

    Raises SqlError for a column that is neither grouped nor aggregated. Without `groupings` every grouping() is 0.
    """

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, Call) and node.function in _NEGATED:
            # NOT of a key: binding made one test of both.
            plain = Call(_NEGATED[node.function], node.args, node.type)
            if node not in keys and plain in keys:
                return Call("not", (ColumnRef(keys.index(plain), node.type, str(plain)),), node.type)
        if node in keys:
            return ColumnRef(keys.index(node), node.type, node.name if isinstance(node, ColumnRef) else str(node))
        if isinstance(node, Subquery):
            return _regrouped(node, keys, places, text, change)
        if isinstance(node, Grouping):
            return _bits(node, keys, groupings, places, text)
        if not isinstance(node, ColumnRef):
            return None
        if node.index >= width:
            return ColumnRef(len(keys) + len(groupings) + node.index - width, node.type, node.name)
        place = places[id(node)][1]
        raise text.error(
            place,
            f'column "{node.name}" must appear in the GROUP BY clause or be used in an aggregate function',
            f"add {node.name} to GROUP BY, or write max({node.name})",
        )

    return rewrite(scalar, change)


def _bits(
    node: Grouping,
    keys: Sequence[Scalar],
    groupings: Sequence[Grouping],
    places: Mapping[int, tuple[Scalar, exp.Expr]],
    text: Text,
) -> Scalar:
    if not all(argument in keys for argument in node.args):
        message = "arguments to GROUPING must be grouping expressions of the associated query level"
        raise text.error(places[id(node)][1], message, "add them to GROUP BY")
    if node not in groupings:
        return Literal(0, node.type)
    return ColumnRef(len(keys) + groupings.index(node), node.type, str(node))


def _regrouped(
    subquery: Subquery,
    keys: Sequence[Scalar],
    places: Mapping[int, tuple[Scalar, exp.Expr]],
    text: Text,
    change: Callable[[Scalar], Scalar | None],
) -> Scalar:
    """A subquery over the rows of a Reduce: what it refers to outside must be grouped columns."""
    found = {key.index: place for place, key in enumerate(keys) if isinstance(key, ColumnRef)}

    def inside(node: Scalar) -> Scalar | None:
        if not isinstance(node, OuterRef) or node.depth != subquery.depth:
            return None
        if node.index not in found:
            message = f'subquery uses ungrouped column "{node.name}" from outer query'
            place = places.get(id(subquery))
            raise text.error(None if place is None else place[1], message, f"add {node.name} to GROUP BY")
        return OuterRef(node.depth, found[node.index], node.type, node.name)

    plan = rewrite_plan(subquery.plan, lambda below: rewrite_scalars(below, lambda scalar: rewrite(scalar, inside)))
    return replace(subquery, plan=plan, values=tuple(rewrite(value, change) for value in subquery.values))
