"""JOIN of every kind: ON, USING and NATURAL, inner and outer, with PostgreSQL's merging of common columns.

Always true: an inner join only adds inputs and conditions to its From, so that joins of many tables stay one; an outer join is one
input, in which the columns of a side that may be missing are nullable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from dataflow.types import ColumnType
from planner import functions, lateral
from planner.bind import Binder
from planner.bind_asof import asof_join
from planner.catalog import spelling, suggest
from planner.functions import FunctionError
from planner.outer import outer_columns, relocate
from planner.parse import Text
from planner.plan import Join, OuterJoin, Pairs, Plan, Project, SemiJoin, Union
from planner.relation import Environment, From
from planner.scalar import Call, Cast, ColumnRef, Literal, Scalar, Subquery
from planner.scalars import columns, conjuncts, move, rewrite
from planner.scope import Field
from planner.subqueries import attached, filtered, subqueries_in

_SIDES = ("LEFT", "RIGHT", "FULL")
ASOF = "ASOF"


def join_kind(join: exp.Expr, text: Text) -> str:
    """INNER, CROSS, LEFT, RIGHT or FULL. Raises SqlError for any other kind, and where the join's condition is missing."""
    side, method, kind = (join.args.get(name) for name in ("side", "method", "kind"))
    if method not in (None, "NATURAL", ASOF):
        raise text.unsupported(join, f"{method} JOIN")
    if method == ASOF:
        return _asof_kind(join, text)
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


def _asof_kind(join: exp.Expr, text: Text) -> str:
    """ASOF, or ASOF LEFT."""
    text.only(join, "this", "on", "using", "kind", "side", "method")
    side, kind = join.args.get("side"), join.args.get("kind")
    if side not in (None, "LEFT") or kind not in (None, "INNER", "OUTER"):
        raise text.unsupported(join, f"ASOF {side or kind} JOIN", "write ASOF JOIN, or ASOF LEFT JOIN")
    if join.args.get("on") is None and not join.args.get("using"):
        raise text.error(join, "syntax error: ASOF JOIN without ON or USING", "write ON a.key = b.key AND a.at >= b.at")
    return ASOF if side is None else f"{ASOF} LEFT"


def bind_join(left: From, right: From, join: exp.Expr, kind: str, env: Environment, outside: frozenset[str]) -> From:
    """The join of two parts of a FROM clause. outside: tables of the clause that its condition cannot see.

    The right part may refer to the left one as to the innermost SELECT of `env` (LATERAL).
    """
    both = left.beside(right, env, join.this)
    binder = Binder(env.text, both.scope.with_outside(outside), clause="JOIN conditions", env=env.blind())
    meet = _Meeting(left, right, both, kind, len(env.outer) - 1)
    if meet.lateral and kind.startswith(ASOF):
        raise env.text.unsupported(join, "ASOF JOIN with a LATERAL reference", "join the relation itself")
    if meet.lateral and kind in ("RIGHT", "FULL"):
        message = "invalid reference to a FROM-clause entry on the left of LATERAL"
        raise env.text.error(join, message, "the JOIN type must be INNER or LEFT for a LATERAL reference")
    on = join.args.get("on")
    if on is not None:
        return _met(meet, conjuncts(binder.condition(on, "JOIN/ON")), join, env.text)
    using = [(spelling(node), node) for node in join.args.get("using") or []]
    if join.args.get("method") == "NATURAL":
        found = {f.name for f in both.scope.visible if f.index >= left.width}
        own = dict.fromkeys(f.name for f in both.scope.visible if f.index < left.width)
        using = [(name, join) for name in own if name in found]
    pairs = [_common(name, node, both, left.width, env.text) for name, node in using]
    conditions = tuple(
        binder.call(node, sign, [binder.reference(a, node), binder.reference(b, node)])
        for (a, b), (_, node), sign in zip(pairs, using, _signs(kind, len(pairs)), strict=True)
    )
    return _merged(_met(meet, conditions, join, env.text), pairs, kind, [node for _, node in using], env.text)


def _signs(kind: str, count: int) -> list[str]:
    """How the common columns compare: of an ASOF JOIN the last one is the time."""
    return ["="] * (count - 1) + [">="] if kind.startswith(ASOF) else ["="] * count


