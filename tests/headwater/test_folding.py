"""The remap log stays small while the service runs, and a start from it is right whatever the sinks had."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater import folding
from headwater.checkpoint import Checkpoints
from headwater.replay import positions
from tests.headwater.house import House, ListSink, running
from tests.headwater.test_late_sinks import folded as folded_topic


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "COMPACT_BYTES", 4096)


def _ticks(house: House, first: int, count: int) -> None:
    for n in range(first, first + count):
        house.items.push((n, 1), (0, 1))
        house.until(lambda n=n: house.loop._ends.get("items", {}).get(0) == 2 * n + 2)


@pytest.mark.parametrize("checkpoints", [False, True])
def test_the_log_stays_small_and_a_start_from_it_is_right(tmp_path: Path, checkpoints: bool) -> None:
    """Invariant: the log's size is bounded while ticks go on, and a sink that was behind gets exactly what it lacks."""
    first = House(tmp_path, ("totals",))
    if checkpoints:
        first.checkpoints = Checkpoints(tmp_path / "checkpoints")
    sizes = []
    with running(first):
        for start in range(0, 300, 20):
            _ticks(first, start, 20)
            sizes.append(first.log.nbytes)
        ends = first.loop._ends
    assert max(sizes) < 3 * 4096
    assert len(first.bindings) < len(first.times) / 2
    assert positions(first.bindings) == ends
    wrote = first.sinks["totals_out"].writes
    assert len(wrote) > 150
    second = House(tmp_path, ("totals",))
    if checkpoints:
        second.checkpoints = Checkpoints(tmp_path / "checkpoints")
    second.items.push(*first.items.records, (7, 1))
    second.items.appear()
    sink = second.sinks["totals_out"] = ListSink(durable=wrote[-1][0] + 1)
    with running(second):
        second.until(lambda: (7, 2) in second.rows("totals"))
        second.until(lambda: folded_topic(first.sinks["totals_out"], sink) == dict.fromkeys(second.rows("totals"), 1))


def test_a_sink_that_is_not_durable_keeps_its_times_apart(tmp_path: Path) -> None:
    """Invariant: nothing is folded that a sink may still need apart."""
    house = House(tmp_path, ("totals",))
    house.sinks["totals_out"].prompt = False
    with running(house):
        _ticks(house, 0, 200)
        assert house.log.nbytes > 2 * 4096
        assert {time for time, _ in house.sinks["totals_out"].writes} <= {binding.time for binding in house.bindings}
        house.sinks["totals_out"].prompt = True
        _ticks(house, 200, 200)
        house.until(lambda: (house.wake.set(), house.log.nbytes < 2 * 4096)[1])


def test_a_sink_that_halts_lets_the_log_be_folded(tmp_path: Path) -> None:
    """Invariant: the log stays small while a sink is halted, and one that is let go on gets exactly what it lacks."""
    first = House(tmp_path, ("totals", "both"))
    with running(first):
        _ticks(first, 0, 10)
        first.sinks["totals_out"].halt("a person has to act")
        _ticks(first, 10, 200)
        first.until(lambda: (first.wake.set(), first.log.nbytes < 2 * 4096)[1])
    assert len(first.bindings) < len(first.times) / 2
    wrote = first.sinks["totals_out"].writes
    second = House(tmp_path, ("totals",))
    second.items.push(*first.items.records)
    second.items.appear()
    sink = second.sinks["totals_out"] = ListSink(durable=wrote[-1][0] + 1)
    with running(second):
        second.until(lambda: folded_topic(first.sinks["totals_out"], sink) == dict.fromkeys(second.rows("totals"), 1))


def test_what_a_halted_sink_may_have_committed_stays_apart(tmp_path: Path) -> None:
    """Invariant: a commit without an answer may be found later: the start from the folded log knows its time."""
    first = House(tmp_path, ("totals",))
    with running(first):
        _ticks(first, 0, 10)
        doubtful, durable = first.times[5] + 1, first.times[3] + 1
        first.sinks["totals_out"].durable, first.sinks["totals_out"].unknown = durable, (doubtful,)
        first.sinks["totals_out"].writes.clear()
        first.sinks["totals_out"].halt("a person has to act")
        _ticks(first, 10, 200)
        first.until(lambda: (first.wake.set(), first.log.nbytes < 2 * 4096)[1])
    assert {doubtful - 1, durable - 1} <= {binding.time for binding in first.bindings}


def test_a_sink_that_never_opened_keeps_apart_what_was_before(tmp_path: Path) -> None:
    """Invariant: it may be complete up to any time that was bound when it could not open; of later ones it has none."""
    first = House(tmp_path, ("totals",))
    with running(first):
        _ticks(first, 0, 10)
    before = [binding.time for binding in first.bindings]
    second = House(tmp_path, ("totals",))
    second.items.push(*first.items.records)
    second.items.appear()
    second.sinks["totals_out"].broken = "a person has to act"
    with running(second):
        _ticks(second, 10, 200)
        second.until(lambda: (second.wake.set(), second.log.nbytes < 3 * 4096)[1])
    assert [binding.time for binding in second.bindings][: len(before)] == before
    assert len(second.bindings) < 100


def test_a_disk_that_refuses_costs_the_attempt_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    house = House(tmp_path, ("totals",))
    monkeypatch.setattr("ingest.remap._write", refuse)
    with running(house):
        _ticks(house, 0, 120)
        house.shows("totals", [(0, 121), *((k, 1) for k in range(1, 120))])
    assert "could not be folded and stays as it is" in capsys.readouterr().out
    assert {time for time, _ in house.sinks["totals_out"].writes} <= {binding.time for binding in house.bindings}
