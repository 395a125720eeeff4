"""One simulated run: incarnations of the service, one after the other, in one thread.

The loop, the log, checkpoints, run files, sources' read-ahead, the dataflow and the sinks with their sessions are the real ones.
The clock, the order in which things happen, the broker and the disk are decided by the seed. The world goes on whenever the loop
waits. What is promised is checked at every publication, change, read and committed transaction (`tests.sim.promises`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

from prometheus_client import CollectorRegistry

from config.settings import Sink as SinkSettings
from config.settings import Source as SourceSettings
from dataflow.memory import MemoryLimit
from dataflow.step import Dataflow
from headwater import checkpoint, feed, folding, runs, table_folding, ticks
from headwater.errors import StateError
from headwater.replay import positions
from headwater.rooms import Rooms, Shape, Shown
from headwater.runs import RunFiles
from headwater.ticks import RUNNING, TickLoop
from ingest import frames, table_log
from ingest import source as ingest_source
from ingest.kept import Keeping
from ingest.remap import Binding, Log
from ingest.remap_objects import ObjectLog
from ingest.table_log import TableLog
from ingest.tables import TableSource
from planner import build_dataflow, plan_views
from planner.views import PlannedViews
from serve.metrics import Metrics
from serve.status import ServiceStatus
from sinks import kafka, progress, session
from sinks.kafka import KafkaSink
from tests.sim.broker import ACCOUNTS, TRANSFERS, Harm, Reader, Topic
from tests.sim.chance import Chance, Crash
from tests.sim.doubles import Clock, Flag, SimSink, Watched, WatchedSource
from tests.sim.durable import IN_A_BUCKET, Durable
from tests.sim.jobs import Jobs
from tests.sim.limits import LIMITS, TABLE, Limits
from tests.sim.oracle import ALWAYS, KEYS, LIMITED, SINKS, VIEWS
from tests.sim.plants import planted
from tests.sim.promises import Promises
from tests.sim.transactions import Cluster, Consumer, Producer, Topics

PEOPLE = 12
CALM_TICKS = 100
"""Ticks after which everything has to be everywhere once there are no faults."""

BACKLOG = 300
"""Records that may wait before no more come."""

FRUITLESS = 3
"""Incarnations in a row that may die before they show anything."""

MORE_VIEWS = 1
"""Views of a run besides those that are always there: each costs time, and all of them come up in some run."""

STATUS = ServiceStatus(True, "", {}, {}, (), 0.0, 0)


@lru_cache(None)
def planned_views(names: tuple[str, ...]) -> PlannedViews:
    """The plans of some of the views."""
    return plan_views(
        {"transfers": TRANSFERS, "accounts": ACCOUNTS, TABLE: LIMITS}, {name: VIEWS[name] for name in names}
    )


class World:
    """A run of `ticks` publications. plant: a mistake that is built in, see `tests.sim.plants`."""

    def __init__(
        self, seed: int, ticks: int, kinds: Collection[str], plant: str = "", dropped: Collection[int] = ()
    ) -> None:
        self.seed, self.ticks, self.plant = seed, ticks, plant
        self.chance = Chance(seed, kinds, dropped)
        self.topics = {"transfers": Topic(TRANSFERS, [[], []]), "accounts": Topic(ACCOUNTS, [[], []])}
        self.clock = Clock()
        for topic in self.topics.values():
            topic.kept = self.chance.random.random() < 0.5
        in_bucket = self.chance.random.random() < IN_A_BUCKET
        more = self.chance.random.sample(sorted(VIEWS.keys() - {*ALWAYS, LIMITED}), MORE_VIEWS)
        self.planned = planned_views((*ALWAYS, *sorted(more), *(() if in_bucket else (LIMITED,))))
        for topic in self.topics.values():
            topic.kept = topic.kept and not in_bucket
        self.limits = None if in_bucket else Limits(self.chance, PEOPLE)
        self.promises = Promises(self.chance, self.topics, self.planned.schemas, self.limits)
        self.cluster = Cluster(self.chance, self.promises.committed, self.clock.monotonic)
        self.incarnations = self.restored = 0
        self._transfers = self._fruitless = 0
        self._asleep: dict[str, int] = {}
        self._open: list[Callable[[], None]] = []
        self._live: tuple[list[Reader], list[SimSink], Jobs, Flag] | None = None
        self._zombies: list[SimSink] = []
        self._published = 0

    @property
    def overtaken(self) -> bool:
        """Whether another service has taken the state over from the one that is alive."""
        return self.promises.taken_at is not None

    # The run.

    def run(self) -> None:
        """Wrong when a promise was broken; at the end, when all is calm, everything has to be everywhere."""
        memory = Path("/dev/shm")  # the disk is a model: that the files are fast only helps
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder, planted(self.plant):
            self._durable = Durable(Path(folder), self.chance, self.promises, self.limits is None)
            while self.promises.publications < self.ticks:
                self._incarnation()
            self.chance.calm = True
            self._zombies.clear()
            self._asleep.clear()
            for topic in self.topics.values():
                topic.harmed = ""
            self.ticks = self.promises.publications + CALM_TICKS
            self._incarnation()
            self.promises.at_the_end()
            for _ in range(2):
                self.ticks = self.promises.publications + 1
                self._incarnation()

    def _incarnation(self) -> None:
        self.incarnations += 1
        before, harmed = self.promises.publications, [name for name, topic in self.topics.items() if topic.harmed]
        self._published = before
        with self._durable.disk.watched(), self._patched() as jobs:
            try:
                self._serve(jobs)
            except (Crash, StateError, OSError):
                pass
            finally:
                self.restored += self._live is not None and any(reader.resumed for reader in self._live[0])
                self._die()
                for close in reversed(self._open):
                    close()
                self._open.clear()
        self._durable.disk.crash()
        self.promises.restarted()
        for name in harmed:  # somebody restored it
            self.topics[name].harmed = ""
        self._fruitless = self._fruitless + 1 if self.promises.publications == before else 0
        self.chance.spared = self._fruitless >= FRUITLESS

    def _die(self) -> None:
        """Sinks of before may go on with what they had begun, as those of a process do that was only thought to be dead."""
        sinks = self._live[1] if self._live is not None else []
        self._live = None
        self._zombies.clear()
        if sinks and self.chance.fault("zombie sinks"):
            self._zombies = [sink for sink in sinks if sink._thread is not None]
            for sink in self._zombies:
                sink.succeeded = True

    @contextmanager
    def _patched(self) -> Iterator[Jobs]:
        """Everything that would be a thread, a broker or large is the world's."""
        jobs, random = Jobs(), self.chance.random
        sizes = {
            (ticks, "CATCH_UP_ROWS"): 32,
            (folding, "COMPACT_BYTES"): 0,
            (table_folding, "FOLD_BYTES"): 400,
            (frames, "PIECE_BYTES"): 100,
            (table_log, "PIECE_BYTES"): 100,
            (kafka, "QUEUE_ROWS"): 30,
        }
        with ExitStack() as patches:
            for place in (ticks, feed, checkpoint, runs):
                patches.enter_context(mock.patch.object(place, "ThreadPoolExecutor", jobs.executor))
            for (place, name), small in sizes.items():
                if random.random() < 0.3:
                    patches.enter_context(mock.patch.object(place, name, small))
            for place, name, made in (
                (session, "TransactionalProducer", partial(Producer, self.cluster)),
                (session, "Topics", lambda *_: Topics(self.cluster)),
                (progress, "Consumer", partial(Consumer, self.cluster, self.clock.pass_)),
                (progress, "time", self.clock),
                (session, "time", self.clock),
            ):
                patches.enter_context(mock.patch.object(place, name, made))
            yield jobs

    def _serve(self, jobs: Jobs) -> None:
        folder = self._durable.disk.folder
        log = self._log = self._durable.open_log()
        self._open.append(log.close)
        self._watch_log(log)
        bound = positions(log.bindings)
        tables = self._durable.open_tables(bound)
        self._durable.damage_checkpoint()
        checkpoints = self._durable.checkpoints(self.incarnations)
        stop, wake = Flag(self), Flag(self)
        readers, sources = self._sources(wake, tables, bound)
        table: dict[str, TableSource] = {}
        if tables is not None and self.limits is not None:
            self._open.append(tables.close)
            table[TABLE] = self.limits.start(tables, bound, self.promises.last_positions)
            self.promises.checked["starts from a folded table"] += tables.folded_to > 0
        dataflow = self._dataflow(folder)
        sinks = {name: self._sink(name, wake) for name in SINKS}
        self._publication = Watched(self.chance, self._check)
        rooms = Rooms(
            sources={**sources, **table},
            dataflow=dataflow,
            sinks=cast(Mapping[str, KafkaSink], sinks),
            sink_views=SINKS,
            remap=log,
            publication=self._publication,
            metrics=Metrics(CollectorRegistry(), lambda: STATUS),
            dependencies={name: self.planned.sources(name) for name in self.planned.order},
            catalog="sim",
            checkpoints=checkpoints,
            checkpoint_seconds=0.5,
            meaning="sim",
            tables=tables,
        )
        self._live = (readers, list(sinks.values()), jobs, stop)
        self._state = dataflow.state
        self._bound_before = log.bindings[-1].time if log.bindings else 0
        step = dataflow.step
        with mock.patch.object(
            dataflow, "step", lambda *a, **k: (self.chance.point("S5 before a step"), step(*a, **k))[1]
        ):
            self._loop = TickLoop(rooms, cast(Any, wake), cast(Any, stop), self.clock)
            self._loop.reshape(self._shape(rooms))
            show = self._loop._show_replayed

            def show_replayed() -> None:
                state = self._state()
                show()
                if self._bound_before and self._publication.current() is not None and not self._loop.waiting:
                    self.promises.replayed(self._bound_before, state)

            with mock.patch.object(self._loop, "_show_replayed", show_replayed):
                self._loop.run()

    def _shape(self, rooms: Rooms) -> Shape:
        """What is shown: the views, of which in some incarnations the past is kept."""
        kept = self.chance.random.choice((0, 0, 300, 5000))
        return Shape({name: Shown(name, of, history=kept) for name, of in rooms.dependencies.items()}, "sim")

    def _dataflow(self, folder: Path) -> Dataflow:
        schemas = {name: topic.schema for name, topic in self.topics.items()}
        schemas |= {TABLE: LIMITS} if self.limits is not None else {}
        indexes = dict.fromkeys(self.planned.order, (0,))
        dataflow = build_dataflow(self.planned, schemas, {"accounts": (0,)}, indexes, lambda: 0.0)
        if self.chance.random.random() < 0.05:
            dataflow.limit_memory(MemoryLimit(RunFiles(folder / "runs"), 0, least_bytes=0))
        return dataflow

    def _sources(
        self, wake: Flag, tables: TableLog | None, bound: Mapping[str, Mapping[int, int]]
    ) -> tuple[list[Reader], dict[str, WatchedSource]]:
        readers, sources = [], {}
        for name, topic in self.topics.items():
            made: list[Reader] = []

            def make(*given: Any, topic: Topic = topic, made: list[Reader] = made) -> Reader:
                ahead, wake = given[-2:]
                made.append(Reader(topic, ahead, wake, self.chance))
                return made[0]

            settings = SourceSettings(kafka="main", topic=name, format="json")
            if name == "accounts":
                settings = settings.model_copy(update={"envelope": "upsert", "key": ("account",)})
            keeping = Keeping(name, settings, topic.schema, tables, bound.get(name, {})) if tables is not None else None
            replays = keeping is not None and bool(keeping.kept and topic.compacted)
            self.promises.checked["starts on a compacted topic"] += replays
            with mock.patch.object(ingest_source, "Reader", make):
                sources[name] = WatchedSource(
                    settings, name, {}, topic.schema, cast(Any, None), "g", wake.set, 400, keeping=keeping
                )
            sources[name].chance = self.chance
            readers += made
        return readers, sources

    def _sink(self, name: str, wake: Flag) -> SimSink:
        view = SINKS[name]
        settings = SinkSettings(view=view, kafka="main", topic=name, key=KEYS[view])
        owned = self._log.owned if isinstance(self._log, ObjectLog) else None
        sink = SimSink(settings, name, {}, self.planned.schemas[view], "d", "sim", wake.set, owned)
        sink.world = self
        sink.opened = partial(self.promises.opened, name)
        sink.changed = partial(self.promises.changed, name)
        return sink

    def _check(self, published: Any) -> None:
        self.promises.published(published)
        for reader in self._live[0] if self._live is not None else []:
            if reader.state == "halted":
                self.promises.halted(reader.topic, reader.reason)

    # What happens while the service waits.

    def go_on(self, seconds: float) -> None:
        """Some things happen, and time passes. Ends the run when it is long enough."""
        random = self.chance.random
        self.clock.pass_(random.uniform(0, max(seconds, 0.001)))
        self.chance.point("S1 while it waits")
        self.cluster.go_on()
        for _ in range(random.randint(1, 8)):
            self._something(random.random())
        for name, topic in self.topics.items():
            self._harm(name, topic)
        if self.chance.fault("clock back"):
            self.clock.wall -= random.choice((5, 3_600_000))
        if self.chance.fault("clock ahead"):
            self.clock.wall += random.choice((500, 86_400_000))
        if self._live is None:
            return
        if random.random() < 0.3:
            self.promises.read(self._publication)
        if random.random() < 0.2:
            self.promises.read_past(self._publication)
        if self.limits is not None and not self.chance.calm and random.random() < 0.2 and self._loop.phase == RUNNING:
            self.limits.write(self._loop.now)
        if self.chance.fault("second coordinator"):
            self._durable.start_another()
        if self.chance.fault("taken over"):
            self._durable.take_over()
        done = self.chance.calm and self.promises.all_there()
        if self.promises.publications >= self.ticks or done or self.chance.fault("clean stop"):
            self._live[3].set()

    def _something(self, draw: float) -> None:
        if draw < 0.2:
            if not self.chance.calm and self._backlog() < BACKLOG:
                self._produce()
        elif self._live is not None:
            readers, sinks, jobs, _ = self._live
            random = self.chance.random
            if draw < 0.6:
                number = random.randrange(len(readers))
                self._act(f"source {number}", readers[number].pump)
            elif draw < 0.85:
                number = random.randrange(len(sinks))
                self._act(f"sink {number}", sinks[number].pump)
                if self._zombies and random.random() < 0.3:
                    random.choice(self._zombies).write_on()
            else:
                self._act("a thread", jobs.step)

    def _act(self, name: str, act: Callable[[], None]) -> None:
        """Let somebody do something, unless it stands still for a while."""
        if self.chance.fault("delay", name):
            self._asleep[name] = self.chance.random.randint(5, 60)
        if self._asleep.get(name, 0) > 0:
            self._asleep[name] -= 1
        else:
            act()

    def _backlog(self) -> int:
        """Records that no time that was shown has."""
        shown = self.promises.last_positions.get("transfers", {})
        return sum(end - shown.get(partition, 0) for partition, end in self.topics["transfers"].ends().items())

    def _produce(self) -> None:
        random = self.chance.random
        partitions = self.topics["transfers"].partitions
        records = random.choice(partitions)
        for _ in range(random.randint(1, 6)):
            src, dst = random.sample(range(PEOPLE), 2)
            records.append((self._transfers, src, dst, random.choice((1, 1, 2, 5)), self.clock.now()))
            self._transfers += 1
        if random.random() < 0.3:
            records.append(None)
        if len(partitions) < 4 and self.chance.fault("partition added"):
            partitions.append([])
        if random.random() < 0.4:
            account = random.randrange(PEOPLE)
            owner = None if random.random() < 0.3 else f"owner {random.randrange(4)}"
            self.topics["accounts"].partitions[account % 2].append((account, owner))

    def _harm(self, name: str, topic: Topic) -> None:
        """Somebody deletes, expires or compacts what was read already."""
        if topic.kept and self.chance.fault("compaction", name):
            for partition, end in self.promises.last_positions.get(name, {}).items():
                topic.compacted[partition] = max(self.chance.random.randint(0, end), topic.compacted.get(partition, 0))
        harms: dict[str, Harm] = {
            "topic recreated": "recreated",
            "records expired": "expired",
            "records compacted": "compacted",
        }
        for kind, harm in harms.items():
            read = self.promises.last_positions.get(name)
            if self.chance.fault(kind, name) and read and not topic.harmed:
                topic.harmed, topic.gone = harm, {p: self.chance.random.randint(0, end) for p, end in read.items()}

    def _watch_log(self, log: Log) -> None:
        append, ends = log.append, positions(log.bindings)
        if log.bindings:
            self.promises.durable(log.bindings[-1].time, ends, log.bindings[-1].reserved)

        def watched(bindings: list[Binding]) -> None:
            nonlocal ends
            self.chance.point("S3 before a binding")
            for binding in bindings:
                ends = {name: ends.get(name, {}) | moved for name, moved in positions([binding]).items()} | {
                    name: offsets for name, offsets in ends.items() if name not in binding.ranges
                }
                self.promises.bound(binding.time, ends)
            append(bindings)
            self.promises.durable(bindings[-1].time, ends, bindings[-1].reserved)
            self.chance.point("S4 after a binding")

        cast(Any, log).append = watched
