"""Conditions: AND, OR, NOT, IS, LIKE, BETWEEN and IN, from sqlglot's tree to typed scalars.

Always true: what is bound here is boolean. BETWEEN becomes two comparisons; NOT of a test becomes the opposite test where there
is one. Deliberately unknown: how anything else is bound (`planner.bind`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BOOLEAN
from planner import bind_nested, bind_row
from planner.parse import start
from planner.scalar import Call, Scalar
from planner.scalars import TESTS_WITH_OPPOSITES

if TYPE_CHECKING:
    from planner.bind import Binder, Bound


def connective(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a AND b ...; a OR b ...`."""
    word = "and" if isinstance(node, exp.And) else "or"
    parts = list(node.flatten(unnest=False))
    return Call(word, tuple(binder.condition(part, word.upper()) for part in parts), BOOLEAN)


def negation(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `NOT a`."""
    binder.text.only(node, "this")
    inner = node.this
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        row = bind_row.parts(inner.this, binder.text)
        # Written as one, a IS NOT NULL, or as NOT (a IS NULL): only for row values do they differ.
        if row is not None and start(node) == start(inner):
            return bind_row.null_test(binder, row, negated=True)
        if row is None and start(node) == start(inner):
            record = bind_nested.null_test(binder, node, binder.bind(inner.this), negated=True)
            if record is not None:
                return record
    return _negated(binder.condition(node.this, "NOT"))


def _negated(scalar: Scalar) -> Scalar:
    """NOT of a condition: by its own opposite where it has one."""
    if isinstance(scalar, Call) and scalar.function in TESTS_WITH_OPPOSITES:
        return Call(TESTS_WITH_OPPOSITES[scalar.function], scalar.args, BOOLEAN)
    return Call("not", (scalar,), BOOLEAN)


def is_test(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a IS NULL, TRUE, FALSE, UNKNOWN`."""
    binder.text.only(node, "this", "expression")
    row = bind_row.parts(node.this, binder.text)
    if isinstance(node.expression, exp.Null):
        if row is not None:
            return bind_row.null_test(binder, row, negated=False)
        found = binder.typed(node.this)
        return bind_nested.null_test(binder, node, found, negated=False) or Call("is_null", (found,), BOOLEAN)
    if isinstance(node.expression, exp.Boolean):
        word = "TRUE" if node.expression.this else "FALSE"
        return Call(f"is_{word.lower()}", (binder.condition(node.this, f"IS {word}"),), BOOLEAN)
    raise binder.text.unsupported(
        node, f"IS {node.expression.sql(dialect='postgres')}", "use IS NOT DISTINCT FROM to compare"
    )


def like(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a LIKE b, a ILIKE b`."""
    binder.text.only(node, "this", "expression", "negate")
    name = "like" if isinstance(node, exp.Like) else "ilike"
    some = bind_row.quantified(binder, node, f"not_{name}" if node.args.get("negate") else name)
    return _match(binder, node, [node.this, node.expression]) if some is None else some


def escape(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a LIKE b ESCAPE c`."""
    binder.text.only(node, "this", "expression")
    if isinstance(node.this, exp.SimilarTo):
        return similar(binder, node.this, node.expression)
    if not isinstance(node.this, exp.Like | exp.ILike):
        raise binder.text.unsupported(node, "ESCAPE here")
    binder.text.only(node.this, "this", "expression", "negate")
    return _match(binder, node.this, [node.this.this, node.this.expression, node.expression])


def similar(binder: Binder, node: exp.Expr, *escape: exp.Expr) -> Bound:
    """Bind `a SIMILAR TO b`."""
    binder.text.only(node, "this", "expression")
    return binder.call(node, "similar_to", [binder.bind(part) for part in (node.this, node.expression, *escape)])


def _match(binder: Binder, node: exp.Expr, operands: list[exp.Expr]) -> Bound:
    name = "like" if isinstance(node, exp.Like) else "ilike"
    found = binder.call(node, name, [binder.bind(operand) for operand in operands])
    return _negated(found) if node.args.get("negate") else found


def between(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a BETWEEN b AND c`."""
    binder.text.only(node, "this", "low", "high", "symmetric")
    value, low, high = (binder.bind(node.args[part]) for part in ("this", "low", "high"))

    def within(least: Bound, most: Bound) -> Scalar:
        bounds = binder.call(node, ">=", [value, least]), binder.call(node, "<=", [value, most])
        return Call("and", bounds, BOOLEAN)

    if node.args.get("symmetric"):
        return Call("or", (within(low, high), within(high, low)), BOOLEAN)
    return within(low, high)


def in_list(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a IN (b, ...)`."""
    binder.text.only(node, "this", "expressions")
    if not node.expressions:
        raise binder.text.error(node, "syntax error: IN needs at least one value")
    row = bind_row.parts(node.this, binder.text)
    if row is not None:
        return bind_row.in_rows(binder, node, row)
    value = binder.bind(node.this)
    return binder.call(node, "in", [value, *map(binder.bind, node.expressions)])
