"""Checkpoints: the state of the dataflow as of one time, in files, so that a restart replays only what came after.

A checkpoint is a manifest that names run files (`headwater.runfile`), each with its size, checksum and rows, and says what they
belong to: time, offsets of every source, shape and meaning of the dataflow, what the sinks had made durable. Order of writing:
run files, each fsynced; the folder; the manifest under another name, fsynced; its name; the folder; only then are older
manifests and the files that no kept one names removed. The last `KEPT` are kept. Runs never change, so each is written once,
however many checkpoints name it; the file of one that was moved out of memory (`headwater.runs`) gets a second name instead.
Everything but `begin` and `settle` works in a thread of its own.
In a bucket (`headwater.remote`) the same files are objects, and one more object says which manifests count.
Always true: a file that a manifest names is there and whole, or it is said which one is not and an older checkpoint is used, or
the topics are read from their beginning; a checkpoint that fails costs nothing but itself.
Deliberately unknown: what a tick is, and when it is time for a checkpoint.
"""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog

from dataflow.memory import RunColumns
from dataflow.state import State, StateRun
from headwater import runfile
from headwater.early import EarlyCheck
from headwater.errors import HeadwaterError
from headwater.manifest import HEADER, Cut, Manifest, RunEntry
from headwater.remote import Remote
from headwater.runfile import DamagedRunError, Written
from headwater.runs import RunFile
from ingest.durable import replace, sync_folder
from ingest.objects import Objects
from ingest.sealed import seal, unseal

log = structlog.get_logger(__name__)

KEPT = 2
"""Checkpoints that are kept: the one before is used when a file of the last is damaged."""


class CheckpointError(HeadwaterError):
    """A checkpoint cannot be used; the text names the file and says why."""


class _Attempt:
    """A checkpoint being made."""

    def __init__(self, cut: Cut, written: Future[Manifest]) -> None:
        self.cut = cut
        self.written = written
        self.named: Future[None] | None = None


