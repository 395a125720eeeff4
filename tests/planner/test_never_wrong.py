"""What incremental engines get wrong: each case by its name, at every step of a view's life.

Always true: no answer here is compared with a recomputation (tests/laws and the fuzz do that); each is what a person would expect.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from dataflow.step import Dataflow
from dataflow.types import Schema
from planner import build_dataflow, plan_views
from tests.planner import oracle

TABLES: dict[str, Schema] = {
    "t": oracle.schema(k="integer", f="double precision", r="real", d="numeric(20,4)", n="bigint", s="text"),
    "u": oracle.schema(k="integer", n="bigint"),
}
NOBODY = "fewer than zero rows: more rows were taken away than were ever added"


class Views:
    """Views over t and u, the tables' changes, and what the views hold."""

    def __init__(self, *queries: str, keys: Mapping[str, tuple[int, ...]] | None = None) -> None:
        planned = plan_views(TABLES, {f"v{number}": query for number, query in enumerate(queries)}, keys)
        self._flow: Dataflow = build_dataflow(planned, TABLES, keys or {}, {}, lambda: 0.0)

    def step(self, diff: int = 1, **rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows to tables, or take them away."""
        self._flow.step({name: oracle.delta_of(name, [(row, diff) for row in of], TABLES) for name, of in rows.items()})
        self._flow.maintain(1000)

    def rows(self, number: int = 0) -> Counter[tuple[Any, ...]]:
        """A view's rows."""
        held = self._flow.view(f"v{number}").snapshot().rows()
        found: Counter[tuple[Any, ...]] = Counter()
        columns = zip(*(column.to_pylist() for column in held.columns), strict=True)
        for row, diff in zip(columns, held.diffs.tolist(), strict=True):
            found[row] += diff
        return found

    def errors(self, number: int = 0) -> list[str]:
        """A view's row errors."""
        return [str(text) for text in self._flow.view(f"v{number}").errors().rows().columns[0].to_pylist()]


def row(k: int | None = 1, **values: Any) -> tuple[Any, ...]:
    return (k, *(values.get(name) for name in ("f", "r", "d", "n", "s")))


def test_float_and_decimal_sums_after_retracting_everything_are_exactly_nothing() -> None:
    views = Views(
        "SELECT sum(f) AS f, sum(r) AS r, sum(d) AS d, avg(f) AS af, avg(d) AS ad, count(f) AS n FROM t",
        "SELECT k, sum(f) AS f, sum(d) AS d FROM t GROUP BY k",
        "SELECT coalesce(sum(f), 0) AS f, coalesce(sum(d), 0) AS d FROM t",
    )
    chance = random.Random(5)
    wild = [1e308, 1e-308, 1e16, 1.0, -1e16, 0.1, 0.2, 0.3, -0.0, 5e-324]
    rows = [
        row(n % 3, f=chance.choice(wild), r=0.1, d=Decimal(chance.randrange(-(10**19), 10**19)) / 10_000)
        for n in range(200)
    ]
    views.step(t=rows)
    chance.shuffle(rows)
    views.step(-1, t=rows[:199])
    last = rows[199]
    (found,) = views.rows()
    assert (found[0], found[2]) == (last[1], last[3])
    views.step(-1, t=rows[199:])
    assert views.rows(0) == {(None, None, None, None, None, 0): 1}
    assert views.rows(1) == {}
    assert views.rows(2) == {(0.0, Decimal(0)): 1}


def test_zero_is_left_of_a_group_whose_values_cancel() -> None:
    views = Views("SELECT k, sum(f) AS f, sum(d) AS d FROM t GROUP BY k")
    views.step(t=[row(f=0.1, d=Decimal("0.1")), row(f=0.2, d=Decimal("0.2")), row(f=0.0, d=Decimal(0))])
    views.step(-1, t=[row(f=0.1, d=Decimal("0.1")), row(f=0.2, d=Decimal("0.2"))])
    assert views.rows() == {(1, 0.0, Decimal(0)): 1}


def test_overflow_vanishes_with_the_row() -> None:
    views = Views(
        "SELECT sum(n)::bigint AS n FROM t",
        "SELECT n * 2 AS n FROM t",
        "SELECT sum(f) AS f FROM t",
        "SELECT n::integer AS n FROM t",
    )
    large = row(n=2**63 - 1, f=1.5e308)
    views.step(t=[large, row(n=1, f=1.5e308)])
    assert [views.errors(number) for number in (0, 1, 3)] == [
        ["bigint out of range"],
        ["bigint out of range"],
        ["integer out of range"],
    ]
    assert len(views.errors(2)) == 1
    views.step(-1, t=[large])
    assert [views.errors(number) for number in range(4)] == [[], [], [], []]
    assert [views.rows(number) for number in range(4)] == [{(1,): 1}, {(2,): 1}, {(1.5e308,): 1}, {(1,): 1}]


def test_division_by_zero_vanishes_with_the_row() -> None:
    views = Views("SELECT 10 / n AS x FROM t", "SELECT sum(10 % n) AS x FROM t", "SELECT d / n AS x FROM t")
    zero = row(n=0, d=Decimal(1))
    views.step(t=[zero, zero, row(n=4, d=Decimal(2))])
    assert views.rows() == {(2,): 1}
    for number in range(3):
        assert set(views.errors(number)) == {"division by zero"}
    views.step(-1, t=[zero])
    assert views.errors() == ["division by zero"]
    views.step(-1, t=[zero])
    assert [views.errors(number) for number in range(3)] == [[], [], []]
    assert views.rows(1) == {(2,): 1}


def test_not_in_with_nulls() -> None:
    views = Views(
        "SELECT k FROM t WHERE n NOT IN (SELECT n FROM u)",
        "SELECT k FROM t WHERE n NOT IN (SELECT n FROM u WHERE u.k = t.k)",
        "SELECT k, n IN (SELECT n FROM u) AS known FROM t",
    )
    views.step(t=[row(1, n=1), row(2, n=2), row(3, n=None)])
    # Nothing is not in nothing, not even NULL.
    assert views.rows() == views.rows(1) == {(1,): 1, (2,): 1, (3,): 1}
    views.step(u=[(9, 1)])
    assert views.rows() == {(2,): 1}
    views.step(u=[(2, None)])
    assert views.rows() == {}
    assert views.rows(1) == {(1,): 1, (3,): 1}
    assert views.rows(2) == {(1, True): 1, (2, None): 1, (3, None): 1}
    views.step(-1, u=[(2, None)])
    assert views.rows() == {(2,): 1}
    views.step(-1, u=[(9, 1)])
    assert views.rows() == {(1,): 1, (2,): 1, (3,): 1}


def test_empty_groups_go_and_the_empty_whole_stays() -> None:
    views = Views(
        "SELECT k, count(*) AS n FROM t GROUP BY k",
        "SELECT count(*) AS n, max(s) AS s FROM t",
        "SELECT k, count(*) AS n FROM t GROUP BY ROLLUP (k)",
        "SELECT count(*) AS n FROM t HAVING count(*) > 1",
        "SELECT u.k, (SELECT count(*) FROM t WHERE t.k = u.k) AS n FROM u",
    )
    # The rows over nothing are there from the first step on, whatever it brings.
    views.step(u=[(1, 1)])
    assert [views.rows(number) for number in range(5)] == [{}, {(0, None): 1}, {(None, 0): 1}, {}, {(1, 0): 1}]
    views.step(t=[row(s="a"), row(s="b"), row(None, s="c")])
    assert views.rows() == {(1, 2): 1, (None, 1): 1}
    assert views.rows(2) == {(1, 2): 1, (None, 1): 1, (None, 3): 1}
    assert views.rows(3) == {(3,): 1}
    assert views.rows(4) == {(1, 2): 1}
    views.step(-1, t=[row(s="a"), row(s="b"), row(None, s="c")])
    assert [views.rows(number) for number in range(5)] == [{}, {(0, None): 1}, {(None, 0): 1}, {}, {(1, 0): 1}]


def test_duplicate_rows_count_each() -> None:
    views = Views(
        "SELECT k FROM t",
        "SELECT DISTINCT k FROM t",
        "SELECT a.k FROM t AS a JOIN t AS b ON a.k = b.k",
        "SELECT k FROM t EXCEPT ALL SELECT k FROM u",
        "SELECT k FROM t ORDER BY k LIMIT 2",
        "SELECT k, row_number() OVER (ORDER BY k) AS n FROM t",
        "SELECT count(DISTINCT k) AS d, count(k) AS n FROM t",
    )
    views.step(t=[row(), row(), row()], u=[(1, 1)])
    assert [views.rows(number) for number in range(5)] == [{(1,): n} for n in (3, 1, 9, 2, 2)]
    assert views.rows(5) == {(1, 1): 1, (1, 2): 1, (1, 3): 1}
    views.step(-1, t=[row(), row()])
    assert [views.rows(number) for number in range(5)] == [{(1,): 1}, {(1,): 1}, {(1,): 1}, {}, {(1,): 1}]
    assert views.rows(6) == {(1, 1): 1}
    views.step(-1, t=[row()])
    assert [views.rows(number) for number in range(6)] == [{}] * 6


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, sum(n) AS n FROM t GROUP BY k",
        "SELECT count(*) AS n FROM t",
        "SELECT k, max(n) AS n FROM t GROUP BY k",
        "SELECT k, string_agg(s, ',' ORDER BY s) AS s FROM t GROUP BY k",
        "SELECT array_agg(n) AS n FROM t",
        "SELECT k, jsonb_agg(n) AS n FROM t GROUP BY k",
        "SELECT k, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS n FROM t GROUP BY k",
        "SELECT max_by(s, n) AS s FROM t",
        "SELECT count(DISTINCT n) AS n FROM t",
    ],
)
def test_rows_taken_away_that_never_were_are_reported(query: str) -> None:
    views = Views(query)
    views.step(-1, t=[row(n=1, s="a")])
    assert len(views.errors()) == 1
    assert NOBODY in views.errors()[0]
    views.step(t=[row(n=1, s="a"), row(n=1, s="a")])
    assert views.errors() == []
    assert sum(views.rows().values()) == 1


