"""How the changes of a time get to the sinks, and how far they are.

Always true: a sink gets the changes of each complete time once, in order of time, or the sum of those of several times as one. A
sink whose view still waits for a source's past gets the whole view when it is there; one that is full gets what has changed
meanwhile when it has room again; one whose broker does not answer at the start (a late one) gets its changes when it does, and
is waited for only while what is replayed for it is more than is kept.
Deliberately unknown: what a sink writes to, and why a source is not in the views.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from dataflow.delta import Delta
from dataflow.snapshot import Snapshot
from headwater.manifest import Manifest
from headwater.resume import in_need, unfit
from headwater.rooms import Pending, Rooms
from sinks.base import SinkHaltedError

log = structlog.get_logger(__name__)

SINK_PATIENCE = 10.0
"""Seconds that a start waits for the sinks' brokers; those that have not answered then are late."""

LATE_ROWS = 1_000_000
"""Rows of changes that are kept for a late sink; then what it lacks is told from what its view was."""


@dataclass(slots=True)
class _Late:
    """A sink that has not told its frontier yet, and what it may need: the changes of each time, in order.

    behind: the view when no more was kept.
    """

    opening: Future[int | None]
    ticks: list[tuple[int, Delta]] = field(default_factory=list)
    rows: int = 0
    behind: Snapshot | None = None

    def keep(self, time: int, delta: Delta | None) -> None:
        """Keep the changes of a time."""
        if delta is not None and self.behind is None:
            self.ticks.append((time, delta))
            self.rows += len(delta)


