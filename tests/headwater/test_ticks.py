"""The tick loop, over a real dataflow and a real log, with sources and sinks that are lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from dataflow.delta import Delta
from dataflow.types import BIGINT, TEXT, Column
from headwater import ticks
from headwater.checkpoint import Checkpoints
from headwater.errors import StateError
from headwater.rooms import Rooms
from headwater.ticks import RUNNING, TickLoop
from ingest.remap import FILE, Binding, RemapLog, read
from ingest.source import PartitionStatus, Range, SourceStatus, Taken
from planner import build_dataflow, plan_views
from serve.metrics import Metrics
from serve.reads import Publication, Published
from serve.status import ServiceStatus
from sinks.base import SinkHaltedError, SinkStatus

SCHEMA = (Column("k", BIGINT), Column("n", BIGINT))
VIEWS = {
    "totals": "SELECT k, sum(n) AS n FROM items GROUP BY k",
    "notes": "SELECT k, sum(n) AS n FROM late GROUP BY k",
    "both": "SELECT items.k, late.n FROM items JOIN late ON items.k = late.k",
}
NOW = 1_795_346_117_450


@dataclass
class Clock:
    """Wall time is what the test says; the monotonic clock is real."""

    wall: int = NOW

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Settings:
    topic: str


class ListSource:
    """One partition of (k, n) records in a list; `state` says whether its topic exists.

    Honours the contract of `ingest.source.Source`: each record once, in exact ranges; hydrated once its target was taken.
    """

    def __init__(self, name: str, wake: threading.Event, records: Sequence[tuple[int, int]] = ()) -> None:
        self.settings, self.topic_id = Settings(name), "ab"
        self.records = list(records)
        self.state, self.reason = "reading", ""
        self.at = self.target = 0
        self.hydrated = False
        self.floor: dict[int, int] = {}
        self.started: dict[int, int] | None = None
        self._wake = wake
        self.appear()

    def missing(self) -> ListSource:
        """Its topic does not exist yet."""
        self.state, self.reason, self.hydrated = "waiting", f"topic {self.settings.topic} does not exist yet", False
        return self

    def appear(self) -> None:
        """The topic exists from now on; what it holds is its past."""
        self.state, self.reason, self.target = "reading", "", len(self.records)
        self.hydrated = self.at >= self.target
        self._wake.set()

    def push(self, *records: tuple[int, int]) -> None:
        self.records += records
        self._wake.set()

    def start(self, positions: Mapping[int, int]) -> None:
        self.started = dict(positions)
        self.at = positions.get(0, 0)
        self.hydrated = self.state == "reading" and self.at >= max(self.target, self.floor.get(0, 0))

    def take(self, limit: int, until: Mapping[int, int] | None) -> Taken | None:
        end = min(len(self.records), self.at + limit, *([until.get(0, 0)] if until is not None else []))
        if self.state != "reading" or end <= self.at:
            return None
        part, start, self.at = self.records[self.at : end], self.at, end
        columns = tuple(pa.array([row[i] for row in part], pa.int64()) for i in range(2))
        digest = sum(hash(row) for row in part) % 2**64
        self.hydrated = self.hydrated or self.at >= max(self.target, self.floor.get(0, 0))
        delta = Delta(columns, np.ones(len(part), np.int64))
        return Taken(delta, Delta.empty([TEXT]), (Range(0, start, end, len(part), digest),), len(part), 8 * len(part))

    def replay_to(self, ends: Mapping[int, int], topic_id: str) -> None:
        self.floor = dict(ends)
        self.hydrated = self.at >= max(self.target, self.floor.get(0, 0))

    def reached(self, until: Mapping[int, int]) -> bool:
        return all(self.at >= end for end in until.values())

    def halt(self, reason: str) -> None:
        self.state, self.reason = "halted", reason

    def status(self) -> SourceStatus:
        shown: Any = self.state
        if shown == "reading":
            shown = "running" if self.hydrated else "hydrating"
        return SourceStatus(shown, self.reason, {0: PartitionStatus(self.at, 0, len(self.records))}, self.at, 0, 0)


@dataclass
class ListSink:
    """Writes into a list, durably at once unless it is not `prompt`; `durable` is what a predecessor left."""

    durable: int | None = None
    broken: str = ""
    prompt: bool = True
    full: bool = False
    writes: list[tuple[int, list[tuple[Any, ...]]]] = field(default_factory=list)
    halted: str = ""

    def open(self) -> int | None:
        if self.broken:
            self.halted = self.broken
            raise SinkHaltedError(self.broken)
        return self.durable

    def write(self, time: int, delta: Delta) -> None:
        if self.halted or (self.durable is not None and time < self.durable):
            return
        assert not self.writes or time > self.writes[-1][0]
        rows = zip(*(column.to_pylist() for column in delta.columns), delta.diffs.tolist(), strict=True)
        self.writes.append((time, sorted(rows)))

    def halt(self, reason: str) -> None:
        self.halted = self.halted or reason

    def settled(self, time: int) -> bool:
        return self.prompt and not self.halted

    def status(self) -> SinkStatus:
        durable = self.writes[-1][0] + 1 if self.writes else self.durable
        return SinkStatus("halted" if self.halted else "running", self.halted, durable, 0, 0, 0, 0, 0, durable)


class Recorded(Publication):
    """Remembers every time that was published."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []

    def publish(self, published: Published) -> None:
        self.times.append(published.time)
        super().publish(published)


