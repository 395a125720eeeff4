"""The rooms around one tick loop: a real dataflow and a real log, with sources and sinks that are lists."""

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
from prometheus_client import CollectorRegistry

from dataflow.delta import Delta
from dataflow.memory import MemoryLimit
from dataflow.step import Dataflow
from dataflow.types import BIGINT, TEXT, Column
from headwater.checkpoint import Checkpoints
from headwater.errors import StateError
from headwater.rooms import Rooms, Shape, Shown
from headwater.ticks import RUNNING, TickLoop
from ingest.remap import FILE, Binding, Log, RemapLog, read
from ingest.source import PartitionStatus, Range, SourceStatus, Taken
from ingest.table_log import PREFIX, TableLog
from ingest.tables import TableSource
from planner import build_dataflow, plan_views
from serve.metrics import Metrics
from serve.reads import Publication, Published
from serve.status import ServiceStatus
from serve.subscribe.hub import Hub
from sinks.base import SinkHaltedError, SinkStatus

SCHEMA = (Column("k", BIGINT), Column("n", BIGINT))
VIEWS = {
    "totals": "SELECT k, sum(n) AS n FROM items GROUP BY k",
    "notes": "SELECT k, sum(n) AS n FROM late GROUP BY k",
    "both": "SELECT items.k, late.n FROM items JOIN late ON items.k = late.k",
}
TABLE = f"{PREFIX}1"
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
    unknown: tuple[int, ...] = ()

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
        return SinkStatus(
            "halted" if self.halted else "running", self.halted, durable, 0, 0, 0, 0, 0, durable, self.unknown
        )


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

    def __init__(
        self, folder: Path, views: Mapping[str, str] | Sequence[str] = tuple(VIEWS), sinks: bool = True
    ) -> None:
        """views: names to SQL, or some of the names of VIEWS; each gets a sink, unless there shall be none."""
        self.folder = folder
        self.wake, self.stop = threading.Event(), threading.Event()
        self.clock = Clock()
        self.items, self.late = ListSource("items", self.wake), ListSource("late", self.wake)
        self.sinks = {f"{view}_out": ListSink() for view in views} if sinks else {}
        self.publication = Recorded()
        self.failure: BaseException | None = None
        self.views = views if isinstance(views, Mapping) else {name: VIEWS[name] for name in views}
        self.log: Log = RemapLog.open(folder)
        self.checkpoints: Checkpoints | None = None
        self.memory: MemoryLimit | None = None
        self.hub: Hub | None = None
        self.tables: TableLog | None = None
        """With it, the source `TABLE` is a table."""
        self.table: TableSource | None = None
        self.history = 0
        """Milliseconds for which every view's past is kept."""
        self.dataflow: Dataflow
        self.loop: TickLoop
        self.thread: threading.Thread
        self.metrics = Metrics(CollectorRegistry(), self.status)
        self.metrics.watch(self.publication)

    def make(self) -> TickLoop:
        sources: dict[str, ListSource | TableSource] = {"items": self.items, "late": self.late}
        if self.tables is not None:
            self.table = sources[TABLE] = TableSource(TABLE, "limits", SCHEMA, self.tables)
        schemas = dict.fromkeys(sources, SCHEMA)
        planned = plan_views(schemas, self.views)
        self.dataflow = build_dataflow(planned, schemas, {}, dict.fromkeys(self.views, (0,)), time.perf_counter)
        if self.memory is not None:
            self.dataflow.limit_memory(self.memory)
        rooms = Rooms(
            sources=cast(Any, sources),
            dataflow=self.dataflow,
            sinks=cast(Any, self.sinks),
            sink_views={sink: sink.removesuffix("_out") for sink in self.sinks},
            remap=self.log,
            publication=self.publication,
            metrics=self.metrics,
            dependencies={name: planned.sources(name) for name in planned.order},
            catalog="c",
            checkpoints=self.checkpoints,
            checkpoint_seconds=0.0,
            meaning=repr(self.views),
            subscriptions=self.hub,
            tables=self.tables,
        )
        loop = TickLoop(rooms, self.wake, self.stop, self.clock)
        if self.history:
            shown = {name: Shown(name, of, history=self.history) for name, of in rooms.dependencies.items()}
            loop.reshape(Shape(shown, "c"))
        return loop

    def status(self) -> ServiceStatus:
        """What /readyz and /metrics would show."""
        sources, loop = {"items": self.items.status(), "late": self.late.status()}, self.loop
        return ServiceStatus(
            loop.ready, loop.phase, sources, {}, self.dataflow.statistics, loop.last_tick_wall, loop.ticks
        )

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
    thread = house.thread = threading.Thread(target=house.run)
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
        if house.tables is not None:
            house.tables.close()
        assert not thread.is_alive()
