"""TPC-H: 22 of 22 queries as maintained views, while all eight tables stream in and a tenth of their rows changes or goes."""

from __future__ import annotations

import pytest

from tests.bench import cost_law, tpch
from tests.bench.cost_plot import Cost, plot
from tests.bench.tpch_changes import deltas, lives
from tests.bench.tpch_views import Judge, run

EVENTS, TICKS, LOOKS = 7_500, 200, 50


@pytest.mark.parametrize(("keyed", "looks"), [(False, LOOKS), (True, LOOKS // 5)])
def test_every_query_equals_duckdb_at_random_ticks(keyed: bool, looks: int) -> None:
    found, _ = run(EVENTS, TICKS, looks, 1, keyed)
    assert list(found) == [f"Q{number}" for number in range(1, 23)]
    # Rows come and go: a query that never had any would not have been tested.
    assert all(count >= looks // 20 for count in found.values()), found


def test_lives_end_and_change_a_tenth_of_the_rows() -> None:
    lived = lives(tpch.generate(EVENTS), TICKS, seed=1)
    for name, table in lived.items():
        born, died = table["born"].to_numpy(), table["died"].to_numpy()
        assert (born < died).all()
        rows = len(tpch.generate(EVENTS)[name])
        if rows > 500:
            assert 0.07 * rows < (died < TICKS).sum() < 0.13 * rows
            assert 0.03 * rows < len(table) - rows < 0.07 * rows
    steps = deltas(lived, TICKS)
    for name, table in lived.items():
        diffs = [step[name].diffs for step in steps if name in step]
        assert sum(int((d > 0).sum()) for d in diffs) == len(table)
        assert sum(int(d.sum()) for d in diffs) == (table["died"].to_numpy() == TICKS).sum()


def test_the_judge_sees_the_rows_of_a_tick() -> None:
    lived = lives(tpch.generate(EVENTS), TICKS, seed=1)
    judge = Judge(lived)
    table = lived["orders"]
    for tick in (0, TICKS // 2, TICKS - 1):
        judge.look(tick)
        there = table.filter((table["born"].to_numpy() <= tick) & (table["died"].to_numpy() > tick))
        judge.compare("orders", "SELECT * FROM orders", there.select([c.name for c in tpch.SCHEMAS["orders"]]))


def test_the_cost_law_measures_ticks_of_100_rows_over_ten_times_the_data() -> None:
    there, later = cost_law.steps(EVENTS, 20)
    assert len(there["orders"]) + len(there["lineitem"]) == EVENTS - 20 * cost_law.NEW
    assert all(sum(map(len, step.values())) == 100 for step in later)
    small, large = cost_law.measure("Q3", (EVENTS, 10 * EVENTS), 20)
    assert small.events * 10 == large.events
    assert 5 * small.state_rows < large.state_rows < 20 * small.state_rows
    assert min(small.milliseconds, large.milliseconds) > 0


def test_the_plot_of_the_cost_law_shows_the_bound() -> None:
    costs = [Cost("Q3", 100, 2.0, 10), Cost("Q3", 1_000, 2.5, 100)]
    drawing = plot(costs)
    assert ">2.00<" in drawing
    assert ">2.50<" in drawing
    assert "1.5 times the smaller" in drawing
    assert "| Q3 | 100 | 10 | 2.00 | 1,000 | 100 | 2.50 | 1.25 |" in cost_law.table(costs)
