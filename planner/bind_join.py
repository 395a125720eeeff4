"""JOIN of every kind: ON, USING and NATURAL, inner and outer, with PostgreSQL's merging of common columns.

Always true: an inner join only adds inputs and conditions to its From, so that joins of many tables stay one; an outer join is one
input, in which the columns of a side that may be missing are nullable.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from dataflow.types import ColumnType
from planner import functions
from planner.bind import Binder
from planner.catalog import spelling, suggest
from planner.functions import FunctionError
from planner.parse import Text
from planner.plan import OuterJoin, Project
from planner.relation import Environment, From
from planner.scalar import Call, Cast, ColumnRef, Scalar
from planner.scalars import conjuncts, move
from planner.scope import Field

_SIDES = ("LEFT", "RIGHT", "FULL")


def join_kind(join: exp.Expr, text: Text) -> str:
    """INNER, CROSS, LEFT, RIGHT or FULL. Raises SqlError for any other kind, and where the join's condition is missing."""
    side, method, kind = (join.args.get(name) for name in ("side", "method", "kind"))
    if method not in (None, "NATURAL"):
        raise text.unsupported(join, f"{method} JOIN")
    if kind not in (None, "INNER", "CROSS", "OUTER") or (side or "LEFT") not in _SIDES:
        raise text.unsupported(join, f"{side + ' ' if side else ''}{kind} JOIN", "use WHERE EXISTS or WHERE NOT EXISTS")
    if (kind == "OUTER") if side is None else kind in ("INNER", "CROSS"):
        raise text.error(join, f"syntax error: {side + ' ' if side else ''}{kind} JOIN", "write LEFT JOIN")
    text.only(join, "this", "on", "using", "kind", "side", "method")
    conditional = join.args.get("on") is not None or bool(join.args.get("using"))
    if (kind == "CROSS" or method) and conditional:
        raise text.error(join, f"syntax error: {method or kind} JOIN takes no ON or USING", "write JOIN ... ON")
    if kind != "CROSS" and not method and not conditional:
        raise text.error(join, "syntax error: JOIN without ON or USING", "add ON condition, or write CROSS JOIN")
    return side or ("CROSS" if kind == "CROSS" else "INNER")


def bind_join(left: From, right: From, join: exp.Expr, kind: str, env: Environment, outside: frozenset[str]) -> From:
    """The join of two parts of a FROM clause. outside: tables of the clause that its condition cannot see."""
    both = left.beside(right, env, join.this)
    binder = Binder(env.text, both.scope.with_outside(outside), clause="JOIN conditions", env=env)
    on = join.args.get("on")
    if on is not None:
        return _joined(left, right, both, kind, conjuncts(binder.condition(on, "JOIN/ON")))
    using = [(spelling(node), node) for node in join.args.get("using") or []]
    if join.args.get("method"):
        found = {f.name for f in both.scope.visible if f.index >= left.width}
        own = dict.fromkeys(f.name for f in both.scope.visible if f.index < left.width)
        using = [(name, join) for name in own if name in found]
    pairs = [_common(name, node, both, left.width, env.text) for name, node in using]
    conditions = tuple(
        binder.call(node, "=", [binder.reference(a, node), binder.reference(b, node)])
        for (a, b), (_, node) in zip(pairs, using, strict=True)
    )
    joined = _joined(left, right, both, kind, conditions)
    return _merged(joined, pairs, kind, [node for _, node in using], env.text)


def _common(name: str, node: exp.Expr, both: From, width: int, text: Text) -> tuple[Field, Field]:
    """The columns of a common name on both sides."""
    fields = []
    for which in ("left", "right"):
        visible = [f for f in both.scope.visible if (f.index < width) == (which == "left")]
        found = [f for f in visible if f.name == name]
        if not found:
            message = f'column "{name}" specified in USING clause does not exist in {which} table'
            raise text.error(node, message, suggest(name, (f.name for f in visible)))
        if len(found) > 1:
            raise text.error(node, f'common column name "{name}" appears more than once in {which} table')
        fields.append(found[0])
    return fields[0], fields[1]


def _joined(left: From, right: From, both: From, kind: str, conditions: tuple[Scalar, ...]) -> From:
    """The rows of the join, in the scope of both sides."""
    if kind in ("INNER", "CROSS"):
        return From(both.inputs, both.conditions + conditions, both.scope)
    width, end = left.width, both.width
    scope = both.scope
    if kind in ("LEFT", "FULL"):
        scope = scope.nulled(width, end)
    if kind in ("RIGHT", "FULL"):
        scope = scope.nulled(0, width)
    if kind != "RIGHT":
        return From((OuterJoin(left.plan, right.plan, (), conditions, kind == "FULL"),), (), scope)
    other = end - width
    on = tuple(move(c, lambda index: index + other if index < width else index - width) for c in conditions)
    mirrored = OuterJoin(right.plan, left.plan, (), on)
    places = [*range(other, end), *range(other)]
    types = left.plan.types + right.plan.types
    return From(
        (Project(mirrored, tuple(ColumnRef(place, types[i], f"#{place}") for i, place in enumerate(places))),),
        (),
        scope,
    )


def _merged(joined: From, pairs: list[tuple[Field, Field]], kind: str, nodes: list[exp.Expr], text: Text) -> From:
    """The join with its common columns once and in front: the left ones, the right ones, or whichever is not NULL."""
    front: list[Field] = []
    computed: list[Scalar] = []
    width = joined.width
    for (left, right), node in zip(pairs, nodes, strict=True):
        try:
            common = functions.common_type([left.type, right.type], "JOIN/USING")
        except FunctionError as error:
            raise text.error(node, error.message, error.hint or None) from None
        chosen = right if kind == "RIGHT" else left
        if kind != "FULL" and chosen.type == common:
            front.append(chosen)
            continue
        if kind == "FULL":
            value: Scalar = Call("coalesce", (_as(left, common), _as(right, common)), common)
            nullable = left.nullable or right.nullable
        else:
            value, nullable = _as(chosen, common), chosen.nullable
        front.append(Field(left.name, common, width + len(computed), "", nullable))
        computed.append(value)
    scope = joined.scope.merged(tuple(front))
    if not computed:
        return replace(joined, scope=scope)
    own = tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(joined.plan.types))
    return From((Project(joined.plan, own + tuple(computed)),), (), scope)


def _as(field: Field, type_: ColumnType) -> Scalar:
    reference = ColumnRef(field.index, field.type, field.label)
    return reference if field.type == type_ else Cast(reference, type_)
