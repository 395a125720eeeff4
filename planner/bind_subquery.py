"""Subqueries in expressions, from sqlglot's tree to scalars that stand for them.

Always true: a subquery sees the columns of the SELECTs around it where its own FROM has no column of the name. What is bound
here holds a plan or an order; `planner.subqueries` makes columns of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BOOLEAN, Kind
from planner.plan import Plan, Project
from planner.relation import Relation
from planner.scalar import Call, Cast, ColumnRef, Literal, Scalar, Subquery
from planner.scope import Scope

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_WITHOUT = ("LIMIT", "OFFSET")
"""Clauses in which there are no subqueries."""


def _relation(binder: Binder, query: exp.Expr, node: exp.Expr) -> Relation:
    env = binder.env
    if env is None or binder.clause in _WITHOUT:
        raise binder.text.unsupported(node, f"a subquery in {binder.clause}", "write the number itself")
    return env.bind_query(query, env.inside(binder.scope))


def _one_column(binder: Binder, node: exp.Expr, what: str) -> Relation:
    binder.text.only(node, "this")
    relation = _relation(binder, node.this, node)
    if len(relation.columns) != 1:
        raise binder.text.error(node, what, "select one expression")
    return relation


def exists(binder: Binder, node: exp.Expr) -> Subquery:
    """Bind `EXISTS (SELECT ...)`."""
    binder.text.only(node, "this")
    query = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    return Subquery("exists", _relation(binder, query, node).plan, binder.depth, BOOLEAN)


def scalar(binder: Binder, node: exp.Expr) -> Subquery:
    """Bind `(SELECT ...)` as the value of its one row, or NULL."""
    relation = _one_column(binder, node, "subquery must return only one column")
    return Subquery("scalar", relation.plan, binder.depth, relation.columns[0][1])


def one_row(binder: Binder, node: exp.Expr) -> list[Bound]:
    """Bind `(SELECT a, b ...)` as the values of its one row, or NULLs."""
    binder.text.only(node, "this")
    plan = _relation(binder, node.this, node).plan
    columns = (ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(plan.types))
    return [
        binder.placed(Subquery("scalar", Project(plan, (column,)), binder.depth, column.type), node)
        for column in columns
    ]


def any_row(binder: Binder, node: exp.Expr, operator: str, values: list[exp.Expr], query: exp.Expr) -> Subquery:
    """Bind `(values) operator ANY (query)`."""
    bound = [binder.bind(value) for value in values]
    relation = _relation(binder, query, node)
    if len(relation.columns) != len(values):
        many = "many" if len(relation.columns) > len(values) else "few"
        raise binder.text.error(
            query,
            f"subquery has too {many} columns",
            "select one expression" if len(values) == 1 else f"select {len(values)} expressions",
        )
    pairs = []
    for i, (value, (_, type_, _)) in enumerate(zip(bound, relation.columns, strict=True)):
        same = binder.call(node, operator, [value, ColumnRef(i, type_, f"value{i}")])
        assert isinstance(same, Call)
        pairs.append(same.args[:2])
    rights = tuple(right for _, right in pairs)
    plain = all(isinstance(right, ColumnRef) for right in rights)
    plan: Plan = relation.plan if plain else Project(relation.plan, rights)
    nulls = tuple(
        null or _nullable(left, binder.scope) for (left, _), (_, _, null) in zip(pairs, relation.columns, strict=True)
    )
    return Subquery("any", plan, binder.depth, BOOLEAN, tuple(left for left, _ in pairs), operator, nulls)


def in_query(binder: Binder, node: exp.Expr) -> Subquery:
    """Bind `a IN (SELECT ...)` and `(a, b) IN (SELECT ...)`."""
    query = node.args["query"]
    binder.text.only(query, "this")
    values = list(node.this.expressions) if isinstance(node.this, exp.Tuple) else [node.this]
    return any_row(binder, node, "=", values, query.this)


def _nullable(value: Scalar, scope: Scope) -> bool:
    if isinstance(value, Cast):
        return value.arg.type.kind is Kind.JSONB or _nullable(value.arg, scope)
    if isinstance(value, Literal):
        return value.value is None
    if isinstance(value, ColumnRef):
        return all(field.nullable for field in scope.visible if field.index == value.index)
    return True
