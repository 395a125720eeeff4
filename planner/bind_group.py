"""GROUP BY: its expressions, the Reduce that they make, and what the select list is over its rows.

Always true: an input column of a name goes before an output column of it, as in PostgreSQL; a number is a position in the select
list. Deliberately unknown: how expressions are bound (`planner.bind`).
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from dataflow.types import JSONB
from planner.aggregates import regroup
from planner.bind import Binder, Bound
from planner.catalog import spelling
from planner.literals import Untyped
from planner.plan import Plan, Reduce
from planner.scalar import Cast, ColumnRef, Literal, RowNumber, Scalar, Subquery
from planner.scope import Scope
from planner.subqueries import attached, filtered

Items = list[tuple[str, exp.Expr, Bound]]
"""A select list: name, syntax node and bound expression of each output."""


def grouped(
    plan: Plan,
    outputs: tuple[Bound, ...],
    extras: tuple[Scalar, ...],
    having: Scalar | None,
    keys: tuple[Scalar, ...],
    binder: Binder,
) -> tuple[Plan, tuple[Bound, ...], tuple[Scalar, ...]]:
    """The Reduce (and HAVING's Filter) under a select list, and over its columns the list and the scalars beside it."""
    aggregates = binder.aggregates
    assert aggregates is not None

    def over(scalar: Scalar) -> Scalar:
        return regroup(scalar, keys, aggregates.width, binder.places, binder.text)

    new = tuple(output if isinstance(output, Untyped) else over(output) for output in outputs)
    beside = tuple(map(over, extras))
    test = None if having is None else over(having)
    read = keys + tuple(call.argument for call in aggregates.calls if call.argument is not None)
    plan, wider = attached(plan, read)
    given = iter(wider[len(keys) :])
    calls = tuple(c if c.argument is None else replace(c, argument=next(given)) for c in aggregates.calls)
    plan = Reduce(plan, wider[: len(keys)], calls)
    return (plan if test is None else filtered(plan, test)), new, beside


def group_keys(select: exp.Select, items: Items, binder: Binder) -> tuple[Scalar, ...] | None:
    """The GROUP BY expressions, each once; None without GROUP BY."""
    group = select.args.get("group")
    if group is None or binder.text.errors:
        return None
    text = binder.text
    if group.args.get("all"):
        raise text.unsupported(group, "GROUP BY ALL", "list the columns")
    text.only(group, "expressions")
    keys: list[Scalar] = []
    plain = Binder(text, binder.scope, None, "GROUP BY", binder.places, binder.env)
    for node in _listed(group.expressions):
        key = _group_key(node, items, plain)
        if key not in keys:
            keys.append(key)
    return tuple(keys)


def _listed(nodes: list[exp.Expr]) -> list[exp.Expr]:
    """GROUP BY's items, those in parentheses one by one: (a, b) is a, b and () is nothing."""
    return [one for node in nodes for one in (_listed(node.expressions) if isinstance(node, exp.Tuple) else [node])]


def _group_key(node: exp.Expr, items: Items, plain: Binder) -> Scalar:
    text = plain.text
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        if not node.name.isdigit() or node.args.get("is_string"):
            raise text.error(node, "non-integer constant in GROUP BY", "name a column, or give its position")
        if not 1 <= int(node.name) <= len(items):
            raise text.error(node, f"GROUP BY position {node.name} is not in select list")
        return plain.typed(items[int(node.name) - 1][1]) if not _is_star(items, node) else _starred(items, node)
    if isinstance(node, exp.Column) and node.args.get("table") is None:
        name = spelling(node.this)
        # An input column of the name goes before an output column of it.
        if not any(f.name == name for f in plain.scope.visible):
            matches = [item for label, item, _ in items if label == name]
            bound = {plain.typed(item) for item in matches if not isinstance(item, exp.Star)}
            if len(bound) > 1:
                raise text.error(node, f'GROUP BY "{name}" is ambiguous')
            if bound:
                return bound.pop()
    return plain.typed(node)


def _is_star(items: Items, position: exp.Expr) -> bool:
    node = items[int(position.name) - 1][1]
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _starred(items: Items, position: exp.Expr) -> Scalar:
    bound = items[int(position.name) - 1][2]
    assert isinstance(bound, ColumnRef)
    return bound


def nullable(output: Bound, scope: Scope, binder: Binder) -> bool:
    """Whether an output may be NULL: False only for not-null columns, literals and counts."""
    if isinstance(output, Untyped):
        return output.value is None
    if isinstance(output, Literal):
        return output.value is None
    if isinstance(output, Cast):
        # A jsonb value may be JSON's null.
        return output.arg.type == JSONB or nullable(output.arg, scope, binder)
    if isinstance(output, RowNumber) or (isinstance(output, Subquery) and output.kind == "exists"):
        return False
    if not isinstance(output, ColumnRef):
        return True
    aggregates = binder.aggregates
    if aggregates is not None and output.index >= aggregates.width:
        call = aggregates.calls[output.index - aggregates.width]
        return call.function not in ("count", "count_star")
    return all(f.nullable for f in scope.visible if f.index == output.index)