class SinkFeed:
    """The sinks of one loop; for its thread."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._behind: dict[str, Snapshot] = {}  # full sinks: the view as of the last time that was handed over
        self._summed: dict[str, int] = {}  # sinks that were full: the time for which they got all that they had missed
        self.frontiers: dict[str, int | None] = {}
        """Durable frontier of each sink that opened, None for a new one."""
        self.withheld: set[str] = set()
        """Sinks that get the whole view at their next time."""
        self.restored: Manifest | None = None
        """The checkpoint that the state was taken over from."""
        self.lost: Collection[str] = ()
        """Sinks whose views that checkpoint does not hold."""
        self._late: dict[str, _Late] = {}
        self._known: Collection[int] = ()

    def open(self, times: Collection[int]) -> None:
        """Ask every sink for its durable frontier, all at the same time: each fences its predecessor meanwhile.

        times: those that the state folder knows. A sink that is complete up to another one was written from another folder.
        """
        self._known = times
        pool, patience = ThreadPoolExecutor(max(1, len(self._rooms.sinks)), "open-sink"), SINK_PATIENCE
        opening = {name: pool.submit(sink.open) for name, sink in self._rooms.sinks.items()}
        for name, future in opening.items():
            try:
                self._told(name, future.result(patience))
            except SinkHaltedError:
                pass  # it says why in its status and takes nothing; views and other sinks go on
            except TimeoutError:
                self._late[name] = _Late(future)
                patience = 0.0
        if self._late:
            log.warning("a sink's broker is away: the service goes on, and the sink follows", sinks=sorted(self._late))

    def _told(self, name: str, frontier: int | None) -> None:
        """A sink opened."""
        self.frontiers[name] = frontier
        if frontier is not None and frontier - 1 not in self._known:
            self._rooms.sinks[name].halt(
                f"its topic is complete up to time {frontier}, which the state folder does not know: it is not the "
                "folder this sink was written from; restore that folder, or give the sink a new name and topic"
            )

    def add(self, name: str, frontier: int | None) -> None:
        """A sink came, and is open: it gets the whole view."""
        self.frontiers[name] = frontier
        self.withheld.add(name)

    def remove(self, name: str) -> None:
        """A sink went."""
        self.withheld.discard(name)
        self.frontiers.pop(name, None)
        self._behind.pop(name, None)
        self._summed.pop(name, None)
        self._late.pop(name, None)

    @property
    def late(self) -> bool:
        """Whether a sink has not told its frontier yet: it may be any time that is to be replayed."""
        return bool(self._late)

    def _admit(self) -> None:
        """Give late sinks that have opened what they lack."""
        for name, late in list(self._late.items()):
            if not late.opening.done():
                continue
            del self._late[name]
            try:
                frontier = late.opening.result()
            except SinkHaltedError:
                continue
            self._told(name, frontier)
            if self.restored is not None and (reason := unfit(self.restored, {name: frontier}, self.lost)):
                self._rooms.sinks[name].halt(f"{reason}: the start went on without it; restart the service to write it")
            elif self.restored is not None and in_need(self.restored, {name: frontier}):
                self.withheld.add(name)
            elif name not in self.withheld:
                for time, delta in late.ticks:
                    self._rooms.sinks[name].write(time, delta)
                if late.behind is not None:
                    self._behind[name] = late.behind
            log.info("a sink's broker is back", sink=name, frontier=frontier)

    def _keep(self, name: str, time: int, delta: Delta | None) -> None:
        """Keep a late sink's changes. What is replayed has to be kept for each time, or the sink be waited for."""
        late = self._late[name]
        late.keep(time, delta)
        if late.rows <= LATE_ROWS or late.behind is not None:
            return
        if time < max(self._known, default=0):
            late.opening.exception()
            self._admit()
        else:
            late.behind = self._rooms.dataflow.view(self._rooms.sink_views[name]).snapshot()

    @property
    def all_open(self) -> bool:
        """Whether every sink told its frontier."""
        return self.frontiers.keys() == self._rooms.sinks.keys()

    @property
    def durable_frontiers(self) -> list[int]:
        """Exclusive times up to which sinks were complete when they opened."""
        return [frontier for frontier in self.frontiers.values() if frontier is not None]

    def hand_over(self, time: int, pending: Pending, unusable: Set[str], waiting: Set[str]) -> None:
        """Give the sinks what a complete time changed.

        unusable, waiting: sources whose past is not in the views, for good or yet.
        """
        self._admit()
        for name, sink in self._rooms.sinks.items():
            view = self._rooms.sink_views[name]
            sources = self._rooms.dependencies[view]
            if sources & unusable:
                sink.halt(f"view {view} reads a source that is halted and whose past is not in the view")
            elif sources & waiting or view not in self._rooms.dataflow.views:  # or it is being filled
                self.withheld.add(name)
            elif name in self._late:
                if name not in self.withheld:
                    self._keep(name, time, pending.of(view))
            elif name in self.withheld:
                self.withheld.discard(name)
                sink.write(time, self._rooms.dataflow.view(view).snapshot().rows())
            elif name in self._behind:
                if not sink.full:
                    sink.write(time, self._rooms.dataflow.view(view).snapshot().since(self._behind.pop(name)))
                    self._summed[name] = time
                    log.info("sink has room again", sink=name)
            elif (delta := pending.of(view)) is not None:
                sink.write(time, delta)
                if sink.full:
                    self._behind[name] = self._rooms.dataflow.view(view).snapshot()
                    log.warning("sink is full: changes of its view are added up until it has room", sink=name)

    @property
    def quiet(self) -> bool:
        """Whether a time that changes nothing gives no sink anything."""
        return not (self.withheld or self._behind or self._late)

    @property
    def possible(self) -> tuple[set[int], bool]:
        """Frontiers that halted sinks may find when they open again, and whether one may find any of those before this start."""
        found: set[int] = set()
        halted = {name: sink for name, sink in self._rooms.sinks.items() if sink.status().state == "halted"}
        for sink in halted.values():
            status = sink.status()
            found |= {*status.unknown, *(() if status.durable is None else (status.durable,))}
        return found, not halted.keys() <= self.frontiers.keys()

    def durable(self, time: int) -> Mapping[str, int | None] | None:
        """What each sink recorded as durable, once all but the halted ones have everything up to a time; else None."""
        alive = {name: sink for name, sink in self._rooms.sinks.items() if sink.status().state != "halted"}
        # What a full sink missed of earlier times is written with the time that it got it for.
        if (
            self._behind
            or self._late
            or not all(sink.settled(max(time, self._summed.get(name, time))) for name, sink in alive.items())
        ):
            return None
        # Asked only now: what becomes durable after this is of later times.
        return {name: sink.status().durable for name, sink in alive.items()}
