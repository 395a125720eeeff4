"""Answers over views that a real dataflow maintains: planned from SQL, stepped, published."""

from __future__ import annotations

import time

import pytest

from dataflow.step import Dataflow
from dataflow.types import BIGINT, INTEGER, TEXT, Column
from planner import build_dataflow, plan_views
from serve.reads import PublishedView
from tests.serve.published import TIME, House, delta

ITEMS = (Column("id", BIGINT), Column("name", TEXT), Column("n", INTEGER))
TYPES = [column.type for column in ITEMS]
VIEWS = {
    "shares": "SELECT id, 100 / n AS share FROM items",
    "names": "SELECT name, count(*) AS items, sum(n) AS n FROM items GROUP BY name",
    "everything": "SELECT sum(n) AS n FROM items",
}


class Served:
    """A dataflow whose views are published after each step."""

    def __init__(self) -> None:
        planned = plan_views({"items": ITEMS}, VIEWS)
        indexes = {"shares": (0,), "names": (0,)}
        self.dataflow: Dataflow = build_dataflow(planned, {"items": ITEMS}, {"items": (0,)}, indexes, time.perf_counter)
        self.house = House()
        self.time = TIME

    def step(self, rows: list[tuple[int, str | None, int | None]], diffs: list[int] | None = None) -> None:
        self.dataflow.step({"items": delta(TYPES, rows, diffs)})
        self.time += 1
        views = []
        for name in VIEWS:
            view = self.dataflow.view(name)
            views.append(PublishedView(name, view.schema, view.key, view.snapshot(), view.errors()))
        self.house.publish(*views, time=self.time)


@pytest.fixture
def served() -> Served:
    made = Served()
    made.step([(1, "ada", 5), (2, "bob", 0), (3, "ada", 20)])
    return made


def test_lookups_follow_the_steps(served: Served) -> None:
    assert served.house.get("/views/names/ada")[1] == {
        "view": "names", "timestamp": TIME + 1, "rows": [{"name": "ada", "items": 2, "n": 25}],
    }  # fmt: skip
    served.step([(3, "bob", 1)])
    assert served.house.get("/views/names/ada")[1]["rows"] == [{"name": "ada", "items": 1, "n": 5}]
    assert served.house.get("/views/names/bob")[1]["rows"] == [{"name": "bob", "items": 2, "n": 1}]
    served.step([(1, None, None)], [-1])
    assert served.house.get("/views/names/ada") == (404, {"view": "names", "timestamp": TIME + 3, "rows": []})
    assert served.house.get("/views")[1]["views"][1]["rows"] == 1


def test_a_view_without_key(served: Served) -> None:
    assert served.house.get("/views/everything")[1]["rows"] == [{"n": 25}]


def test_errors_come_and_go_with_their_input(served: Served) -> None:
    answer = served.house.get("/views/shares")[1]
    assert sorted(row["id"] for row in answer["rows"]) == [1, 3]
    assert answer["errors"] == 1
    assert served.house.get("/views/shares/errors")[1]["errors"] == [{"message": "division by zero", "count": 1}]
    served.step([(2, "bob", 50)])
    assert served.house.get("/views/shares/2")[1] == {
        "view": "shares",
        "timestamp": TIME + 2,
        "rows": [{"id": 2, "share": 2}],
    }
    assert served.house.get("/views/shares/errors")[1]["errors"] == []
