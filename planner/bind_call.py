"""What is called by its name: functions, those that SQL has a syntax of their own for, and aggregates with FILTER and WITHIN GROUP.

Always true: every argument of every syntax node was read (`Text.only`). Deliberately unknown: which functions there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import DOUBLE, INTEGER
from planner import bind_array, bind_nested, bind_session, bind_table, functions, temporal
from planner.aggregates import aggregate_of, grouping_of
from planner.bind_window import WINDOW_FUNCTIONS, without_over
from planner.functions import system
from planner.functions.tables import TABLE_FUNCTIONS
from planner.functions.user import UserFunction, resolve_user
from planner.literals import Untyped
from planner.names import TRIMS
from planner.parameters import SESSION
from planner.refusals import CLOCKS
from planner.scalar import Literal, UserCall

if TYPE_CHECKING:
    from planner.bind import Binder, Bound


def is_taken(name: str) -> bool:
    """Whether calls of this name mean something already, in views or in queries."""
    known = (
        functions.SCALARS,
        functions.AGGREGATE_NAMES,
        TABLE_FUNCTIONS,
        WINDOW_FUNCTIONS,
        CLOCKS,
        SESSION,
        system.NAMES,
    )
    return any(name in one for one in known) or name in _SYNTAX


_SYNTAX = frozenset(("array", "cast", "current_setting", "grouping", "mz_now", "position", "row", "trim"))
"""Names that have a syntax of their own."""


def _extract(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expression")
    return binder.call(node, "extract", [Untyped(node.this.name.lower()), binder.bind(node.expression)])


def _substring(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "start", "length")
    parts = [node.args[name] for name in ("this", "start", "length") if node.args.get(name) is not None]
    return binder.call(node, "substring", [binder.bind(part) for part in parts])


def _trim(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "position", "expression")
    name = TRIMS.get(node.args.get("position") or "", "btrim")
    parts = [node.args[part] for part in ("this", "expression") if node.args.get(part) is not None]
    return binder.call(node, name, [binder.bind(part) for part in parts])


def _position(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "substr")
    return binder.call(node, "position", [binder.bind(node.this), binder.bind(node.args["substr"])])


def _overlay(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expression", "from_", "for_")
    parts = [node.args.get(name) for name in ("this", "expression", "from_", "for_")]
    return binder.call(node, "overlay", [binder.bind(part) for part in parts if part is not None])


def _root(binder: Binder, node: exp.Expr) -> Bound:
    """`|/ a` and `||/ a`, of doubles."""
    binder.text.only(node, "this")
    name = "sqrt" if isinstance(node, exp.Sqrt) else "cbrt"
    return binder.call(node, name, [binder.cast(binder.bind(node.this), DOUBLE, node.this)])


def _time_zone(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "zone")
    return binder.call(node, "timezone", [binder.bind(node.args["zone"]), binder.bind(node.this)])


def _anonymous(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expressions")
    assert isinstance(node, exp.Anonymous)
    quoted = isinstance(node.this, exp.Identifier)
    name: str = node.this.name if quoted else node.this.lower()
    if bind_array.is_query(node):
        return bind_array.of_query(binder, node)
    if (found := bind_session.call(binder, node, name)) is not None:
        return found
    if name == "row" and not quoted:
        return bind_nested.row_of(binder, node, node.expressions)
    if name in CLOCKS:
        raise binder.text.unsupported(node, f"{name}()", CLOCKS[name])
    if name in WINDOW_FUNCTIONS:
        raise without_over(binder, node, name)
    if name in functions.AGGREGATE_NAMES:
        return aggregate_of(binder, node, name, None)
    if name == "grouping":
        return grouping_of(binder, node)
    if name == "mz_now":
        return temporal.now(binder, node)
    if name in TABLE_FUNCTIONS:
        return bind_table.in_list(binder, node, name)
    if (own := binder.text.functions.get(name)) is not None:
        return _user(binder, node, own)
    if name == "normalize" and 1 <= len(node.expressions) <= 2:
        return _normalize(binder, node)
    if (named := PARAMETERS.get(name)) is not None:
        places = _places(binder, node, name, [named])
        return binder.call(node, name, [_ZERO if arg is None else binder.bind(arg) for arg in places])
    return binder.call(node, name, [binder.bind(arg) for arg in node.expressions])


def _normalize(binder: Binder, node: exp.Expr) -> Bound:
    """`normalize(text, NFC)`, the form a word that may be left out."""
    text, *form = node.expressions
    word = form[0].name if form and isinstance(form[0], exp.Column) and not form[0].args.get("table") else "NFC"
    return binder.call(node, "normalize", [binder.bind(text), Untyped(word)])


PARAMETERS = {
    "make_date": ("year", "month", "day"),
    "make_interval": ("years", "months", "weeks", "days", "hours", "mins", "secs"),
    "make_time": ("hour", "min", "sec"),
    "make_timestamp": ("year", "month", "mday", "hour", "min", "sec"),
    "make_timestamptz": ("year", "month", "mday", "hour", "min", "sec", "timezone"),
}
"""The functions of the registry whose arguments may be named, as in make_interval(days => 2)."""

_ZERO = Literal(0, INTEGER)
"""What an argument is that stands before a named one and is not given: only make_interval allows it, for which it is 0."""


def _places(binder: Binder, node: exp.Expr, name: str, named: Sequence[Sequence[str]]) -> list[exp.Expr | None]:
    """The arguments in the order of the parameters, up to the last given one; None for those before it that are not given.

    named: the parameters of each function of that name; the first that has all the names that are given.
    """
    given = list(node.expressions)
    first = next((place for place, arg in enumerate(given) if isinstance(arg, exp.Kwarg)), len(given))
    by_name: dict[str, exp.Expr] = {}
    for arg in given[first:]:
        if not isinstance(arg, exp.Kwarg):
            raise binder.text.error(arg, "positional argument cannot follow named argument", "name it too: a => 1")
        if arg.this.name.lower() in by_name:
            raise binder.text.error(arg, f'argument name "{arg.this.name.lower()}" used more than once')
        by_name[arg.this.name.lower()] = arg.expression
    if not by_name:
        return given
    for parameters in named:
        if by_name.keys() <= set(parameters[first:]):
            last = max(parameters.index(one) for one in by_name)
            found = [*given[:first], *(by_name.get(one) for one in parameters[first : last + 1])]
            if None not in found or (name == "make_interval"):
                return found
    forms = "; ".join(f"{name}({', '.join(parameters)})" for parameters in named)
    raise binder.text.error(node, f"function {name} has no such arguments", f"there is {forms}")


def _user(binder: Binder, node: exp.Expr, known: Sequence[UserFunction]) -> Bound:
    """A call of a function that the service brings along, each argument cast to the declared type."""
    places = _places(binder, node, known[0].name, [[name for name, _ in one.parameters] for one in known])
    args = [binder.bind(arg) for arg in places if arg is not None]
    try:
        chosen = resolve_user(known, [None if isinstance(arg, Untyped) else arg.type for arg in args])
    except functions.FunctionError as error:
        raise binder.text.error(node, error.message, error.hint or None) from None
    return UserCall(chosen, tuple(binder.cast(arg, t, node) for arg, t in zip(args, chosen.types, strict=True)))


def _filtered(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expression")
    inner, within = node.this, None
    if isinstance(inner, exp.WithinGroup):
        binder.text.only(inner, "this", "expression")
        inner, within = inner.this, inner.expression
    if not isinstance(inner, exp.Anonymous) or not isinstance(inner.this, str):
        raise binder.text.unsupported(node)
    binder.text.only(inner, "this", "expressions")
    name = inner.this.lower()
    if name not in functions.AGGREGATE_NAMES:
        raise binder.text.error(node, f"FILTER specified, but {name} is not an aggregate function")
    return aggregate_of(binder, inner, name, node.expression.this, within)


def _within_group(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expression")
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or not isinstance(inner.this, str):
        raise binder.text.unsupported(node)
    name = inner.this.lower()
    binder.text.only(inner, "this", "expressions")
    if name not in functions.AGGREGATE_NAMES:
        raise binder.text.error(node, f"WITHIN GROUP specified, but {name} is not an aggregate function")
    return aggregate_of(binder, inner, name, None, node.expression)


HANDLERS: Mapping[type[exp.Expr], Callable[[Binder, exp.Expr], Bound]] = {
    exp.Extract: _extract,
    exp.Substring: _substring,
    exp.Trim: _trim,
    exp.StrPosition: _position,
    exp.Overlay: _overlay,
    exp.Sqrt: _root,
    exp.Cbrt: _root,
    exp.AtTimeZone: _time_zone,
    exp.Anonymous: _anonymous,
    exp.Filter: _filtered,
    exp.WithinGroup: _within_group,
}
