"""Expressions: from sqlglot's tree to typed scalars, by PostgreSQL's rules.

Always true: a scalar made here has explicit casts wherever types differ, and every argument of every syntax node was read
(`Text.only`). An untyped literal or NULL stays `Untyped` until something gives it a type. Inside an aggregating query,
column references at or beyond the scope's width stand for aggregates (`Aggregates`).
Deliberately unknown: which functions there are (`planner.functions`) and how they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlglot import exp

from dataflow.types import BOOLEAN, TEXT, ColumnType
from planner import bind_array, bind_call, bind_nested, bind_path, bind_row, bind_session, bind_subquery, functions
from planner.aggregates import Aggregates
from planner.bind_condition import between, connective, escape, in_list, is_test, like, negation, similar
from planner.bind_window import window
from planner.compile import check_call
from planner.functions import FunctionError
from planner.functions.logic import nullif_type
from planner.literals import Untyped, interval, number, string, typed_literal
from planner.names import written_type
from planner.parse import Text
from planner.relation import Environment
from planner.scalar import Call, Case, Cast, ColumnRef, Literal, OuterRef, Scalar
from planner.scope import Field, Scope

Bound = Scalar | Untyped
_Placed = TypeVar("_Placed", bound=Scalar)

_BINARY: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.Pow: "^",
    exp.DPipe: "||",
    exp.JSONExtract: "->",
    exp.JSONExtractScalar: "->>",
    exp.JSONBContainsTopKey: "?",
    exp.JSONBContainsAnyTopKeys: "?|",
    exp.JSONBContainsAllTopKeys: "?&",
    exp.JSONBDeleteAtPath: "#-",
    exp.StartsWith: "starts_with",
    exp.ArrayContainsAll: "@>",
    exp.ArrayContainedBy: "<@",
    exp.ArrayOverlaps: "&&",
    exp.RegexpLike: "~",
    exp.RegexpILike: "~*",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "#",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
    exp.NullSafeEQ: "is_not_distinct_from",
    exp.NullSafeNEQ: "is_distinct_from",
}

_QUIET: dict[type[exp.Expr], tuple[str, ...]] = {exp.Div: ("typed", "safe"), exp.DPipe: ("safe",)}
"""Arguments that sqlglot sets of itself on these nodes."""


@dataclass
class Binder:
    """Binds the expressions of one clause list over one scope.

    clause: the clause being bound, as PostgreSQL names it in errors. aggregates: where aggregates are collected, or None
    where they are not allowed. places: the syntax node of each column reference and subquery, for errors found later.
    env: what subqueries may read; None where there are none. windows: the definitions of WINDOW, by name.
    """

    text: Text
    scope: Scope
    aggregates: Aggregates | None = None
    clause: str = "SELECT"
    places: dict[int, tuple[Scalar, exp.Expr]] = field(default_factory=dict)
    env: Environment | None = None
    windows: dict[str, exp.Expr] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many SELECTs stand around this one."""
        return 0 if self.env is None else len(self.env.outer)

    def placed(self, bound: _Placed, node: exp.Expr) -> _Placed:
        """What was bound, its place remembered."""
        self.places[id(bound)] = (bound, node)
        return bound

    def bind(self, node: exp.Expr) -> Bound:
        """Bind an expression. Raises SqlError at the node that is wrong."""
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        if type(node) in _BINARY:
            self.text.only(node, "this", "expression", *_QUIET.get(type(node), ()))
            return bind_row.binary(self, node, _BINARY[type(node)])
        raise self.text.unsupported(node)

    def typed(self, node: exp.Expr) -> Scalar:
        """Bind an expression whose literals, if nothing gives them a type, are text."""
        return self.settle(self.bind(node), node)

    def condition(self, node: exp.Expr, what: str) -> Scalar:
        """Bind an expression that must be boolean; `what` is its place in PostgreSQL's error text."""
        bound = self.bind(node)
        if not isinstance(bound, Untyped) and bound.type != BOOLEAN:
            raise self.text.error(node, f"argument of {what} must be type boolean, not type {bound.type}")
        return self.cast(bound, BOOLEAN, node)

    def reference(self, field_: Field, node: exp.Expr) -> ColumnRef:
        """A column reference that remembers where it was written."""
        made = ColumnRef(field_.index, field_.type, field_.label)
        self.places[id(made)] = (made, node)
        return made

    def settle(self, bound: Bound, node: exp.Expr) -> Scalar:
        """Text for what has no type yet."""
        return self.cast(bound, TEXT, node) if isinstance(bound, Untyped) else bound

    def cast(self, bound: Bound, target: ColumnType, node: exp.Expr) -> Scalar:
        """The value as `target`: literals are read at once, so that a bad one is an error now."""
        if isinstance(bound, Untyped):
            return typed_literal(bound, target, node, self.text)
        return bound if bound.type == target else Cast(bound, target)

    def call(self, node: exp.Expr, name: str, args: Sequence[Bound]) -> Scalar:
        """A call of a registry function, its arguments cast as the registry says."""
        types = [None if isinstance(arg, Untyped) else arg.type for arg in args]
        literals = [arg.value if isinstance(arg, Untyped | Literal) else None for arg in args]
        try:
            resolved = functions.resolve(name, types, literals)
            cast = tuple(self.cast(arg, t, node) for arg, t in zip(args, resolved.arguments, strict=True))
            check_call(resolved, name, cast)
        except FunctionError as error:
            raise self.text.error(node, error.message, error.hint or None) from None
        made = Call(name, cast, resolved.result)
        own = nullif_type(types[0], made.type) if name == "nullif" else made.type
        return made if own == made.type else Cast(made, own)

    def alike(self, nodes: Sequence[exp.Expr], bound: Sequence[Bound], what: str) -> tuple[list[Scalar], ColumnType]:
        """Alternatives cast to their common type."""
        types = [None if isinstance(b, Untyped) else b.type for b in bound]
        try:
            common = functions.common_type(types, what)
        except FunctionError as error:
            raise self.text.error(nodes[0], error.message, error.hint or None) from None
        return [self.cast(b, common, n) for b, n in zip(bound, nodes, strict=True)], common


