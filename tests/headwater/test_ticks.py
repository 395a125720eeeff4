"""The tick loop, over a real dataflow and a real log, with sources and sinks that are lists."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dataflow.memory import MemoryLimit
from headwater import folding
from headwater.runs import RunFiles
from tests.headwater.house import NOW, House, running


def test_the_past_appears_at_one_time_and_changes_follow(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.items.push(*[(i % 10, 1) for i in range(100_000)])
    house.items.appear()
    with running(house):
        house.shows("totals", [(k, 10_000) for k in range(10)])
        first = house.times[0]
        assert house.sinks["totals_out"].writes == [(first, [(k, 10_000, 1) for k in range(10)])]
        house.items.push((3, 5))
        house.shows("totals", [(k, 10_005 if k == 3 else 10_000) for k in range(10)])
        house.until(lambda: len(house.sinks["totals_out"].writes) == 2)
        assert house.sinks["totals_out"].writes[1][1] == [(3, 10_000, -1), (3, 10_005, 1)]
        assert house.log.bindings == [], "what was appended stays in memory"
    assert [piece.end for binding in house.bindings for piece in binding.ranges.get("items", ())] == [100_000, 100_001]


def test_times_rise_when_the_clock_goes_back_also_across_restarts(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        for hour in range(5):
            house.clock.wall = NOW - hour * 3_600_000
            house.items.push((hour, 1))
            house.shows("totals", [(k, 1) for k in range(hour + 1)])
    until = house.bindings[-1].until
    again = House(tmp_path)
    again.clock.wall = NOW - 86_400_000
    again.items.push(*house.items.records)
    again.items.appear()
    with running(again):
        again.shows("totals", [(k, 1) for k in range(5)])
        again.clock.wall = NOW + 5000
        again.items.push((9, 1))
        again.shows("totals", [*[(k, 1) for k in range(5)], (9, 1)])
    assert again.times[0] == until, "what was bound is shown at once"
    times = [*house.times, *again.times]
    assert times == sorted(set(times))
    assert times[0] == NOW
    assert times[-1] == NOW + 5000
    assert {binding.time for binding in again.bindings} <= set(times)
    assert {binding.epoch for binding in again.bindings} == {1, 2}


def test_nothing_is_published_that_the_disk_refused(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        house.items.push((1, 1))
        house.shows("totals", [(1, 1)])
        house.until(lambda: len(house.sinks["totals_out"].writes) == 1)
        house.log._file.close()
        with Path("/dev/full").open("r+b", buffering=0) as full:  # refuses every write as a full disk does
            house.log._file = full
            house.items.push((1, 41))
            house.until(lambda: house.failure is not None)
        assert "the state cannot be written: [Errno 28] No space left on device" in str(house.failure)
        assert house.rows("totals") == [(1, 1)]
        assert len(house.sinks["totals_out"].writes) == 1
    assert {binding.time for binding in house.bindings} <= set(house.times), "the one that was refused is not there"


def test_the_service_ends_when_state_has_room_nowhere_and_resumes(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        files = RunFiles(tmp_path / "runs")
        house.dataflow.limit_memory(MemoryLimit(files, 1 << 20, least_bytes=1))
        (tmp_path / "runs").rmdir()
        for begin in range(0, 200_000, 50_000):
            house.items.push(*((k, 1) for k in range(begin, begin + 50_000)))
        house.until(lambda: house.failure is not None)
        assert "MiB of memory where 1 MiB are allowed, and it cannot be moved to files" in str(house.failure)
        assert str(house.failure).endswith("make room there or raise `memory`, then start again")
        files.close()
    again = House(tmp_path)
    again.memory = MemoryLimit(RunFiles(tmp_path / "runs"), 1 << 20, least_bytes=1)
    again.items.push(*house.items.records)
    again.items.appear()
    with running(again):
        assert again.rows("totals") == [(k, 1) for k in range(200_000)]
        again.items.push((7, 6))
        again.until(lambda: again.rows("totals")[7] == (7, 7))
        assert again.publication.current().views["totals"].rows.file_bytes > 0
        assert not again.memory.status.trouble


def test_only_views_that_changed_are_shown_anew(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        house.items.push((1, 1))
        house.late.push((2, 2))
        house.shows("totals", [(1, 1)])
        house.shows("notes", [(2, 2)])
        before = house.publication.current().views
        house.items.push((3, 3))
        house.shows("totals", [(1, 1), (3, 3)])
        after = house.publication.current().views
        assert after["totals"] is not before["totals"]
        assert after["notes"] is before["notes"]
        assert before["totals"].rows.total == 1, "who read the last time goes on reading it"
        ticks = house.loop.ticks
        house.wake.set()
        house.until(lambda: house.loop.ticks > ticks)
        assert house.publication.current().views["totals"] is after["totals"]


def test_a_late_topic_holds_back_its_views_only(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.items.push((1, 1))
    house.late.missing()
    with running(house):
        house.shows("totals", [(1, 1)])
        for view in ("notes", "both"):
            assert house.reason(view) == "source late: topic late does not exist yet"
        assert not house.loop.ready
        house.items.push((2, 7))
        house.shows("totals", [(1, 1), (2, 7)])
        assert house.sinks["both_out"].writes == []
        house.late.records += [(k, 100) for k in range(200_000)]  # takes several ticks
        house.late.appear()
        house.shows("both", [(1, 100), (2, 100)])
        assert len(house.rows("notes")) == 200_000
        assert house.loop.ready
        house.until(lambda: bool(house.sinks["both_out"].writes))
        house.until(lambda: bool(house.sinks["notes_out"].writes))
        assert [rows for _, rows in house.sinks["both_out"].writes] == [[(1, 100, 1), (2, 100, 1)]], (
            "the whole view at once"
        )
        assert len(house.sinks["notes_out"].writes[0][1]) == 200_000
        house.late.push((2, 1))
        house.until(lambda: len(house.sinks["both_out"].writes) == 2)
        assert house.sinks["both_out"].writes[1][1] == [(2, 1, 1)], "then its changes"


def test_a_late_topic_may_be_empty(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.late.missing()
    with running(house):
        assert house.reason("notes")
        house.late.appear()
        house.shows("notes", [])
        assert house.loop.ready
        house.late.push((4, 4))
        house.shows("notes", [(4, 4)])


def test_a_changed_topic_blocks_only_its_views(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        house.items.push((1, 1))
        house.late.push((1, 1))
        house.shows("both", [(1, 1)])
    again = House(tmp_path)
    again.items.push((1, 1))
    again.late.push((1, 2))  # not what was read before
    again.late.appear()
    with running(again):
        again.shows("totals", [(1, 1)])
        for view in ("notes", "both"):
            assert (
                "source late: late[0] from offset 0 to 1 has the same 1 records as before, but with other"
                in again.reason(view)
            )
            assert "is halted" in again.sinks[f"{view}_out"].halted
        again.items.push((5, 5))
        again.shows("totals", [(1, 1), (5, 5)])
        assert not again.sinks["totals_out"].halted
    assert {binding.time for binding in again.bindings} <= {*house.times, *again.times}


@pytest.mark.parametrize("compact_from", [folding.COMPACT_BYTES, 0])
def test_a_restart_gives_sinks_what_they_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compact_from: int
) -> None:
    monkeypatch.setattr(folding, "COMPACT_BYTES", compact_from)
    with running(House(tmp_path)) as house:
        for n in range(4):
            house.items.push((n, 1))
            house.shows("totals", [(k, 1) for k in range(n + 1)])
    wrote, bound = house.sinks["totals_out"].writes, [binding.time for binding in house.bindings]
    assert len(wrote) == 4
    again = House(tmp_path)
    again.items.push(*house.items.records, (9, 9))
    again.items.appear()
    again.sinks["totals_out"].durable = wrote[1][0] + 1
    with running(again):
        again.shows("totals", [(0, 1), (1, 1), (2, 1), (3, 1), (9, 9)])
        again.until(lambda: len(again.sinks["totals_out"].writes) == 2)
        missed, new = again.sinks["totals_out"].writes
        assert missed == (bound[-1], [(2, 1, 1), (3, 1, 1)]), "what was written and not durable, as one change"
        assert new[1] == [(9, 9, 1)]
    kept = [binding.time for binding in again.bindings if binding.time <= bound[-1]]
    assert kept == [*([wrote[1][0]] if compact_from == 0 else bound[:-1]), bound[-1]]


def test_a_full_sink_stops_nothing_and_gets_its_changes_as_one(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        house.items.push((1, 1), (2, 2))
        house.until(lambda: len(house.sinks["totals_out"].writes) == 1)
        house.sinks["totals_out"].full = True
        for n in range(5):
            house.items.push((1, 1), (n + 10, 1))
            house.shows("totals", [(1, n + 2), (2, 2), *[(k + 10, 1) for k in range(n + 1)]])
        house.items.push((2, -2), (2, 2))
        _, handed = house.sinks["totals_out"].writes
        assert handed[1] == [(1, 1, -1), (1, 2, 1), (10, 1, 1)], "what fills it is handed over still"
        house.sinks["totals_out"].full = False
        house.wake.set()
        house.until(lambda: len(house.sinks["totals_out"].writes) == 3)
        assert house.sinks["totals_out"].writes[2][1] == [(1, 2, -1), (1, 6, 1), *[(k, 1, 1) for k in range(11, 15)]]
        house.items.push((2, 5))
        house.until(lambda: len(house.sinks["totals_out"].writes) == 4)
        assert house.sinks["totals_out"].writes[3][1] == [(2, 2, -1), (2, 7, 1)]


def test_a_sink_that_another_folder_wrote_halts(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.items.push((1, 1))
    house.sinks["totals_out"].durable = NOW - 5000
    house.sinks["both_out"].broken = "its view has changed"
    with running(house):
        house.shows("totals", [(1, 1)])
        assert "is not the folder this sink was written from" in house.sinks["totals_out"].halted
        assert house.sinks["both_out"].halted == "its view has changed"
        house.late.push((1, 1))
        house.until(lambda: len(house.sinks["notes_out"].writes) == 1)
        assert house.sinks["totals_out"].writes == []


@pytest.mark.parametrize("phase", ["hydrating", "running"])
def test_stops_in_every_phase(tmp_path: Path, phase: str) -> None:
    house = House(tmp_path)
    house.items.push((1, 1))
    house.items.appear()
    if phase == "hydrating":
        house.items.target = 5  # what it waits for never comes
    house.loop = house.make()
    thread = threading.Thread(target=house.run)
    thread.start()
    house.until(lambda: house.loop.phase == phase)
    house.stop.set()
    house.wake.set()
    thread.join(2)
    assert not thread.is_alive()
    assert house.failure is None
    assert bool(house.times) == (phase == "running")
    house.log.close()
