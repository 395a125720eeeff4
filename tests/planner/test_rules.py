"""Each rule by pairs: tests/planner/rules/RULE.sql holds queries, and the plan that the rule makes of each.

A file's first line may say `-- after: rule rule`: the rules that run before. A new case needs no Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from planner.bind_query import bind_view
from planner.catalog import Catalog
from planner.explain import explain
from planner.keys import Key
from planner.parse import Text
from planner.plan import Plan
from planner.rules import RULES, optimize
from planner.rules.drop_self_joins import drop_self_joins
from tests.planner import oracle
from tests.planner.oracle import schema
from tests.planner.test_sql_oracle import STEPS, maintain

FOLDER = Path(__file__).parent / "rules"
NAMED = {rule.__name__: rule for rule in (*RULES, optimize)}
TABLES = {
    "t": schema(x="bigint", y="integer", price="numeric(10,2)"),
    "u": schema(x="integer", name="text"),
}


def plan_of(query: str, rules: Sequence[str]) -> Plan:
    """The bound plan after the rules."""
    plan = bind_view(Text("v", query), Catalog(TABLES)).plan
    for name in rules:
        plan = NAMED[name](plan)
    return plan


def pairs() -> list[tuple[str, str, str]]:
    """(rules, query, plan text)"""
    found = []
    for path in sorted(FOLDER.glob("*.sql")):
        head, *blocks = path.read_text().rstrip("\n").split("\n\n")
        after = head.splitlines()[0].removeprefix("-- after: ") + " " if head.startswith("-- after: ") else ""
        for block in blocks:
            query, _, plan = block.partition("\n=>\n")
            found.append((after + path.stem, query, plan))
    return found


@pytest.mark.parametrize(("rules", "query", "plan"), pairs())
def test_pair(rules: str, query: str, plan: str) -> None:
    assert explain(plan_of(query, rules.split())) == plan


def test_every_rule_has_pairs() -> None:
    assert {path.stem for path in FOLDER.glob("*.sql")} == set(NAMED)


def test_a_source_is_not_joined_with_itself_by_its_key() -> None:
    plan = plan_of("SELECT a.y, b.price FROM t a JOIN t b ON b.x = a.x WHERE b.y > 1", ["push_filters", "extract_keys"])
    assert explain(drop_self_joins(plan, {"t": frozenset([Key([0])])})).splitlines() == [
        "Project a.y, b.price",
        "  Project #0, #1, #2, #3, #4, #5",
        "    Project #0, #1, #2, #0, #1, #2",
        "      Filter (#1 > 1) AND is_not_null(#0)",
        "        Get t",
    ]
    assert drop_self_joins(plan, {"t": frozenset([Key([1])])}) == plan


@pytest.mark.parametrize("query", [query for query, _ in oracle.corpus()])
def test_rules_keep_the_meaning(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the one rule that lowering needs, a query gives what it gives with all of them."""
    from planner import plan_views, views

    fast = maintain(plan_views(oracle.TABLES, {"v": query}), STEPS[:3])
    monkeypatch.setattr(views, "optimize", NAMED["order_joins"])
    assert maintain(plan_views(oracle.TABLES, {"v": query}), STEPS[:3]) == fast
