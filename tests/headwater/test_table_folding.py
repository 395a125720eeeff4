"""The tables' log stays small while the service runs, and a start from it is right whatever checkpoints and sinks had."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataflow.delta import Delta
from headwater import feed, table_folding
from headwater.checkpoint import Checkpoints
from headwater.replay import positions
from ingest.table_log import TableLog
from tests.headwater.house import TABLE, House, ListSink, running
from tests.headwater.test_checkpoint import flip, saved
from tests.headwater.test_late_sinks import AwaySink
from tests.headwater.test_late_sinks import folded as folded_topic

VIEWS = {"sums": f'SELECT k, sum(n) AS n FROM "{TABLE}" GROUP BY k'}
Bag = Counter[tuple[int, int]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_folding, "FOLD_BYTES", 8192)


def house_with(folder: Path, checkpoints: bool) -> House:
    made = House(folder, VIEWS)
    made.tables = TableLog(folder, positions(made.log.bindings))
    made.checkpoints = Checkpoints(folder / "checkpoints") if checkpoints else None
    return made


def write(house: House, *rows: tuple[int, int, int]) -> None:
    """A tick that changes the table by rows (k, n, diff)."""
    at = house.loop.ends(TABLE).get(0, 0)
    columns = tuple(pa.array([row[i] for row in rows], pa.int64()) for i in range(2))
    delta = Delta(columns, np.array([row[2] for row in rows], np.int64))

    def put() -> None:
        assert house.table is not None
        house.table.write(delta, house.loop.now)

    house.loop.calls.call(put).result(20)
    house.until(lambda: house.loop.ends(TABLE).get(0, 0) > at)


def update_for_ever(house: House, seed: int, ticks: int, there: Bag) -> None:
    """Change some rows in each tick; the table keeps its size."""
    drawn = random.Random(seed)
    for _ in range(ticks):
        row = (drawn.randrange(5), drawn.randrange(100))
        gone = drawn.choice(sorted(there.elements())) if there.total() > 10 else None
        write(house, (*row, 1), *([(*gone, -1)] if gone else []))
        there[row] += 1
        if gone:
            there[gone] -= 1
            there += Bag()


def shown(there: Bag) -> list[tuple[int, int]]:
    sums: Counter[int] = Counter()
    for (k, n), count in there.items():
        sums[k] += n * count
    return sorted((k, sums[k]) for k in {k for (k, _), count in there.items() if count})


def until_small(house: House, there: Bag) -> None:
    """Change rows until the log is folded: checkpoints, which come in their own time, may hold it back before."""
    assert house.tables is not None
    for seed in range(200):
        house.wake.set()
        if house.tables.folded_to and house.tables.loose_bytes < 2 * 8192:
            return
        update_for_ever(house, seed, 5, there)
    raise AssertionError(f"{house.tables.loose_bytes} bytes are not folded")


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_table_that_is_updated_for_ever_stays_small(tmp_path: Path, checkpoints: bool) -> None:
    """Invariant: the log's size is bounded; starts from it give the rows of before, and a sink exactly what it lacks."""
    first, there = house_with(tmp_path, checkpoints), Bag()
    assert first.tables is not None
    sizes = []
    with running(first):
        for seed in range(8):
            update_for_ever(first, seed, 40, there)
            until_small(first, there)
            sizes.append(first.tables.nbytes)
        rows = first.rows("sums")
        assert rows == shown(there)
    assert max(sizes) < 5 * 8192
    wrote = first.sinks["sums_out"].writes
    second = house_with(tmp_path, checkpoints)
    sink = second.sinks["sums_out"] = ListSink(durable=wrote[-1][0] + 1)
    with running(second):
        assert second.rows("sums") == rows
        write(second, (9, 9, 1))
        second.shows("sums", [*rows, (9, 9)])
        second.until(lambda: folded_topic(first.sinks["sums_out"], sink) == dict.fromkeys(second.rows("sums"), 1))


