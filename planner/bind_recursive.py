"""Recursive queries, from sqlglot's tree to Recursive: WITH RECURSIVE, and Materialize's WITH MUTUALLY RECURSIVE.

    WITH RECURSIVE reach AS (SELECT a, b FROM edges UNION SELECT r.a, e.b FROM reach r JOIN edges e ON e.a = r.b) ...

Always true: what does not depend on the recursion is no part of the bodies: it stands in `inputs` and is maintained as anything
else. A plain WITH RECURSIVE means what PostgreSQL computes with its working table: the term is linear in the rows before it, so
that the sum over all of them is the solution of `query = base + term(query)`; terms of which that is not certain are refused.
Deliberately unknown: how often anything is iterated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from dataflow.operators.recursive import outside
from dataflow.types import Column, ColumnType, Kind, Schema
from planner.bind_from import rename
from planner.catalog import spelling
from planner.functions import implicit_cast
from planner.names import written_type
from planner.parse import MUTUALLY
from planner.plan import (
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    OuterJoin,
    Plan,
    Project,
    Recursive,
    SemiJoin,
    TemporalFilter,
    Union,
)
from planner.plans import inputs, own_scalars, relations, with_inputs
from planner.relation import Environment, Relation
from planner.rules import optimize
from planner.scalar import Cast, ColumnRef, OuterRef
from planner.scalars import walk

CastTo = Callable[[exp.Expr, Sequence[ColumnType], Environment], Relation]
"""Binds a query with its columns as these types where they are cast to them without being asked, or have none."""

_INSTEAD = "use WITH MUTUALLY RECURSIVE, which says what it means"


def reads(query: exp.Expr, name: str) -> bool:
    """Whether a query names this relation."""
    return any(True for _ in _references(query, name))


def _references(query: exp.Expr, name: str) -> list[exp.Table]:
    return [
        table
        for table in query.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and spelling(table.this) == name and table.args.get("db") is None
    ]


def plain(cte: exp.Expr, name: str, env: Environment, cast_to: CastTo) -> Relation:
    """One query of WITH RECURSIVE that reads itself: base UNION [ALL] term."""
    text, query = env.text, cte.this
    while isinstance(query, exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Union) or reads(query.this, name):
        message = f'recursive query "{name}" does not have the form non-recursive-term UNION [ALL] recursive-term'
        raise text.error(cte, message)
    text.only(query, "this", "expression", "distinct")
    term = query.args["expression"]
    found = _references(term, name)
    if len(found) > 1:
        message = f'recursive reference to query "{name}" must not appear more than once'
        raise text.error(found[1], message, _INSTEAD)
    base = env.bind_query(query.this, env)
    alias = cte.args["alias"]
    columns = rename(base.columns, alias.args.get("columns") or [], name, alias, text)
    inner = replace(env, loops=env.loops + 1)
    label = f"{name}@{env.loops}"
    types = tuple(_unlimited(type_) for _, type_, _ in columns)
    variable = _variable(label, tuple(n for n, _, _ in columns), types)
    step = cast_to(term, types, inner.with_ctes({name: variable}))
    made = tuple(type_ for _, type_, _ in step.columns)
    if len(made) != len(types):
        raise text.error(term, "each UNION query must have the same number of columns")
    for number, (a, b) in enumerate(zip(types, made, strict=True), 1):
        if a != b:
            message = (
                f'recursive query "{name}" column {number} has type {a} in non-recursive term but type {b} overall'
            )
            raise text.error(term, message, f"cast the output of the non-recursive term to {b}")
    once = bool(query.args.get("distinct"))
    if not _linear(step.plan, label, once):
        raise text.unsupported(found[0], "this use of a recursive query in its own term", _INSTEAD)
    both: Plan = Union((_cast_rows(base.plan, types), step.plan))
    made_plans = _closed((label,), (Distinct(both) if once else both,), None, cte, env)
    return Relation(made_plans[0], tuple((n, t, True) for (n, _, _), t in zip(columns, types, strict=True)))


def mutually(clause: exp.Expr, env: Environment) -> Environment:
    """WITH MUTUALLY RECURSIVE: every query sees every other one, and itself."""
    text = env.text
    (limit,) = clause.meta[MUTUALLY]
    if limit is not None and limit[0] < 1:
        raise text.error(clause, "the recursion limit has to be at least 1")
    variables: dict[str, Relation] = {}
    for cte in clause.expressions:
        name = spelling(cte.args["alias"].this)
        if name in variables:
            raise text.error(cte, f'WITH query name "{name}" specified more than once')
        declared = cte.args["alias"].args["columns"]
        types = tuple(_unlimited(written_type(column.args["kind"], text)) for column in declared)
        variables[name] = _variable(f"{name}@{env.loops}", tuple(spelling(c.this) for c in declared), types)
    inner = replace(env, loops=env.loops + 1).with_ctes(variables)
    bodies = []
    for cte, variable in zip(clause.expressions, variables.values(), strict=True):
        bound = env.bind_query(cte.this, inner)
        wanted = variable.plan.types
        given = tuple(type_ for _, type_, _ in bound.columns)
        if len(given) != len(wanted) or not all(map(implicit_cast, given, wanted)):
            shown = " declares " + ", ".join(map(str, wanted)) + " but its query gives " + ", ".join(map(str, given))
            name = spelling(cte.args["alias"].this)
            raise text.error(cte.this, f'WITH MUTUALLY RECURSIVE query "{name}"{shown}', "cast the columns")
        bodies.append(_cast_rows(bound.plan, wanted))
    plans = _closed(tuple(f"{n}@{env.loops}" for n in variables), tuple(bodies), limit, clause, env)
    return env.with_ctes({n: Relation(plan, v.columns) for (n, v), plan in zip(variables.items(), plans, strict=True)})


def _cast_rows(plan: Plan, types: Sequence[ColumnType]) -> Plan:
    refs = tuple(ColumnRef(i, type_, f"#{i}") for i, type_ in enumerate(plan.types))
    cast = tuple(ref if ref.type == type_ else Cast(ref, type_) for ref, type_ in zip(refs, types, strict=True))
    return plan if cast == refs else Project(plan, cast)


def _unlimited(type_: ColumnType) -> ColumnType:
    """The type of a variable: a numeric whose digits nobody declared has as many as there are."""
    return ColumnType(Kind.NUMERIC) if type_.kind is Kind.NUMERIC and type_.precision is None else type_


def _variable(label: str, names: tuple[str, ...], types: Sequence[ColumnType]) -> Relation:
    schema: Schema = tuple(Column(name, type_) for name, type_ in zip(names, types, strict=True))
    return Relation(Get(label, schema), tuple((c.name, c.type, True) for c in schema))


def _closed(
    names: tuple[str, ...], bodies: tuple[Plan, ...], limit: tuple[int, bool] | None, node: exp.Expr, env: Environment
) -> list[Plan]:
    """The recursion for each of its names, what is outside of it taken out of the bodies."""
    taken: dict[Plan, Plan] = {}
    inside = tuple(_hoisted(body, frozenset(names), taken) for body in bodies)
    for body in inside:
        for below in _nodes(body):
            if isinstance(below, TemporalFilter):
                raise env.text.unsupported(node, "mz_now() inside a recursion", "filter what it reads, or its result")
            for part in (part for scalar in own_scalars(below) for part in walk(scalar)):
                if isinstance(part, OuterRef):
                    raise env.text.unsupported(node, "a recursion that refers to an outer query", "join its result")
    if any(isinstance(s, OuterRef) for below in taken for n in _nodes(below) for o in own_scalars(n) for s in walk(o)):
        raise env.text.unsupported(node, "a recursion that refers to an outer query", "join its result")
    optimized = tuple(map(optimize, inside))
    number, returns = limit or (None, False)
    return [Recursive(tuple(taken), names, optimized, i, number, returns) for i in range(len(names))]


def _nodes(plan: Plan) -> list[Plan]:
    return [plan, *(node for below in inputs(plan) for node in _nodes(below))]


def _hoisted(plan: Plan, names: frozenset[str], taken: dict[Plan, Plan]) -> Plan:
    """The plan with what does not depend on the recursion, as large as it is, replaced by an input."""
    read = relations(plan)
    if read & names:
        return with_inputs(plan, tuple(_hoisted(below, names, taken) for below in inputs(plan)))
    if not read:
        return plan
    if plan not in taken:
        schema = tuple(Column(f"c{i}", type_) for i, type_ in enumerate(plan.types))
        taken[plan] = Get(outside(len(taken)), schema)
    return taken[plan]


def _linear(plan: Plan, name: str, once: bool) -> bool:
    """Whether the rows that come of two collections together are those that come of each.

    once: rows count once in the end, so that it does not matter how often they come.
    """
    if name not in relations(plan):
        return False
    match plan:
        case Get():
            return True
        case Filter() | Project() | FlatMap():
            return _linear(plan.input, name, once)
        case Distinct():
            return once and _linear(plan.input, name, once)
        case Join():
            reading = [below for below in plan.inputs if name in relations(below)]
            return len(reading) == 1 and _linear(reading[0], name, once)
        case OuterJoin() | SemiJoin():
            full = isinstance(plan, OuterJoin) and plan.full
            return not full and name not in relations(plan.right) and _linear(plan.left, name, once)
        case Union():
            return all(_linear(below, name, once) for below in plan.inputs)
        case _:
            return False
