"""The tick loop: the one thread that moves time.

One tick: take what each source has up to its cut; bind the cut to a time in the remap log, durably; push the deltas through
the dataflow; publish; hand the changes to the sinks. The disk works while the dataflow computes, but nothing is published
before both are done. Times strictly rise, also across restarts. A tick that changes nothing is shown without a binding of its
own, as far as the last one reserved times (`headwater.reserving`).
Always true: what is published at time t is every view over one prefix of the inputs, the prefix that the log binds to t, or to the
last time before it.
Deliberately unknown: how bytes become rows (ingest), what a view means (planner), who reads (serve).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from dataflow.memory import NoRoomError
from dataflow.stack import Stack
from headwater import folding
from headwater.calls import Calls
from headwater.errors import StateError
from headwater.feed import SinkFeed
from headwater.folding import LogFolding, folded
from headwater.manifest import Cut
from headwater.replay import Fold, fold, positions
from headwater.reserving import RESERVED, Reservation
from headwater.rooms import Clock, Pending, Rooms, Shape, SystemClock
from headwater.saver import Saver
from headwater.showing import Showing
from headwater.table_folding import TableFolding
from ingest.frames import Staged
from ingest.ranges import compare, join
from ingest.remap import Binding, RemapError
from ingest.source import Range, ReplayMismatch, Source, Taken

log = structlog.get_logger(__name__)

TICK_ROWS = 65_536
"""Rows of one source that a tick takes at most: bounds how long the others wait for it."""

CATCH_UP_ROWS = 1_048_576
"""Rows of one source in a step of replaying or hydrating, where nobody waits for a single step. More of them merge less, retract
fewer rows of before, and lie in pages that are huge; a step takes some 100 bytes a row for a moment. Sources read no further ahead,
and not so far where rows are wide (`ingest.source.AHEAD_BYTES`)."""

LOADED_INTERVAL = 0.01
"""Seconds from the start of one tick to the start of the next while data keeps coming."""

HEARTBEAT = 1.0
"""Seconds after which an idle service completes a tick all the same, so that time goes on."""

FUEL_PER_ROW = 8
"""Rows of merge work that a tick does for each row it took in."""

PATIENCE = 10.0
"""Seconds that hydration waits for a connection of a source that was never read before; its views wait on, others go on."""

LEAST_FUEL = 16_384
"""Rows of merge work that every tick may do."""

SPOOLED = 2
"""Steps of hydration whose kept rows may wait for the disk; bounds the memory that they take."""

OPENING = "opening sinks"
"""The phase in which the loop waits for the sinks' broker; closing the sinks ends it."""

RUNNING = "running"
"""The phase of ticks: there is a publication."""


