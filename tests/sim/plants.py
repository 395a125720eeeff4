"""Mistakes that can be built in, to see that they are found. Always true: each changes one thing of what really runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from headwater import table_folding
from headwater.ticks import TickLoop
from ingest import remap, table_log
from ingest.frames import Folded
from ingest.remap import Log
from ingest.table_log import TableLog
from sinks import kafka
from tests.sim.doubles import SimSink
from tests.sim.transactions import Producer

PLANTS = {
    "fsync": "the log's bindings are not synced",
    "fence": "a new producer ends nothing of the one before it",
    "owner": "a sink connects again without asking whose the state is",
    "taken": "a sink does not take its topic back from a service of before",
    "table": "what is written to tables is not synced",
    "fold": "the tables' log is folded up to its end, whatever checkpoints and sinks need apart",
    "publish": "a time is shown before its binding is in the log",
    "kept": "what is kept of topics is written after the binding that makes it count",
    "reserve": "a start forgets that times behind the last binding were reserved",
}
"""The names, and what is wrong."""


class _Unsynced:
    """The module `os` without fsync."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, _: Any) -> None:
        """Nothing."""


class _Nothing:
    """A future that is done."""

    def result(self) -> None:
        """At once."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Build one in; with an empty name, nothing."""
    complete = TickLoop._complete

    def publish_first(self: TickLoop, appended: Any, pending: Any) -> None:
        time, durable = appended
        complete(self, (time, _Nothing()), pending)  # type: ignore[arg-type]
        durable.result()

    def join(self: Producer, _: float) -> None:
        self._epoch = self._cluster.epochs.setdefault(self._id, 1)

    def bind_first(self: TickLoop, staged: Any, binding: Any) -> None:
        self._rooms.remap.append([binding])
        if staged and self._rooms.tables is not None:
            self._rooms.tables.append(staged)

    fold = table_folding._fold

    def fold_all(tables: TableLog, log: Log, _: int) -> Folded | None:
        return fold(tables, log, 1 << 62)

    patches: dict[str, Any] = {
        "fsync": lambda: mock.patch.object(remap, "os", _Unsynced()),
        "fence": lambda: mock.patch.object(Producer, "init_transactions", join),
        "owner": lambda: mock.patch.object(SimSink, "_check_owned", return_value=None),
        "taken": lambda: mock.patch.object(kafka, "FENCES", 0),
        "table": lambda: mock.patch.object(table_log, "os", _Unsynced()),
        "fold": lambda: mock.patch.object(table_folding, "_fold", fold_all),
        "kept": lambda: mock.patch.object(TickLoop, "_write", bind_first),
        "reserve": lambda: mock.patch.object(remap.Binding, "until", property(lambda binding: binding.time)),
        "publish": lambda: mock.patch.object(TickLoop, "_complete", publish_first),
    }
    if not name:
        yield
        return
    with patches[name]():
        yield
