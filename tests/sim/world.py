"""One simulated run: incarnations of the service, one after the other, in one thread.

The loop, the log, checkpoints, run files, sources' read-ahead, the dataflow and the sinks are the real ones. The clock, the
order in which things happen, the broker and the disk are decided by the seed. The world goes on whenever the loop waits.
After every publication all views are compared with a recomputation from the records of the bound offsets; after every committed
transaction the sink's topic with its view at that progress; a time that was shown once must show the same ever after.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

from prometheus_client import CollectorRegistry

from config.settings import Sink as SinkSettings
from config.settings import Source as SourceSettings
from dataflow.memory import MemoryLimit
from headwater import checkpoint, feed, runs, ticks
from headwater.checkpoint import Checkpoints
from headwater.errors import StateError
from headwater.rooms import Rooms
from headwater.runs import RunFiles
from headwater.ticks import TickLoop
from ingest import source as ingest_source
from ingest.remap import FILE, Binding, RemapError, RemapLog
from ingest.source import Source
from planner import build_dataflow, plan_views
from serve.metrics import Metrics
from serve.reads import Publication, Published
from serve.status import ServiceStatus
from sinks import kafka
from sinks.base import SinkHaltedError
from sinks.kafka import KafkaSink
from sinks.session import SessionLostError, SessionStoppedError
from tests.sim.broker import ACCOUNTS, TRANSFERS, Output, Reader, Session, Topic
from tests.sim.chance import Chance, Crash
from tests.sim.disk import Disk
from tests.sim.jobs import Jobs
from tests.sim.oracle import KEYS, SINKS, VIEWS, Answer, answer

START = 1_795_346_117_450
PEOPLE = 12
BACKLOG = 300
"""Records that may wait before no more come."""

FRUITLESS = 3
"""Incarnations in a row that may die before they show anything."""

PLANNED = plan_views({"transfers": TRANSFERS, "accounts": ACCOUNTS}, VIEWS)
STATUS = ServiceStatus(True, "", {}, {}, (), 0.0, 0)

Positions = dict[str, dict[int, int]]


class Wrong(AssertionError):
    """A promise was broken."""


class Flag:
    """An Event in a world of one thread: whoever waits lets the world go on."""

    def __init__(self, world: World) -> None:
        self._world, self._set = world, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._world.go_on(timeout or 0.0)
        return self._set


class Clock:
    """Wall time that may jump, and monotonic time."""

    def __init__(self) -> None:
        self.wall, self.seconds = float(START), 0.0

    def now(self) -> int:
        return int(self.wall)

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += seconds * 1000


class SimSink(KafkaSink):
    """The real sink without its thread: the world calls `pump`."""

    world: World

    def open(self) -> int | None:
        while self._session is None:
            try:
                self._connect(0)
            except SessionLostError as error:
                self._lose("connecting", error)
                self.world.go_on(0.1)
            except SinkHaltedError as error:
                raise Wrong(f"a sink halted at its start: {error}") from error
        self._thread = cast(Any, mock.sentinel.no_thread)
        return self._durable

    def pump(self) -> None:
        """Write the oldest ticks, if there are any."""
        if self._thread is None or not self._queue:
            return
        try:
            self._step()
        except SessionLostError as error:
            self._lose("waiting", error)
        except (SinkHaltedError, SessionStoppedError) as error:
            raise Wrong(f"a sink halted: {error}") from error


class Watched(Publication):
    """Checks what is published."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def publish(self, published: Published) -> None:
        self._world.chance.point("before a publication")
        super().publish(published)
        self._world.published(published)
        self._world.chance.point("after a publication")