class Checkpoints:
    """The checkpoints of one state, used by one process. `begin` and `settle` are for one thread."""

    def __init__(self, folder: Path, objects: Objects | None = None, early: EarlyCheck | None = None) -> None:
        """Read the manifests; damaged ones are said in the log. OSError when the folder cannot be used.

        objects: the bucket where the state is; the folder then holds copies of its run files while they are mapped. early: the
        check of the folder's files that began with the process.
        ValueError when what is there is damaged, OSError when it does not answer.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._early = early
        self._remote = Remote(objects) if objects is not None else None
        if self._remote is not None:
            self._kept = list(self._remote.manifests)
            first = self._remote.first_number
        else:
            self._kept = _manifests(folder)
            first = max((_number(path) for path in folder.iterdir()), default=0) + 1
        self._numbers = itertools.count(first)
        self._files: weakref.WeakKeyDictionary[object, RunEntry] = weakref.WeakKeyDictionary()
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._attempt: _Attempt | None = None
        self._failing = False

    @property
    def candidates(self) -> tuple[Manifest, ...]:
        """The checkpoints that there are, newest first."""
        return tuple(reversed(self._kept))

    @property
    def times(self) -> list[int]:
        """The times of the checkpoints that there are, and of the one that is being made."""
        attempt = [] if self._attempt is None else [self._attempt.cut.time]
        return [manifest.cut.time for manifest in tuple(self._kept)] + attempt

    @property
    def last(self) -> Cut | None:
        """What the newest checkpoint is of."""
        return self._kept[-1].cut if self._kept else None

    @property
    def nbytes(self) -> int:
        """Bytes of the files that the newest checkpoint names."""
        return sum(entry.bytes for runs in self._kept[-1].spines for entry in runs) if self._kept else 0

    def restore(self, manifest: Manifest, resume: Callable[[list[list[RunColumns]]], State]) -> None:
        """Check and map a checkpoint's files, and hand the runs to `Dataflow.resume`. CheckpointError when one is not whole."""
        try:
            self._fetch(manifest)
            whole = self._early.whole() if self._early is not None else frozenset()
            spines = [
                [
                    runfile.read(self._folder / entry.name, entry.columns, None if entry in whole else entry.written)
                    for entry in runs
                ]
                for runs in manifest.spines
            ]
            state = resume(spines)
        except (DamagedRunError, OSError, ValueError) as error:
            raise CheckpointError(f"checkpoint {manifest.number} cannot be used: {error}") from error
        for runs, entries in zip(state.spines, manifest.spines_of(state.parts), strict=True):
            self._files.update({run.identity: entry for run, entry in zip(runs, entries, strict=True)})

    def _fetch(self, manifest: Manifest) -> None:
        if self._remote is not None:
            for entry in (entry for runs in manifest.spines for entry in runs):
                self._remote.fetch(self._folder / entry.name)

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being made."""
        return self._attempt is not None

    def begin(self, cut: Cut, state: State) -> None:
        """Begin to write the state of a time that is complete. One at a time."""
        if self._attempt is not None:
            raise ValueError("a checkpoint is being made already")
        self._attempt = _Attempt(cut, self._writer.submit(self._write, next(self._numbers), cut, state))

    def settle(self, sinks: Callable[[int], Mapping[str, int | None] | None]) -> None:
        """Go on with the checkpoint under way; never waits.

        sinks: what each sink has recorded as durable, once all of them have everything up to a time, else None.
        """
        attempt = self._attempt
        if attempt is None or not attempt.written.done():
            return
        try:
            if attempt.named is None:
                manifest = attempt.written.result()
                if (durable := sinks(attempt.cut.time)) is not None:
                    cut = msgspec.structs.replace(attempt.cut, sinks=dict(durable))
                    attempt.named = self._writer.submit(self._name, msgspec.structs.replace(manifest, cut=cut))
            elif attempt.named.done():
                attempt.named.result()
                self._attempt, self._failing = None, False
        except OSError as error:
            self._attempt = None
            if not self._failing:
                self._failing = True
                log.warning(
                    "no checkpoint could be made; the next start replays more: make room or mend the disk",
                    folder=str(self._folder),
                    reason=str(error),
                )

    def give_up(self) -> None:
        """Forget the checkpoint under way, if its manifest is not being written yet: its sinks take too long."""
        if self._attempt is not None and self._attempt.named is None and self._attempt.written.done():
            self._attempt = None

    def close(self) -> None:
        """Finish writing, make no more."""
        self._writer.shutdown(wait=True, cancel_futures=True)

    def _write(self, number: int, cut: Cut, state: State) -> Manifest:
        """Write the runs that no file has yet. OSError leaves files that nothing names."""
        spines = []
        names = (f"{number:08d}-{place:06d}.run" for place in itertools.count(1))
        for runs in state.spines:
            entries = []
            for run in runs:
                entry = self._files.get(run.identity)
                if entry is None:
                    columns = run.columns()
                    name = next(names)
                    written = self._write_run(self._folder / name, run, columns)
                    if self._remote is not None:
                        self._remote.upload(self._folder / name)
                    entry = RunEntry(name, len(columns.columns), written.bytes, written.crc, written.rows)
                    self._files[run.identity] = entry
                entries.append(entry)
            spines.append(tuple(entries))
        if self._remote is None:
            sync_folder(self._folder)
        return Manifest(number, cut, state.shape, tuple(spines), state.parts)

    def _write_run(self, path: Path, run: StateRun, columns: RunColumns) -> Written:
        """A file of this name with the run: the one where it lies already, if that is possible."""
        durable, stored = self._remote is None, run.stored
        if not (isinstance(stored, RunFile) and stored.link(path)):
            return runfile.write(path, columns, durable)
        if durable:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        return stored.written

    def _name(self, manifest: Manifest) -> None:
        """Make a checkpoint of which everything is written count."""
        kept = [*self._kept, manifest][-KEPT:]
        if self._remote is not None:
            self._remote.name(kept)
        else:
            self._name_here(manifest)
        self._kept = kept
        self._remove_unnamed()

    def _name_here(self, manifest: Manifest) -> None:
        payload = msgspec.msgpack.encode(manifest)
        replace(self._folder / _manifest_name(manifest.number), seal(HEADER, payload))

    def _remove_unnamed(self) -> None:
        """Remove what no kept checkpoint names: old ones, and what attempts left that did not come to an end."""
        named = {entry.name for manifest in self._kept for runs in manifest.spines for entry in runs}
        for identity, entry in list(self._files.items()):
            if entry.name not in named:
                del self._files[identity]
        named |= {_manifest_name(manifest.number) for manifest in self._kept}
        if self._remote is not None:
            self._remote.remove_all_but(named)
        for path in self._folder.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)


def _manifests(folder: Path) -> list[Manifest]:
    """The manifests that can be read, oldest first."""
    found = []
    for path in sorted(folder.glob("*.manifest")):
        content = path.read_bytes()
        payload = unseal(HEADER, content)
        if not content.startswith(HEADER):
            log.warning("not a checkpoint of this version; it is not used", file=str(path))
        elif payload is None:
            log.warning("a damaged checkpoint is not used: its checksum is wrong", file=str(path))
        else:
            found.append(msgspec.msgpack.decode(payload, type=Manifest))
    return found


def _manifest_name(number: int) -> str:
    return f"{number:08d}.manifest"


def _number(path: Path) -> int:
    digits = path.name[:8]
    return int(digits) if digits.isdigit() else 0