class TickLoop:
    """Replays, hydrates, then ticks until it is told to stop.

    `wake` is set by readers when there is something to take; `stop` ends the loop after the tick under way.
    """

    def __init__(
        self,
        rooms: Rooms,
        wake: threading.Event,
        stop: threading.Event,
        clock: Clock | None = None,
    ) -> None:
        self._rooms = rooms
        self._wake = wake
        self._stop = stop
        self._clock = clock or SystemClock()
        self._disk = ThreadPoolExecutor(1, "remap-log")
        self._reading = ThreadPoolExecutor(1, "fold-log")
        bindings = rooms.remap.bindings
        self._last_time = bindings[-1].until if bindings else 0
        self._reservation = Reservation(self._clock, bindings[-1].time if bindings else 0)
        self._epoch = bindings[-1].epoch + 1 if bindings else 1
        self._bound = positions(bindings)
        self._unusable: dict[str, str] = {}
        self._in_views: set[str] = set()
        self._came: dict[str, dict[int, Range]] = {}
        self._spooled: deque[Future[None]] = deque()
        self._feed = SinkFeed(rooms)
        self._showing = Showing(rooms)
        self._saver = (
            Saver(rooms, self._feed, rooms.checkpoints, self._clock) if rooms.checkpoints is not None else None
        )
        self._folding = LogFolding(rooms, self._feed, self._saver, self._reading, self._disk)
        self._table_folding = (
            TableFolding(rooms.tables, rooms.remap, self._feed, self._saver, self._reading, self._disk)
            if rooms.tables is not None
            else None
        )
        self._ends = {name: dict(ends) for name, ends in self._bound.items()}
        self._unmerged = True
        self.calls = Calls(wake.set)
        """What others have done between ticks."""
        self.restored: Callable[[], None] = lambda: None
        """Called once, when it is known what state a checkpoint gave."""
        self.phase = "starting"
        self.ticks = 0
        self.last_tick_wall = 0.0

    @property
    def ready(self) -> bool:
        """Whether every view answers."""
        shown = self._showing.shape.shown.values()
        return self.phase == RUNNING and not self.waiting and all(one.view is not None for one in shown)

    @property
    def waiting(self) -> Mapping[str, str]:
        """Sources whose past is not in the views, with the reason, as of the last publication."""
        return self._showing.waiting

    @property
    def now(self) -> int:
        """The last time: no binding is of a later one yet."""
        return self._last_time

    def ends(self, source: str) -> dict[int, int]:
        """Partition to the exclusive offset up to which a source is in the views. For work between ticks."""
        return dict(self._ends.get(source, {}))

    def come(self, source: str, ranges: Mapping[int, Range]) -> None:
        """What was taken of a new source already, and is in the views: the coming tick binds it. For work between ticks."""
        self._came[source] = dict(ranges)

    def go(self, source: str) -> None:
        """A source is taken from no more. For work between ticks, and for sources that are gone from the rooms."""
        self._unusable.pop(source, None)
        self._in_views.discard(source)

    def add_sink(self, name: str, frontier: int | None) -> None:
        """A sink of the rooms is open: it gets the whole view with the coming tick. For work between ticks."""
        self._feed.add(name, frontier)

    def remove_sink(self, name: str) -> None:
        """A sink is gone from the rooms. For work between ticks."""
        self._feed.remove(name)

    def reshape(self, shape: Shape) -> None:
        """Show something else from the next tick on. For work between ticks, and before `run`."""
        self._showing.reshape(shape)

    # Start: sinks say how far they are, the log is replayed, the sources catch up.

    def run(self) -> None:
        """Run until `stop` is set. StateError when the log cannot be written; nothing of that tick was published."""
        try:
            restored = self._open()
            self._replay(restored.time if restored is not None else None)
            self._show_replayed()
            if self._hydrate(set(self._rooms.sources) - set(self._unusable)):
                self.phase = RUNNING
                self._loop()
        finally:
            self.calls.close()
            self._reading.shutdown(cancel_futures=True)
            self._disk.shutdown()

    def _open(self) -> Cut | None:
        """Open the sinks, take a checkpoint's state over if one fits, start the sources where it ends."""
        early = self._saver is None or not self._saver.times
        if early:  # reading ahead while the sinks open
            self._start_sources({})
        self.phase = OPENING
        # A sink that is complete up to a time before this one, such as one that was left out for a while, cannot go on.
        since = self._rooms.tables.folded_to if self._rooms.tables is not None else 0
        self._feed.open({binding.time for binding in self._rooms.remap.bindings if binding.time >= since})
        self.phase = "restoring"
        restored = self._saver.restore() if self._saver is not None else None
        self.restored()
        if not early:
            self._start_sources(restored.positions if restored is not None else {})
        return restored

    def _start_sources(self, positions: Mapping[str, Mapping[int, int]]) -> None:
        for name, source in self._rooms.sources.items():
            source.start(positions.get(name, {}))

    def _show_replayed(self) -> None:
        """Let reads see what was bound last while the sources catch up; views of other sources still wait."""
        if not self._bound or self._stop.is_set():
            return
        self._settle(self._bound.keys() & (self._rooms.sources.keys() - self._unusable.keys()))
        if self._rooms.dataflow.still(self._last_time):
            # It may have been shown at all times up to this one, and can be read as of them.
            self._publish(self._last_time, Pending(), self._reservation.bound)
        else:
            pending, appended = self._showing.pending(), self._append({})
            self._step({}, pending, self._last_time)
            self._complete(appended, pending)

    def _replay(self, after: int | None) -> None:
        """Compute what was bound after this time (None: everything) again."""
        self.phase = "replaying"
        topic_ids: dict[str, str] = {}
        for binding in self._rooms.remap.bindings:
            topic_ids.update(binding.topic_ids)
        for name, ends in self._bound.items():
            if name in self._rooms.sources:
                self._rooms.sources[name].replay_to(ends, topic_ids.get(name, ""))
        saved = self._saver.times if self._saver is not None else []
        cuts = [*self._feed.durable_frontiers, *(time_ + 1 for time_ in saved)]
        if self._feed.late:  # it may be complete up to any of them
            cuts = [binding.time + 1 for binding in self._rooms.remap.bindings]
        if (tables := self._rooms.tables) is not None:
            cuts = [cut for cut in cuts if cut > tables.folded_to]
        folds = fold(self._rooms.remap.bindings, cuts)
        self._compact(folds, topic_ids)
        for part in folds:
            if after is not None and part.time <= after:
                continue
            pending = Pending()
            for name, ranges in part.ranges.items():
                if name in self._rooms.sources and name not in self._unusable:
                    self._replay_source(name, ranges, pending, part.time)
            if self._stop.is_set():
                return
            # What time alone changed until then, also where nothing came.
            self._step({}, pending, part.time)
            self._hand_over(part.time, pending)
        self._rooms.remap.forget()

    def _compact(self, folds: list[Fold], topic_ids: dict[str, str]) -> None:
        """Let a large log hold its folds only, unless a sink halted before it told its frontier, which no fold may cross."""
        remap = self._rooms.remap
        if remap.nbytes < folding.COMPACT_BYTES or not self._feed.all_open:
            return
        before = remap.nbytes
        remap.rewrite(folded(folds, topic_ids, self._showing.shape.catalog, self._epoch))
        log.info("remap log compacted", bytes_before=before, bytes=remap.nbytes)

    def _replay_source(self, name: str, ranges: Mapping[int, Range], pending: Pending, time_: int) -> None:
        """Read one source's ranges again; a difference to what the log says makes the source unusable, never wrong."""
        source = self._rooms.sources[name]
        until = {partition: piece.end for partition, piece in ranges.items()}
        seen: dict[str, dict[int, Range]] = {name: {}}
        while not (self._stop.is_set() or source.reached(until)):
            if taken := source.take(CATCH_UP_ROWS, until):
                self._collect(seen, {name: taken})
                self._step({name: taken}, pending, time_)
                self._maintain(LEAST_FUEL + FUEL_PER_ROW * taken.records)
            elif (status := source.status()).state == "halted":
                self._unusable[name] = status.reason
                return
            else:
                self._pause(0.1)
        if self._stop.is_set():
            return
        try:
            compare(source.settings.topic, ranges, seen[name])
        except ReplayMismatch as mismatch:
            source.halt(str(mismatch))
            self._unusable[name] = str(mismatch)
            log.error("source halted", source=name, reason=str(mismatch))

    def _hydrate(self, names: set[str]) -> bool:
        """Bring the sources up to the offsets probed at their start, all at one time. False when told to stop."""
        self.phase = "hydrating"
        pending = self._showing.pending()
        ranges: dict[str, dict[int, Range]] = {}
        patient_until = self._clock.monotonic() + PATIENCE
        while not self._stop.is_set():
            patient = self._clock.monotonic() < patient_until
            open_sources = [name for name in names if self._catching_up(name, patient)]
            taken = self._take(names, CATCH_UP_ROWS)
            if taken:
                self._collect(ranges, taken)
                self._spool(taken)
                self._step(taken, pending, self._coming())
                self._maintain(LEAST_FUEL + FUEL_PER_ROW * sum(t.records for t in taken.values()))
            elif open_sources:
                self._pause(0.05)
            else:
                appended = self._append(ranges)
                self._step({}, pending, self._last_time)
                self._settle(names)
                self._complete(appended, pending)
                return True
        return False

    def _catching_up(self, name: str, patient: bool) -> bool:
        state = self._rooms.sources[name].status().state
        return state == "hydrating" or (state == "connecting" and (patient or name in self._bound))

    def _settle(self, names: Iterable[str]) -> None:
        """Which sources' views may be read from now on. A bound source is a prefix of its topic at any offset."""
        for name in names:
            source = self._rooms.sources[name]
            if source.hydrated or name in self._bound:
                self._in_views.add(name)
            elif (status := source.status()).state == "halted":
                self._unusable[name] = status.reason

    # Steady state.

    def _loop(self) -> None:
        started = self._clock.monotonic()
        while not self._stop.is_set():
            while self._unmerged and not (self._wake.is_set() or self._stop.is_set()):
                self._unmerged = self._maintain(LEAST_FUEL)
            self._wake.wait(max(0.0, min(started + HEARTBEAT - self._clock.monotonic(), self._until_deadline())))
            if self._stop.is_set():
                break
            rest = started + LOADED_INTERVAL - self._clock.monotonic()
            if rest > 0:
                self._stop.wait(rest)
            self._wake.clear()
            started = self._clock.monotonic()
            self._tick(started)

    def _until_deadline(self) -> float:
        """Seconds until time alone may change a view."""
        deadline = self._rooms.dataflow.deadline
        return HEARTBEAT if deadline is None else (deadline - self._clock.now()) / 1000

    def _coming(self) -> int:
        """A time for steps before their binding: not before any that was shown, nor after the binding's own."""
        self._last_time = max(self._clock.now() - 1, self._last_time)
        return self._last_time

    def _tick(self, started: float) -> None:
        called = self.calls.run()
        taken = self._take(self._rooms.sources, TICK_ROWS)
        ranges, self._came = self._came, {}
        self._collect(ranges, taken)
        pending = self._showing.pending()
        time_ = max(self._clock.now(), self._last_time + 1)
        if not (called or ranges) and self._changes_nothing(time_):
            self._last_time = time_
            self._reservation.renew(time_, lambda: self._append_at(time_, {}))
            self._settle(self._waiting())
            self._show(time_, pending)
        else:
            appended = self._append(ranges)
            self._step(taken, pending, self._last_time)
            # A topic that appeared late comes in tick by tick; its views are shown once its past is whole in them.
            self._settle(self._waiting())
            self._complete(appended, pending)
            self.calls.published(self._last_time)
        rows = sum(part.records for part in taken.values())
        self._unmerged = self._maintain(LEAST_FUEL + FUEL_PER_ROW * rows)
        if self._saver is not None and not self._unusable:
            self._saver.save(self._reservation.bound, self._ends)
        # A view on its way reads topics again up to a time that no fold may pass over.
        coming = isinstance(self._rooms.dataflow, Stack) and self._rooms.dataflow.recording
        if not self._unusable and not coming:
            self._folding.go_on(self._reservation.bound, self._showing.shape.catalog, self._epoch)
            if self._table_folding is not None:
                self._table_folding.go_on(self._reservation.bound)
        self._rooms.metrics.observe_tick(self._clock.monotonic() - started, rows)

    def _changes_nothing(self, time_: int) -> bool:
        """Whether a tick without rows needs no binding: it changes no view, gives no sink anything, and its time is reserved."""
        if not (self._rooms.dataflow.still(time_) and self._feed.quiet):
            return False
        if (renewed := self._reservation.renewed) is not None:
            _wait_for(renewed)  # it is done: what it raised ends the service
        return self._reservation.holds(time_)

    def _take(self, names: Iterable[str], most: int) -> dict[str, Taken]:
        taken = {}
        for name in names:
            if name not in self._unusable and (part := self._rooms.sources[name].take(most, None)):
                taken[name] = part
        return taken

    @staticmethod
    def _collect(ranges: dict[str, dict[int, Range]], taken: Mapping[str, Taken]) -> None:
        for name, part in taken.items():
            join(ranges.setdefault(name, {}), part.ranges)

    def _append(self, ranges: Mapping[str, Mapping[int, Range]]) -> tuple[int, Future[None]]:
        """Bind the cut to the next time; the future is done when the binding is durable."""
        self._last_time = max(self._clock.now(), self._last_time + 1)
        return self._last_time, self._append_at(self._last_time, ranges)

    def _append_at(self, time_: int, ranges: Mapping[str, Mapping[int, Range]]) -> Future[None]:
        binding = Binding(
            time=time_,
            ranges={name: tuple(pieces.values()) for name, pieces in ranges.items()},
            topic_ids={name: source.topic_id for name, source in self._rooms.sources.items() if name in ranges},
            catalog=self._showing.shape.catalog,
            epoch=self._epoch,
            reserved=time_ + RESERVED,
        )
        if ranges:  # made anew: what was published keeps the ends that it was published with
            moved = {name: {piece.partition: piece.end for piece in pieces.values()} for name, pieces in ranges.items()}
            self._ends = self._ends | {name: self._ends.get(name, {}) | ends for name, ends in moved.items()}
        staged = self._rooms.tables.staged() if self._rooms.tables is not None else []
        return self._disk.submit(self._write, [*staged, *self._kept(ranges)], binding)

    def _kept(self, names: Iterable[str]) -> list[Staged]:
        """The rows that are kept of what was taken of sources."""
        sources = (self._rooms.sources[name] for name in names)
        return [frame for source in sources if isinstance(source, Source) for frame in source.staged()]

    def _spool(self, names: Iterable[str]) -> None:
        """Write what is kept of a topic's past as it comes, rather than hold it until it is bound. Nothing else is written then."""
        if (staged := self._kept(names)) and self._rooms.tables is not None:
            self._spooled.append(self._disk.submit(self._rooms.tables.append, staged))
            while len(self._spooled) > SPOOLED:
                _wait_for(self._spooled.popleft())

    def _write(self, staged: Sequence[Staged], binding: Binding) -> None:
        """On the log's thread: what was written to tables, and what is kept of topics, becomes durable, then the binding that makes
        it count."""
        while self._spooled:
            self._spooled.popleft().result()
        if staged and self._rooms.tables is not None:
            self._rooms.tables.append(staged)
        self._rooms.remap.append([binding])

    def _step(self, taken: Mapping[str, Taken], pending: Pending, time_: int) -> None:
        if not taken and self._rooms.dataflow.still(time_):
            return
        known = self._rooms.dataflow.inputs  # a table whose rows are being filled in elsewhere is none
        deltas = {name: part.delta for name, part in taken.items() if len(part.delta) and name in known}
        result = self._rooms.dataflow.step(deltas, time=time_)
        pending.add(result.changes, set(self._rooms.sink_views.values()))

    def _complete(self, appended: tuple[int, Future[None]], pending: Pending) -> None:
        """Wait until the binding is durable, then make the time visible and hand its changes to the sinks."""
        time_, durable = appended
        _wait_for(durable)
        self._reservation.hold(time_)
        self._show(time_, pending)

    def _show(self, time_: int, pending: Pending) -> None:
        self._publish(time_, pending)
        self._hand_over(time_, pending)
        self._showing.tell_subscribers(pending)
        self.ticks += 1
        self.last_tick_wall = time.time()

    def _publish(self, time_: int, pending: Pending, since: int | None = None) -> None:
        self._showing.publish(time_, pending, self._ends, self._blocked(), since)

    def _blocked(self) -> dict[str, str]:
        """Sources whose past is not in the views, with the reason: unusable ones, and topics that do not exist yet."""
        return self._unusable | {name: self._rooms.sources[name].status().reason for name in self._waiting()}

    def _waiting(self) -> Collection[str]:
        """Sources whose past is neither in the views nor given up."""
        if self._in_views.issuperset(self._rooms.sources):
            return ()
        return self._rooms.sources.keys() - self._in_views - self._unusable.keys()

    def _hand_over(self, time_: int, pending: Pending) -> None:
        self._feed.hand_over(time_, pending, self._unusable.keys(), self._showing.waiting.keys())

    def _maintain(self, fuel_rows: int) -> bool:
        """Merge and keep to the memory limit; whether work is left. StateError when the state has room nowhere."""
        try:
            return self._rooms.dataflow.maintain(fuel_rows)
        except NoRoomError as error:
            raise StateError(f"{error}: make room there or raise `memory`, then start again") from error

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()


def _wait_for(written: Future[None]) -> None:
    """StateError when something could not be written."""
    try:
        written.result()
    except OSError as error:
        raise StateError(
            f"the state cannot be written: {error}; nothing of this tick was published: make room or mend the disk, "
            "then start again"
        ) from error
    except RemapError as error:
        raise StateError(f"{error}; nothing of this tick was published") from error
