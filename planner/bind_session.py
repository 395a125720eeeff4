"""What only a query may contain, not a view: `$n`, and what depends on the session that asks.

Always true: what is bound here is a Parameter or an untyped literal that becomes one. In a view there is none of it, in what
is subscribed to `$n` alone: the binder refuses it there as it always did. Deliberately unknown: the values.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BIGINT, STRINGS, TEXT, ColumnType
from planner.functions import system
from planner.literals import Untyped
from planner.parameters import SESSION, SETTING
from planner.scalar import Literal, Parameter

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_WORDS: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentDate: "current_date",
    exp.Localtimestamp: "localtimestamp",
    exp.CurrentUser: "current_user",
    exp.SessionUser: "session_user",
    exp.CurrentSchema: "current_schema",
    exp.CurrentCatalog: "current_catalog",
    exp.CurrentRole: "current_role",
}
"""Session values that are written without parentheses."""


def parameter(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `$1`."""
    parameters = binder.text.parameters
    if parameters is None or not node.name.isdigit() or not 1 <= int(node.name) <= 65_535:
        raise binder.text.unsupported(node)
    parameters.written(int(node.name))
    return parameters.known(node.name) or Untyped(None, node.name)


def word(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `current_user`, `current_timestamp` and the like."""
    if not binder.text.asked_once:
        raise binder.text.unsupported(node)
    binder.text.only(node)
    name = _WORDS[type(node)]
    return Parameter(name, SESSION[name])


def is_user(node: exp.Column) -> bool:
    """Whether a column is the word `user`, which is current_user unless it is in quotes or a table's."""
    name = node.this
    plain_word = isinstance(name, exp.Identifier) and not name.args.get("quoted") and name.name.lower() == "user"
    return plain_word and not node.args.get("table")


def call(binder: Binder, node: exp.Anonymous, name: str) -> Bound | None:
    """Bind a call whose value is the session's or the catalog's; None when it is neither."""
    if not binder.text.asked_once:
        return None
    if name in SESSION and not node.expressions:
        return Parameter(name, SESSION[name])
    if name == "current_setting" and node.expressions:
        setting = node.expressions[0]
        if not isinstance(setting, exp.Literal) or not setting.args.get("is_string"):
            raise binder.text.unsupported(
                node, "current_setting of a value that is computed", "write the setting's name"
            )
        return Parameter(SETTING + setting.name.lower(), TEXT)
    if name in system.LOOKED_UP and 1 <= len(node.expressions) <= 3:
        return _looked_up(binder, node, name)
    if name == "to_regclass" and len(node.expressions) == 1:
        return relation_of(binder, node, node.expressions[0])
    if name in system.NAMES:
        return binder.call(node, system.PREFIX + name, [binder.bind(argument) for argument in node.expressions])
    return None


def _looked_up(binder: Binder, node: exp.Anonymous, name: str) -> Bound:
    """A function of a number whose answer is a row of the catalog."""
    what, by_place = system.LOOKED_UP[name]
    place = node.expressions[1] if by_place and len(node.expressions) > 1 else exp.Literal.number(0)
    number = node.expressions[0]
    if isinstance(number, exp.Literal) and number.is_string:  # pg_get_viewdef('public.paid')
        return _said(binder, node, "headwater_text", what, headwater_place=place, headwater_oid=_regclass(number))
    return _said(binder, node, "headwater_text", what, headwater_place=place, headwater_oid=number)


def _regclass(name: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="to_regclass", expressions=[name])


def relation_of(binder: Binder, node: exp.Expr, name: exp.Expr) -> Bound:
    """The number of the relation that a text names, as `to_regclass` answers it: NULL when there is none."""
    return _said(binder, node, "headwater_oid", system.NAME, headwater_text=name)


def _said(binder: Binder, node: exp.Expr, wanted: str, what: str, **same: exp.Expr) -> Bound:
    """What the catalog says, as a subquery."""
    from planner.bind_subquery import scalar

    condition: exp.Expr = exp.EQ(this=exp.column("headwater_what"), expression=exp.Literal.string(what))
    for column, value in same.items():
        condition = exp.And(this=condition, expression=exp.EQ(this=exp.column(column), expression=value.copy()))
    table = exp.Table(this=exp.to_identifier(system.SAID), db=exp.to_identifier("pg_catalog"))
    query = exp.Select(
        expressions=[exp.Anonymous(this="max", expressions=[exp.column(wanted)])],
        from_=exp.From(this=table),
        where=exp.Where(this=condition),
    )
    return binder.placed(scalar(binder, exp.Subquery(this=query)), node)


def plain(node: exp.Column) -> exp.Column:
    """A column without the schema before its table: SQLAlchemy writes `pg_catalog.pg_class.relname`."""
    if node.args.get("db") is None:
        return node
    short = node.copy()
    short.set("db", None)
    return short


def qualified(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `pg_catalog.name(...)`, in a query."""
    schema, inner = node.this, node.args.get("expression")
    if not binder.text.asked_once or not isinstance(schema, exp.Identifier) or not isinstance(inner, exp.Expr):
        raise binder.text.unsupported(node)
    if schema.name.lower() != "pg_catalog":
        raise binder.text.unsupported(node)
    return binder.bind(inner)


_CATALOG_TYPES: dict[str, ColumnType] = {
    **dict.fromkeys(("oid", "regclass", "regtype", "regnamespace", "regproc", "regrole"), BIGINT),
    **dict.fromkeys(("name", "char", "cstring", "text"), TEXT),
}


def catalog_type(binder: Binder, node: exp.Expr) -> ColumnType | None:
    """What a type of the catalog is here: numbers of things are bigint, names text. None for all other types, and in views."""
    if not binder.text.asked_once:
        return None
    if isinstance(node, exp.DataType) and node.this == exp.DType.ARRAY and node.expressions:
        element = catalog_type(binder, node.expressions[0])
        return None if element is None else element.array
    if isinstance(node, exp.ObjectIdentifier):
        return _CATALOG_TYPES.get(str(node.name).lower())
    if isinstance(node, exp.DataType) and node.this == exp.DType.NAME:
        return TEXT
    kind = node.args.get("kind")
    if isinstance(kind, exp.Dot) and kind.name.lower() in _CATALOG_TYPES:
        return _CATALOG_TYPES[kind.name.lower()]
    if isinstance(kind, exp.Dot) and kind.this.name.lower() == "pg_catalog":
        with suppress(ValueError):
            return ColumnType.parse(kind.name)
    if isinstance(kind, exp.Identifier) and kind.args.get("quoted") and kind.name == "char":
        return TEXT
    return None


def relation_named(binder: Binder, node: exp.Expr) -> Bound | None:
    """The number of the relation that a text of a cast to regclass names; None for any other cast."""
    to, name = node.args["to"], node.this
    named = isinstance(to, exp.ObjectIdentifier) and str(to.name).lower() == "regclass"
    kind = to.args.get("kind")
    if not (named or (isinstance(kind, exp.Dot) and kind.name.lower() == "regclass")):
        return None
    if isinstance(name, exp.Literal):
        oid = system.WELL_KNOWN.get(name.name.lower().removeprefix("pg_catalog."))
        if oid is not None or not name.is_string or name.name.isdigit():
            return None if oid is None else Literal(oid, BIGINT)
        return relation_of(binder, node, name)
    found = binder.bind(name)
    return relation_of(binder, node, name) if not isinstance(found, Untyped) and found.type.kind in STRINGS else found


_OPERATORS = {"~": "~", "=": "=", "!~": "!~", "<>": "<>", "~~": "like", "!~~": "not_like", "~*": "~*"}


def operator(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a OPERATOR(pg_catalog.~) b`, in a query."""
    name = _OPERATORS.get(str(node.args.get("operator")).rpartition(".")[2])
    if not binder.text.asked_once or name is None:
        raise binder.text.unsupported(node)
    binder.text.only(node, "this", "operator", "expression")
    return binder.call(node, name, [binder.bind(node.this), binder.bind(node.args["expression"])])


def collate(binder: Binder, node: exp.Expr) -> Bound:
    """Bind `a COLLATE pg_catalog.default` or `"C"`, in a query: text compares by its bytes anyway."""
    if not binder.text.asked_once or node.args["expression"].name not in ("default", "C"):
        raise binder.text.unsupported(node)
    return binder.bind(node.this)


HANDLERS: dict[type[exp.Expr], Callable[[Binder, exp.Expr], Bound]] = {
    exp.Parameter: parameter,
    exp.Operator: operator,
    exp.Collate: collate,
    **dict.fromkeys(_WORDS, word),
}
