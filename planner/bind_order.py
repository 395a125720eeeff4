"""ORDER BY, LIMIT, OFFSET, FETCH and DISTINCT ON: which rows of a query are its first ones.

Always true: an order only chooses rows: a view is a set, so ORDER BY without LIMIT is checked and has no effect. As in
PostgreSQL a name or a number means an output column, and only else an expression over the input, in which names that the input
does not have are those of output columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from dataflow.layout import Order
from dataflow.types import BIGINT, Kind
from planner.bind import Binder
from planner.bind_group import Items
from planner.catalog import spelling
from planner.functions.types import INTEGERS
from planner.parse import Text
from planner.plan import Distinct, Plan, Project, TopK
from planner.rules.fold_constants import fold
from planner.scalar import Cast, ColumnRef, Literal, Parameter, Scalar
from planner.scope import Scope

CLAUSES = ("order", "limit", "offset")
"""The arguments of a query node that are read here."""


@dataclass(frozen=True, slots=True)
class Term:
    """One ORDER BY item: an output column (by position), or an expression over the query's input."""

    value: int | Scalar
    node: exp.Expr
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """What chooses a query's rows. `on`: DISTINCT ON's expressions; None without it. `limit`: None for all."""

    order: tuple[Term, ...] = ()
    on: tuple[Term, ...] | None = None
    limit: int | Parameter | None = None
    offset: int | Parameter = 0

    @property
    def chooses(self) -> bool:
        """Whether the order decides about rows."""
        return self.on is not None or self.limit is not None or self.offset != 0

    @property
    def extras(self) -> tuple[Scalar, ...]:
        """The expressions that are no output columns."""
        terms = (*(self.on or ()), *self.order)
        return tuple(term.value for term in terms if not isinstance(term.value, int))

    def with_extras(self, extras: tuple[Scalar, ...]) -> Cut:
        """The same with other expressions in the place of `extras`."""
        rest = iter(extras)

        def change(terms: tuple[Term, ...]) -> tuple[Term, ...]:
            return tuple(t if isinstance(t.value, int) else replace(t, value=next(rest)) for t in terms)

        on = None if self.on is None else change(self.on)
        return replace(self, on=on, order=change(self.order))


EVERYTHING = Cut()


def bind_cut(query: exp.Expr, items: Items, binder: Binder | None, text: Text) -> Cut:
    """Bind the clauses of a query with these outputs. binder: for expressions over the input; None where there are none."""
    order: list[Term] = []
    clause = query.args.get("order")
    if clause is not None:
        text.only(clause, "expressions")
        for node in clause.expressions:
            text.only(node, "this", "desc", "nulls_first")
            value = _value(node.this, items, binder, "ORDER BY", text)
            order.append(Term(value, node.this, bool(node.args.get("desc")), bool(node.args.get("nulls_first"))))
    on = _distinct_on(query, items, binder, text)
    limit = _limit(query, text)
    offset_node = query.args.get("offset")
    offset: int | Parameter | None = 0
    if offset_node is not None:
        text.only(offset_node, "this", "expression")
        offset = _count(offset_node.args.get("expression") or offset_node.this, "OFFSET", text)
    if on is not None and order:
        _check_first(on, order, items, text)
    return Cut(tuple(order), on, limit, offset or 0)


def _distinct_on(query: exp.Expr, items: Items, binder: Binder | None, text: Text) -> tuple[Term, ...] | None:
    distinct = query.args.get("distinct")
    node = distinct.args.get("on") if isinstance(distinct, exp.Distinct) else None
    if node is None:
        return None
    nodes = node.expressions if isinstance(node, exp.Tuple) else [node]
    return tuple(Term(_value(one, items, binder, "DISTINCT ON", text), one) for one in nodes)


def _check_first(on: tuple[Term, ...], order: list[Term], items: Items, text: Text) -> None:
    """DISTINCT ON and the start of ORDER BY name the same things."""

    def meant(term: Term) -> object:
        return items[term.value][2] if isinstance(term.value, int) else term.value

    wanted = {meant(term) for term in on}
    for term in order[: len(wanted)]:
        if meant(term) not in wanted:
            message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions"
            raise text.error(term.node, message, "order by DISTINCT ON's expressions first")


def _value(node: exp.Expr, items: Items, binder: Binder | None, what: str, text: Text) -> int | Scalar:
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        if not node.name.isdigit() or node.args.get("is_string"):
            raise text.error(node, f"non-integer constant in {what}", "name a column, or give its position")
        if not 1 <= int(node.name) <= len(items):
            raise text.error(node, f"{what} position {node.name} is not in select list")
        return int(node.name) - 1
    if isinstance(node, exp.Column) and node.args.get("table") is None and not isinstance(node.this, exp.Star):
        name = spelling(node.this)
        found = [i for i, (label, _, _) in enumerate(items) if label == name]
        if len({repr(items[i][2]) for i in found}) > 1:
            raise text.error(node, f'{what} "{name}" is ambiguous')
        if found:
            return found[0]
        if binder is None:
            raise text.error(node, f'column "{name}" does not exist', "name a column of the first query")
    if binder is None:
        message = f"invalid UNION/INTERSECT/EXCEPT {what} clause"
        raise text.error(node, message, "only result column names can be used, not expressions")
    bound = binder.bind(_spelled_out(node, items, binder.scope))
    for i, (_, _, output) in enumerate(items):
        if output == bound:
            return i
    return binder.settle(bound, node)


