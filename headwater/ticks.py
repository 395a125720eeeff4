"""The tick loop: the one thread that moves time.

One tick: take what each source has up to its cut; bind the cut to a time in the remap log, durably; push the deltas through
the dataflow; publish; hand the changes to the sinks. The disk works while the dataflow computes, but nothing is published
before both are done. Times strictly rise, also across restarts.
Always true: what is published at time t is every view over one prefix of the inputs, the prefix that the log binds to t.
Deliberately unknown: how bytes become rows (ingest), what a view means (planner), who reads (serve).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import structlog

from dataflow.memory import NoRoomError
from dataflow.spine import Snapshot
from headwater.checkpoint import CheckpointError, Cut
from headwater.errors import StateError
from headwater.replay import Fold, fold, positions
from headwater.resume import in_need, refusal
from headwater.rooms import Clock, Pending, Rooms, SystemClock
from ingest.remap import Binding
from ingest.source import Range, ReplayMismatch, Taken, verify
from serve.reads import Published, PublishedView
from sinks.base import SinkHaltedError

log = structlog.get_logger(__name__)

TICK_ROWS = 65_536
"""Rows of one source that a tick takes at most: bounds how long the others wait for it."""

CATCH_UP_ROWS = 262_144
"""Rows of one source in a step of replaying or hydrating, where nobody waits for a single step. More of them merge less and
retract fewer rows of before; beyond this, what a step needs for a moment no longer fits into the caches. Sources read no
further ahead."""

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

COMPACT_BYTES = 64 << 20
"""Size from which a start replaces the remap log by its folds: some 300,000 ticks."""

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
        bindings = rooms.remap.bindings
        self._last_time = bindings[-1].time if bindings else 0
        self._epoch = bindings[-1].epoch + 1 if bindings else 1
        self._bound = positions(bindings)
        self._unusable: dict[str, str] = {}
        self._in_views: set[str] = set()
        self._resume: dict[str, int | None] = {}
        self._withheld: set[str] = set()
        self._behind: dict[str, Snapshot] = {}  # full sinks: the view as of the last time that was handed over
        self._ends = {name: dict(ends) for name, ends in self._bound.items()}
        self._saved_at = self._clock.monotonic()
        self._unmerged = True
        self._shown: dict[str, PublishedView] = {}
        self.waiting: dict[str, str] = {}
        """Sources whose past is not in the views, with the reason, as of the last publication."""
        self.phase = "starting"
        self.ticks = 0
        self.last_tick_wall = 0.0

    @property
    def ready(self) -> bool:
        """Whether every view answers."""
        return self.phase == RUNNING and not self.waiting

    # Start: sinks say how far they are, the log is replayed, the sources catch up.

    def run(self) -> None:
        """Run until `stop` is set. StateError when the log cannot be written; nothing of that tick was published."""
        try:
            early = not (self._rooms.checkpoints and self._rooms.checkpoints.candidates)
            if early:  # reading ahead while the sinks open
                self._start_sources({})
            self._open_sinks()
            restored = self._restore()
            if not early:
                self._start_sources(restored.positions if restored is not None else {})
            self._replay(restored.time if restored is not None else None)
            self._show_replayed()
            if self._hydrate(set(self._rooms.sources) - set(self._unusable)):
                self.phase = RUNNING
                self._loop()
        finally:
            self._disk.shutdown()

    def _open_sinks(self) -> None:
        """Ask every sink for its durable frontier, all at the same time: each fences its predecessor meanwhile."""
        self.phase = OPENING
        with ThreadPoolExecutor(max(1, len(self._rooms.sinks)), "open-sink") as pool:
            opening = {name: pool.submit(sink.open) for name, sink in self._rooms.sinks.items()}
        for name, future in opening.items():
            # A halted one says why in its status and takes nothing; views and other sinks go on.
            with suppress(SinkHaltedError):
                self._resume[name] = future.result()
        times = {binding.time for binding in self._rooms.remap.bindings}
        for name, frontier in self._resume.items():
            if frontier is not None and frontier - 1 not in times:
                self._rooms.sinks[name].halt(
                    f"its topic is complete up to time {frontier}, which the state folder does not know: it is not the "
                    "folder this sink was written from; restore that folder, or give the sink a new name and topic"
                )

    def _start_sources(self, positions: Mapping[str, Mapping[int, int]]) -> None:
        for name, source in self._rooms.sources.items():
            source.start(positions.get(name, {}))

    def _restore(self) -> Cut | None:
        """Take the state of the newest checkpoint over that fits and is whole; None: everything is to be replayed."""
        checkpoints = self._rooms.checkpoints
        if checkpoints is None:
            return None
        self.phase = "restoring"
        for manifest in checkpoints.candidates:
            reason = refusal(
                manifest, self._rooms.dataflow.shape, self._rooms.meaning, self._rooms.remap.bindings, self._resume
            )
            if not reason:
                try:
                    checkpoints.restore(manifest, self._rooms.dataflow.resume)
                except CheckpointError as error:
                    reason = str(error)
                else:
                    self._withheld |= in_need(manifest, self._resume)
                    log.info("state restored", checkpoint=manifest.number, time=manifest.cut.time)
                    return manifest.cut
            log.warning("a checkpoint is not used", checkpoint=manifest.number, reason=reason)
        return None

    def _show_replayed(self) -> None:
        """Let reads see the last time that was bound while the sources catch up; views of other sources still wait."""
        if self._bound and not self._stop.is_set():
            self._settle(self._bound.keys() & (self._rooms.sources.keys() - self._unusable.keys()))
            self._publish(self._last_time)

    def _replay(self, after: int | None) -> None:
        """Compute what was bound after this time (None: everything) again."""
        self.phase = "replaying"
        topic_ids: dict[str, str] = {}
        for binding in self._rooms.remap.bindings:
            topic_ids.update(binding.topic_ids)
        for name, ends in self._bound.items():
            if name in self._rooms.sources:
                self._rooms.sources[name].replay_to(ends, topic_ids.get(name, ""))
        frontiers = [frontier for frontier in self._resume.values() if frontier is not None]
        bindings = self._rooms.remap.bindings
        if self._rooms.checkpoints is not None:
            frontiers += [manifest.cut.time + 1 for manifest in self._rooms.checkpoints.candidates]
        folds = fold(bindings, frontiers)
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
            self._to_sinks(part.time, pending)
        self._rooms.remap.forget()

    def _compact(self, folds: list[Fold], topic_ids: dict[str, str]) -> None:
        """Let a large log hold its folds only, unless a sink halted before it told its frontier, which no fold may cross."""
        remap = self._rooms.remap
        if remap.nbytes < COMPACT_BYTES or self._resume.keys() != self._rooms.sinks.keys():
            return
        before = remap.nbytes
        remap.rewrite(
            [
                Binding(
                    time=part.time,
                    ranges={name: tuple(pieces.values()) for name, pieces in part.ranges.items()},
                    topic_ids={name: topic_ids[name] for name in part.ranges if name in topic_ids},
                    catalog=self._rooms.catalog,
                    epoch=self._epoch,
                )
                for part in folds
            ]
        )
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
            verify(source, ranges, seen[name])
        except ReplayMismatch as mismatch:
            source.halt(str(mismatch))
            self._unusable[name] = str(mismatch)
            log.error("source halted", source=name, reason=str(mismatch))

    def _hydrate(self, names: set[str]) -> bool:
        """Bring the sources up to the offsets probed at their start, all at one time. False when told to stop."""
        self.phase = "hydrating"
        pending = Pending()
        ranges: dict[str, dict[int, Range]] = {}
        patient_until = self._clock.monotonic() + PATIENCE
        while not self._stop.is_set():
            patient = self._clock.monotonic() < patient_until
            open_sources = [name for name in names if self._catching_up(name, patient)]
            taken = self._take(names, CATCH_UP_ROWS)
            if taken:
                self._collect(ranges, taken)
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
        """A time for steps before their binding: not before any bound one, nor after the binding's own."""
        self._last_time = max(self._clock.now() - 1, self._last_time)
        return self._last_time

    def _tick(self, started: float) -> None:
        taken = self._take(self._rooms.sources, TICK_ROWS)
        ranges: dict[str, dict[int, Range]] = {}
        self._collect(ranges, taken)
        pending = Pending()
        appended = self._append(ranges)
        self._step(taken, pending, self._last_time)
        # A topic that appeared late comes in tick by tick; its views are shown once its past is whole in them.
        self._settle(self._rooms.sources.keys() - self._in_views - self._unusable.keys())
        self._complete(appended, pending)
        rows = sum(part.records for part in taken.values())
        self._unmerged = self._maintain(LEAST_FUEL + FUEL_PER_ROW * rows)
        self._save()
        self._rooms.metrics.observe_tick(self._clock.monotonic() - started, rows)

    def _save(self) -> None:
        """Go on with the checkpoint under way, or begin one when it is time and something changed since the last."""
        checkpoints = self._rooms.checkpoints
        if checkpoints is None:
            return
        checkpoints.settle(self._durable)
        now = self._clock.monotonic()
        if now - self._saved_at < self._rooms.checkpoint_seconds or self._unusable:
            return
        self._saved_at = now
        checkpoints.give_up()
        last = checkpoints.last
        if checkpoints.busy or (
            last is not None and last.positions == self._ends and last.meaning == self._rooms.meaning
        ):
            return
        positions = {name: dict(ends) for name, ends in self._ends.items()}
        cut = Cut(self._last_time, positions, self._rooms.meaning, {}, tuple(sorted(self._withheld)))
        checkpoints.begin(cut, self._rooms.dataflow.state())

    def _durable(self, time_: int) -> dict[str, int | None] | None:
        """What each sink recorded as durable, once all but the halted ones have everything up to a time; else None."""
        if self._behind:
            return None
        statuses = {name: sink.status() for name, sink in self._rooms.sinks.items()}
        alive = {name: status.durable for name, status in statuses.items() if status.state != "halted"}
        return alive if all(self._rooms.sinks[name].settled(time_) for name in alive) else None

    def _take(self, names: Iterable[str], most: int) -> dict[str, Taken]:
        taken = {}
        for name in names:
            if name not in self._unusable and (part := self._rooms.sources[name].take(most, None)):
                taken[name] = part
        return taken

    @staticmethod
    def _collect(ranges: dict[str, dict[int, Range]], taken: Mapping[str, Taken]) -> None:
        for name, part in taken.items():
            bound = ranges.setdefault(name, {})
            for piece in part.ranges:
                before = bound.get(piece.partition)
                bound[piece.partition] = piece if before is None else before.extended(piece)

    def _append(self, ranges: Mapping[str, Mapping[int, Range]]) -> tuple[int, Future[None]]:
        """Bind the cut to the next time; the future is done when the binding is durable."""
        self._last_time = max(self._clock.now(), self._last_time + 1)
        binding = Binding(
            time=self._last_time,
            ranges={name: tuple(pieces.values()) for name, pieces in ranges.items()},
            topic_ids={name: source.topic_id for name, source in self._rooms.sources.items() if name in ranges},
            catalog=self._rooms.catalog,
            epoch=self._epoch,
        )
        for name, pieces in ranges.items():
            self._ends.setdefault(name, {}).update({piece.partition: piece.end for piece in pieces.values()})
        return self._last_time, self._disk.submit(self._rooms.remap.append, [binding])

    def _step(self, taken: Mapping[str, Taken], pending: Pending, time_: int) -> None:
        deltas = {name: part.delta for name, part in taken.items() if len(part.delta)}
        result = self._rooms.dataflow.step(deltas, time=time_)
        pending.add(result.changes, set(self._rooms.sink_views.values()))

    def _complete(self, appended: tuple[int, Future[None]], pending: Pending) -> None:
        """Wait until the binding is durable, then make the time visible and hand its changes to the sinks."""
        time_, durable = appended
        try:
            durable.result()
        except OSError as error:
            raise StateError(
                f"the state folder cannot be written: {error}; nothing of this tick was published: make room or mend the disk, "
                "then start again"
            ) from error
        self._publish(time_)
        self._to_sinks(time_, pending)
        self.ticks += 1
        self.last_tick_wall = time.time()

    def _publish(self, time_: int) -> None:
        """Make a time visible: the views that it changed are shown anew, all others as they are shown already."""
        blocked = self._blocked()
        changed = self._rooms.dataflow.changed_views()
        if blocked != self.waiting or not self._shown:
            changed = set(self._rooms.dependencies)
        self.waiting = blocked
        if changed:
            self._shown = self._shown | {name: self._show(name, blocked) for name in changed}
        self._rooms.publication.publish(Published(time_, self._shown))

    def _show(self, name: str, blocked: Mapping[str, str]) -> PublishedView:
        view = self._rooms.dataflow.view(name)
        sources = self._rooms.dependencies[name]
        reasons = [f"source {source}: {blocked[source]}" for source in sorted(sources & blocked.keys())]
        return PublishedView(
            name=name,
            schema=view.schema,
            key=view.key,
            rows=view.snapshot(),
            errors=view.errors(),
            state="hydrating" if reasons else "ready",
            reason="; ".join(reasons),
        )

    def _blocked(self) -> dict[str, str]:
        """Sources whose past is not in the views, with the reason: unusable ones, and topics that do not exist yet."""
        waiting = self._rooms.sources.keys() - self._in_views - self._unusable.keys()
        return self._unusable | {name: self._rooms.sources[name].status().reason for name in waiting}

    def _to_sinks(self, time_: int, pending: Pending) -> None:
        """Hand the changes of a complete time over. A sink whose view still waits for a source's past gets it whole later;
        one that is full gets all of its changes as one, when there is room again."""
        for name, sink in self._rooms.sinks.items():
            view = self._rooms.sink_views[name]
            sources = self._rooms.dependencies[view]
            if sources & self._unusable.keys():
                sink.halt(f"view {view} reads a source that is halted and whose past is not in the view")
            elif sources & self.waiting.keys():
                self._withheld.add(name)
            elif name in self._withheld:
                self._withheld.discard(name)
                sink.write(time_, self._rooms.dataflow.view(view).snapshot().rows())
            elif name in self._behind:
                if not sink.full:
                    sink.write(time_, self._rooms.dataflow.view(view).snapshot().since(self._behind.pop(name)))
                    log.info("sink has room again", sink=name)
            elif (delta := pending.of(view)) is not None:
                sink.write(time_, delta)
                if sink.full:
                    self._behind[name] = self._rooms.dataflow.view(view).snapshot()
                    log.warning("sink is full: changes of its view are added up until it has room", sink=name)

    def _maintain(self, fuel_rows: int) -> bool:
        """Merge and keep to the memory limit; whether work is left. StateError when the state has room nowhere."""
        try:
            return self._rooms.dataflow.maintain(fuel_rows)
        except NoRoomError as error:
            raise StateError(f"{error}: make room there or raise `memory`, then start again") from error

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
