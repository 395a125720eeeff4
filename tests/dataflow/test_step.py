"""One step: what runs, what comes out, what is counted, and what happens when something is wrong."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from dataflow.delta import Delta
from dataflow.expression import Evaluated
from dataflow.graph import Aggregate, GraphBuilder
from dataflow.types import BIGINT, TEXT, Column
from tests.laws import functions
from tests.laws.zsets import delta_of, rows_of

PAIR = (BIGINT, BIGINT)
SCHEMA = (Column("k", BIGINT), Column("n", BIGINT))


def _counts(stopwatch=lambda: 0.0):
    """Rows per key, of rows whose second column divides; and the rows themselves."""
    graph = GraphBuilder()
    rows = graph.linear(graph.input("t", PAIR), (), (0, functions.divide(0, 1)), PAIR)
    graph.export("rows", rows, SCHEMA, (0,))
    counts = graph.reduce(rows, (0,), [Aggregate("count_star", None, BIGINT)], False)
    graph.export("counts", counts, SCHEMA, (0,))
    other = graph.input("other", PAIR)
    graph.export("other", graph.distinct(other), SCHEMA, (1,))
    graph.input("unused", (TEXT,))
    return graph.build(stopwatch)


def test_changes_of_every_view_most_of_them_empty() -> None:
    dataflow = _counts()
    result = dataflow.step({"t": delta_of(PAIR, [((6, 3), 1), ((6, 2), 1), ((7, 1), -1), ((7, 1), 1)])})
    assert set(result.changes) == set(result.errors) == {"rows", "counts", "other"}
    assert sorted(rows_of(result.changes["rows"])) == [((6, 2), 1), ((6, 3), 1)]
    assert rows_of(result.changes["counts"]) == [((6, 2), 1)]
    assert len(result.changes["other"]) == 0
    assert [column.type for column in result.changes["other"].columns] == [pa.int64()] * 2


def test_an_idle_step_runs_nothing() -> None:
    ticks = itertools.count()
    dataflow = _counts(lambda: float(next(ticks)))
    dataflow.step({"t": delta_of(PAIR, [((6, 3), 1)])})
    before = next(ticks)
    result = dataflow.step({"t": Delta.empty(PAIR)})
    result = dataflow.step({})
    assert next(ticks) == before + 1, "no operator ran, so nobody read the stopwatch"
    assert all(len(delta) == 0 for delta in (*result.changes.values(), *result.errors.values()))
    assert dataflow.steps == 3


def test_only_operators_downstream_of_a_change_run() -> None:
    dataflow = _counts()
    dataflow.step({"other": delta_of(PAIR, [((1, 1), 2)])})
    ran = {s.operator: s.rows_in for s in dataflow.statistics()}
    assert ran["input other"] == 1
    assert ran["input t"] == 0
    assert ran["distinct"] == 1


def test_errors_reach_every_view_downstream_and_retract() -> None:
    dataflow = _counts()
    bad = ((5, 0), 1)
    result = dataflow.step({"t": delta_of(PAIR, [bad, ((6, 3), 1)]), "other": delta_of(PAIR, [bad])})
    assert {name: rows_of(delta) for name, delta in result.errors.items()} == {
        "rows": [((functions.DIVISION,), 1)],
        "counts": [((functions.DIVISION,), 1)],
        "other": [],
    }
    assert rows_of(dataflow.view("counts").errors().rows()) == [((functions.DIVISION,), 1)]
    assert rows_of(dataflow.view("counts").snapshot().rows()) == [((6, 1), 1)], "other rows stay readable"
    result = dataflow.step({"t": delta_of(PAIR, [((5, 0), -1)])})
    assert rows_of(result.errors["counts"]) == [((functions.DIVISION,), -1)]
    assert rows_of(dataflow.view("counts").errors().rows()) == []


def test_errors_of_a_source_are_errors_of_its_views() -> None:
    dataflow = _counts()
    message = delta_of((TEXT,), [(("offset 4 of t[0]: not JSON",), 1)])
    result = dataflow.step({}, errors={"t": message, "unused": message})
    assert rows_of(result.errors["rows"]) == [(("offset 4 of t[0]: not JSON",), 1)]
    assert rows_of(result.errors["other"]) == []
    assert rows_of(dataflow.step({}, errors={"t": Delta(message.columns, -message.diffs)}).errors["rows"]) != []
    assert rows_of(dataflow.view("rows").errors().rows()) == []


def test_a_snapshot_stays_as_it_was() -> None:
    dataflow = _counts()
    dataflow.step({"t": delta_of(PAIR, [((6, 3), 1)])})
    then = dataflow.view("counts").snapshot()
    dataflow.step({"t": delta_of(PAIR, [((6, 2), 1), ((8, 2), 1)])})
    while dataflow.maintain(1000):
        pass
    assert rows_of(then.rows()) == [((6, 1), 1)]
    assert sorted(rows_of(dataflow.view("counts").snapshot().rows())) == [((6, 2), 1), ((8, 1), 1)]
    found = dataflow.view("counts").snapshot().probe((pa.array([8]),), nulls_match=True)
    assert rows_of(Delta(found.columns, found.diffs)) == [((8, 1), 1)]


def test_default_row_is_there_from_the_first_step() -> None:
    graph = GraphBuilder()
    aggregates = [Aggregate("count_star", None, BIGINT), Aggregate("max", 0, BIGINT)]
    node = graph.reduce(graph.input("t", PAIR), (), aggregates, True)
    graph.export("v", node, SCHEMA, ())
    dataflow = graph.build(lambda: 0.0)
    assert rows_of(dataflow.step({}).changes["v"]) == [((0, None), 1)]
    assert rows_of(dataflow.step({}).changes["v"]) == []
    changes = rows_of(dataflow.step({"t": delta_of(PAIR, [((4, 4), 1)])}).changes["v"])
    assert sorted(changes, key=str) == [((0, None), -1), ((1, 4), 1)]


def test_constants_appear_at_the_first_step_only() -> None:
    graph = GraphBuilder()
    node = graph.constant((pa.array([1]), pa.array([2])), np.array([3]), PAIR)
    graph.export("v", node, SCHEMA, (0,))
    dataflow = graph.build(lambda: 0.0)
    assert rows_of(dataflow.step({}).changes["v"]) == [((1, 2), 3)]
    assert rows_of(dataflow.step({}).changes["v"]) == []
    assert rows_of(graph.build(lambda: 0.0).step({}).changes["v"]) == [((1, 2), 3)], (
        "a second dataflow has its own state"
    )


def test_what_did_not_change_is_not_emitted() -> None:
    dataflow = _counts()
    dataflow.step({"t": delta_of(PAIR, [((6, 3), 1)])})
    result = dataflow.step({"t": delta_of(PAIR, [((6, 3), -1), ((6, 2), 1)])})
    assert len(result.changes["rows"]) == 2
    assert len(result.changes["counts"]) == 0


def test_statistics_count_rows_and_state() -> None:
    ticks = itertools.count()
    dataflow = _counts(lambda: float(next(ticks)))
    dataflow.step({"t": delta_of(PAIR, [((6, 3), 1), ((6, 2), 1), ((7, 1), 1)])})
    by_operator = {s.operator: s for s in dataflow.statistics()}
    reduced = by_operator["reduce count(*) by (#0)"]
    assert (reduced.rows_in, reduced.rows_out, reduced.seconds, reduced.state_rows) == (3, 2, 1.0, 2)
    assert reduced.state_bytes > 0
    assert reduced.view == "counts"
    assert by_operator["input t"].view == "rows"


def test_deleting_everything_leaves_no_state() -> None:
    dataflow = _counts()
    pairs = [((k, 1 + k % 5), 1) for k in range(3000)]
    dataflow.step({"t": delta_of(PAIR, pairs), "other": delta_of(PAIR, pairs)})
    dataflow.step({name: delta_of(PAIR, [(row, -diff) for row, diff in pairs]) for name in ("t", "other")})
    while dataflow.maintain(100):
        pass
    assert [s for s in dataflow.statistics() if s.state_rows] == []


def test_wrong_inputs_are_refused_and_change_nothing() -> None:
    dataflow = _counts()
    good = delta_of(PAIR, [((6, 3), 1)])
    with pytest.raises(KeyError, match="no input x; the inputs are t, other, unused"):
        dataflow.step({"t": good, "x": good})
    with pytest.raises(TypeError, match="input other has 2 columns, but the delta has 1"):
        dataflow.step({"t": good, "other": delta_of((BIGINT,), [((1,), 1)])})
    with pytest.raises(TypeError, match="column #1 is int64, but the delta has large_string"):
        dataflow.step({"t": delta_of((BIGINT, TEXT), [((1, "a"), 1)])})
    with pytest.raises(TypeError, match="column #0 has 1 rows, but 2 diffs"):
        dataflow.step({"t": Delta(good.columns, np.array([1, 1]))})
    with pytest.raises(KeyError):
        dataflow.view("nobody")
    assert rows_of(dataflow.step({"t": good}).changes["counts"]) == [((6, 1), 1)]


class Broken:
    """An expression that breaks its contract by raising."""

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        raise OSError("the disk is gone")

    def __str__(self) -> str:
        return "broken"


def test_a_failed_step_is_the_last_one() -> None:
    graph = GraphBuilder()
    node = graph.linear(graph.input("t", PAIR), [Broken()], (0, 1), PAIR)
    graph.export("v", node, SCHEMA, (0,))
    dataflow = graph.build(lambda: 0.0)
    with pytest.raises(OSError, match="the disk is gone"):
        dataflow.step({"t": delta_of(PAIR, [((6, 3), 1)])})
    with pytest.raises(RuntimeError, match=r"an earlier step failed .*the disk is gone.*; build the dataflow anew"):
        dataflow.step({})


def test_an_expression_of_the_wrong_type_is_named() -> None:
    graph = GraphBuilder()
    node = graph.linear(graph.input("t", PAIR), (), (0, functions.above(1, 0)), PAIR)
    graph.export("v", node, SCHEMA, (0,))
    with pytest.raises(TypeError, match=r"\(#1 > 0\) gave bool, but its column is int64"):
        graph.build(lambda: 0.0).step({"t": delta_of(PAIR, [((6, 3), 1)])})
