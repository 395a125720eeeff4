"""The remap log kept small while the service runs: what no start needs one by one is folded into few bindings.

A start needs times apart where a sink's durable frontier or a checkpoint lies between them; all others it replays as one. So once
every sink is durable up to a time, the bindings up to it are folded at these places, in a thread of their own, and the folds
take the place of the log's beginning; what was bound meanwhile stays behind them.
Which transaction of a halted sink was the last is known when it opens again: every time that it may find then stays apart.
Always true: a crash leaves the log as it was or folded; a disk that refuses costs only the attempt.
Deliberately unknown: how the log is written (`ingest.remap`), and what a start does with it (`headwater.replay`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future

import structlog

from headwater.feed import SinkFeed
from headwater.replay import Fold, fold
from headwater.rooms import Rooms
from headwater.saver import Saver
from ingest.remap import Binding, Log, RemapError

log = structlog.get_logger(__name__)

COMPACT_BYTES = 64 << 20
"""Size that the log may have more than after it was last folded: some 300,000 ticks."""


def folded(folds: Iterable[Fold], topic_ids: Mapping[str, str], catalog: str, epoch: int) -> list[Binding]:
    """Bindings that say what the folds' own said."""
    return [
        Binding(
            time=part.time,
            ranges={name: tuple(pieces.values()) for name, pieces in part.ranges.items()},
            topic_ids={name: topic_ids[name] for name in part.ranges if name in topic_ids},
            catalog=catalog,
            epoch=epoch,
            reserved=part.until,
        )
        for part in folds
    ]


class LogFolding:
    """Of one loop; for its thread.

    reading: an executor of its own. disk: the one in whose order bindings are appended.
    """

    def __init__(self, rooms: Rooms, feed: SinkFeed, saver: Saver | None, reading: Executor, disk: Executor) -> None:
        self._remap, self._feed, self._saver = rooms.remap, feed, saver
        self._reading, self._disk = reading, disk
        self._size = rooms.remap.nbytes
        self._start = rooms.remap.bindings[-1].time if rooms.remap.bindings else 0
        self._until: int | None = None
        self._read: Future[tuple[list[Binding], int]] | None = None
        self._written: Future[None] | None = None

    def go_on(self, time: int, catalog: str, epoch: int) -> None:
        """Begin when the log has grown, and go on with what was begun; never waits. time: the last complete one."""
        try:
            if self._written is not None:
                self._finish(self._written)
            elif self._read is not None:
                if self._read.done():
                    self._written = self._disk.submit(self._remap.rewrite, *self._read.result())
                    self._read = None
            elif self._until is not None:
                self._begin(self._until, catalog, epoch)
            elif self._remap.nbytes - self._size >= COMPACT_BYTES:
                self._until = time
        except (OSError, RemapError) as error:  # what ends the service shows at the next binding
            self._read = self._written = self._until = None
            self._size = self._remap.nbytes
            log.warning("the remap log could not be folded and stays as it is: make room", reason=str(error))

    def _begin(self, until: int, catalog: str, epoch: int) -> None:
        frontiers = self._feed.durable(until)
        if frontiers is not None:
            possible, any_before = self._feed.possible
            cuts = [*possible, *(frontier for frontier in frontiers.values() if frontier is not None)]
            cuts += [time + 1 for time in self._saver.times] if self._saver is not None else []
            apart = self._start if any_before else 0
            self._read = self._reading.submit(_fold, self._remap, until, cuts, apart, catalog, epoch)

    def _finish(self, written: Future[None]) -> None:
        if written.done():
            self._written = self._until = None
            before = self._size
            written.result()
            self._size = self._remap.nbytes
            log.info("remap log folded", bytes_after_the_last_time=before, bytes=self._size)


def _fold(
    remap: Log, until: int, cuts: Sequence[int], apart: int, catalog: str, epoch: int
) -> tuple[list[Binding], int]:
    """The folds of the log up to a time, as bindings, and the offset in the file that they take the place of.

    apart: up to this time, none is folded.
    """
    if apart:
        cuts = [*cuts, *(binding.time + 1 for binding, _ in remap.walk() if binding.time <= apart)]
    topic_ids: dict[str, str] = {}
    end = 0

    def bindings() -> Iterator[Binding]:
        nonlocal end
        for binding, behind in remap.walk():
            if binding.time > until:
                return
            topic_ids.update(binding.topic_ids)
            end = behind
            yield binding

    folds = fold(bindings(), cuts)
    return folded(folds, topic_ids, catalog, epoch), end
