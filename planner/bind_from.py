"""FROM: tables, subqueries, WITH names and inner joins, as one Join of all of them and a scope over it.

Always true: ON, USING and WHERE become predicates of a Filter above the Join; making keys of them is a rule's work. Commas and
JOINs nest as in PostgreSQL: an ON condition sees only the tables of its own join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from dataflow.types import ColumnType
from planner.bind import Binder
from planner.catalog import Catalog, CatalogError, spelling, suggest
from planner.errors import SqlError
from planner.parse import Text, start
from planner.plan import Constant, Filter, Get, Join, Plan
from planner.refusals import CLOCKS, hint_for, wording
from planner.scalar import Scalar
from planner.scalars import conjuncts, move
from planner.scope import Scope, scope_of

Columns = tuple[tuple[str, ColumnType, bool], ...]
"""Name, type and nullability of each column of a bound query."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A bound query: its plan and its columns."""

    plan: Plan
    columns: Columns


@dataclass(frozen=True)
class Environment:
    """What a query may read: the catalog, and the WITH queries around it."""

    text: Text
    catalog: Catalog
    bind_query: Callable[[exp.Expr, Environment], Relation]
    ctes: Mapping[str, Relation] = field(default_factory=dict)

    def with_ctes(self, ctes: Mapping[str, Relation]) -> Environment:
        """The environment inside a WITH."""
        return Environment(self.text, self.catalog, self.bind_query, {**self.ctes, **ctes})


@dataclass(frozen=True, slots=True)
class From:
    """A bound FROM clause or part of one: the inputs of the join to be, the conditions on them, and the scope."""

    inputs: tuple[Plan, ...]
    conditions: tuple[Scalar, ...]
    scope: Scope

    @property
    def width(self) -> int:
        """How many columns its rows have."""
        return sum(len(plan.types) for plan in self.inputs)

    @property
    def plan(self) -> Plan:
        """The rows."""
        plan = self.inputs[0] if len(self.inputs) == 1 else Join(self.inputs)
        return Filter(plan, self.conditions) if self.conditions else plan

    def beside(self, other: From, env: Environment, node: exp.Expr) -> From:
        """Every row of both, in one scope."""
        right = other.scope.shifted(self.width)
        moved = tuple(move(condition, lambda index: index + self.width) for condition in other.conditions)
        return From(self.inputs + other.inputs, self.conditions + moved, self.scope.joined(right, env.text, node))


def bind_from(select: exp.Select, env: Environment) -> From:
    """Bind FROM and its joins; without FROM there is one row of no columns."""
    clause = select.args.get("from_")
    joins = select.args.get("joins") or []
    if clause is None:
        return From((Constant(((),), ()),), (), Scope())
    env.text.only(clause, "this")
    items = [_table(clause.this, env)]
    names: frozenset[str] = frozenset(items[0].scope.tables)
    for join in joins:
        if env.text.sql[start(join) or 0 : (start(join) or 0) + 1] == ",":
            env.text.only(join, "this")
            items.append(_table(join.this, env))
        else:
            items[-1] = _join(items[-1], join, env, names)
        names |= frozenset(items[-1].scope.tables)
    bound = items[0]
    for node, item in zip([j.this for j in joins if _is_comma(j, env.text)], items[1:], strict=True):
        bound = bound.beside(item, env, node)
    return bound


def _is_comma(join: exp.Expr, text: Text) -> bool:
    offset = start(join) or 0
    return text.sql[offset : offset + 1] == ","


def _join(left: From, join: exp.Expr, env: Environment, outside: frozenset[str]) -> From:
    text = env.text
    side, method, kind = (join.args.get(name) for name in ("side", "method", "kind"))
    if side or kind == "OUTER":
        hint = "write the inner join, and UNION ALL the rows without a partner from a view that finds them"
        raise text.unsupported(join, f"{side or 'FULL'} JOIN", hint)
    if method:
        raise text.unsupported(join, f"{method} JOIN", "write JOIN ... USING (the common columns)")
    if kind not in (None, "INNER", "CROSS"):
        raise text.unsupported(join, f"{kind} JOIN")
    text.only(join, "this", "on", "using", "kind")
    right = _table(join.this, env)
    both = left.beside(right, env, join.this)
    on, using = join.args.get("on"), join.args.get("using")
    if kind == "CROSS" and (on is not None or using):
        raise text.error(join, "syntax error: CROSS JOIN takes no ON or USING", "write JOIN ... ON")
    if kind != "CROSS" and on is None and not using:
        raise text.error(join, "syntax error: JOIN without ON or USING", "add ON condition, or write CROSS JOIN")
    if using:
        return _using(left, both, using, env)
    if on is None:
        return both
    binder = Binder(text, both.scope.with_outside(outside), clause="JOIN conditions")
    condition = binder.condition(on, "JOIN/ON")
    return From(both.inputs, both.conditions + conjuncts(condition), both.scope)


