"""Views together: order, circles, definitions, keys, and the dataflow that maintains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataflow.delta import Delta
from dataflow.step import Dataflow
from dataflow.types import Schema
from planner import PlanErrors, build_dataflow, plan_views, unique_keys
from tests.planner.oracle import schema

SOURCES: dict[str, Schema] = {
    "orders": schema(id="bigint not null", customer="bigint", qty="integer"),
    "customers": schema(id="bigint not null", name="text"),
}
KEYS = {"orders": (0,), "customers": (0,)}


def delta(name: str, *rows: tuple[Any, ...]) -> Delta:
    """Rows whose last value is the diff."""
    columns = list(zip(*rows, strict=True))
    arrays = tuple(pa.array(v, c.type.arrow) for v, c in zip(columns, SOURCES[name], strict=False))
    return Delta(arrays, np.array(columns[-1], np.int64))


def rows(flow: Dataflow, view: str) -> list[tuple[Any, ...]]:
    return rows_of(flow.view(view).snapshot().rows())


def rows_of(found: Delta) -> list[tuple[Any, ...]]:
    """The rows of a delta, consolidated."""
    total: Counter[tuple[Any, ...]] = Counter()
    for row, diff in zip(zip(*(c.to_pylist() for c in found.columns), strict=True), found.diffs, strict=True):
        total[row] += int(diff)
    return sorted(total.elements())


def errors(flow: Dataflow, view: str) -> list[str]:
    found = flow.view(view).errors().rows()
    return [text for text, diff in zip(found.columns[0].to_pylist(), found.diffs, strict=True) for _ in range(diff)]


def start(
    views: dict[str, str],
    keys: Mapping[str, tuple[int, ...]] | None = None,
    indexes: Sequence[tuple[str, tuple[int, ...]]] = (),
) -> Dataflow:
    return build_dataflow(plan_views(SOURCES, views), SOURCES, keys or {}, dict(indexes), lambda: 0.0)


def test_views_in_any_order() -> None:
    planned = plan_views(
        SOURCES,
        {
            "top": "SELECT max(n) AS n FROM middle",
            "middle": "SELECT customer, count(*) AS n FROM bottom GROUP BY customer",
            "bottom": "SELECT * FROM orders WHERE qty > 1",
        },
    )
    assert planned.order == ("bottom", "middle", "top")
    assert [column.name for column in planned.schemas["bottom"]] == ["id", "customer", "qty"]
    flow = build_dataflow(planned, SOURCES, {}, {}, lambda: 0.0)
    flow.step({"orders": delta("orders", (1, 1, 5, 1), (2, 1, 5, 1), (3, 2, 1, 1))})
    assert rows(flow, "top") == [(2,)]


def test_a_circle_is_named() -> None:
    with pytest.raises(PlanErrors) as caught:
        plan_views(
            SOURCES, {"a": "SELECT *\nFROM b", "b": "SELECT * FROM c", "c": "SELECT * FROM a", "d": "SELECT x FROM b"}
        )
    (error,) = caught.value.errors
    assert (error.view, error.line, error.column) == ("c", 1, 15)
    assert error.message == "views read each other in a circle: a -> b -> c -> a"


def test_a_view_of_itself() -> None:
    with pytest.raises(PlanErrors, match="a -> a"):
        plan_views(SOURCES, {"a": "SELECT * FROM a"})


def test_a_with_query_may_have_the_name_of_a_view() -> None:
    planned = plan_views(SOURCES, {"a": "WITH a AS (SELECT id FROM orders) SELECT id FROM a"})
    assert planned.order == ("a",)


def test_mistakes_of_all_views_at_once_but_not_those_that_follow() -> None:
    views = {
        "a": "SELECT foo FROM orders",
        "b": "SELECT foo FROM a",
        "c": "SELECT id FROM nowhere",
        "orders": "SELECT 1 AS x",
    }
    with pytest.raises(PlanErrors) as caught:
        plan_views(SOURCES, views)
    assert [error.view for error in caught.value.errors] == ["a", "c", "orders"]
    assert "view c, line 1, column 16" in str(caught.value)


def test_definitions_follow_the_meaning() -> None:
    def definition(view: str, below: str = "SELECT id, qty FROM orders", sources: dict[str, Schema] = SOURCES) -> str:
        return plan_views(sources, {"v": view, "w": below}).definitions["v"]

    base = definition("SELECT id FROM w WHERE qty > 1")
    assert base == definition("select W.ID\nfrom w -- comment\nwhere w.qty > 1")
    assert base == definition("SELECT x.id FROM w AS x WHERE (x.qty > 1)")
    assert base != definition("SELECT id FROM w WHERE qty > 2")
    assert base != definition("SELECT id AS i FROM w WHERE qty > 1")
    assert base != definition("SELECT id FROM w WHERE qty > 1", "SELECT id, qty FROM orders WHERE id > 0")
    wider = {**SOURCES, "orders": schema(id="bigint not null", customer="bigint", qty="bigint")}
    assert base != definition("SELECT id FROM w WHERE qty > 1", sources=wider)


def test_upsert_sources() -> None:
    flow = start({"v": "SELECT customer, sum(qty) AS s FROM orders GROUP BY customer"}, KEYS, [("v", (0,))])
    flow.step({"orders": delta("orders", (1, 7, 5, 1), (2, 7, 6, 1), (1, 7, 1, 1))})
    assert rows(flow, "v") == [(7, 7)]
    flow.step({"orders": delta("orders", (2, None, None, -1), (9, None, None, -1))})
    assert rows(flow, "v") == [(7, 1)]
    probe = flow.view("v").snapshot().probe((pa.array([7, 8], pa.int64()),), nulls_match=False)
    found = rows_of(Delta(probe.columns, probe.diffs))
    assert found == [(7, 1)]


def test_errors_of_rows_go_away_with_the_row() -> None:
    flow = start({"v": "SELECT id, 10 / qty AS x FROM orders", "w": "SELECT sum(x) AS s FROM v"})
    flow.step({"orders": delta("orders", (1, 1, 5, 1), (2, 1, 0, 1))})
    assert rows(flow, "v") == [(1, 2)]
    assert errors(flow, "v") == errors(flow, "w") == ["division by zero"]
    flow.step({"orders": delta("orders", (2, 1, 0, -1))})
    assert rows(flow, "w") == [(2,)]
    assert errors(flow, "v") == errors(flow, "w") == []


def test_a_scalar_subquery_with_several_rows_is_an_error_of_the_row() -> None:
    several = "more than one row returned by a subquery used as an expression"
    flow = start(
        {
            "v": "SELECT id, (SELECT name FROM customers c WHERE c.id = o.customer) AS n FROM orders o",
            "w": "SELECT id, (SELECT c.id FROM customers c) AS n FROM orders",
        }
    )
    flow.step(
        {
            "orders": delta("orders", (1, 1, 5, 1), (2, 2, 5, 1), (3, None, 5, 1)),
            "customers": delta("customers", (1, "a", 1), (7, "x", 1), (7, "y", 1)),
        }
    )
    assert rows(flow, "v") == [(1, "a"), (2, None), (3, None)]
    assert errors(flow, "v") == []
    assert errors(flow, "w") == [several]
    flow.step({"customers": delta("customers", (2, "b", 1), (2, "b", 1), (7, "x", -1), (7, "y", -1))})
    assert errors(flow, "v") == [several]
    flow.step({"customers": delta("customers", (2, "b", -1), (1, "a", -1))})
    assert rows(flow, "v") == [(1, None), (2, "b"), (3, None)]
    assert rows(flow, "w") == [(1, 2), (2, 2), (3, 2)]
    assert errors(flow, "v") == errors(flow, "w") == []


def test_a_left_join_on_a_key_keeps_no_keys_of_its_own() -> None:
    query = "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id"
    with_key, without = start({"v": query}, KEYS), start({"v": query})
    assert len(with_key.statistics()) < len(without.statistics()) + 2
    assert "arrange by (#0)" in without.explain()


def test_an_aggregate_of_a_correlated_subquery_needs_no_domain() -> None:
    query = "SELECT id, (SELECT count(*) FROM customers c WHERE c.id = o.customer) AS n FROM orders o"
    assert "distinct" not in start({"v": query}).explain()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM orders WHERE qty <> 0 AND 10 / qty > 1",
        "SELECT o.id FROM orders o JOIN customers c ON o.customer = c.id WHERE 10 / o.qty > 1",
        "SELECT CASE WHEN qty = 0 THEN 0 ELSE 10 / qty END AS x FROM orders",
        "SELECT id FROM (SELECT id, 10 / qty AS x FROM orders) s",
        "SELECT id FROM orders WHERE FALSE AND 1 / 0 = 1",
        "SELECT customer FROM orders GROUP BY customer HAVING count(*) > 5 AND 10 / min(qty) > 1",
        "SELECT o.id, (SELECT sum(10 / p.qty) FROM orders p WHERE p.id = o.id AND p.id = 2) AS s FROM orders o WHERE o.id = 2",
        "SELECT c.id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id = c.id AND 10 / o.qty > 1)",
    ],
)
def test_an_error_that_cannot_matter_is_none(query: str) -> None:
    flow = start({"v": query})
    flow.step({"orders": delta("orders", (1, 1, 0, 1), (2, 1, 5, 1))})
    assert errors(flow, "v") == []


def test_equal_parts_of_views_are_one_operator() -> None:
    one = start({"a": "SELECT customer, count(*) AS n FROM orders o WHERE o.qty > 1 GROUP BY o.customer"})
    two = start(
        {
            "a": "SELECT customer, count(*) AS n FROM orders o WHERE o.qty > 1 GROUP BY o.customer",
            "b": "SELECT x.customer, count(*) AS m FROM orders x WHERE x.qty > 1 GROUP BY customer",
        }
    )
    assert len(two.statistics()) == len(one.statistics())


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("SELECT * FROM orders", [{"id"}]),
        ("SELECT customer FROM orders", []),
        ("SELECT id AS a, id AS b, qty FROM orders", [{"a"}, {"b"}]),
        ("SELECT customer, count(*) AS n FROM orders GROUP BY customer", [{"customer"}]),
        ("SELECT count(*) AS n FROM orders", [set()]),
        ("SELECT count(*) AS n FROM orders GROUP BY customer", []),
        ("SELECT DISTINCT customer, qty FROM orders", [{"customer", "qty"}]),
        ("SELECT DISTINCT id, qty FROM orders", [{"id"}]),
        ("SELECT id, qty FROM orders WHERE customer = 1", [{"id"}]),
        ("SELECT qty FROM orders WHERE id = 1", [set()]),
        ("SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id", [{"id"}]),
        ("SELECT o.id, c.id AS c FROM orders o, customers c", [{"c", "id"}]),
        ("SELECT o.id, p.id AS p FROM orders o JOIN orders p ON o.qty = p.qty", [{"id", "p"}]),
        ("SELECT o.id, c.id AS c FROM orders o JOIN customers c USING (id)", [{"c"}, {"id"}]),
        ("SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id", [{"id"}]),
        ("SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND o.qty > 1", [{"id"}]),
        ("SELECT o.id, c.id AS c FROM customers c RIGHT JOIN orders o ON o.customer = c.id", [{"id"}]),
        ("SELECT o.id, c.id AS c FROM customers c LEFT JOIN orders o ON o.customer = c.id", [{"c", "id"}]),
        ("SELECT o.id, c.id AS c FROM customers c FULL JOIN orders o ON o.customer = c.id", []),
        ("SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON TRUE", [{"c", "id"}]),
        ("SELECT id FROM orders WHERE customer IN (SELECT id FROM customers)", [{"id"}]),
        ("SELECT id, (SELECT max(name) FROM customers c WHERE c.id = o.customer) AS n FROM orders o", [{"id"}]),
        ("SELECT id, (SELECT name FROM customers c WHERE c.id = o.customer) AS n FROM orders o", [{"id"}]),
        ("SELECT customer FROM orders ORDER BY id LIMIT 1", [set()]),
        ("SELECT customer FROM orders ORDER BY id LIMIT 2", []),
        ("SELECT DISTINCT ON (customer) customer, qty FROM orders ORDER BY customer, qty", [{"customer"}]),
        (
            "SELECT customer, n FROM (SELECT customer, row_number() OVER (PARTITION BY customer ORDER BY id) AS n FROM orders) x",
            [{"customer", "n"}],
        ),
        (
            "SELECT customer, qty "
            "FROM (SELECT *, row_number() OVER (PARTITION BY customer ORDER BY id) AS n FROM orders) x WHERE n = 1",
            [{"customer"}],
        ),
        ("SELECT id FROM orders UNION ALL SELECT id FROM customers", []),
        ("SELECT id FROM orders UNION SELECT id FROM customers", [{"id"}]),
        ("SELECT id, qty FROM orders EXCEPT SELECT id, qty FROM orders", [{"id", "qty"}]),
        ("SELECT 1 AS x", [set()]),
        (
            "SELECT s.c, o.id FROM (SELECT qty AS c, max(id) AS m FROM orders GROUP BY qty) s JOIN orders o ON o.id = s.m",
            [{"c"}],
        ),
    ],
)
def test_unique_keys(query: str, keys: list[set[str]]) -> None:
    planned = plan_views(SOURCES, {"v": query, "over": "SELECT * FROM v"})
    assert sorted(map(sorted, unique_keys(planned, "v", KEYS))) == sorted(map(sorted, keys))
    assert unique_keys(planned, "over", KEYS) == unique_keys(planned, "v", KEYS)


def test_without_upsert_keys_a_source_proves_nothing() -> None:
    assert unique_keys(plan_views(SOURCES, {"v": "SELECT * FROM orders"}), "v") == ()
