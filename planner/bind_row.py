"""Row values, `(a, b)` and `ROW(a, b)`, and ANY and ALL: comparisons of more than one value with more than one.

Always true: row values are compared value by value, a NULL leaving it open; beside a record they are records themselves, as
they are anywhere else (`planner.bind_nested`). ALL is the opposite of
ANY with the opposite operator. Deliberately unknown: how a comparison with a subquery is computed (`planner.quantified`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BOOLEAN, Kind
from planner import bind_array, bind_subquery, temporal
from planner.literals import Untyped
from planner.parse import Text
from planner.quantified import OPPOSITES, compare_rows
from planner.scalar import Call, Scalar

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_ROW_OPERATORS = ("=", "<>", "<", "<=", ">", ">=")


def parts(node: exp.Expr, text: Text) -> list[exp.Expr] | None:
    """The expressions of a row value; None for anything else."""
    if isinstance(node, exp.Tuple):
        text.only(node, "expressions")
        return list(node.expressions)
    if isinstance(node, exp.Anonymous) and isinstance(node.this, str) and node.this.upper() == "ROW":
        text.only(node, "this", "expressions")
        return list(node.expressions)
    return None


def binary(binder: Binder, node: exp.Expr, operator: str) -> Bound:
    """Bind `a operator b` where either may be a row value and b may be ANY (...) or ALL (...)."""
    text, left, right = binder.text, node.this, node.expression
    quantifier, operand = _quantifier(right)
    if quantifier is not None and operand is not None:
        return _quantified(binder, node, operator, quantifier == "all", operand)
    first, second = parts(left, text), parts(right, text)
    if first is None and second is None:
        both = [binder.bind(left), binder.bind(right)]
        return temporal.with_integer(operator, both) or binder.call(node, operator, both)
    if (records := _records(binder, left, right, first, second)) is not None:
        return binder.call(node, operator, records)
    if operator in ("is_distinct_from", "is_not_distinct_from"):
        pairs = list(zip(*_of_one_length(binder, node, first or [left], second or [right]), strict=True))
        tests = tuple(binder.call(node, operator, [binder.bind(a), binder.bind(b)]) for a, b in pairs)
        return Call("or" if operator == "is_distinct_from" else "and", tests, BOOLEAN)
    if operator not in _ROW_OPERATORS:
        raise text.unsupported(left if first is not None else right, "a row value here", "compare the columns")
    sides = [_values(binder, side, found) for side, found in ((left, first), (right, second))]
    return _compared(binder, node, operator, *sides)


def _records(
    binder: Binder, left: exp.Expr, right: exp.Expr, first: list[exp.Expr] | None, second: list[exp.Expr] | None
) -> list[Bound] | None:
    """Both sides as records where one of them is one, and no row value is written there; else None."""
    for side, found in ((left, first), (right, second)):
        inner = side
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if found is None and not isinstance(inner, exp.Subquery):
            bound = binder.bind(side)
            if not isinstance(bound, Untyped) and bound.type.kind is Kind.RECORD:
                other = binder.bind(right if side is left else left)
                return [bound, other] if side is left else [other, bound]
    return None


def in_rows(binder: Binder, node: exp.Expr, values: list[exp.Expr]) -> Bound:
    """Bind `(a, b) IN ((c, d), ...)`."""
    left = [binder.bind(value) for value in values]
    tests = []
    for item in node.expressions:
        right = parts(item, binder.text)
        if right is None:
            raise binder.text.error(item, "a row value can only be compared with row values", "write (a, b)")
        tests.append(_compared(binder, item, "=", left, [binder.bind(one) for one in right]))
    return tests[0] if len(tests) == 1 else Call("or", tuple(tests), BOOLEAN)


def null_test(binder: Binder, values: list[exp.Expr], negated: bool) -> Scalar:
    """Bind `(a, b) IS NULL`: all are. With `negated`, IS NOT NULL: none is, which is not the opposite."""
    test = "is_not_null" if negated else "is_null"
    tests = tuple(Call(test, (binder.typed(value),), BOOLEAN) for value in values)
    return tests[0] if len(tests) == 1 else Call("and", tests, BOOLEAN)


def quantified(binder: Binder, node: exp.Expr, operator: str) -> Bound | None:
    """Bind `a operator ANY (...)` or ALL; None where the right side is neither."""
    quantifier, operand = _quantifier(node.expression)
    if quantifier is None or operand is None:
        return None
    return _quantified(binder, node, operator, quantifier == "all", operand)


def _quantifier(node: exp.Expr) -> tuple[str | None, exp.Expr | None]:
    """`any` or `all`, and what stands in its parentheses."""
    if isinstance(node, exp.Any | exp.All):
        return type(node).__name__.lower(), node.this
    if isinstance(node, exp.Anonymous) and isinstance(node.this, str) and len(node.expressions) == 1:
        word = {"ANY": "any", "SOME": "any", "ALL": "all"}.get(node.this.upper())
        return word, node.expressions[0]
    return None, None


def _quantified(binder: Binder, node: exp.Expr, operator: str, every: bool, operand: exp.Expr) -> Bound:
    text = binder.text
    while isinstance(operand, exp.Paren) or (
        isinstance(operand, exp.Subquery) and isinstance(operand.this, exp.Subquery | exp.Values | exp.Query)
    ):
        operand = operand.this
    if isinstance(operand, exp.Query | exp.Values):
        if operator not in OPPOSITES:
            raise text.unsupported(node, "ANY or ALL with this operator", "use =, <>, <, <=, >, >=, LIKE or ~")
        values = parts(node.this, text) or [node.this]
        test = bind_subquery.any_row(binder, node, OPPOSITES[operator] if every else operator, values, operand)
        return Call("not", (binder.placed(test, node),), BOOLEAN) if every else binder.placed(test, node)
    return bind_array.quantified(binder, node, operator, every, operand)


def _values(binder: Binder, node: exp.Expr, found: list[exp.Expr] | None) -> list[Bound]:
    """The values of one side: those of a row value, or the columns of a subquery of one row."""
    if found is not None:
        return [binder.bind(value) for value in found]
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Subquery):
        return bind_subquery.one_row(binder, node)
    return [binder.bind(node)]


def _compared(binder: Binder, node: exp.Expr, operator: str, left: Sequence[Bound], right: Sequence[Bound]) -> Scalar:
    if len(left) != len(right):
        raise _unequal(binder, node)
    calls = [binder.call(node, operator, pair) for pair in zip(left, right, strict=True)]
    sides = [[call.args[i] for call in calls if isinstance(call, Call)] for i in (0, 1)]
    return compare_rows(operator, *sides)


def _of_one_length(
    binder: Binder, node: exp.Expr, left: list[exp.Expr], right: list[exp.Expr]
) -> tuple[list[exp.Expr], list[exp.Expr]]:
    if len(left) != len(right):
        raise _unequal(binder, node)
    return left, right


def _unequal(binder: Binder, node: exp.Expr) -> Exception:
    return binder.text.error(node, "unequal number of entries in row expressions", "write as many values on both sides")
