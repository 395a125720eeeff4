"""The service as a process that ends itself, as by kill -9, when it passes a point for the n-th time.

`python -m tests.soak.entry FILE JOURNAL [POINT PASSAGES]`. The product knows nothing of points: this wraps its functions, then
runs its command. Each binding that became durable is also written to JOURNAL, from which the oracle knows what the log held
before it was folded. Always true: without a POINT nothing but the journal and a small remap log differs from `headwater run
FILE`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import headwater.checkpoint
import headwater.folding
import headwater.runfile
from dataflow.step import Dataflow
from headwater.__main__ import main as command
from headwater.checkpoint import Checkpoints
from headwater.ticks import TickLoop
from ingest.reader import Reader
from ingest.remap import Binding, RemapLog, encode
from ingest.source import Source
from serve.reads import Publication
from sinks.producer import TransactionalProducer
from sinks.session import Session

SMALL_LOG = 128 << 10
"""Bytes from which the remap log is folded: often enough that kills meet it."""

Function = Callable[..., Any]


def die() -> None:
    """What kill -9 does: nothing is flushed, closed or committed."""
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # a signal to oneself may take a moment


class Fuse:
    """Dies at the n-th passage; any thread."""

    def __init__(self, passages: int) -> None:
        self._left = passages
        self._lock = threading.Lock()

    def passes(self) -> bool:
        """Count one passage; True at the last."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def burn(self) -> None:
        """Count one passage and die at the last."""
        if self.passes():
            die()


def before(owner: Any, name: str, fuse: Fuse) -> None:
    """Die on entering owner.name."""
    inner: Function = getattr(owner, name)

    @wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        fuse.burn()
        return inner(*arguments, **named)

    setattr(owner, name, wrapped)


def after(owner: Any, name: str, fuse: Fuse, only: Callable[[Any], bool] = lambda _: True) -> None:
    """Die on leaving owner.name, when it returns something that counts."""
    inner: Function = getattr(owner, name)

    @wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = inner(*arguments, **named)
        if only(result):
            fuse.burn()
        return result

    setattr(owner, name, wrapped)


def at_fsync(ending: str, first: bool) -> Callable[[Fuse], None]:
    """Die before (`first`) or after the fsync of a file or folder whose path ends so."""

    def plant(fuse: Fuse) -> None:
        inner = os.fsync

        def fsync(descriptor: int) -> None:
            ours = os.readlink(f"/proc/self/fd/{descriptor}").endswith(ending)
            if ours and first:
                fuse.burn()
            inner(descriptor)
            if ours and not first:
                fuse.burn()

        os.fsync = fsync

    return plant


def at_rename(ending: str, first: bool) -> Callable[[Fuse], None]:
    """Die before (`first`) or after a file gets a name that ends so."""

    def plant(fuse: Fuse) -> None:
        inner = Path.rename

        def rename(path: Path, target: Any) -> Path:
            ours = str(target).endswith(ending)
            if ours and first:
                fuse.burn()
            result = inner(path, target)
            if ours and not first:
                fuse.burn()
            return result

        setattr(Path, "rename", rename)  # noqa: B010 (a method is replaced)

    return plant


def torn_binding(fuse: Fuse) -> None:
    """Die when a part of a binding's frame is in the log."""
    inner = RemapLog.append

    def append(log: RemapLog, bindings: list[Binding]) -> None:
        if fuse.passes():
            data = b"".join(encode(binding) for binding in bindings)
            log._file.write(data[: random.randrange(1, len(data))])
            die()
        inner(log, bindings)

    setattr(RemapLog, "append", append)  # noqa: B010


def during_commit(fuse: Fuse) -> None:
    """Die up to 5 ms after the commit of a sink's transaction was asked for."""
    inner = TransactionalProducer.commit

    def commit(producer: TransactionalProducer, timeout: float) -> None:
        if fuse.passes():
            threading.Thread(target=lambda: (time.sleep(random.uniform(0, 0.005)), die()), daemon=True).start()
        inner(producer, timeout)

    setattr(TransactionalProducer, "commit", commit)  # noqa: B010


POINTS: dict[str, tuple[int, Callable[[Fuse], None]]] = {
    "S1 before rows are read ahead": (20, lambda f: before(Reader, "_add", f)),
    "S1 after rows were read ahead": (20, lambda f: after(Reader, "_add", f)),
    "S2 after the cut": (20, lambda f: after(Source, "take", f, lambda taken: taken is not None)),
    "S3 before a time is chosen": (20, lambda f: before(TickLoop, "_append", f)),
    "S4 half of a binding written": (20, torn_binding),
    "S4 before the log's fsync": (20, at_fsync("remap.log", first=True)),
    "S4 after the log's fsync": (20, at_fsync("remap.log", first=False)),
    "S4 before the folded log has its name": (1, at_rename("remap.log", first=True)),
    "S4 after the folded log has its name": (1, at_rename("remap.log", first=False)),
    "S5 before a step": (20, lambda f: before(Dataflow, "step", f)),
    "S5 after a step": (20, lambda f: after(Dataflow, "step", f)),
    "S6 before a time is visible": (20, lambda f: before(Publication, "publish", f)),
    "S6 after a time is visible": (20, lambda f: after(Publication, "publish", f)),
    "S7 before predecessors are fenced": (3, lambda f: before(TransactionalProducer, "init_transactions", f)),
    "S7 after predecessors were fenced": (3, lambda f: after(TransactionalProducer, "init_transactions", f)),
    "S7 after a transaction began": (20, lambda f: after(TransactionalProducer, "begin", f)),
    "S7 after changes were sent": (20, lambda f: after(TransactionalProducer, "produce", f)),
    "S7 after the progress was sent": (20, lambda f: after(TransactionalProducer, "produce_one", f)),
    "S7 during the commit": (20, during_commit),
    "S7 after the commit": (20, lambda f: after(Session, "commit", f)),
    "S8 after a run file": (40, lambda f: after(headwater.runfile, "write", f)),
    "S8 before the manifest's fsync": (2, at_fsync(".new", first=True)),
    "S8 before the manifest has its name": (2, at_rename(".manifest", first=True)),
    "S8 after the manifest has its name": (2, at_rename(".manifest", first=False)),
    "S8 before old files go": (2, lambda f: before(Checkpoints, "_remove_unnamed", f)),
    "S8 after old files went": (2, lambda f: after(Checkpoints, "_remove_unnamed", f)),
}
"""Each point with the passages among which one is drawn; named after the steps of a tick."""


def keep_journal(path: Path) -> None:
    """Write each durable binding to a file beside."""
    inner = RemapLog.append
    journal = path.open("ab", buffering=0)

    def append(log: RemapLog, bindings: list[Binding]) -> None:
        inner(log, bindings)
        journal.write(b"".join(encode(binding) for binding in bindings))

    setattr(RemapLog, "append", append)  # noqa: B010


def main(arguments: list[str]) -> int:
    """Plant the point, if any, and run the service."""
    file, journal, *point = arguments
    headwater.folding.COMPACT_BYTES = SMALL_LOG
    keep_journal(Path(journal))
    if point:
        POINTS[point[0]][1](Fuse(int(point[1])))
    sys.argv = ["headwater", "run", file, "--log-format", "json"]
    return command()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