def test_rows_taken_away_that_never_were_crash_nothing() -> None:
    queries = (
        "SELECT DISTINCT k FROM t",
        "SELECT a.k FROM t AS a LEFT JOIN u ON a.k = u.k",
        "SELECT k FROM u WHERE k NOT IN (SELECT k FROM t)",
        "SELECT k, n FROM t ORDER BY n LIMIT 2",
        "SELECT k, lag(n) OVER (PARTITION BY k ORDER BY n) AS p FROM t",
        "SELECT k FROM t INTERSECT ALL SELECT k FROM u",
        "SELECT k, string_agg(n::text, ',' ORDER BY n) AS s FROM t GROUP BY k",
        "SELECT k, count(DISTINCT n) AS n FROM t GROUP BY k",
    )
    views = Views(*queries)
    views.step(-1, t=[row(n=1), row(n=1), row(2, n=5)])
    views.step(u=[(1, 1), (3, 1)])
    # What was missing comes, and everything is as if nothing had been wrong.
    views.step(t=[row(n=1), row(n=1), row(n=1), row(2, n=5)])
    right = Views(*queries)
    right.step(t=[row(n=1)], u=[(1, 1), (3, 1)])
    for number in range(len(queries)):
        assert views.rows(number) == right.rows(number), queries[number]
        assert views.errors(number) == []


def test_bad_upserts_make_no_negative_rows() -> None:
    views = Views("SELECT count(*) AS n FROM u", "SELECT k, sum(n) AS n FROM u GROUP BY k", keys={"u": (0,)})
    # A delete of a key that never was, a second delete, and the same key twice in a step.
    views.step(-1, u=[(7, None)])
    assert views.rows() == {(0,): 1}
    views.step(u=[(7, 1), (7, 2), (8, 1)])
    assert views.rows(1) == {(7, 2): 1, (8, 1): 1}
    views.step(-1, u=[(7, None), (7, None)])
    views.step(-1, u=[(7, None)])
    assert views.rows() == {(1,): 1}
    assert views.rows(1) == {(8, 1): 1}
    assert views.errors() == views.errors(1) == []
