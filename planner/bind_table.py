"""Table functions in FROM and in select lists, WITH ORDINALITY and ROWS FROM, from sqlglot's tree to FlatMaps.

Always true: in FROM a call is over one row of no columns, and refers to the items on its left as to SELECTs around it
(`planner.lateral` makes it a call over their rows); in a list it stands as a TableValue until `listed` makes a column of it.
Columns are named as PostgreSQL does: by the function's own names, else by the alias, else by the function's name.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BIGINT
from planner.calls import TableCall
from planner.catalog import spelling
from planner.functions import FunctionError
from planner.functions.system import PREFIX
from planner.functions.tables import TABLE_FUNCTIONS, TableFunction, resolve_table
from planner.literals import Untyped
from planner.plan import Constant, FlatMap, Plan, Project
from planner.relation import Columns, Environment, Relation
from planner.scalar import Call, Case, ColumnRef, Literal, Scalar, TableValue
from planner.scalars import rewrite, walk
from planner.scope import Scope
from planner.subqueries import attached

if TYPE_CHECKING:
    from planner.bind import Binder, Bound

_LENIENT = ("coalesce", "and", "or")
"""Functions that may leave an argument alone."""


def is_call(node: exp.Expr) -> bool:
    """Whether an item of FROM is a call, or several in ROWS FROM."""
    if isinstance(node, exp.Table):
        return bool(node.args.get("rows_from")) or isinstance(node.this, exp.Anonymous)
    return isinstance(node, exp.Lateral) and not isinstance(node.this, exp.Subquery)


def in_from(node: exp.Expr, alias: str | None, env: Environment) -> tuple[Relation, str]:
    """The rows of an item of FROM for which `is_call`, and the name of the table where there is no alias."""
    from planner.bind import Binder

    text = env.text
    schema = node.args.get("db")
    in_catalog = text.asked_once and isinstance(schema, exp.Identifier) and spelling(schema) == "pg_catalog"
    text.only(node, "this", "rows_from", "ordinality", "alias", "joins", *(("db",) if in_catalog else ()))
    items = [node.this] if not node.args.get("rows_from") else [item.this for item in node.args["rows_from"]]
    items = [one for item in items for one in _apart(item)]
    binder = Binder(text, Scope(), clause="functions in FROM", env=env)
    calls: list[TableCall] = []
    columns: Columns = ()
    names = []
    for item in items:
        if not isinstance(item, exp.Anonymous):
            raise text.unsupported(item)
        name = spelling(item.this) if isinstance(item.this, exp.Identifier) else item.this.lower()
        if name not in TABLE_FUNCTIONS and len(items) == 1 and not node.args.get("ordinality"):
            return _one_row(binder, item, alias or name), name
        names.append(name)
        function, call = _bound(binder, item, name)
        own = function.names or ((alias if alias and len(items) == 1 else name),)
        calls.append(call)
        columns += tuple((column, type_, True) for column, type_ in zip(own, call.types, strict=True))
    ordinality = bool(node.args.get("ordinality"))
    if ordinality:
        columns += (("ordinality", BIGINT, False),)
    plan = _mapped(Constant(((),), ()), tuple(calls), ordinality)
    return Relation(plan, columns), names[0]


def _one_row(binder: Binder, item: exp.Anonymous, name: str) -> Relation:
    """The value of any other function, as a row of one column."""
    below, (value,) = attached(Constant(((),), ()), (binder.typed(item),))
    return Relation(Project(below, (value,)), ((name, value.type, True),))


def _apart(item: exp.Expr) -> list[exp.Expr]:
    """unnest of several arrays as one of each."""
    if not isinstance(item, exp.Anonymous) or item.name.lower() != "unnest" or len(item.expressions) < 2:
        return [item]
    return [exp.Anonymous(this=item.this, expressions=[argument]) for argument in item.expressions]


def _mapped(plan: Plan, calls: tuple[TableCall, ...], ordinality: bool) -> Plan:
    """The columns that the calls make of one row, without those that their arguments took."""
    below, args = attached(plan, tuple(arg for call in calls for arg in call.args))
    given = iter(args)
    calls = tuple(TableCall(call.function, tuple(next(given) for _ in call.args), call.types) for call in calls)
    mapped = FlatMap(below, calls, ordinality)
    width, types = len(below.types), mapped.types
    if not width:
        return mapped
    return Project(mapped, tuple(ColumnRef(i, types[i], f"#{i}") for i in range(width, len(types))))


def in_list(binder: Binder, node: exp.Anonymous, name: str) -> Bound:
    """Bind a table function of one column in an expression: only select lists have them."""
    function, value = _value(binder, node, name)
    if len(function.columns) > 1:
        hint = (
            f"write it in FROM: FROM t, {name}(...), or take a column: ({name}(...)).{(function.names or ('f1',))[0]}"
        )
        raise binder.text.unsupported(node, f"{name}() in a select list", hint)
    return binder.placed(value, node)


def columns_of(binder: Binder, node: exp.Expr) -> dict[str, Scalar] | None:
    """The columns of `f(...)`, a table function whose columns have names, for `(f(...)).name`; None for anything else."""
    while isinstance(node, exp.Paren):
        node = node.this
    prefix = ""
    if isinstance(node, exp.Dot) and isinstance(node.this, exp.Identifier) and binder.text.asked_once:
        prefix = PREFIX if node.this.name.lower() == "information_schema" else ""
        node = node.args["expression"]
    if not isinstance(node, exp.Anonymous) or (name := prefix + node.name.lower()) not in TABLE_FUNCTIONS:
        return None
    function, value = _value(binder, node, name)
    if function.names is None:
        return None
    return {name: binder.placed(replace(value, place=place), node) for place, name in enumerate(function.names)}


def _value(binder: Binder, node: exp.Anonymous, name: str) -> tuple[TableFunction, TableValue]:
    if binder.clause not in ("SELECT", "functions in FROM"):
        raise binder.text.error(
            node,
            f"set-returning functions are not allowed in {binder.clause}",
            "write it in FROM, and filter its column",
        )
    if binder.clause == "functions in FROM" or (binder.aggregates is not None and binder.aggregates.nested):
        where = "aggregate function calls" if binder.clause == "SELECT" else "arguments of functions in FROM"
        raise binder.text.error(node, f"{where} cannot contain set-returning function calls", "write it in FROM")
    function, call = _bound(binder, node, name)
    if any(isinstance(inner, TableValue) for arg in call.args for inner in walk(arg)):
        raise binder.text.unsupported(
            node, "a table function in another one's arguments", "write the inner one in FROM"
        )
    return function, TableValue(name, call.args, function.columns)


def _bound(binder: Binder, node: exp.Anonymous, name: str) -> tuple[TableFunction, TableCall]:
    binder.text.only(node, "this", "expressions")
    args = [binder.bind(arg) for arg in node.expressions]
    types = [None if isinstance(arg, Untyped) else arg.type for arg in args]
    literals = [arg.value if isinstance(arg, Untyped | Literal) else None for arg in args]
    try:
        function, wanted = resolve_table(name, types, literals)
    except FunctionError as error:
        raise binder.text.error(node, error.message, error.hint or None) from None
    cast = tuple(binder.cast(arg, type_, node) for arg, type_ in zip(args, wanted, strict=True))
    return function, TableCall(name, cast, function.columns)


def listed(plan: Plan, scalars: tuple[Scalar, ...], binder: Binder) -> tuple[Plan, tuple[Scalar, ...]]:
    """A select list whose table functions are columns: all of them advance together, from row to row."""
    found = list(dict.fromkeys(node for s in scalars for node in walk(s) if isinstance(node, TableValue)))
    if not found:
        return plan, scalars
    for node in (inner for scalar in scalars for inner in walk(scalar)):
        if (isinstance(node, Case) or (isinstance(node, Call) and node.function in _LENIENT)) and any(
            isinstance(inner, TableValue) for inner in walk(node)
        ):
            word = "CASE" if isinstance(node, Case) else node.function.upper()
            place = next(
                binder.places[id(n)][1] for n in walk(node) if isinstance(n, TableValue) and id(n) in binder.places
            )
            raise binder.text.error(
                place, f"set-returning functions are not allowed in {word}", "write the function in FROM"
            )
    calls = tuple(dict.fromkeys(TableCall(node.function, node.args, node.columns) for node in found))
    starts = dict(zip(calls, accumulate((len(call.types) for call in calls), initial=len(plan.types)), strict=False))
    columns = {
        node: ColumnRef(starts[TableCall(node.function, node.args, node.columns)] + node.place, node.type, str(node))
        for node in found
    }
    new = tuple(rewrite(s, lambda n: columns.get(n) if isinstance(n, TableValue) else None) for s in scalars)
    return FlatMap(plan, calls), new