def _met(meet: _Meeting, conditions: tuple[Scalar, ...], join: exp.Expr, text: Text) -> From:
    """The join by its conditions."""
    if not meet.kind.startswith(ASOF):
        return meet.joined(conditions)
    if subqueries_in(conditions):
        raise text.unsupported(join, "a subquery in the condition of an ASOF JOIN", "compare columns")
    outer = meet.kind != ASOF
    plan = asof_join(meet.left.plan, meet.right.plan, conditions, outer, join, text)
    scope = meet.both.scope.nulled(meet.left.width, meet.both.width) if outer else meet.both.scope
    return From((plan,), (), scope)


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


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Two sides of a join to be, and both in one scope; the right one may refer to the left one as the SELECT at `depth`."""

    left: From
    right: From
    both: From
    kind: str
    depth: int

    @property
    def lateral(self) -> bool:
        """Whether the right side refers to the left one."""
        return bool(outer_columns(self.right.plan, self.depth))

    def joined(self, conditions: tuple[Scalar, ...]) -> From:
        """The rows of the join, in the scope of both sides."""
        left, right, both, kind = self.left, self.right, self.both, self.kind
        if kind in ("INNER", "CROSS"):
            if self.lateral:
                return From((lateral.joined(left.plan, right.plan, self.depth),), conditions, both.scope)
            return From(both.inputs, both.conditions + conditions, both.scope)
        width, end = left.width, both.width
        scope = both.scope
        if kind in ("LEFT", "FULL"):
            scope = scope.nulled(width, end)
        if kind in ("RIGHT", "FULL"):
            scope = scope.nulled(0, width)
        if kind != "RIGHT":
            return From((self._left_join(conditions, kind == "FULL"),), (), scope)
        other = end - width
        on = tuple(relocate(c, lambda index: index + other if index < width else index - width) for c in conditions)
        mirrored = _outer_join(right.plan, left.plan, (), on, False)
        return From((_kept(mirrored, [*range(other, end), *range(other)]),), (), scope)

    def _left_join(self, on: tuple[Scalar, ...], full: bool) -> Plan:
        left = self.left.plan
        if not self.lateral:
            return _outer_join(left, self.right.plan, (), on, full)
        values, equal = lateral.matched(left, self.right.plan, self.depth)
        width, keys = len(left.types), len(equal)
        moved = tuple(relocate(c, lambda index: index if index < width else index + keys) for c in on)
        plan = _outer_join(left, values, equal, moved, full)
        return _kept(plan, [*range(width), *range(width + keys, len(plan.types))])


def _outer_join(left: Plan, right: Plan, equal: Pairs, on: tuple[Scalar, ...], full: bool) -> Plan:
    """The join, with the subqueries in its conditions as columns of the side that they are about. equal: NULL equals NULL."""
    found = subqueries_in(on)
    if not found:
        return OuterJoin(left, right, equal, on, full, bool(equal))
    width, end = len(left.types), len(left.types) + len(right.types)
    about = {node: {index >= width for index in _read(node)} for node in found}
    if any(len(sides) == 2 for sides in about.values()):
        return _outer_join_of_pairs(left, right, equal, on, full)
    of_left = tuple(node for node in found if False in about[node])
    of_right = tuple(node for node in found if False not in about[node])
    wider_left, values_left = attached(left, of_left)
    wider_right, values_right = attached(right, tuple(relocate(node, lambda index: index - width) for node in of_right))
    more = len(wider_left.types)
    made = dict(zip(of_left, values_left, strict=True))
    made |= {n: move(v, lambda i: i + more) for n, v in zip(of_right, values_right, strict=True)}

    def change(node: Scalar) -> Scalar | None:
        if isinstance(node, ColumnRef) and node.index >= width:
            return ColumnRef(node.index - width + more, node.type, node.name)
        return made.get(node) if isinstance(node, Subquery) else None

    keys = tuple((rewrite(a, change), rewrite(b, change)) for a, b in equal)
    joined = OuterJoin(wider_left, wider_right, keys, tuple(rewrite(c, change) for c in on), full, bool(equal))
    return _kept(joined, [*range(width), *range(more, more + end - width)])


def _read(node: Subquery) -> set[int]:
    """The columns around a subquery that it and its values read."""
    return set(outer_columns(node.plan, node.depth)).union(
        *(columns(value) for value in node.values), *(_read(inner) for inner in subqueries_in(node.values))
    )


def _outer_join_of_pairs(left: Plan, right: Plan, equal: Pairs, on: tuple[Scalar, ...], full: bool) -> Plan:
    """An outer join whose conditions are decided pair by pair: the pairs, and the rows of either side that are in none."""
    width = len(left.types)
    pairs = filtered(Join((left, right), equal, bool(equal)), *on)
    types = pairs.types
    nulls = tuple(Literal(None, type_) for type_ in types)

    def alone(side: Plan, begin: int) -> Plan:
        own = range(len(side.types))
        partners = _kept(pairs, [begin + i for i in own])
        same = tuple((ColumnRef(i, t, f"#{i}"), ColumnRef(len(own) + i, t, f"#{i}")) for i, t in enumerate(side.types))
        rest = SemiJoin(side, partners, same, (), True, True)
        refs = tuple(ColumnRef(i, side.types[i], f"#{i}") for i in own)
        return Project(rest, (*nulls[:begin], *refs, *nulls[begin + len(own) :]))

    parts = (pairs, alone(left, 0), *((alone(right, width),) if full else ()))
    return Union(parts)


def _kept(plan: Plan, places: list[int]) -> Plan:
    types = plan.types
    return Project(plan, tuple(ColumnRef(place, types[place], f"#{place}") for place in places))


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
