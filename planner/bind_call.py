"""What is called by its name: functions, those that SQL has a syntax of their own for, and aggregates with FILTER and WITHIN GROUP.

Always true: every argument of every syntax node was read (`Text.only`). Deliberately unknown: which functions there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from planner import bind_session, bind_table, functions, temporal
from planner.aggregates import aggregate_of, grouping_of
from planner.bind_window import WINDOW_FUNCTIONS, without_over
from planner.functions.tables import TABLE_FUNCTIONS
from planner.literals import Untyped
from planner.names import TRIMS
from planner.refusals import CLOCKS

if TYPE_CHECKING:
    from planner.bind import Binder, Bound


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
    return binder.call(node, "strpos", [binder.bind(node.this), binder.bind(node.args["substr"])])


def _time_zone(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "zone")
    return binder.call(node, "timezone", [binder.bind(node.args["zone"]), binder.bind(node.this)])


def _anonymous(binder: Binder, node: exp.Expr) -> Bound:
    binder.text.only(node, "this", "expressions")
    assert isinstance(node, exp.Anonymous)
    quoted = isinstance(node.this, exp.Identifier)
    name: str = node.this.name if quoted else node.this.lower()
    if (found := bind_session.call(binder, node, name)) is not None:
        return found
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
    return binder.call(node, name, [binder.bind(arg) for arg in node.expressions])


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
    exp.AtTimeZone: _time_zone,
    exp.Anonymous: _anonymous,
    exp.Filter: _filtered,
    exp.WithinGroup: _within_group,
}
