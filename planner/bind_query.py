"""Queries: SELECT, UNION, EXCEPT, INTERSECT, VALUES and WITH, from sqlglot's tree to relational plans.

Always true: a plan made here says what the query means and nothing about how: conditions stand in Filters, unneeded columns
are still there; the rules see to the rest. Every argument of every query node is read or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from dataflow.layout import Order
from dataflow.types import ColumnType
from planner import bind_nested, bind_recursive, functions
from planner.aggregates import Aggregates
from planner.bind import Binder, Bound
from planner.bind_from import bind_from, rename, unique_names
from planner.bind_group import NO_GROUPS, Items, group_keys, grouped, nullable
from planner.bind_order import CLAUSES, EVERYTHING, Cut, bind_cut, cut_rows, sorted_rows
from planner.bind_table import listed
from planner.bind_window import named_windows
from planner.catalog import Catalog, spelling
from planner.errors import PlanErrors, SqlError
from planner.functions import FunctionError
from planner.literals import Untyped
from planner.names import column_name
from planner.parse import MUTUALLY, Text, parse
from planner.plan import Constant, Distinct, Negate, Plan, Positive, Project, Union
from planner.relation import Columns, Environment, Relation
from planner.scalar import ColumnRef, Grouping, Parameter, Scalar
from planner.scalars import walk
from planner.scope import Field, Scope
from planner.subqueries import attached, filtered
from planner.temporal import refuse


def bind_view(text: Text, catalog: Catalog) -> Relation:
    """The plan and columns of a view's SQL. Raises PlanErrors with every mistake found."""
    try:
        query = parse(text)
        relation = bind_query(query, Environment(text, catalog, bind_query))
        duplicate = unique_names(relation.columns, query, text)
        if duplicate is not None:
            raise duplicate
    except SqlError as error:
        found = dict.fromkeys((*text.errors, error))
        raise PlanErrors(sorted(found, key=lambda e: (e.line, e.column))) from None
    return relation


def bind_query(query: exp.Expr, env: Environment) -> Relation:
    """Bind a query whose untyped literals, if any, become text."""
    parts = _parts(query, env)
    return parts.relation([None] * len(parts.outputs))


@dataclass(frozen=True, slots=True)
class Ordered:
    """A bound query whose order is left to the reader: the plan's first columns are the result, others are for the order."""

    plan: Plan
    columns: Columns
    order: tuple[Order, ...]
    limit: int | Parameter | None
    offset: int | Parameter


def bind_ordered(text: Text, catalog: Catalog) -> Ordered:
    """The plan of a query that is asked once. Raises PlanErrors with every mistake found."""
    try:
        query = parse(text)
        return _parts(query, Environment(text, catalog, bind_query)).ordered()
    except SqlError as error:
        found = dict.fromkeys((*text.errors, error))
        raise PlanErrors(sorted(found, key=lambda e: (e.line, e.column))) from None


@dataclass(frozen=True, slots=True)
class _Parts:
    """A bound query whose select list may still hold untyped literals, for UNION to give them a type."""

    input: Plan
    outputs: tuple[Bound, ...]
    names: tuple[str, ...]
    nullable: tuple[bool, ...]
    nodes: tuple[exp.Expr, ...]
    binder: Binder
    distinct: bool = False
    cut: Cut = EVERYTHING

    @property
    def types(self) -> list[ColumnType | None]:
        return [None if isinstance(output, Untyped) else output.type for output in self.outputs]

    def relation(self, wanted: Sequence[ColumnType | None]) -> Relation:
        """The query with its columns as the wanted types (None: as they are)."""
        rows, columns = self._listed(wanted)
        return Relation(cut_rows(rows, len(columns), self.cut, self.distinct, self.binder.text), columns)

    def ordered(self) -> Ordered:
        """The query with its order beside it."""
        rows, columns = self._listed([None] * len(self.outputs))
        plan, order = sorted_rows(rows, len(columns), self.cut, self.distinct, self.binder.text)
        return Ordered(plan, columns, order, self.cut.limit, self.cut.offset)

    def _listed(self, wanted: Sequence[ColumnType | None]) -> tuple[Plan, Columns]:
        """The select list, behind it what the order needs, before anything is cut off; and the columns."""
        scalars = tuple(
            self.binder.settle(output, node) if type_ is None else self.binder.cast(output, type_, node)
            for output, type_, node in zip(self.outputs, wanted, self.nodes, strict=True)
        )
        below, outputs = listed(*attached(self.input, scalars + self.cut.extras), self.binder)
        types = (scalar.type for scalar in scalars)
        return Project(below, outputs), tuple(zip(self.names, types, self.nullable, strict=True))


