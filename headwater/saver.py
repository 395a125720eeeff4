"""When the state goes to a checkpoint, and which one a start begins from.

Always true: a checkpoint is begun only at a complete time, of state that lacks no source's past that it should have; one that
does not fit, or is not whole, is passed over with the reason, and never half used.
Deliberately unknown: files (`headwater.checkpoint`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import structlog

from dataflow.memory import RunColumns
from dataflow.stack import Stack
from dataflow.state import State
from headwater.checkpoint import CheckpointError, Checkpoints
from headwater.feed import SinkFeed
from headwater.manifest import Cut, Manifest
from headwater.resume import in_need, refusal
from headwater.rooms import Clock, Rooms

log = structlog.get_logger(__name__)


class Saver:
    """The checkpoints of one loop; for its thread."""

    def __init__(self, rooms: Rooms, feed: SinkFeed, checkpoints: Checkpoints, clock: Clock) -> None:
        self._rooms, self._feed, self._checkpoints, self._clock = rooms, feed, checkpoints, clock
        self._begun_at = clock.monotonic()

    @property
    def times(self) -> list[int]:
        """The times of the checkpoints that there are, and of the one that is being made."""
        return self._checkpoints.times

    def restore(self) -> Cut | None:
        """Take the state of the newest checkpoint over that fits and is whole; None: everything is to be replayed."""
        rooms, frontiers = self._rooms, self._feed.frontiers
        for manifest in self._checkpoints.candidates:
            lost = self._lost(manifest)
            reason = refusal(manifest, rooms.dataflow.shape, rooms.meaning, rooms.remap.bindings, frontiers, lost)
            if not (reason := reason or self._folded_over(manifest)):
                try:
                    self._checkpoints.restore(manifest, self._resume(manifest))
                except CheckpointError as error:
                    reason = str(error)
                else:
                    self._feed.withheld |= in_need(manifest, frontiers) & frontiers.keys()
                    self._feed.restored, self._feed.lost = manifest, lost
                    log.info("state restored", checkpoint=manifest.number, time=manifest.cut.time)
                    return manifest.cut
            log.warning("a checkpoint is not used", checkpoint=manifest.number, reason=reason)
        return None

    def save(self, time: int, ends: Mapping[str, Mapping[int, int]]) -> None:
        """Go on with the checkpoint under way, or begin one of this time when it is due and something changed since the last.

        ends: for each source, partition to the exclusive offset that is in the state.
        """
        self._checkpoints.settle(self._feed.durable)
        now = self._clock.monotonic()
        if now - self._begun_at < self._rooms.checkpoint_seconds:
            return
        self._begun_at = now
        self._checkpoints.give_up()
        positions = {name: dict(partitions) for name, partitions in ends.items()}
        last = self._checkpoints.last
        state = self._rooms.dataflow.state()
        unchanged = last is not None and (last.positions, last.meaning) == (positions, self._rooms.meaning)
        unchanged = unchanged and self._checkpoints.candidates[0].parts == state.parts
        if not (self._checkpoints.busy or unchanged):
            cut = Cut(time, positions, self._rooms.meaning, {}, tuple(sorted(self._feed.withheld)))
            self._checkpoints.begin(cut, state)

    def _lost(self, manifest: Manifest) -> set[str]:
        """The sinks whose views a checkpoint does not hold."""
        dataflow = self._rooms.dataflow
        lacking = dataflow.lacking(manifest.parts) if isinstance(dataflow, Stack) else set[str]()
        return {sink for sink, view in self._rooms.sink_views.items() if view in lacking}

    def _folded_over(self, manifest: Manifest) -> str:
        """Why the tables' log cannot be read from where a checkpoint ends; empty when it can."""
        tables = self._rooms.tables
        if tables is not None and manifest.cut.time < tables.folded_to:
            return "the log of the tables is folded up to a later time"
        return ""

    def _resume(self, manifest: Manifest) -> Callable[[list[list[RunColumns]]], State]:
        """How the dataflow takes this checkpoint's runs over."""
        dataflow = self._rooms.dataflow
        return partial(dataflow.resume, parts=manifest.parts) if isinstance(dataflow, Stack) else dataflow.resume
