"""Drop a DISTINCT over rows that are distinct already, and a left join for columns that nobody reads.

    SELECT DISTINCT id, name FROM t                         ->  SELECT id, name FROM t             where id is t's key
    SELECT t.name FROM t LEFT JOIN u ON u.id = t.u          ->  SELECT t.name FROM t               where id is u's key

Each of them would keep all of its rows. What is known of keys comes from the sources' envelopes and from the plan itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.keys import Key, keys_of, partner_columns
from planner.plan import Distinct, Negate, OuterJoin, Plan, Project
from planner.plans import inputs, rewrite_plan
from planner.scalars import columns


def drop_redundant(plan: Plan, known: Mapping[str, frozenset[Key]] | None = None) -> Plan:
    """Drop them everywhere. `known`: the unique keys of sources and views."""
    keys = known or {}
    return rewrite_plan(plan, lambda node: _drop(node, keys))


def _drop(plan: Plan, known: Mapping[str, frozenset[Key]]) -> Plan:
    match plan:
        case Distinct() if keys_of(plan.input, known) and counts_up(plan.input):
            return plan.input
        case Project(input=OuterJoin(full=False) as join) if _is_idle(plan, join, known):
            return _drop(Project(join.left, plan.outputs), known)
        case _:
            return plan


def _is_idle(plan: Project, join: OuterJoin, known: Mapping[str, frozenset[Key]]) -> bool:
    """Whether a left join neither gives a column that is read nor more rows than there are on the left."""
    width = len(join.left.types)
    if any(column >= width for output in plan.outputs for column in columns(output)) or not counts_up(join.right):
        return False
    own = {column - width for column in partner_columns(join)}
    return any(key <= own for key in keys_of(join.right, known))


def counts_up(plan: Plan) -> bool:
    """Whether no row of a plan can be there fewer than zero times: the keys of such rows are unique, too."""
    return not isinstance(plan, Negate) and all(map(counts_up, inputs(plan)))
