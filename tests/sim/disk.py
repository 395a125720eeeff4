"""A disk that forgets at a crash what was not synced: POSIX as its most unfriendly file systems implement it.

Files are real ones in a folder; `os.fsync`, `os.rename` and `os.unlink` are watched. After a crash each name may be as the folder
was when last synced or as it was at the end, one by one; a file has at least what was synced of it, and of the rest sectors that
were written, zeros in place of some, or an earlier end. Always true: what was synced, with its name, is there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.sim.chance import Chance

SECTOR = 512


@dataclass(eq=False)
class _File:
    """A file: what of it is durable. Its name may change."""

    synced: bytes = b""


@dataclass
class Disk:
    """The state folder through crashes: each incarnation has a folder of its own under `root`."""

    root: Path
    chance: Chance
    number: int = 0
    _files: dict[Path, _File] = field(default_factory=dict)
    _names: dict[Path, dict[str, _File]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The state folder of this incarnation."""
        return self.root / str(self.number)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch what the process does to its files."""
        fsync, rename, unlink = os.fsync, os.rename, os.unlink

        def sync(handle: Any) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{handle if isinstance(handle, int) else handle.fileno()}"))
            self.chance.point(f"{_step(path)} before the fsync of {_kind(path)}")
            if self.chance.fault("fsync fails", _kind(path)):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self._sync(path)
            self.chance.point(f"{_step(path)} after the fsync of {_kind(path)}")

        def move(source: Any, target: Any, **more: Any) -> None:
            self.chance.point(f"{_step(Path(target))} before the rename of {_kind(Path(target))}")
            rename(source, target, **more)
            self._files[Path(target)] = self._files.pop(Path(source), _File())
            self.chance.point(f"{_step(Path(target))} after the rename of {_kind(Path(target))}")

        def remove(path: Any, **more: Any) -> None:
            unlink(path, **more)
            self._files.pop(Path(path), None)

        self.folder.mkdir(parents=True, exist_ok=True)
        assert os.fsync is fsync
        with mock.patch("os.fsync", sync), mock.patch("os.rename", move), mock.patch("os.unlink", remove):
            yield

    def crash(self) -> None:
        """Go on with what a crash leaves."""
        before, after = self.folder, self.root / str(self.number + 1)
        after.mkdir(parents=True)
        folders = [Path(), *(path.relative_to(before) for path in before.iterdir() if path.is_dir())]
        files: dict[Path, _File] = {}
        names: dict[Path, dict[str, _File]] = {}
        for inner in folders:
            (after / inner).mkdir(exist_ok=True)
            now = {path.name: path for path in sorted((before / inner).iterdir()) if path.is_file()}
            durable = self._names.get(before / inner, {})
            kept = names[after / inner] = {}
            for name in sorted(now.keys() | durable.keys()):
                content = self._content(now.get(name), durable.get(name))
                if content is not None:
                    path = after / inner / name
                    path.write_bytes(content)
                    kept[name] = files[path] = _File(content)
        shutil.rmtree(before)
        self._files, self._names = files, names
        self.number += 1

    def _content(self, now: Path | None, durable: _File | None) -> bytes | None:
        """What a name holds after the crash; None when it is gone."""
        random = self.chance.random
        current = self._files.get(now) if now is not None else None
        if durable is not None and current is not durable and (now is None or random.random() < 0.5):
            return durable.synced if now is not None or random.random() < 0.5 else None
        if now is None or (durable is None and random.random() < 0.5):
            return None
        return self._torn(current.synced if current is not None else b"", now.read_bytes())

    def _torn(self, synced: bytes, written: bytes) -> bytes:
        """The synced beginning of a file and what may be of the rest."""
        random = self.chance.random
        if not written.startswith(synced) or len(written) == len(synced):
            return synced if random.random() < 0.5 else written
        end = random.randint(len(synced), len(written))
        rest = bytearray(written[:end])
        for begin in range(len(synced) // SECTOR * SECTOR, end, SECTOR):
            if random.random() < 0.3:
                first, last = max(begin, len(synced)), min(begin + SECTOR, end)
                rest[first:last] = bytes(last - first)
        return bytes(rest)

    def _sync(self, path: Path) -> None:
        if path.is_dir():
            self._names[path] = {
                entry.name: self._files.setdefault(entry, _File())
                for entry in sorted(path.iterdir())
                if entry.is_file()
            }
        else:
            self._files.setdefault(path, _File()).synced = path.read_bytes()


def _step(path: Path) -> str:
    """S4 for what belongs to the remap log, S8 for checkpoints."""
    return "S8" if "checkpoints" in path.parts else "S4"


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else f"*{path.suffix or path.name}"
