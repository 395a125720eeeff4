"""The tables' log kept small while the service runs: changes that no start needs apart are added up.

A start needs a time apart where a sink's durable frontier or a checkpoint lies behind it. Up to the first of these every table is
what its frames add up to, in a thread of their own; the sums take the place of the frames, and what was written meanwhile stays
behind them. This is done when what was not added up yet is more than what was, so a log is at most about twice what its tables
hold, and each row is written again a few times at most while its table grows twofold.
Always true: a crash leaves the log as it was or folded; a disk that refuses costs only the attempt; while a halted sink may need
any earlier time nothing is folded. Deliberately unknown: how the log is written (`ingest.table_log`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future

import structlog

from headwater.feed import SinkFeed
from headwater.replay import positions
from headwater.saver import Saver
from ingest.frames import Folded
from ingest.remap import Binding, Log, RemapError
from ingest.table_log import TableLog, numbers

log = structlog.get_logger(__name__)

FOLD_BYTES = 64 << 20
"""Bytes of frames that the log may have at least before they are added up, and by which it grows before that is tried again."""


class TableFolding:
    """Of one loop; for its thread."""

    def __init__(
        self, tables: TableLog, remap: Log, feed: SinkFeed, saver: Saver | None, reading: Executor, disk: Executor
    ) -> None:
        """reading: an executor of its own. disk: the one in whose order frames are appended."""
        self._tables, self._remap, self._feed, self._saver = tables, remap, feed, saver
        self._reading, self._disk = reading, disk
        self._tried = 0
        self._until: int | None = None
        self._folded: Future[Folded | None] | None = None
        self._put: Future[None] | None = None

    def go_on(self, time: int) -> None:
        """Begin when the log has grown, and go on with what was begun; never waits. time: the last complete one."""
        try:
            if self._put is not None:
                self._finish(self._put)
            elif self._folded is not None:
                if self._folded.done():
                    folded, self._folded = self._folded.result(), None
                    self._put = self._disk.submit(self._tables.put, folded) if folded is not None else None
                    self._until = None
            elif self._until is not None:
                self._begin(self._until)
            elif self._due:
                self._until, self._tried = time, self._tables.nbytes
        except (OSError, RemapError) as error:  # what ends the service shows at the next write
            self._folded = self._put = self._until = None
            log.warning("the log of the tables could not be folded and stays as it is", reason=str(error))

    @property
    def _due(self) -> bool:
        loose = self._tables.loose_bytes
        return (
            loose >= FOLD_BYTES and 2 * loose >= self._tables.nbytes and self._tables.nbytes >= self._tried + FOLD_BYTES
        )

    def _begin(self, until: int) -> None:
        frontiers = self._feed.durable(until)
        if frontiers is None:
            return
        possible, any_before = self._feed.possible
        if any_before:
            self._until = None
            return
        cuts = [until + 1, *possible, *(frontier for frontier in frontiers.values() if frontier is not None)]
        cuts += [time + 1 for time in self._saver.times] if self._saver is not None else []
        self._folded = self._reading.submit(_fold, self._tables, self._remap, min(cuts))

    def _finish(self, put: Future[None]) -> None:
        if put.done():
            before, self._put = self._tried, None
            put.result()
            self._tried = self._tables.nbytes
            log.info("log of the tables folded", bytes_before=before, bytes=self._tables.nbytes)


def _fold(tables: TableLog, remap: Log, before: int) -> Folded | None:
    """The log of the tables folded up to the last time that is bound before this one; None when it is so already."""
    last = 0

    def bindings() -> Iterator[Binding]:
        nonlocal last
        for binding, _ in remap.walk():
            if binding.time >= before:
                return
            last = binding.time
            yield binding

    ends = numbers(positions(bindings()))
    return tables.fold(ends, last) if last > tables.folded_to else None
