"""A query that somebody asks once: SELECT text to a plan whose parameters get their values when it runs.

    SELECT customer, total FROM revenue WHERE customer = $1 ORDER BY total DESC LIMIT $2

Always true: the plan is made as a view's is, by the same binder and rules; only the last ORDER BY, LIMIT and OFFSET are left to
the reader, because a set has no order. Deliberately unknown: who asks, and where the rows are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dataflow.graph import GraphBuilder
from dataflow.layout import Order
from dataflow.nodes import Node
from dataflow.types import Column, ColumnType, Schema
from planner.bind_query import bind_ordered, bind_view
from planner.catalog import Catalog
from planner.errors import PlanErrors, SqlError
from planner.lower import Lowering
from planner.parameters import Parameters
from planner.parse import Text
from planner.plan import Filter, Get, Plan, Project, Recursive
from planner.plans import inputs as plans_below
from planner.plans import is_temporal, own_scalars, relations, rewrite_plan, rewrite_scalars
from planner.relation import Columns
from planner.rules import optimize
from planner.scalar import Call, Cast, ColumnRef, Literal, Parameter, Scalar
from planner.scalars import conjuncts, rewrite, walk

Values = Mapping[str, Literal]
"""Parameters by name, each a literal of the parameter's type."""


@dataclass(frozen=True)
class Query:
    """A planned query.

    bound: the plan before the rules. columns: name, type and nullability of each result column: the first ones of the plan's rows;
    what follows is there for the order. limit: None for all rows. parameters: types of $1, $2, ... needs: names of all parameters
    that the plan holds. reads: names of the relations that it reads.
    """

    plan: Plan
    bound: Plan
    columns: Columns
    order: tuple[Order, ...]
    limit: int | Parameter | None
    offset: int | Parameter
    parameters: tuple[ColumnType, ...]
    needs: frozenset[str]
    reads: frozenset[str]

    def count(self, number: int | Parameter | None, values: Values, what: str) -> int | None:
        """LIMIT's or OFFSET's number (`what` says which). ValueError when it is negative."""
        if isinstance(number, Parameter):
            value = values[number.name].value
            number = None if value is None else int(value)
        if number is not None and number < 0:
            raise ValueError(f"{what} must not be negative")
        return number


def plan_query(
    sql: str,
    catalog: Catalog,
    given: Sequence[ColumnType | None] = (),
    inline: Mapping[str, Plan] | None = None,
) -> Query:
    """Plan one SELECT, VALUES or TABLE. `given`: the types of the first parameters, None where the query decides.

    inline: by name, the plans of views that have no rows of their own. Raises SqlError with the first mistake.
    """
    parameters = Parameters(given)
    text = Text("", sql, parameters, catalog.functions)
    try:
        ordered = bind_ordered(text, catalog)
    except PlanErrors as errors:
        raise errors.errors[0] from None
    except RecursionError:
        raise SqlError("", "the query is nested too deeply", hint="split it into several views") from None
    bound = rewrite_plan(ordered.plan, lambda node: _inlined(node, inline or {}))
    plan = optimize(bound)
    needs = _parameters(plan)
    needs |= {number.name for number in (ordered.limit, ordered.offset) if isinstance(number, Parameter)}
    return Query(
        plan,
        bound,
        ordered.columns,
        ordered.order,
        ordered.limit,
        ordered.offset,
        parameters.types,
        frozenset(needs),
        frozenset(relations(plan)),
    )


def plan_collection(
    sql: str,
    catalog: Catalog,
    given: Sequence[ColumnType | None] = (),
    inline: Mapping[str, Plan] | None = None,
) -> tuple[Plan, Schema, tuple[ColumnType, ...]]:
    """Plan a query whose changes somebody follows, its columns, and the types of $1, $2, ...: but for these as a view of it.

    given, inline: as for `plan_query`. Raises SqlError with the first mistake.
    """
    parameters = Parameters(given, once=False)
    try:
        relation = bind_view(Text("", sql, parameters, catalog.functions), catalog)
    except PlanErrors as errors:
        raise errors.errors[0] from None
    except RecursionError:
        raise SqlError("", "the query is nested too deeply", hint="split it into several views") from None
    plan = rewrite_plan(relation.plan, lambda node: _inlined(node, inline or {}))
    schema = tuple(Column(name, type_, null) for name, type_, null in relation.columns)
    return optimize(plan), schema, parameters.types


def _inlined(node: Plan, views: Mapping[str, Plan]) -> Plan:
    """What reading a view means that has no rows of its own. SqlError when that depends on the time."""
    if not isinstance(node, Get) or node.name not in views:
        return node
    if is_temporal(views[node.name]):
        message = f'view "{node.name}" has mz_now(), which is not supported in a view that is not kept'
        raise SqlError("", message, hint="write CREATE INDEX ON it, or make it a materialized view")
    return views[node.name]


def _parameters(plan: Plan) -> set[str]:
    """The names of the parameters that a plan takes, also those inside recursions."""
    found: set[str] = set()
    for node in _nodes(plan):
        found |= {s.name for one in own_scalars(node) for s in walk(one) if isinstance(s, Parameter)}
        if isinstance(node, Recursive):
            found = found.union(*map(_parameters, node.bodies))
    return found