class House:
    """The rooms around one loop, over a state folder."""

    def __init__(self, folder: Path, views: Sequence[str] = ("totals", "notes", "both")) -> None:
        self.folder = folder
        self.wake, self.stop = threading.Event(), threading.Event()
        self.clock = Clock()
        self.items, self.late = ListSource("items", self.wake), ListSource("late", self.wake)
        self.sinks = {f"{view}_out": ListSink() for view in views}
        self.publication = Recorded()
        self.failure: BaseException | None = None
        self.views = {name: VIEWS[name] for name in views}
        self.log = RemapLog.open(folder)
        self.checkpoints: Checkpoints | None = None
        self.loop: TickLoop

    def make(self) -> TickLoop:
        sources = {"items": self.items, "late": self.late}
        schemas = dict.fromkeys(sources, SCHEMA)
        planned = plan_views(schemas, self.views)
        status = ServiceStatus(True, "", {}, {}, (), 0.0, 0)
        rooms = Rooms(
            sources=cast(Any, sources),
            dataflow=build_dataflow(planned, schemas, {}, dict.fromkeys(self.views, (0,)), time.perf_counter),
            sinks=cast(Any, self.sinks),
            sink_views={f"{view}_out": view for view in self.views},
            remap=self.log,
            publication=self.publication,
            metrics=Metrics(CollectorRegistry(), lambda: status),
            dependencies={name: planned.sources(name) for name in planned.order},
            catalog="c",
            checkpoints=self.checkpoints,
            checkpoint_seconds=0.0,
            meaning=repr(self.views),
        )
        return TickLoop(rooms, self.wake, self.stop, self.clock)

    @property
    def times(self) -> list[int]:
        return self.publication.times

    def run(self) -> None:
        try:
            self.loop.run()
        except StateError as failure:
            self.failure = failure

    def rows(self, view: str) -> list[tuple[Any, ...]]:
        """What a reader sees of a view; AssertionError when it is not readable."""
        published = self.publication.current()
        assert published is not None
        assert published.views[view].state == "ready", published.views[view].reason
        found = published.views[view].rows.rows()
        return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True)) if len(found) else []

    def reason(self, view: str) -> str:
        published = self.publication.current()
        assert published is not None
        return published.views[view].reason

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, (self.loop.phase, self.loop.waiting, self.failure)
            time.sleep(0.002)

    def shows(self, view: str, rows: list[tuple[Any, ...]]) -> None:
        self.until(lambda: not self.reason(view) and self.rows(view) == rows)

    @property
    def bindings(self) -> list[Binding]:
        """What the log's file holds."""
        return read((self.folder / FILE).read_bytes(), "log")[0]


@contextmanager
def running(house: House) -> Iterator[House]:
    """The loop in its thread, past hydration; stopped at the end."""
    house.loop = house.make()
    thread = threading.Thread(target=house.run)
    thread.start()
    try:
        house.until(lambda: house.loop.phase == RUNNING)
        yield house
    finally:
        house.stop.set()
        house.wake.set()
        thread.join(10)
        house.log.close()
        if house.checkpoints is not None:
            house.checkpoints.close()
        assert not thread.is_alive()


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
    again = House(tmp_path)
    again.clock.wall = NOW - 86_400_000
    again.items.push(*house.items.records)
    again.items.appear()
    with running(again):
        again.shows("totals", [(k, 1) for k in range(5)])
        again.clock.wall = NOW + 5000
        again.items.push((9, 1))
        again.shows("totals", [*[(k, 1) for k in range(5)], (9, 1)])
    assert again.times[0] == house.times[-1], "what was bound is shown at once"
    times = [*house.times, *again.times[1:]]
    assert times == sorted(set(times))
    assert times[0] == NOW
    assert times[-1] == NOW + 5000
    assert [binding.time for binding in again.bindings] == times
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
        assert "the state folder cannot be written: [Errno 28] No space left on device" in str(house.failure)
        assert house.rows("totals") == [(1, 1)]
        assert len(house.sinks["totals_out"].writes) == 1
    assert [binding.time for binding in house.bindings] == house.times


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
    assert [binding.time for binding in again.bindings] == [*house.times, *again.times[1:]]


@pytest.mark.parametrize("compact_from", [ticks.COMPACT_BYTES, 0])
def test_a_restart_gives_sinks_what_they_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compact_from: int
) -> None:
    monkeypatch.setattr(ticks, "COMPACT_BYTES", compact_from)
    with running(House(tmp_path)) as house:
        for n in range(4):
            house.items.push((n, 1))
            house.shows("totals", [(k, 1) for k in range(n + 1)])
    wrote = house.sinks["totals_out"].writes
    assert len(wrote) == 4
    again = House(tmp_path)
    again.items.push(*house.items.records, (9, 9))
    again.items.appear()
    again.sinks["totals_out"].durable = wrote[1][0] + 1
    with running(again):
        again.shows("totals", [(0, 1), (1, 1), (2, 1), (3, 1), (9, 9)])
        again.until(lambda: len(again.sinks["totals_out"].writes) == 2)
        missed, new = again.sinks["totals_out"].writes
        assert missed == (house.times[-1], [(2, 1, 1), (3, 1, 1)]), "what was written and not durable, as one change"
        assert new[1] == [(9, 9, 1)]
    kept = [binding.time for binding in again.bindings]
    assert kept == [*([wrote[1][0]] if compact_from == 0 else house.times[:-1]), house.times[-1], *again.times[1:]]


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
