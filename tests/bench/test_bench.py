"""Every workload at a size that takes no time: the engine's answers, both ways of feeding, are DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from dataflow.memory import MemoryLimit
from headwater.runs import RunFiles
from tests.bench import engine, nexmark, report, tpch
from tests.bench.duck import Duck
from tests.bench.numbers import quantile
from tests.bench.plot import plot
from tests.bench.workloads import WORKLOADS

EVENTS = 5_000

Data = Mapping[str, pa.Table]


@pytest.fixture(scope="module")
def data() -> dict[str, Data]:
    return {"nexmark": nexmark.generate(EVENTS), "tpch": tpch.generate(EVENTS)}


@pytest.mark.parametrize("name", WORKLOADS)
def test_answers_equal_duckdb(name: str, data: dict[str, Data]) -> None:
    workload = WORKLOADS[name]
    tables = data[workload.data]
    deltas = engine.whole(workload, tables)
    duck = Duck(workload)
    duck.load(tables, -1, EVENTS)
    steps = engine.ticks(workload, tables, deltas, EVENTS, 500)
    assert len(steps) == 1 + EVENTS // 500
    for fed in (engine.waiting(deltas), steps):
        dataflow = engine.build(workload)
        engine.run(dataflow, fed)
        rows = duck.check(engine.answer(dataflow))
        assert rows > 0


@pytest.mark.parametrize("name", ["W1", "W3", "W4", "W7", "W6-Q5"])
def test_with_half_of_the_state_in_files_answers_equal_duckdb(name: str, data: dict[str, Data], tmp_path: Path) -> None:
    workload = WORKLOADS[name]
    tables = data[workload.data]
    duck = Duck(workload)
    duck.load(tables, -1, EVENTS)
    steps = engine.ticks(workload, tables, engine.whole(workload, tables), EVENTS, 500)
    unlimited = engine.build(workload)
    engine.run(unlimited, steps)
    state_bytes = engine.state(unlimited)[1]
    files = RunFiles(tmp_path / "runs")
    limit = MemoryLimit(files, state_bytes // 2, least_bytes=1)
    dataflow = engine.build(workload)
    dataflow.limit_memory(limit)
    engine.run(dataflow, steps)
    limit.settle(wait=True)
    assert limit.memory_bytes <= limit.limit
    assert sum(operator.state_file_bytes for operator in dataflow.statistics()) > 0
    assert duck.check(engine.answer(dataflow)) > 0
    files.close()


def test_a_wrong_answer_is_noticed(data: dict[str, Data]) -> None:
    workload = WORKLOADS["W1"]
    duck = Duck(workload)
    duck.load(data["nexmark"], -1, EVENTS)
    dataflow = engine.build(workload)
    engine.run(dataflow, engine.waiting(engine.whole(workload, data["nexmark"]))[:1])
    right = engine.answer(dataflow)
    duck.check(right)
    with pytest.raises(ValueError, match="rows, but DuckDB has"):
        duck.check(right.slice(1))
    with pytest.raises(ValueError, match="rows are not DuckDB's"):
        duck.check(pa.concat_tables([right.slice(1), right.slice(1, 1)]))


def test_generators_are_deterministic() -> None:
    for generate in (nexmark.generate, tpch.generate):
        once, again = generate(EVENTS), generate(EVENTS)
        assert all(once[name].equals(again[name]) for name in once)


def test_events_are_nexmarks_mix(data: dict[str, Data]) -> None:
    tables = data["nexmark"]
    assert [len(tables[name]) for name in ("persons", "auctions", "bids")] == [100, 300, 4_600]
    changes = tables["bid_changes"]
    deletes = (changes["diff"].to_numpy() < 0).sum()
    assert 350 < deletes < 500
    for table in tables.values():
        events = table["event"].to_numpy()
        assert (events[1:] >= events[:-1]).all()


def test_line_items_come_at_or_after_their_order(data: dict[str, Data]) -> None:
    tables = data["tpch"]
    assert len(tables["orders"]) + len(tables["lineitem"]) == EVENTS
    placed = dict(zip(tables["orders"]["o_orderkey"].to_pylist(), tables["orders"]["event"].to_pylist(), strict=True))
    lines = zip(tables["lineitem"]["l_orderkey"].to_pylist(), tables["lineitem"]["event"].to_pylist(), strict=True)
    assert all(placed[order] < event for order, event in lines)


def test_quantiles() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1.0), quantile([7.0], 0.5)) == (
        50,
        99,
        100,
        7,
    )
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_report_and_plot_show_every_system() -> None:
    found = {
        "workload": "W1",
        "title": "sums",
        "events": EVENTS,
        "rows": 4_600,
        "catch_up": {
            "seconds": 0.01,
            "rows_per_second": 460_000,
            "state_rows": 10,
            "bytes_per_state_row": 50.0,
            "memory_bytes": 10**6,
        },
        "ticks": {"p50": 0.001, "p99": 0.002, "first_p50": 0.001, "last_p50": 0.001},
        "duckdb": {"seconds": 0.02},
    }
    peer = {"workload": "W1", "peer": "chdb", "seconds": 0.05, "ticks": {"p50": 0.014, "p99": 0.02}, "answer": "equal"}
    text = report.table([found], [peer])
    assert "| W1 | chdb | 0.09 | 5.0x | 14.00 | 20.00 | 14x | equal |" in text
    assert "| W1 | duckdb, recompute | 0.23 | 2.0x | 20.00 | – | 20x | the reference |" in text
    drawing = plot([found], [peer])
    assert "duckdb (recompute)" in drawing
    assert ">chdb<" in drawing