def _nodes(plan: Plan) -> list[Plan]:
    return [plan, *(node for below in plans_below(plan) for node in _nodes(below))]


def with_values(plan: Plan, values: Values) -> Plan:
    """The plan with a literal in the place of each parameter. ValueError when one makes LIMIT or OFFSET negative."""

    def change(scalar: Scalar) -> Scalar:
        return rewrite(scalar, lambda node: values[node.name] if isinstance(node, Parameter) else None)

    def put(node: Plan) -> Plan:
        if isinstance(node, Recursive):
            return replace(node, bodies=tuple(with_values(body, values) for body in node.bodies))
        return rewrite_scalars(node, change)

    return rewrite_plan(plan, put)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A relation of which only the rows with this key are read.

    key: the value of each key column, in the key's order. columns: the key columns' positions in the relation.
    """

    relation: str
    key: tuple[Scalar, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A query that is a read by key: the relation's rows of this key, their `columns` in this order, and nothing else."""

    source: Keyed
    columns: tuple[int, ...]


def keyed(plan: Plan, keys: Mapping[str, tuple[int, ...]]) -> tuple[Plan, dict[str, Keyed]]:
    """Let a filter that fixes the key of a relation read only the rows of the key.

    Such a `Get` gets a name of its own, under which the result says what it stands for. keys: by relation, the columns that
    its index is by.
    """
    found: dict[str, Keyed] = {}

    def change(node: Plan) -> Plan:
        below = _columns_of(node.input) if isinstance(node, Filter) else None
        if below is None or not isinstance(node, Filter):
            return node
        get, columns = below
        key = keys.get(get.name, ())
        values = _fixed(node.predicates, columns, key)
        if values is None:
            return node
        name = f"{get.name} by key {len(found) + 1}"
        found[name] = Keyed(get.name, values, key)
        other = Get(name, get.schema)
        return replace(node, input=replace(node.input, input=other) if isinstance(node.input, Project) else other)

    return rewrite_plan(plan, change), found


def lookup_of(plan: Plan, keys: Mapping[str, tuple[int, ...]]) -> Lookup | None:
    """The query as a read by key, when it is nothing else."""
    outputs: tuple[int, ...] | None = None
    if isinstance(plan, Project):
        if not all(isinstance(output, ColumnRef) for output in plan.outputs):
            return None
        outputs = tuple(output.index for output in plan.outputs if isinstance(output, ColumnRef))
        plan = plan.input
    below = _columns_of(plan.input) if isinstance(plan, Filter) else None
    if below is None or not isinstance(plan, Filter):
        return None
    get, columns = below
    key = keys.get(get.name, ())
    predicates = [part for predicate in plan.predicates for part in conjuncts(predicate)]
    values = _fixed(predicates, columns, key)
    if values is None or len(predicates) != len(key):
        return None
    return Lookup(
        Keyed(get.name, values, key), columns if outputs is None else tuple(columns[index] for index in outputs)
    )


def _columns_of(plan: Plan) -> tuple[Get, tuple[int, ...]] | None:
    """A relation, or some columns of one, with the positions of the columns there; None for anything else."""
    if isinstance(plan, Get):
        return plan, tuple(range(len(plan.types)))
    if isinstance(plan, Project) and isinstance(plan.input, Get):
        columns = tuple(output.index for output in plan.outputs if isinstance(output, ColumnRef))
        return (plan.input, columns) if len(columns) == len(plan.outputs) else None
    return None


def _fixed(predicates: Sequence[Scalar], columns: Sequence[int], key: Sequence[int]) -> tuple[Scalar, ...] | None:
    """The value that predicates over these columns of a relation fix for each key column; None unless they do for all."""
    found: dict[int, Scalar] = {}
    for predicate in (part for one in predicates for part in conjuncts(one)):
        if isinstance(predicate, Call) and predicate.function == "=":
            for column, value in (predicate.args, predicate.args[::-1]):
                if isinstance(column, ColumnRef) and _constant(value) and column.type.arrow == value.type.arrow:
                    found.setdefault(columns[column.index], value)
    return tuple(found[column] for column in key) if key and set(key) <= found.keys() else None


def _constant(scalar: Scalar) -> bool:
    return isinstance(scalar, Literal | Parameter) or (isinstance(scalar, Cast) and _constant(scalar.arg))


def lower(plan: Plan, reads: Mapping[str, Schema]) -> Node:
    """The node whose collection is the plan's, in a graph of its own, with an input for each relation of `reads`."""
    builder = GraphBuilder()
    lowering = Lowering(builder)
    for name, schema in reads.items():
        lowering.relations[name] = builder.input(name, tuple(column.type for column in schema))
        lowering.keys[name] = frozenset()
    return lowering.lower(plan)


def schemas(plan: Plan) -> dict[str, Schema]:
    """The relations that a plan reads, with their columns."""
    return {node.name: node.schema for node in _nodes(plan) if isinstance(node, Get)}


def is_linear(plan: Plan) -> bool:
    """Whether the plan is filters and maps over one relation: then it can be computed for any part of the rows by itself."""
    while isinstance(plan, Filter | Project):
        plan = plan.input
    return isinstance(plan, Get)