class World:
    """A run of `ticks` publications. `plant` names a mistake that is built in: see `PLANTS`."""

    def __init__(self, seed: int, ticks: int, kinds: Collection[str], plant: str = "") -> None:
        self.seed, self.ticks, self.plant = seed, ticks, plant
        self.chance = Chance(seed, kinds)
        self.transfers = Topic(TRANSFERS, [[], []])
        self.accounts = Topic(ACCOUNTS, [[], []])
        self.clock = Clock()
        self.outputs = {
            sink: Output(self.chance, partial(self.committed, sink), fences=plant != "no-fence") for sink in SINKS
        }
        self.positions: dict[int, Positions] = {}
        self.shown: dict[int, Positions] = {}
        self.last_shown = 0
        self.last_positions: Positions = {}
        self.publications = self.incarnations = self.restored = 0
        self._answers: dict[str, Answer] = {}
        self._transfers = self._fruitless = 0
        self._open: list[Callable[[], None]] = []
        self._live: tuple[list[Reader], list[SimSink], Jobs, Flag] | None = None

    # The run.

    def run(self) -> None:
        """Wrong when a promise was broken; at the end, when all is calm, everything has to be everywhere."""
        memory = Path("/dev/shm")  # the disk is a model: that the files are fast only helps
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            self.disk = Disk(Path(folder), self.chance)
            if self.plant == "skip-fsync":
                self.disk.skip_fsync = lambda path: path.name == FILE
            while self.publications < self.ticks:
                self._incarnation()
            self.chance.calm = True
            self.ticks = self.publications + 60
            self._incarnation()
            for name, topic in (("transfers", self.transfers), ("accounts", self.accounts)):
                read = self.last_positions.get(name, {})
                if topic.rows(read) != topic.rows(topic.ends()):
                    raise Wrong(f"at the end {name} was read up to {read} of {topic.ends()}")
            for sink, output in self.outputs.items():
                self._same_as_view(sink, output, self.last_positions)

    def _incarnation(self) -> None:
        self.incarnations += 1
        before = self.publications
        with self.disk.watched(), self._patched() as jobs:
            try:
                self._serve(jobs)
            except (Crash, StateError, OSError):
                pass
            finally:
                self.restored += self._live is not None and any(reader.resumed for reader in self._live[0])
                self._live = None
                for close in reversed(self._open):
                    close()
                self._open.clear()
        self.disk.crash()
        self._fruitless = self._fruitless + 1 if self.publications == before else 0
        self.chance.spared = self._fruitless >= FRUITLESS

    @contextmanager
    def _patched(self) -> Iterator[Jobs]:
        """Everything that would be a thread, a broker or large is the world's."""
        jobs, random = Jobs(), self.chance.random
        self._jobs = jobs
        sizes = {(ticks, "CATCH_UP_ROWS"): 16, (ticks, "COMPACT_BYTES"): 0, (kafka, "QUEUE_ROWS"): 30}
        with ExitStack() as patches:
            for place in (ticks, feed, checkpoint, runs):
                patches.enter_context(mock.patch.object(place, "ThreadPoolExecutor", jobs.executor))
            for (place, name), small in sizes.items():
                if random.random() < 0.5:
                    patches.enter_context(mock.patch.object(place, name, small))
            patches.enter_context(
                mock.patch.object(kafka, "Session", lambda target, timeout, _: Session(self.outputs, target, timeout))
            )
            yield jobs

    def _serve(self, jobs: Jobs) -> None:
        folder = self.disk.folder
        log = self._open_log(folder)
        self._open.append(log.close)
        self._watch_log(log)
        self._damage_checkpoint(folder / "checkpoints")
        stop, wake = Flag(self), Flag(self)
        readers, sources = self._sources(wake)
        dataflow = build_dataflow(
            PLANNED,
            {"transfers": TRANSFERS, "accounts": ACCOUNTS},
            {"accounts": (0,)},
            dict.fromkeys(VIEWS, (0,)),
            lambda: 0.0,
        )
        if self.chance.random.random() < 0.3:
            dataflow.limit_memory(MemoryLimit(RunFiles(folder / "runs"), 0, least_bytes=0))
        checkpoints = Checkpoints(folder / "checkpoints") if self.chance.random.random() < 0.9 else None
        sinks = {name: self._sink(name, wake) for name in SINKS}
        rooms = Rooms(
            sources=sources,
            dataflow=dataflow,
            sinks=cast(Mapping[str, KafkaSink], sinks),
            sink_views=SINKS,
            remap=log,
            publication=Watched(self),
            metrics=Metrics(CollectorRegistry(), lambda: STATUS),
            dependencies={name: PLANNED.sources(name) for name in PLANNED.order},
            catalog="sim",
            checkpoints=checkpoints,
            checkpoint_seconds=0.5,
            meaning="sim",
        )
        self._live = (readers, list(sinks.values()), jobs, stop)
        step = dataflow.step
        with mock.patch.object(
            dataflow, "step", lambda *a, **k: (self.chance.point("before a step"), step(*a, **k))[1]
        ):
            self._loop = TickLoop(rooms, cast(Any, wake), cast(Any, stop), self.clock)
            self._loop.run()

    def _sources(self, wake: Flag) -> tuple[list[Reader], dict[str, Source]]:
        readers, sources = [], {}
        for name, topic in (("transfers", self.transfers), ("accounts", self.accounts)):
            made: list[Reader] = []

            def make(
                _settings: Any,
                _name: Any,
                _connection: Any,
                _decoder: Any,
                _group: Any,
                ahead: Any,
                wake: Any,
                t: Topic = topic,
                m: list[Reader] = made,
            ) -> Reader:
                m.append(Reader(t, ahead, wake, self.chance))
                return m[0]

            settings = SourceSettings(kafka="main", topic=name, format="json")
            with mock.patch.object(ingest_source, "Reader", make):
                sources[name] = Source(settings, name, {}, topic.schema, cast(Any, None), "g", wake.set, ahead_rows=200)
            readers += made
        return readers, sources

    def _sink(self, name: str, wake: Flag) -> SimSink:
        view = SINKS[name]
        settings = SinkSettings(view=view, kafka="main", topic=name, key=KEYS[view])
        sink = SimSink(settings, name, {}, PLANNED.schemas[view], "d", "sim", wake.set)
        sink.world = self
        return sink

    # What happens while the service waits.

    def go_on(self, seconds: float) -> None:
        """Some things happen, and time passes. Ends the run when it is long enough."""
        random = self.chance.random
        self.clock.pass_(random.uniform(0, max(seconds, 0.001)))
        self.chance.point("while it waits")
        for _ in range(random.randint(1, 8)):
            self._something(random.random())
        if self.chance.fault("clock back"):
            self.clock.wall -= random.choice((5, 3_600_000))
        if self.chance.fault("clock ahead"):
            self.clock.wall += random.choice((500, 86_400_000))
        if self._live is not None and (self.publications >= self.ticks or self.chance.fault("clean stop")):
            self._live[3].set()

    def _something(self, draw: float) -> None:
        for output in self.outputs.values():
            if not output.fences and self.chance.random.random() < 0.02:
                output.decide()
        if draw < 0.2:
            if not self.chance.calm and self._backlog() < BACKLOG:
                self._produce()
        elif self._live is not None:
            readers, sinks, jobs, _ = self._live
            if draw < 0.6:
                self.chance.random.choice(readers).pump()
            elif draw < 0.85:
                self.chance.random.choice(sinks).pump()
            else:
                jobs.step()

    def _backlog(self) -> int:
        """Records that no time that was shown has."""
        shown = self.last_positions.get("transfers", {})
        return sum(end - shown.get(partition, 0) for partition, end in self.transfers.ends().items())

    def _produce(self) -> None:
        random = self.chance.random
        records = random.choice(self.transfers.partitions)
        for _ in range(random.randint(1, 8)):
            src, dst = random.sample(range(PEOPLE), 2)
            records.append((self._transfers, src, dst, random.choice((1, 1, 2, 5)), self.clock.now()))
            self._transfers += 1
        if random.random() < 0.3:
            records.append(None)
        if random.random() < 0.01 and len(self.transfers.partitions) < 4:
            self.transfers.partitions.append([])
        if random.random() < 0.4:
            account = random.randrange(PEOPLE)
            owner = None if random.random() < 0.3 else f"owner {random.randrange(4)}"
            self.accounts.partitions[account % 2].append((account, owner))

    # The state folder.

    def _open_log(self, folder: Path) -> RemapLog:
        path = folder / FILE
        if path.exists() and self.chance.fault("log damaged") and path.stat().st_size > 400:
            whole = path.read_bytes()
            place = self.chance.random.randrange(len(whole) // 2)  # not in the last write, which may be unfinished
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            try:
                RemapLog.open(folder).close()
                raise Wrong(f"byte {place} of the log was changed, and nobody noticed")
            except RemapError:
                path.write_bytes(whole)  # the folder is restored from a copy
        return RemapLog.open(folder)

    def _watch_log(self, log: RemapLog) -> None:
        append = log.append

        def watched(bindings: list[Binding]) -> None:
            for binding in bindings:
                if binding.time <= self.last_shown:
                    raise Wrong(f"time {binding.time} is bound after {self.last_shown} was shown")
                self.positions[binding.time] = {name: dict(ends) for name, ends in self._loop._ends.items()}
            append(bindings)

        cast(Any, log).append = watched
        self._jobs.unforced = watched if self.plant == "publish-first" else None

    def _damage_checkpoint(self, folder: Path) -> None:
        if folder.exists() and self.chance.fault("checkpoint damaged"):
            path = self.chance.random.choice(sorted(folder.iterdir()) or [folder])
            if path.is_file() and (content := path.read_bytes()):
                place = self.chance.random.randrange(len(content))
                path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])

    # The promises.

    def published(self, published: Published) -> None:
        """Every view is the query over the records that the log bound to this time, and what was shown stays true."""
        self.publications += 1
        self.chance.spared = False
        time = published.time
        positions = self.positions.get(time)
        if positions is None:
            raise Wrong(f"time {time} is shown, and was never bound")
        if self.shown.setdefault(time, positions) != positions:
            raise Wrong(f"time {time} was shown with {self.shown[time]}, and now with {positions}")
        if time < self.last_shown:
            raise Wrong(f"time {time} is shown after {self.last_shown}")
        self.last_shown, self.last_positions = time, positions
        expected = self._answer(positions, time)
        for name, view in published.views.items():
            if view.state != "ready":
                continue
            found = _bag(view.rows.rows())
            if found != expected[name]:
                raise Wrong(f"view {name} at {time}: {found} instead of {expected[name]}")
            errors, wanted = _bag(view.errors.rows()), expected.get(f"{name} errors", Counter())
            if errors != wanted:
                raise Wrong(f"errors of {name} at {time}: {errors} instead of {wanted}")

    def committed(self, sink: str, output: Output) -> None:
        """The topic is the view at its progress."""
        assert output.progress is not None
        positions = self.positions.get(output.progress.frontier - 1)
        if positions is None:
            raise Wrong(f"{sink} is complete up to {output.progress.frontier}, and no time ends there")
        self._same_as_view(sink, output, positions)

    def _same_as_view(self, sink: str, output: Output, positions: Positions) -> None:
        names = [column.name for column in PLANNED.schemas[SINKS[sink]]]
        found = Counter(
            tuple(_plain(json.loads(value)[name]) for name in names) for value in output.rows.values() if value
        )
        expected = self._answer(positions, 0)[SINKS[sink]]
        if found != Counter({tuple(map(_plain, row)): count for row, count in expected.items()}):
            raise Wrong(f"the topic of {sink}: {found} instead of {expected}")

    def _answer(self, positions: Positions, time: int) -> Answer:
        key = repr((positions, time))
        if key not in self._answers:
            if len(self._answers) > 50:
                self._answers.clear()
            self._answers[key] = answer(self.transfers, self.accounts, positions, time)
        return self._answers[key]


def _plain(value: Any) -> Any:
    return (
        str(Decimal(value))
        if isinstance(value, int | Decimal) or (isinstance(value, str) and value.lstrip("-").isdigit())
        else value
    )


def _bag(delta: Any) -> Counter[tuple[Any, ...]]:
    rows = zip(*(column.to_pylist() for column in delta.columns), strict=True)
    return Counter(dict(zip(rows, delta.diffs.tolist(), strict=True)))