def _column(binder: Binder, node: exp.Expr) -> Bound:
    assert isinstance(node, exp.Column)
    if binder.text.asked_once:
        node = bind_session.plain(node)
    if isinstance(node.this, exp.Star):
        raise binder.text.unsupported(node, "* inside an expression")
    if bind_session.is_user(node):
        return bind_session.word(binder, exp.CurrentUser())
    if binder.env is not None and not binder.scope.knows(node):
        for depth, scope in reversed(list(enumerate(binder.env.outer))):
            if scope.knows(node):
                found = scope.column(node, binder.text)
                return OuterRef(depth, found.index, found.type, found.label)
    return binder.reference(binder.scope.column(node, binder.text), node)


def _paren(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this")
    return binder.bind(node.this)


def _literal(binder: Binder, node: exp.Expr) -> Bound:
    if node.args.get("is_string"):
        return Untyped(node.name)
    return number(node.name, node, binder.text)


def _minus(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this")
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
        return number(inner.name, node, binder.text, negative=True)
    return binder.call(node, "-", [binder.bind(inner)])


def _complement(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this")
    return binder.call(node, "~", [binder.bind(node.this)])


def _case(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "ifs", "default")
    subject = binder.bind(node.this) if node.args.get("this") is not None else None
    conditions: list[Scalar] = []
    for branch in node.args["ifs"]:
        binder.text.only(branch, "this", "true")
        if subject is None:
            conditions.append(binder.condition(branch.this, "CASE/WHEN"))
        else:
            conditions.append(binder.call(branch.this, "=", [subject, binder.bind(branch.this)]))
    values = [branch.args["true"] for branch in node.args["ifs"]]
    default = node.args.get("default")
    nodes = [*values, default if default is not None else node]
    bound = [*map(binder.bind, values), binder.bind(default) if default is not None else Untyped(None)]
    alike, common = binder.alike(nodes, bound, "CASE")
    return Case(tuple(zip(conditions, alike[:-1], strict=True)), alike[-1], common)


def _cast(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "to")
    if (catalog := bind_session.catalog_type(binder, node.args["to"])) is not None:
        return binder.cast(bind_session.relation_named(binder, node) or binder.bind(node.this), catalog, node)
    target = written_type(node.args["to"], binder.text)
    nothing = bind_array.empty(node.this, target) or bind_nested.empty(node.this, target)
    if nothing is not None:
        return nothing
    bound = binder.bind(node.this)
    if not isinstance(bound, Untyped) and not functions.can_cast(bound.type, target):
        raise binder.text.error(node, f"cannot cast type {bound.type} to {target}")
    return binder.cast(bound, target, node)


def _dot(binder: Binder, node: exp.Expr) -> Bound:
    if isinstance(node.this, exp.Identifier):
        return bind_session.qualified(binder, node)
    return bind_nested.dot(binder, node)


def _in(binder: Binder, node: exp.Expr) -> Bound:
    if node.args.get("query") is None:
        return in_list(binder, node)
    binder.text.only(node, "this", "query")
    return binder.placed(bind_subquery.in_query(binder, node), node)


_HANDLERS: dict[type[exp.Expr], Callable[[Binder, exp.Expr], Bound]] = {
    exp.Column: _column,
    exp.Paren: _paren,
    exp.Literal: _literal,
    exp.ByteString: lambda binder, node: string(node, binder.text),
    exp.RawString: lambda binder, node: string(node, binder.text),
    exp.Concat: lambda binder, node: string(node, binder.text),
    exp.Interval: lambda binder, node: interval(node, binder.text),
    exp.Null: lambda _, __: Untyped(None),
    exp.Boolean: lambda _, node: Literal(bool(node.this), BOOLEAN),
    exp.Neg: _minus,
    exp.BitwiseNot: _complement,
    exp.And: connective,
    exp.Or: connective,
    exp.Not: negation,
    exp.Is: is_test,
    exp.Like: like,
    exp.ILike: like,
    exp.Escape: escape,
    exp.SimilarTo: similar,
    exp.Between: between,
    exp.In: _in,
    exp.Exists: lambda binder, node: binder.placed(bind_subquery.exists(binder, node), node),
    exp.Subquery: lambda binder, node: binder.placed(bind_subquery.scalar(binder, node), node),
    exp.Window: window,
    exp.Case: _case,
    exp.Array: bind_array.constructor,
    exp.Bracket: bind_array.bracket,
    exp.List: bind_nested.list_of,
    exp.ToMap: bind_nested.map_of,
    exp.Tuple: lambda binder, node: bind_nested.row_of(binder, node, bind_row.parts(node, binder.text) or ()),
    exp.Dot: _dot,
    exp.JSONBExtract: bind_path.path,
    exp.JSONBExtractScalar: bind_path.path,
    exp.Cast: _cast,
    **bind_call.HANDLERS,
    **bind_session.HANDLERS,
}