def _parts(query: exp.Expr, env: Environment) -> _Parts:
    text = env.text
    env = _with(query, env)
    match query:
        case exp.Select():
            return _select(query, env)
        case exp.Subquery():
            text.only(query, "this", "with_", *CLAUSES)
            inner = _parts(query.this, env)
            if not any(query.args.get(clause) for clause in CLAUSES):
                return inner
            return _whole(inner.relation([None] * len(inner.outputs)), query, text)
        case exp.Union() | exp.Except() | exp.Intersect():
            return _whole(_set_operation(query, env), query, text)
        case exp.Values():
            text.only(query, "expressions", "with_", "alias", "joins", *CLAUSES)
            return _whole(_values(query, env), query, text)
        case _:
            raise text.unsupported(query)


def _whole(relation: Relation, node: exp.Expr, text: Text) -> _Parts:
    """A bound query as it is, but for the ORDER BY and LIMIT that stand on `node`."""
    refs = tuple(ColumnRef(i, type_, name) for i, (name, type_, _) in enumerate(relation.columns))
    names = tuple(name for name, _, _ in relation.columns)
    nullable = tuple(nullable for _, _, nullable in relation.columns)
    cut = bind_cut(node, [(name, node, ref) for name, ref in zip(names, refs, strict=True)], None, text)
    return _Parts(relation.plan, refs, names, nullable, (node,) * len(refs), Binder(text, Scope()), cut=cut)


def _with(query: exp.Expr, env: Environment) -> Environment:
    clause = query.args.get("with_")
    if clause is None:
        return env
    if MUTUALLY in clause.meta:
        return bind_recursive.mutually(clause, env)
    env.text.only(clause, "expressions", "recursive")
    seen: set[str] = set()
    for cte in clause.expressions:
        # MATERIALIZED says how to compute, not what: every common part is computed once here anyway.
        env.text.only(cte, "this", "alias", "materialized")
        alias = cte.args["alias"]
        env.text.only(alias, "this", "columns")
        name = spelling(alias.this)
        if name in seen:
            raise env.text.error(cte, f'WITH query name "{name}" specified more than once')
        seen.add(name)
        if clause.args.get("recursive") and bind_recursive.reads(cte.this, name):
            relation = bind_recursive.plain(cte, name, env, _cast_to)
        else:
            relation = bind_query(cte.this, env)
        columns = rename(relation.columns, alias.args.get("columns") or [], name, alias, env.text)
        env = env.with_ctes({name: Relation(relation.plan, columns)})
    return env


def _cast_to(query: exp.Expr, types: Sequence[ColumnType], env: Environment) -> Relation:
    """A query whose columns become these types, as far as they do without being asked."""
    parts = _parts(query, env)
    if len(parts.outputs) != len(types):
        return parts.relation([None] * len(parts.outputs))
    fits = [
        given is None or (functions.implicit_cast(given, type_) and type_.precision is None and type_.length is None)
        for given, type_ in zip(parts.types, types, strict=True)
    ]
    wanted = [type_ if fit else None for type_, fit in zip(types, fits, strict=True)]
    return parts.relation(wanted)


def _set_operation(query: exp.Expr, env: Environment) -> Relation:
    text = env.text
    word = type(query).__name__.upper()
    text.only(query, "this", "expression", "distinct", "with_", *CLAUSES)
    left, right = _parts(query.this, env), _parts(query.args["expression"], env)
    if len(left.outputs) != len(right.outputs):
        raise text.error(
            query.args["expression"],
            f"each {word} query must have the same number of columns",
            f"the first has {len(left.outputs)}, the second {len(right.outputs)}",
        )
    types = []
    for a, b, node in zip(left.types, right.types, right.nodes, strict=True):
        try:
            types.append(functions.common_type([a, b], word))
        except FunctionError as error:
            raise text.error(node, error.message, error.hint or None) from None
    first, second = left.relation(types), right.relation(types)
    columns: Columns = tuple(
        (name, type_, null or other)
        for (name, type_, null), (_, _, other) in zip(first.columns, second.columns, strict=True)
    )
    all_rows = not query.args.get("distinct")
    if isinstance(query, exp.Union):
        both = Union((first.plan, second.plan))
        return Relation(both if all_rows else Distinct(both), columns)
    if all_rows:
        # A row that is there m and n times: the first has m - n of it left, or none, and the rest of the m is in both.
        left_over = Positive(Union((first.plan, Negate(second.plan))))
        if isinstance(query, exp.Except):
            return Relation(left_over, columns)
        return Relation(Union((first.plan, Negate(left_over))), columns)
    once_a, once_b = Distinct(first.plan), Distinct(second.plan)
    if isinstance(query, exp.Except):
        return Relation(Distinct(Union((once_a, Negate(once_b)))), columns)
    # A row in both counts 1 + 1 - 1, a row in one only 1 - 1.
    either = Distinct(Union((first.plan, second.plan)))
    return Relation(Union((once_a, once_b, Negate(either))), columns)