def _using(left: From, both: From, using: list[exp.Expr], env: Environment) -> From:
    text = env.text
    width = left.width
    left_scope = Scope(tuple(f for f in both.scope.visible if f.index < width))
    right_scope = Scope(tuple(f for f in both.scope.visible if f.index >= width))
    conditions = []
    names = tuple(spelling(name) for name in using)
    binder = Binder(text, both.scope, clause="JOIN conditions")
    for name, node in zip(names, using, strict=True):
        sides = []
        for which, scope in (("left", left_scope), ("right", right_scope)):
            found = [f for f in scope.visible if f.name == name]
            if not found:
                message = f'column "{name}" specified in USING clause does not exist in {which} table'
                raise text.error(node, message, suggest(name, (f.name for f in scope.visible)))
            if len(found) > 1:
                raise text.error(node, f'common column name "{name}" appears more than once in {which} table')
            sides.append(binder.reference(found[0], node))
        conditions.append(binder.call(node, "=", sides))
    scope = both.scope.merged(names, left_scope, right_scope)
    return From(both.inputs, both.conditions + tuple(conditions), scope)


def _table(node: exp.Expr, env: Environment) -> From:
    """One item of FROM: a relation, a subquery, or a join in parentheses."""
    text = env.text
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        text.only(node, "this", "alias", "joins")
        if node.args.get("alias") is not None:
            raise text.unsupported(node, "an alias on a join in parentheses", "name the tables inside it")
        return _nested(_table(node.this, env), node, env)
    if isinstance(node, exp.Subquery | exp.Values):
        return _nested(_subquery(node, env), node, env)
    if not isinstance(node, exp.Table):
        raise text.unsupported(node)
    text.only(node, "this", "db", "catalog", "alias", "joins")
    return _nested(_named(node, env), node, env)


def _nested(bound: From, node: exp.Expr, env: Environment) -> From:
    names: frozenset[str] = frozenset(bound.scope.tables)
    for join in node.args.get("joins") or []:
        bound = _join(bound, join, env, names)
        names |= frozenset(bound.scope.tables)
    return bound


def _subquery(node: exp.Expr, env: Environment) -> From:
    if isinstance(node, exp.Values):
        env.text.only(node, "expressions", "alias", "joins")
        query: exp.Expr = node
    else:
        env.text.only(node, "this", "alias", "joins")
        query = node.this
    relation = env.bind_query(query, env)
    alias = node.args.get("alias")
    name = _alias(alias, env.text) or ""
    if not name:
        raise env.text.error(node, "subquery in FROM must have an alias", "for example, FROM (SELECT ...) AS foo")
    columns = _renamed(relation.columns, alias, name, env.text)
    return From((relation.plan,), (), scope_of(name, "", columns))


def _named(node: exp.Table, env: Environment) -> From:
    text = env.text
    if not isinstance(node.this, exp.Identifier):
        name = node.this.name.lower() if isinstance(node.this, exp.Anonymous) else ""
        raise text.unsupported(node, f"{name}() in FROM" if name else None, CLOCKS.get(name))
    name = spelling(node.this)
    alias = node.args.get("alias")
    shown = _alias(alias, text) or name
    schema = node.args.get("db")
    if schema is not None and (node.args.get("catalog") is not None or spelling(schema) != "public"):
        raise text.error(node, f'schema "{spelling(schema)}" does not exist', f"write {name} alone")
    if schema is None and name in env.ctes:
        relation = env.ctes[name]
    else:
        relation = _relation(name, node, env)
    columns = _renamed(relation.columns, alias, shown, text)
    return From((relation.plan,), (), scope_of(shown, name, columns))


def _relation(name: str, node: exp.Expr, env: Environment) -> Relation:
    try:
        schema = env.catalog.get(name)
    except CatalogError as error:
        raise env.text.error(node, error.message, error.hint) from None
    if schema is None:
        known = [*env.ctes, *env.catalog.relations]
        raise env.text.error(node, f'relation "{name}" does not exist', suggest(name, known))
    return Relation(Get(name, schema), tuple((c.name, c.type, c.nullable) for c in schema))


def _alias(node: exp.Expr | None, text: Text) -> str | None:
    """The name in `AS name`, if there is one."""
    if node is None or node.this is None:
        return None
    if not isinstance(node.this, exp.Identifier):
        raise text.unsupported(node, wording(node.this), hint_for(node.this))
    return spelling(node.this)


def _renamed(columns: Columns, alias: exp.Expr | None, name: str, text: Text) -> Columns:
    """The columns under the names that `AS name (a, b)` gives."""
    if alias is None:
        return columns
    text.only(alias, "this", "columns")
    return rename(columns, alias.args.get("columns") or [], name, alias, text)


def rename(columns: Columns, names: list[exp.Expr], relation: str, node: exp.Expr, text: Text) -> Columns:
    """The first columns under new names. Raises SqlError when there are more names than columns."""
    if len(names) > len(columns):
        message = f'table "{relation}" has {len(columns)} columns available but {len(names)} columns specified'
        raise text.error(node, message)
    given = [spelling(n if isinstance(n, exp.Identifier) else n.this) for n in names]
    return tuple((new, c[1], c[2]) for new, c in zip(given, columns, strict=False)) + columns[len(names) :]


def unique_names(columns: Columns, node: exp.Expr, text: Text) -> SqlError | None:
    """The error for a view with two columns of one name, or None."""
    seen: set[str] = set()
    for name, _, _ in columns:
        if name in seen:
            return text.error(
                node, f'column "{name}" specified more than once', "give one of them another name with AS"
            )
        seen.add(name)
    return None