def test_a_start_without_its_checkpoints_reads_the_folded_log(tmp_path: Path) -> None:
    first, there = house_with(tmp_path, True), Bag()
    with running(first):
        update_for_ever(first, 1, 60, there)
        saved(first, 2)
        update_for_ever(first, 2, 60, there)
        until_small(first, there)
        rows = first.rows("sums")
    for path in (tmp_path / "checkpoints").glob("*.manifest"):
        flip(path)
    second = house_with(tmp_path, True)
    with running(second):
        assert second.rows("sums") == rows


def test_a_sink_that_is_not_durable_keeps_the_frames(tmp_path: Path) -> None:
    """Invariant: what a sink may still need apart stays apart."""
    first, there = house_with(tmp_path, False), Bag()
    first.sinks["sums_out"].prompt = False
    assert first.tables is not None
    with running(first):
        update_for_ever(first, 1, 100, there)
        assert first.tables.folded_to == 0
        behind = first.sinks["sums_out"].writes[49][0] + 1
    second = house_with(tmp_path, False)
    sink = second.sinks["sums_out"] = ListSink(durable=behind)
    with running(second):
        second.until(lambda: bool(sink.writes))
    whole = ListSink(writes=[*first.sinks["sums_out"].writes[:50], *sink.writes])
    assert folded_topic(whole, ListSink()) == dict.fromkeys(shown(there), 1)


def test_a_sink_that_was_left_out_meanwhile_is_halted(tmp_path: Path) -> None:
    """Invariant: what it lacks can no longer be told apart, so it is halted, never written wrong."""
    first, there = house_with(tmp_path, False), Bag()
    with running(first):
        update_for_ever(first, 1, 120, there)
        until_small(first, there)
        rows = first.rows("sums")
    behind = first.sinks["sums_out"].writes[10][0] + 1
    second = house_with(tmp_path, False)
    assert second.tables is not None
    assert behind - 1 in {binding.time for binding in second.log.bindings}
    assert behind <= second.tables.folded_to
    sink = second.sinks["sums_out"] = ListSink(durable=behind)
    with running(second):
        assert second.rows("sums") == rows
    assert "does not know" in sink.halted
    assert not sink.writes


def test_a_late_sink_is_not_told_of_what_is_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: a start that tells all bindings apart for a sink's sake does not tell those apart that are folded over."""
    monkeypatch.setattr(feed, "SINK_PATIENCE", 0.05)
    first, there = house_with(tmp_path, False), Bag()
    with running(first):
        update_for_ever(first, 1, 120, there)
        until_small(first, there)
        rows = first.rows("sums")
        bindings = len(first.bindings)
    second = house_with(tmp_path, False)
    assert second.tables is not None
    assert sum(binding.time <= second.tables.folded_to for binding in second.log.bindings) > 10, bindings
    sink = AwaySink(durable=first.sinks["sums_out"].writes[-1][0] + 1)
    second.sinks["sums_out"] = sink
    with running(second):
        assert second.rows("sums") == rows
        sink.back.set()
        write(second, (9, 9, 1))
        second.until(lambda: [changes for _, changes in sink.writes] == [[(9, 9, 1)]])


def test_a_checkpoint_of_before_what_is_folded_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Invariant: a removed checkpoint that a crash brings back is not begun from, where the log no longer goes on from it."""
    first, there = house_with(tmp_path, True), Bag()
    with running(first):
        update_for_ever(first, 1, 5, there)
        saved(first)
        shutil.copytree(tmp_path / "checkpoints", tmp_path / "kept")
        update_for_ever(first, 2, 120, there)
        until_small(first, there)
        rows = first.rows("sums")
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "kept").rename(tmp_path / "checkpoints")
    second = house_with(tmp_path, True)
    second.sinks.clear()  # which would refuse it too
    with running(second):
        assert second.rows("sums") == rows
    assert "folded up to a later time" in capsys.readouterr().out
