"""GROUP BY: its expressions, the Reduce that they make, and what the select list is over its rows.

Always true: an input column of a name goes before an output column of it, as in PostgreSQL; a number is a position in the select
list; GROUPING SETS, ROLLUP and CUBE are a Reduce for each set, side by side. Deliberately unknown: how expressions are bound
(`planner.bind`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from sqlglot import exp

from dataflow.types import INTEGER, JSONB
from planner.aggregates import regroup
from planner.bind import Binder, Bound
from planner.bind_window import NEVER_NULL
from planner.calls import AggregateCall
from planner.catalog import spelling
from planner.literals import Untyped
from planner.parse import Text
from planner.plan import Plan, Project, Reduce, Union
from planner.scalar import Cast, ColumnRef, Grouping, Literal, Over, Scalar, Subquery
from planner.scalars import walk
from planner.scope import Scope
from planner.subqueries import attached, filtered

Items = list[tuple[str, exp.Expr, Bound]]
"""A select list: name, syntax node and bound expression of each output."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What GROUP BY asks for: all its expressions, each once, and the positions among them that each grouping set has."""

    keys: tuple[Scalar, ...]
    sets: tuple[tuple[int, ...], ...]

    @property
    def plain(self) -> bool:
        """Whether there is one set, with all expressions."""
        return self.sets == (tuple(range(len(self.keys))),)

    @property
    def nulled(self) -> frozenset[Scalar]:
        """The expressions that are NULL in the rows of some set."""
        return frozenset(key for i, key in enumerate(self.keys) if any(i not in one for one in self.sets))


NO_GROUPS = Groups((), ((),))
"""Aggregates without GROUP BY."""


def grouped(
    plan: Plan,
    outputs: tuple[Bound, ...],
    extras: tuple[Scalar, ...],
    having: Scalar | None,
    groups: Groups,
    binder: Binder,
) -> tuple[Plan, tuple[Bound, ...], tuple[Scalar, ...]]:
    """The Reduce (and HAVING's Filter) under a select list, and over its columns the list and the scalars beside it."""
    aggregates, keys = binder.aggregates, groups.keys
    assert aggregates is not None
    shown = [output for output in outputs if not isinstance(output, Untyped)]
    listed = (*shown, *extras, *(() if having is None else (having,)))
    wanted = dict.fromkeys(node for scalar in listed for node in walk(scalar) if isinstance(node, Grouping))
    groupings = [] if groups.plain else list(wanted)

    def over(scalar: Scalar) -> Scalar:
        return regroup(scalar, keys, aggregates.width, groupings, binder.places, binder.text)

    new = tuple(output if isinstance(output, Untyped) else over(output) for output in outputs)
    beside = tuple(map(over, extras))
    test = None if having is None else over(having)
    read = keys + tuple(scalar for call in aggregates.calls for scalar in call.scalars)
    plan, wider = attached(plan, read)
    given = iter(wider[len(keys) :])
    calls = tuple(call.change(lambda _: next(given)) for call in aggregates.calls)
    if groups.plain:
        plan = Reduce(plan, wider[: len(keys)], calls)
    else:
        below = replace(groups, keys=wider[: len(keys)])
        bits = [[keys.index(argument) for argument in node.args] for node in groupings]
        plan = Union(tuple(_one_set(plan, below, one, calls, bits) for one in groups.sets))
    return (plan if test is None else filtered(plan, test)), new, beside


def _one_set(
    plan: Plan, groups: Groups, one: tuple[int, ...], calls: tuple[AggregateCall, ...], bits: list[list[int]]
) -> Plan:
    """The rows of one grouping set: NULL for the keys that it is without, and the bits that say which these are."""
    reduced = Reduce(plan, tuple(groups.keys[i] for i in one), calls)
    columns = [ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(reduced.types)]
    keys = tuple(columns[one.index(i)] if i in one else Literal(None, key.type) for i, key in enumerate(groups.keys))
    numbers = (sum(1 << place for place, i in enumerate(reversed(of)) if i not in one) for of in bits)
    return Project(reduced, (*keys, *(Literal(number, INTEGER) for number in numbers), *columns[len(one) :]))


def group_keys(select: exp.Select, items: Items, binder: Binder) -> Groups | None:
    """The GROUP BY expressions and grouping sets; None without GROUP BY."""
    group = select.args.get("group")
    if group is None or binder.text.errors:
        return None
    text = binder.text
    if not group.expressions:
        raise text.unsupported(group, "GROUP BY ALL", "list the columns")
    text.only(group, "expressions", "all")
    keys: list[Scalar] = []
    plain = Binder(text, binder.scope, None, "GROUP BY", binder.places, binder.env)

    def key(node: exp.Expr) -> int:
        bound = _group_key(node, items, plain)
        if bound not in keys:
            keys.append(bound)
        return keys.index(bound)

    sets: list[tuple[int, ...]] = [()]
    for node in group.expressions:
        further = [tuple(map(key, one)) for one in _sets(node, text)]
        sets = [tuple(sorted({*first, *second})) for first, second in product(sets, further)]
        if len(sets) > _MOST_SETS:
            raise text.error(node, f"too many grouping sets present (maximum {_MOST_SETS})", "leave some out")
    if group.args.get("all") is False:
        sets = list(dict.fromkeys(sets))
    return Groups(tuple(keys), tuple(sets))


_MOST_SETS = 256
"""Grouping sets of one query: each is a Reduce of its own."""
_MOST_CUBED = 12
"""Elements of a CUBE, as in PostgreSQL."""


def _sets(node: exp.Expr, text: Text) -> list[list[exp.Expr]]:
    """The grouping sets that one item of GROUP BY stands for; most stand for one."""
    if isinstance(node, exp.GroupingSets):
        text.only(node, "expressions")
        return [one for item in node.expressions for one in _sets(item, text)]
    if isinstance(node, exp.Rollup):
        text.only(node, "expressions")
        count = len(node.expressions)
        return [_listed(node.expressions[: count - i]) for i in range(count + 1)]
    if isinstance(node, exp.Cube):
        text.only(node, "expressions")
        count = len(node.expressions)
        if count > _MOST_CUBED:
            raise text.error(
                node, f"CUBE is limited to {_MOST_CUBED} elements", "write the grouping sets that you need"
            )
        chosen = reversed(list(product((False, True), repeat=count)))
        return [_listed([n for n, yes in zip(node.expressions, one, strict=True) if yes]) for one in chosen]
    return [_listed([node])]


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


def nullable(output: Bound, scope: Scope, binder: Binder, nulled: frozenset[Scalar]) -> bool:
    """Whether an output may be NULL: False only for not-null columns, literals and counts. nulled: see `Groups`."""
    if output in nulled:
        return True
    if isinstance(output, Untyped):
        return output.value is None
    if isinstance(output, Literal):
        return output.value is None
    if isinstance(output, Cast):
        # A jsonb value may be JSON's null.
        return output.arg.type == JSONB or nullable(output.arg, scope, binder, nulled)
    if isinstance(output, Over):
        return output.function not in NEVER_NULL
    if isinstance(output, Grouping) or (isinstance(output, Subquery) and output.kind == "exists"):
        return False
    if not isinstance(output, ColumnRef):
        return True
    aggregates = binder.aggregates
    if aggregates is not None and output.index >= aggregates.width:
        call = aggregates.calls[output.index - aggregates.width]
        return call.function not in ("count", "count_star")
    return all(f.nullable for f in scope.visible if f.index == output.index)
