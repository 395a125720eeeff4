"""The rules: each a function Plan -> Plan in a module with the rule's own verb as its name.

Always true: a rule never changes what a plan means (the Z-set it denotes), save that rows which cannot reach the result may
stop failing. `RULES` is the whole optimizer: they run once, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.keys import Key
from planner.plan import Plan
from planner.rules.drop_redundant import drop_redundant
from planner.rules.drop_self_joins import drop_self_joins
from planner.rules.extract_keys import extract_keys
from planner.rules.factor_conditions import factor_conditions
from planner.rules.fold_constants import fold_constants
from planner.rules.fuse_linear import fuse_linear
from planner.rules.name_columns import name_columns
from planner.rules.order_joins import order_joins
from planner.rules.prune_columns import prune_columns
from planner.rules.push_filters import push_filters
from planner.rules.push_temporal import push_temporal
from planner.rules.simplify_outer_joins import simplify_outer_joins

Rule = Callable[[Plan], Plan]
Keyed = Callable[[Plan, Mapping[str, frozenset[Key]]], Plan]

RULES: tuple[Rule, ...] = (
    fold_constants,
    simplify_outer_joins,
    push_filters,
    push_temporal,
    factor_conditions,
    extract_keys,
    drop_self_joins,
    order_joins,
    push_filters,
    prune_columns,
    drop_redundant,
    prune_columns,
    fuse_linear,
    name_columns,
)

KEYED: Mapping[Rule, Keyed] = {
    order_joins: order_joins,
    drop_redundant: drop_redundant,
    drop_self_joins: drop_self_joins,
}
"""The rules that also use the unique keys of sources and views, where they are known."""


def optimize(plan: Plan, known: Mapping[str, frozenset[Key]] | None = None) -> Plan:
    """Apply every rule. `known`: the unique keys of the sources and views that the plan reads."""
    for rule in RULES:
        keyed = KEYED.get(rule)
        plan = rule(plan) if keyed is None else keyed(plan, known or {})
    return plan