def _values(node: exp.Expr, env: Environment) -> Relation:
    text = env.text
    binder = Binder(text, Scope(), clause="VALUES", env=env)
    rows = []
    for item in node.expressions:
        cells = item.expressions if isinstance(item, exp.Tuple) else [item]
        rows.append([(cell, binder.bind(cell)) for cell in cells])
    if any(len(row) != len(rows[0]) for row in rows):
        raise text.error(node, "VALUES lists must all be the same length")
    cast = [
        binder.alike([n for n, _ in column], [b for _, b in column], "VALUES") for column in zip(*rows, strict=True)
    ]
    one: Plan = Constant(((),), ())
    plans = tuple(Project(*attached(one, scalars)) for scalars in zip(*(scalars for scalars, _ in cast), strict=True))
    columns = tuple((f"column{i + 1}", type_, True) for i, (_, type_) in enumerate(cast))
    return Relation(plans[0] if len(plans) == 1 else Union(plans), columns)


def _select(select: exp.Select, env: Environment) -> _Parts:
    text = env.text
    text.only(
        select, "expressions", "from_", "joins", "where", "group", "having", "windows", "distinct", "with_", *CLAUSES
    )
    source = bind_from(select, env)
    plan = source.plan
    if (where := select.args.get("where")) is not None:
        text.only(where, "this")
        plan = _where(plan, where.this, Binder(text, source.scope, clause="WHERE", env=env), select)
    aggregates = Aggregates(source.width)
    binder = Binder(text, source.scope, aggregates, env=env, windows=named_windows(select, text))
    items = _items(select, binder)
    outputs = tuple(output for _, _, output in items)
    having_node = select.args.get("having")
    having: Scalar | None = None
    if having_node is not None:
        text.only(having_node, "this")
        binder.clause = "HAVING"
        try:
            having = binder.condition(having_node.this, "HAVING")
        except SqlError as error:
            raise _of_output(error, select, "HAVING") from None
        refuse(having, binder)
    groups = group_keys(select, items, binder)
    distinct = select.args.get("distinct")
    if distinct is not None:
        text.only(distinct, "on")
    text.settle_errors()
    binder.clause = "ORDER BY"
    cut = bind_cut(select, items, binder, text)
    if groups is not None or having is not None or aggregates.calls or _groupings((*outputs, *cut.extras)):
        plan, outputs, extras = grouped(plan, outputs, cut.extras, having, groups or NO_GROUPS, binder)
        cut = cut.with_extras(extras)
    nulled = frozenset[Scalar]() if groups is None else groups.nulled
    return _Parts(
        plan,
        outputs,
        tuple(name for name, _, _ in items),
        tuple(nullable(output, source.scope, binder, nulled) for _, _, output in items),
        tuple(node for _, node, _ in items),
        binder,
        distinct is not None and cut.on is None,
        cut,
    )


def _where(plan: Plan, node: exp.Expr, binder: Binder, select: exp.Select) -> Plan:
    try:
        condition = binder.condition(node, "WHERE")
        refuse(condition, binder)
        return filtered(plan, condition)
    except SqlError as error:
        binder.text.errors.append(_of_output(error, select, "WHERE"))
        return plan


def _of_output(error: SqlError, select: exp.Select, clause: str) -> SqlError:
    """The mistake; where it is the name of an output column, what to write instead."""
    for item in select.expressions:
        if isinstance(item, exp.Alias) and error.message == f'column "{spelling(item.args["alias"])}" does not exist':
            hint = f"{clause} comes before the select list: repeat the expression there, or filter in an outer SELECT"
            return replace(error, hint=hint)
    return error


def _items(select: exp.Select, binder: Binder) -> Items:
    """The select list with stars written out: name, syntax node, bound expression."""
    text = binder.text
    if not select.expressions:
        raise text.error(select, "SELECT needs at least one column", "write SELECT * or the columns")
    items: Items = []
    for item in select.expressions:
        fields = _star(item, binder)
        if fields is not None:
            items += [(f.name, item, binder.reference(f, item)) for f in fields]
            continue
        if (inner := bind_nested.fields(binder, item)) is not None:
            items += [(name, item, value) for name, value in inner]
            continue
        node = item
        if isinstance(item, exp.Alias):
            text.only(item, "this", "alias")
            node = item.this
        try:
            items.append((column_name(item), node, binder.bind(node)))
        except SqlError as error:
            text.errors.append(error)
    return items


def _star(item: exp.Expr, binder: Binder) -> tuple[Field, ...] | None:
    """The fields that `*` or `t.*` means; None for any other item."""
    text = binder.text
    if isinstance(item, exp.Star):
        text.only(item)
        if not binder.scope.visible:
            raise text.error(item, "SELECT * with no tables specified is not valid")
        return binder.scope.visible
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        text.only(item, "this", "table")
        text.only(item.this)
        return binder.scope.table(spelling(item.args["table"]), item, text)
    return None


def _groupings(outputs: tuple[Bound, ...]) -> bool:
    """Whether grouping() stands in a list, which makes a query of it that needs GROUP BY."""
    return any(isinstance(node, Grouping) for o in outputs if not isinstance(o, Untyped) for node in walk(o))
