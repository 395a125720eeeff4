"""The plan of a query as it runs, and what EXPLAIN says of it.

Always true: the operators that EXPLAIN shows are those that a run of the query would have. Deliberately unknown: rows.
"""

from __future__ import annotations

from collections.abc import Collection

from dataflow.nodes import told_of
from planner.explain import Explanation, operators, tree
from planner.plan import Plan
from planner.query import Keyed, Lookup, Query, Values, keyed, lower, schemas, with_values
from planner.rules.fold_constants import fold_constants
from planner.unbounded import hints
from serve.sql.errors import from_count
from serve.sql.names import Names


def as_run(query: Query, values: Values, names: Names) -> tuple[Plan, dict[str, Keyed]]:
    """The plan with its values, and the reads of indexes by key among its relations, by the names that they have there."""
    plan = valued(query.plan, values) if query.needs else query.plan
    by_key: dict[str, Keyed] = {}
    for keys in names.rounds:
        if not by_key:
            plan, by_key = keyed(plan, keys)
    return plan, by_key


def valued(plan: Plan, values: Values) -> Plan:
    """The plan with its values. QueryError when one makes LIMIT or OFFSET negative."""
    try:
        return fold_constants(with_values(plan, values))
    except ValueError as error:
        raise from_count(error) from None


def explained(
    query: Query, lookup: Lookup | None, values: Values, names: Names, growing: Collection[str]
) -> Explanation:
    """How a query is computed. growing: as for `planner.unbounded.hints`: they say what a view of it would keep."""
    plan, _ = as_run(query, values, names)
    stages = {
        "logical": tree(query.bound),
        "optimized": tree(query.plan),
        "physical": operators(told_of(lower(plan, schemas(plan)))),
    }
    reader = [] if lookup is None else [f"Read by the key of {lookup.source.relation}"]
    if query.order:
        terms = (
            f"#{o.column}{' desc' if o.descending else ''}{' nulls first' if o.nulls_first else ''}"
            for o in query.order
        )
        reader.append(f"Order by {', '.join(terms)}")
    if query.limit is not None or query.offset:
        reader.append(f"Limit {'all' if query.limit is None else query.limit} offset {query.offset}")
    return Explanation(stages, tuple(f"as a view: {hint}" for hint in hints(query.plan, growing)), tuple(reader))
