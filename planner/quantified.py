"""Comparisons with rows and with any row of a subquery (ANY; IN and ALL are made of it): TRUE, FALSE or NULL as in PostgreSQL.

    a = ANY (q)                 whether q has an equal row; where it has none and NULLs may be, whether that is certain
    a < ANY (q)                 a < max(q), and counts that say whether q is empty or has NULLs
    (a, b) < ANY (q), LIKE      whether q has a row for which the test is TRUE, and else one for which it is NULL

Always true: what comes out of here is made of EXISTS and scalar subqueries alone. Deliberately unknown: how those become joins
(`planner.subqueries`).
"""

from __future__ import annotations

from collections.abc import Sequence

from dataflow.types import BIGINT, BOOLEAN, Kind
from planner.calls import AggregateCall
from planner.functions import FunctionError, resolve_aggregate
from planner.outer import inward
from planner.plan import Filter, Project, Reduce
from planner.scalar import Call, Case, ColumnRef, Literal, Scalar, Subquery

_TRUE, _FALSE, _NULL = (Literal(value, BOOLEAN) for value in (True, False, None))

OPPOSITES = {
    "=": "<>",
    "<": ">=",
    ">": "<=",
    "like": "not_like",
    "ilike": "not_ilike",
    "~": "!~",
    "~*": "!~*",
}
OPPOSITES |= {opposite: name for name, opposite in OPPOSITES.items()}
"""Comparisons, each with the one that is TRUE where it is FALSE, and the other way round."""


def compare_rows(operator: str, left: Sequence[Scalar], right: Sequence[Scalar]) -> Scalar:
    """A comparison of two rows of equally many values, pair by pair of the same type; one pair is a plain comparison."""
    pairs = list(zip(left, right, strict=True))
    if operator in ("=", "<>") or len(pairs) == 1:
        tests = tuple(Call(operator, pair, BOOLEAN) for pair in pairs)
        word = "or" if operator == "<>" else "and"
        return tests[0] if len(tests) == 1 else Call(word, tests, BOOLEAN)
    # The first pair that is not equal decides; one with a NULL before it makes it unknown.
    result: Scalar = Call(operator, pairs[-1], BOOLEAN)
    for pair in reversed(pairs[:-1]):
        further = Call("and", (Call("=", pair, BOOLEAN), result), BOOLEAN)
        result = Call("or", (Call(operator[0], pair, BOOLEAN), further), BOOLEAN)
    return result


def found(test: Subquery) -> Subquery:
    """Whether the subquery has a row for which the comparison is TRUE."""
    return Subquery("exists", Filter(test.plan, (_comparison(test),)), test.depth, BOOLEAN)


def rejected(test: Subquery) -> tuple[Subquery, Scalar | None]:
    """What must have no rows, and what else must be TRUE, where the comparison is FALSE."""
    if test.operator == "=" and len(test.values) == 1:
        return found(test), _cannot_be_unknown(test) if test.nulls[0] else None
    return Subquery("exists", Filter(test.plan, _not_false(test)), test.depth, BOOLEAN), None


def value_of(test: Subquery) -> Scalar:
    """The comparison as a value."""
    if _extreme(test):
        return _by_extremes(test)
    branches: list[tuple[Scalar, Scalar]] = [(found(test), _TRUE)]
    if any(test.nulls):
        if test.operator == "=" and len(test.values) == 1:
            return Case((*branches, (_cannot_be_unknown(test), _FALSE)), _NULL, BOOLEAN)
        maybe = Subquery("exists", Filter(test.plan, _not_false(test)), test.depth, BOOLEAN)
        branches.append((maybe, _NULL))
    return Case(tuple(branches), _FALSE, BOOLEAN)


def by_aggregates(test: Subquery) -> bool:
    """Whether `value_of` needs no join of rows with rows."""
    return _extreme(test)


def _columns(test: Subquery) -> tuple[ColumnRef, ...]:
    return tuple(ColumnRef(i, type_, f"value{i}") for i, type_ in enumerate(test.plan.types))


def _values(test: Subquery) -> tuple[Scalar, ...]:
    return tuple(inward(value, test.depth) for value in test.values)


def _comparison(test: Subquery) -> Scalar:
    return compare_rows(test.operator, _values(test), _columns(test))


def _not_false(test: Subquery) -> tuple[Scalar, ...]:
    """Predicates for the rows whose comparison is TRUE or NULL: equalities of what is never NULL can be keys of a join."""
    if test.operator != "=":
        return (Call("is_not_false", (_comparison(test),), BOOLEAN),)
    pairs = zip(_values(test), _columns(test), test.nulls, strict=True)
    tests = ((Call("=", (value, column), BOOLEAN), null) for value, column, null in pairs)
    return tuple(Call("is_not_false", (same,), BOOLEAN) if null else same for same, null in tests)


def _cannot_be_unknown(test: Subquery) -> Scalar:
    """That `a = ANY` which finds nothing is FALSE, not NULL: the subquery is empty, or no NULL is on either side."""
    (value,) = test.values
    null = Call("is_null", _columns(test), BOOLEAN)
    has_rows = Subquery("exists", test.plan, test.depth, BOOLEAN)
    has_null = Subquery("exists", Filter(test.plan, (null,)), test.depth, BOOLEAN)
    known = Call("is_not_null", (value,), BOOLEAN), Call("not", (has_null,), BOOLEAN)
    return Call("or", (Call("not", (has_rows,), BOOLEAN), Call("and", known, BOOLEAN)), BOOLEAN)


def _extreme(test: Subquery) -> bool:
    """Whether the least and the greatest value of the subquery decide the comparison."""
    if len(test.values) != 1 or test.operator not in ("<", "<=", ">", ">=", "<>"):
        return False
    type_ = test.plan.types[0]
    try:
        return type_.kind is Kind.BOOLEAN or resolve_aggregate("min", [type_]).result == type_
    except FunctionError:
        return False


def _by_extremes(test: Subquery) -> Scalar:
    (value,), (column,) = _values(test), _columns(test)
    calls = (
        AggregateCall("count_star", None, BIGINT),
        AggregateCall("count", column, BIGINT),
        AggregateCall("min", column, column.type),
        AggregateCall("max", column, column.type),
    )
    rows, present, least, greatest = (ColumnRef(i, call.type, str(call)) for i, call in enumerate(calls))
    bounds = {"<": (greatest,), "<=": (greatest,), ">": (least,), ">=": (least,), "<>": (least, greatest)}
    tests = tuple(Call(test.operator, (value, bound), BOOLEAN) for bound in bounds[test.operator])
    branches: list[tuple[Scalar, Scalar]] = [(tests[0] if len(tests) == 1 else Call("or", tests, BOOLEAN), _TRUE)]
    if any(test.nulls):
        some = Call(">", (rows, Literal(0, BIGINT)), BOOLEAN)
        null = Call("is_null", (value,), BOOLEAN), Call("<>", (rows, present), BOOLEAN)
        branches.append((Call("and", (some, Call("or", null, BOOLEAN)), BOOLEAN), _NULL))
    answer = Case(tuple(branches), _FALSE, BOOLEAN)
    return Subquery("scalar", Project(Reduce(test.plan, (), calls), (answer,)), test.depth, BOOLEAN)
