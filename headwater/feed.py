"""How the changes of a time get to the sinks, and how far they are.

Always true: a sink gets the changes of each complete time once, in order of time, or the sum of those of several times as one;
nothing here waits for a sink, but for `open`. A sink whose view still waits for a source's past gets the whole view when it is
there; one that is full gets what has changed meanwhile when it has room again.
Deliberately unknown: what a sink writes to, and why a source is not in the views.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from dataflow.snapshot import Snapshot
from headwater.rooms import Pending, Rooms
from sinks.base import SinkHaltedError

log = structlog.get_logger(__name__)


class SinkFeed:
    """The sinks of one loop; for its thread."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._behind: dict[str, Snapshot] = {}  # full sinks: the view as of the last time that was handed over
        self.frontiers: dict[str, int | None] = {}
        """Durable frontier of each sink that opened, None for a new one."""
        self.withheld: set[str] = set()
        """Sinks that get the whole view at their next time."""

    def open(self, times: Collection[int]) -> None:
        """Ask every sink for its durable frontier, all at the same time: each fences its predecessor meanwhile.

        times: those that the state folder knows. A sink that is complete up to another one was written from another folder.
        """
        sinks = self._rooms.sinks
        with ThreadPoolExecutor(max(1, len(sinks)), "open-sink") as pool:
            opening = {name: pool.submit(sink.open) for name, sink in sinks.items()}
        for name, future in opening.items():
            # A halted one says why in its status and takes nothing; views and other sinks go on.
            with suppress(SinkHaltedError):
                self.frontiers[name] = future.result()
        for name, frontier in self.frontiers.items():
            if frontier is not None and frontier - 1 not in times:
                sinks[name].halt(
                    f"its topic is complete up to time {frontier}, which the state folder does not know: it is not the "
                    "folder this sink was written from; restore that folder, or give the sink a new name and topic"
                )

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
        for name, sink in self._rooms.sinks.items():
            view = self._rooms.sink_views[name]
            sources = self._rooms.dependencies[view]
            if sources & unusable:
                sink.halt(f"view {view} reads a source that is halted and whose past is not in the view")
            elif sources & waiting:
                self.withheld.add(name)
            elif name in self.withheld:
                self.withheld.discard(name)
                sink.write(time, self._rooms.dataflow.view(view).snapshot().rows())
            elif name in self._behind:
                if not sink.full:
                    sink.write(time, self._rooms.dataflow.view(view).snapshot().since(self._behind.pop(name)))
                    log.info("sink has room again", sink=name)
            elif (delta := pending.of(view)) is not None:
                sink.write(time, delta)
                if sink.full:
                    self._behind[name] = self._rooms.dataflow.view(view).snapshot()
                    log.warning("sink is full: changes of its view are added up until it has room", sink=name)

    def durable(self, time: int) -> Mapping[str, int | None] | None:
        """What each sink recorded as durable, once all but the halted ones have everything up to a time; else None."""
        alive = {name: sink for name, sink in self._rooms.sinks.items() if sink.status().state != "halted"}
        if self._behind or not all(sink.settled(time) for sink in alive.values()):
            return None
        # Asked only now: what becomes durable after this is of later times.
        return {name: sink.status().durable for name, sink in alive.items()}