def _spelled_out(node: exp.Expr, items: Items, scope: Scope) -> exp.Expr:
    """An expression with what an output column stands for in the place of its name, where no input column has that name.

    PostgreSQL refuses such a name; DuckDB and TPC-DS's queries have it mean the output column.
    """

    def change(part: exp.Expr) -> exp.Expr:
        if not isinstance(part, exp.Column) or part.args.get("table") is not None or isinstance(part.this, exp.Star):
            return part
        meant = [item for label, item, _ in items if label == spelling(part.this)]
        return meant[0].copy() if len(meant) == 1 and not scope.knows(part) else part

    return node.transform(change)


def _limit(query: exp.Expr, text: Text) -> int | Parameter | None:
    node = query.args.get("limit")
    if node is None:
        return None
    if isinstance(node, exp.Fetch):
        text.only(node, "direction", "count", "limit_options")
        options = node.args.get("limit_options")
        if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
            what = "WITH TIES" if options.args.get("with_ties") else "PERCENT"
            raise text.unsupported(node, f"FETCH {what}", "write FETCH FIRST n ROWS ONLY")
        count = node.args.get("count")
        return 1 if count is None else _count(count, "LIMIT", text)
    text.only(node, "expression")
    return _count(node.expression, "LIMIT", text)


def _count(node: exp.Expr, what: str, text: Text) -> int | Parameter | None:
    """The number that a constant expression gives, or the parameter that will; None for NULL and ALL."""
    if isinstance(node, exp.Var | exp.Null) or (isinstance(node, exp.Column) and node.name.upper() == "ALL"):
        return None
    if (column := node.find(exp.Column)) is not None and node.find(exp.Query) is None:
        raise text.error(column, f"argument of {what} must not contain variables", "write the number itself")
    binder = Binder(text, Scope(), clause=what)
    value = fold(binder.cast(binder.bind(node), BIGINT, node))
    while isinstance(value, Cast) and value.type.kind in INTEGERS:
        value = value.arg
    if isinstance(value, Parameter) and value.type.kind in INTEGERS:
        return value
    if not isinstance(value, Literal):
        raise text.error(node, f"{what} must be a constant", "write the number itself")
    if value.value is None:
        return None
    if not isinstance(value.value, int) or value.value < 0:
        raise text.error(node, f"{what} must not be negative")
    return value.value


def cut_rows(plan: Plan, width: int, cut: Cut, distinct: bool, text: Text) -> Plan:
    """The rows that are chosen of a plan whose first `width` columns are the outputs and whose others are `cut.extras`."""
    plan, order = distinct_rows(plan, width, cut, distinct, text)
    if cut.chooses:
        _check_comparable(plan, cut, order, text)
    if cut.limit is not None or cut.offset:
        plan = TopK(plan, (), order, cut.limit, cut.offset)
    if len(plan.types) == width:
        return plan
    return Project(plan, tuple(ColumnRef(i, t, f"#{i}") for i, t in enumerate(plan.types[:width])))


def sorted_rows(plan: Plan, width: int, cut: Cut, distinct: bool, text: Text) -> tuple[Plan, tuple[Order, ...]]:
    """As `cut_rows`, with LIMIT and OFFSET left to the reader: all rows, their `extras` still there, and how they are sorted."""
    plan, order = distinct_rows(plan, width, cut, distinct, text)
    _check_comparable(plan, cut, order, text)
    return plan, order


def _check_comparable(plan: Plan, cut: Cut, order: tuple[Order, ...], text: Text) -> None:
    for term, one in zip(cut.order, order, strict=True):
        if plan.types[one.column].kind is Kind.JSONB:
            raise text.unsupported(term.node, "ORDER BY jsonb", "order by a value in it: doc ->> 'a'")


def distinct_rows(plan: Plan, width: int, cut: Cut, distinct: bool, text: Text) -> tuple[Plan, tuple[Order, ...]]:
    """The rows that DISTINCT and DISTINCT ON leave, and the order as columns of them."""
    if distinct:
        if len(plan.types) > width:
            term = next(term for term in cut.order if not isinstance(term.value, int))
            message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list"
            raise text.error(term.node, message, "add it to the select list, or use GROUP BY")
        plan = Distinct(plan)
    places = iter(range(width, len(plan.types)))

    def column(term: Term) -> int:
        return term.value if isinstance(term.value, int) else next(places)

    group = tuple(dict.fromkeys(column(term) for term in cut.on or ()))
    order = tuple(Order(column(term), term.descending, term.nulls_first) for term in cut.order)
    if cut.on is not None:
        # Rows of a group are alike in its columns: only the rest of the order chooses among them.
        plan = TopK(plan, group, tuple(one for one in order if one.column not in group), 1)
    return plan, order
