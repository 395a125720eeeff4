"""FROM: tables, subqueries, WITH names and joins, as one Join of all of them and a scope over it.

Always true: conditions of inner joins become predicates of a Filter above the Join, those of outer joins stay with it; making
keys of them is a rule's work. Commas and JOINs nest as in PostgreSQL: an ON condition sees only the tables of its own join.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from planner import bind_spans, bind_table
from planner.bind_join import bind_join, join_kind
from planner.bind_table import is_call
from planner.catalog import PUBLIC, CatalogError, spelling, suggest
from planner.errors import SqlError
from planner.lateral import joined
from planner.outer import outer_columns
from planner.parse import Text, start
from planner.plan import Constant, Get
from planner.refusals import hint_for, wording
from planner.relation import Columns, Environment, From, Relation
from planner.scope import Scope, scope_of


def bind_from(select: exp.Select, env: Environment) -> From:
    """Bind FROM and its joins; without FROM there is one row of no columns."""
    clause = select.args.get("from_")
    joins = select.args.get("joins") or []
    if clause is None:
        return From((Constant(((),), ()),), (), Scope())
    env.text.only(clause, "this")
    bound: From | None = None
    item = _table(clause.this, env.beside(Scope()))
    at: exp.Expr = clause.this
    names: frozenset[str] = frozenset(item.scope.tables)
    for join in joins:
        around = env.beside(Scope() if bound is None else bound.scope)
        if _is_comma(join, env.text):
            env.text.only(join, "this")
            bound = item if bound is None else _beside(bound, item, at, env)
            item, at = _table(join.this, env.beside(bound.scope)), join.this
        else:
            item = _join(item, join, around, names)
        names |= frozenset(item.scope.tables)
    return item if bound is None else _beside(bound, item, at, env)


def _is_comma(join: exp.Expr, text: Text) -> bool:
    offset = start(join) or 0
    return text.sql[offset : offset + 1] == ","


def _beside(left: From, item: From, node: exp.Expr, env: Environment) -> From:
    """`left, item`, where the item may refer to the left rows."""
    both = left.beside(item, env, node)
    depth = len(env.outer)
    plan = item.plan
    return From((joined(left.plan, plan, depth),), (), both.scope) if outer_columns(plan, depth) else both


def _join(left: From, join: exp.Expr, env: Environment, outside: frozenset[str]) -> From:
    """`left JOIN right`; how the rows of both meet is `planner.bind_join`'s."""
    kind = join_kind(join, env.text)
    around = env.beside(left.scope)
    right = _table(join.this, around)
    return bind_join(left, right, join, kind, around, outside)


def _table(node: exp.Expr, env: Environment) -> From:
    """One item of FROM: a relation, a subquery, or a join in parentheses.

    env: that of a LATERAL item, in which the items on its left are the innermost SELECTs; others see nothing of these.
    """
    text = env.text
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        text.only(node, "this", "alias", "joins")
        inner = _table(node.this, env)
        alias = _alias(node.args.get("alias"), text)
        if alias is not None:
            fields = inner.scope.visible
            columns = tuple((f.name, f.type, f.nullable) for f in fields)
            shown = scope_of(alias, "", _renamed(columns, node.args["alias"], alias, text))
            inner = replace(inner, scope=shown.at([f.index for f in fields]))
        return _nested(inner, node, env)
    if bind_spans.is_span(node):
        return _nested(_spans(node, env), node, env)
    if is_call(node):
        return _nested(_call(node, env), node, env)
    if isinstance(node, exp.Subquery | exp.Values | exp.Lateral):
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


def _call(node: exp.Expr, env: Environment) -> From:
    """Table functions, which may always refer to the items on their left."""
    alias = node.args.get("alias")
    name = _alias(alias, env.text)
    relation, default = bind_table.in_from(node, name, env.lateral())
    shown = name or default
    scope = scope_of(shown, "", _renamed(relation.columns, alias, shown, env.text))
    value = frozenset({shown} if len(relation.columns) == 1 else ())
    return From((relation.plan,), (), replace(scope, values=value))


def _spans(node: exp.Expr, env: Environment) -> From:
    """A relation's rows and the spans of time that they are in."""
    alias = node.args.get("alias")
    relation, default = bind_spans.bind_span(node, env)
    shown = _alias(alias, env.text) or default
    return From((relation.plan,), (), scope_of(shown, "", _renamed(relation.columns, alias, shown, env.text)))


def _subquery(node: exp.Expr, env: Environment) -> From:
    inside = env.alone()
    if isinstance(node, exp.Lateral):
        env.text.only(node, "this", "alias")
        inside = env.lateral()
        env.text.only(node.this, "this")
        query: exp.Expr = node.this.this
    elif isinstance(node, exp.Values):
        env.text.only(node, "expressions", "alias", "joins")
        query = node
    else:
        env.text.only(node, "this", "alias", "joins")
        query = node.this
    relation = env.bind_query(query, inside)
    alias = node.args.get("alias")
    name = _alias(alias, env.text) or ""
    columns = _renamed(relation.columns, alias, name, env.text)
    return From((relation.plan,), (), scope_of(name, "", columns))


def _named(node: exp.Table, env: Environment) -> From:
    text = env.text
    if not isinstance(node.this, exp.Identifier):
        raise text.unsupported(node)
    name = spelling(node.this)
    alias = node.args.get("alias")
    shown = _alias(alias, text) or name
    schema = node.args.get("db")
    if schema is None and name in env.ctes:
        relation = env.ctes[name]
    else:
        known = env.catalog.qualified(None if schema is None else spelling(schema), name)
        database = node.args.get("catalog")
        if database is not None and spelling(database) != env.catalog.database:
            there = f"the one database is {env.catalog.database}" if env.catalog.database else f"write {name} alone"
            raise text.error(node, f'database "{spelling(database)}" does not exist', there)
        if schema is not None and known is None:
            others = sorted(env.catalog.schemas)
            hint = f"there is {', '.join((PUBLIC, *others))}" if others else f"write {name} alone"
            raise text.error(node, f'schema "{spelling(schema)}" does not exist', hint)
        relation = _relation(known or name, node, env)
    columns = _renamed(relation.columns, alias, shown, text)
    return From((relation.plan,), (), scope_of(shown, name, columns))


def _relation(name: str, node: exp.Expr, env: Environment) -> Relation:
    try:
        schema = env.catalog.get(name)
    except CatalogError as error:
        raise env.text.error(node, error.message, error.hint) from None
    if schema is None:
        known = [*env.ctes, *(n for n in env.catalog.relations if "." not in n)]
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
