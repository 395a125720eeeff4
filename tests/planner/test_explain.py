"""EXPLAIN: every stage as text and as JSON, and hints on what grows without end; as they stand in explained.txt.

`python -m tests.planner.test_explain > tests/planner/explained.txt` writes the file anew; look at what it changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dataflow.types import BIGINT, NUMERIC, TEXT, TIMESTAMPTZ, Column
from planner import build_dataflow, plan_views
from planner.explain import STAGES, Explanation, operators, tree
from planner.unbounded import grows, hints

FILE = Path(__file__).with_name("explained.txt")
SOURCES = {
    "clicks": (Column("page", TEXT), Column("person", BIGINT), Column("at", TIMESTAMPTZ)),
    "people": (Column("id", BIGINT, nullable=False), Column("name", TEXT)),
    "pages": (Column("page", TEXT, nullable=False), Column("owner", BIGINT), Column("price", NUMERIC)),
    "letters": (Column("letter", TEXT),),
}
KEYS = {"people": (0,), "pages": (0,)}
GROWING = ("clicks", "letters")
VIEWS = {
    "filtered": "SELECT upper(page) AS page FROM clicks WHERE person + 1 > 3 AND mz_now() <= at + INTERVAL '1 hour'",
    "kept": "SELECT page, person FROM clicks WHERE person > 3",
    "latest": "SELECT page, max(at) AS at FROM clicks GROUP BY page",
    "by_hour": "SELECT date_trunc('hour', at) AS hour, count(*) AS n FROM clicks GROUP BY date_trunc('hour', at)",
    "all_pages": "SELECT DISTINCT page FROM clicks",
    "letters_seen": "SELECT DISTINCT letter FROM letters",
    "total": "SELECT count(*) AS n, max(at) AS at FROM clicks",
    "median": "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY person) AS m, count(DISTINCT page) AS p FROM clicks",
    "named": "SELECT c.page, p.name FROM clicks c JOIN people p ON p.id = c.person",
    "recent": "SELECT c.page, p.name FROM clicks c JOIN people p ON p.id = c.person WHERE mz_now() <= c.at + INTERVAL '1 hour'",
    "three": "SELECT p.name, g.price FROM clicks c JOIN people p ON p.id = c.person JOIN pages g ON g.page = c.page",
    "owners": "SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM pages WHERE owner = p.id) "
    "OR p.id IN (SELECT owner FROM pages)",
    "best": "SELECT page, price FROM pages ORDER BY price DESC LIMIT 3",
    "first_of_each": "SELECT DISTINCT ON (page) page, person FROM clicks ORDER BY page, at",
    "running": "SELECT person, count(*) OVER (PARTITION BY person ORDER BY at) AS n FROM clicks",
    "unvisited": "SELECT g.page FROM pages g LEFT JOIN latest l ON l.page = g.page WHERE l.page IS NULL",
    "either": "SELECT page FROM pages UNION SELECT page FROM latest",
    "reach": "WITH RECURSIVE r(a, b) AS (SELECT id, id FROM people UNION SELECT r.a, g.owner FROM r, pages g WHERE g.price = r.b)"
    " SELECT a, b FROM r",
}


def explained() -> dict[str, Explanation]:
    planned = plan_views(SOURCES, VIEWS, KEYS)
    flow = build_dataflow(planned, SOURCES, KEYS, {"latest": (0,)}, lambda: 0.0, GROWING)
    known, found = set(GROWING), {}
    for name in planned.order:
        plan = planned.plans[name]
        stages = {
            "logical": tree(planned.bound[name]),
            "optimized": tree(plan),
            "physical": operators(flow.told(name)),
        }
        found[name] = Explanation(stages, hints(plan, known))
        if grows(plan, known):
            known.add(name)
    return {name: found[name] for name in VIEWS}


def page() -> str:
    """Every view with its SQL, its stages and its hints; one of them as JSON."""
    parts = []
    all_ = explained()
    for name, one in all_.items():
        stages = [f"{stage}:\n" + "\n".join(f"  {line}" for line in one.stages[stage].lines()) for stage in STAGES]
        parts.append("\n".join([f"-- {name}: {VIEWS[name]}", *stages, *(f"hint: {hint}" for hint in one.hints)]))
    parts.append(f"-- named, physical, as JSON\n{all_['named'].json('physical')}")
    return "\n\n".join(parts) + "\n"


def test_what_is_said() -> None:
    assert page().split("\n\n") == FILE.read_text(encoding="utf-8").split("\n\n"), "see this module's first lines"


@pytest.mark.parametrize("stage", STAGES)
def test_json_says_what_the_text_says(stage: str) -> None:
    for one in explained().values():
        (made,) = json.loads(one.json(stage))
        lines: list[str] = []
        waiting = [(made["Plan"], 0)]
        while waiting:
            node, depth = waiting.pop()
            lines.append("  " * depth + node["Text"])
            waiting += [(below, depth + 1) for below in reversed(node.get("Plans", []))]
        assert [*lines, *(f"Hint: {hint}" for hint in made["Hints"])] == one.text(stage).split("\n")
        assert made["Stage"] == stage


def test_following_a_hint_makes_it_go_away() -> None:
    query = "SELECT page, count(*) AS n FROM clicks {} GROUP BY page"
    plain, bounded = (
        plan_views(SOURCES, {"v": query.format(where)}, KEYS).plans["v"]
        for where in ("", "WHERE mz_now() <= clicks.at + INTERVAL '1 day'")
    )
    assert hints(plain, GROWING)[0].endswith("filter with WHERE mz_now() <= clicks.at + INTERVAL '1 day'")
    assert hints(bounded, GROWING) == ()
    assert hints(plain, ()) == ()


if __name__ == "__main__":
    sys.stdout.write(page())
