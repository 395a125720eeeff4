"""The remap log: which offsets of each source belong to which time, durably.

One file `remap.log` in the state folder: a header, then one frame for each binding: marker, payload length, CRC-32 of the
payload, CRC-32 of these three; then the payload (MessagePack). Always true: `append` returns after fsync; times rise; ranges
of a partition follow each other. What a crash may leave (a short or unwritten tail) is cut off, since nothing of it was ever
visible; any other damage is an error that names file and offset, never a silently shorter log. One process at a time.
Deliberately unknown: what is done at a time.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

import msgspec
import structlog

from ingest.durable import sync_folder
from ingest.ranges import Range

__all__ = ["Binding", "Log", "Range", "RemapError", "RemapLog"]

log = structlog.get_logger(__name__)

FILE = "remap.log"
LOCK = "lock"
HEADER = b"headwater remap log 1\n"
_MARKER = 0x52_4D_41_50  # "RMAP"
_FRAME = struct.Struct(">III")
_CRC = struct.Struct(">I")
_HEAD = _FRAME.size + _CRC.size
_SECTOR = 512  # the smallest piece that a disk writes as a whole


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """One tick's cut.

    time: milliseconds, above all earlier ones. ranges: source to the ranges that became visible at `time`.
    topic_ids: source to the broker's id of its topic, where known. catalog: hash of what was computed.
    epoch: how often the service was started on this log, counting from 1. reserved: up to this time, and before that of the
    next binding, the same may have been shown again; 0 in logs in which no time was shown without a binding.
    """

    time: int
    ranges: dict[str, tuple[Range, ...]]
    topic_ids: dict[str, str]
    catalog: str
    epoch: int
    reserved: int = 0

    @property
    def until(self) -> int:
        """The last time that may have been shown of what is bound here."""
        return max(self.time, self.reserved)


class RemapError(Exception):
    """The log cannot be used; the text says why and what to do."""


class Log(Protocol):
    """What a tick loop needs of a remap log, wherever it is; `RemapLog` says what each member promises."""

    bindings: list[Binding]

    def reread(self) -> list[Binding]:
        """All bindings as they are stored now. Any thread."""
        ...

    def append(self, bindings: Sequence[Binding]) -> None:
        """Bind times, durably."""
        ...

    def walk(self) -> Iterator[tuple[Binding, int]]:
        """All bindings as they are stored now, each with its end, which `rewrite` knows. Any thread."""
        ...

    def rewrite(self, bindings: Sequence[Binding], end: int | None = None) -> None:
        """Put the folds of all bindings, or of those up to this end, in the place of them."""
        ...

    def forget(self) -> None:
        """Drop `bindings` from memory."""
        ...

    @property
    def nbytes(self) -> int:
        """Size of what is stored."""
        ...

    def close(self) -> None:
        """Hold nothing any more; safe to call twice."""
        ...


class RemapLog:
    """The log of one state folder, held by one process. Make it with `open`; not for several threads at once."""

    def __init__(self, path: Path, file: IO[bytes], lock: IO[bytes], bindings: list[Binding], size: int) -> None:
        self._path, self._file, self._lock, self._size = path, file, lock, size
        self._broken = ""
        self._last = bindings[-1].time if bindings else None
        self.bindings = bindings
        """The bindings that the log held when it was opened, in order of time; those appended since are only in the file."""

    @classmethod
    def open(cls, folder: Path) -> RemapLog:
        """Open or create the log in `folder`, which is created too; RemapError when it is in use or damaged."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        try:
            path = folder / FILE
            if not path.exists():
                _create(path)
            file = path.open("r+b", buffering=0)
            try:
                content = path.read_bytes()
                bindings, size = read(content, str(path))
                if size < len(content):
                    log.warning("cut off an unfinished write", file=str(path), offset=size, bytes=len(content) - size)
                    file.truncate(size)
                    os.fsync(file.fileno())
                file.seek(size)
            except BaseException:
                file.close()
                raise
        except BaseException:
            lock.close()
            raise
        return cls(path, file, lock, bindings, size)

    def reread(self) -> list[Binding]:
        """The bindings in the file now, also those appended since it was opened. Any thread, also while another appends."""
        return read(self._path.read_bytes(), str(self._path))[0]

    def append(self, bindings: Sequence[Binding]) -> None:
        """Write bindings behind the others: one write, one fsync.

        RemapError when their times do not rise, or after an earlier failure; OSError when the disk refuses, and then none of
        them counts and the log takes nothing more.
        """
        if self._broken:
            raise RemapError(f"{self._path} cannot be written since {self._broken}; restart the service")
        last = check_order(self._last, bindings, str(self._path))
        data = memoryview(b"".join(encode(binding) for binding in bindings))
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            # After a failed write or fsync the tail's state is unknown; opening the log again finds out.
            self._broken = str(error)
            raise
        self._size += len(data)
        self._last = last

    def walk(self) -> Iterator[tuple[Binding, int]]:
        """The bindings in the file now, each with the offset behind it. Any thread, also while another appends."""
        return walk(self._path.read_bytes())

    def rewrite(self, bindings: Sequence[Binding], end: int | None = None) -> None:
        """Put these bindings, the folds of all that the log holds before offset `end` (None: of all), in the place of it.

        A crash leaves the one or the other. ValueError when the folds of all end at another time. OSError when the disk refuses:
        the log is as it was, or takes nothing more. RemapError after an earlier failure. In the thread that appends, or while
        nobody does.
        """
        if self._broken:
            raise RemapError(f"{self._path} cannot be written since {self._broken}; restart the service")
        if end is None and (bindings[-1].time if bindings else None) != self._last:
            raise ValueError(f"folds of {self._path} must end at its last time {self._last}")
        rest = b"" if end is None else self._path.read_bytes()[end : self._size]
        temporary = _write(self._path, b"".join(encode(binding) for binding in bindings) + rest)
        file = temporary.open("r+b", buffering=0)
        try:
            temporary.rename(self._path)
        except BaseException:
            file.close()
            raise
        try:
            _sync_name(self._path)
        except OSError as error:  # nobody knows which of the two a power cut leaves
            self._broken = str(error)
            file.close()
            raise
        self._file.close()
        self._file, self._size = file, file.seek(0, os.SEEK_END)

    def forget(self) -> None:
        """Drop `bindings` from memory once they were replayed; the file keeps them."""
        self.bindings = []

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self._size

    def close(self) -> None:
        """Give the folder free; safe to call twice."""
        self._file.close()
        self._lock.close()


def check_order(last: int | None, bindings: Sequence[Binding], name: str) -> int | None:
    """The last time of a log of this name that gets these bindings; RemapError when times do not rise."""
    for binding in bindings:
        if last is not None and binding.time <= last:
            raise RemapError(f"time {binding.time} is not after {last}, the last time in {name}")
        last = binding.time
    return last


def encode(binding: Binding) -> bytes:
    """The frame of one binding."""
    payload = msgspec.msgpack.encode(binding)
    head = _FRAME.pack(_MARKER, len(payload), zlib.crc32(payload))
    return head + _CRC.pack(zlib.crc32(head)) + payload


def read(content: bytes, path: str) -> tuple[list[Binding], int]:
    """The bindings of a log's content and the size up to which it is whole; RemapError when it is damaged."""
    if not content.startswith(HEADER):
        raise RemapError(f"{path} is not a remap log of this version; use another `state` folder or restore it")
    bindings: list[Binding] = []
    at = len(HEADER)
    decoder = msgspec.msgpack.Decoder(Binding)
    while at < len(content):
        payload = _payload(content, at)
        if payload is None:
            if _unfinished(content, at):
                break
            raise _damage(path, at, "its checksum is wrong")
        try:
            binding = decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise _damage(path, at, f"it is not a binding ({error})") from error
        if bindings and binding.time <= bindings[-1].time:
            raise _damage(path, at, f"its time {binding.time} is not after {bindings[-1].time}")
        bindings.append(binding)
        at += _HEAD + len(payload)
    return bindings, at


def walk(content: bytes) -> Iterator[tuple[Binding, int]]:
    """The bindings of a log's content, each with the offset behind it, up to the first that is not whole."""
    at, decoder = len(HEADER), msgspec.msgpack.Decoder(Binding)
    while (payload := _payload(content, at)) is not None:
        at += _HEAD + len(payload)
        yield decoder.decode(payload), at


def _payload(content: bytes, at: int) -> bytes | None:
    """The payload of the frame at `at`; None when it is not whole."""
    length = _length(content, at)
    if length is None or at + _HEAD + length > len(content):
        return None
    payload = content[at + _HEAD : at + _HEAD + length]
    return payload if zlib.crc32(payload) == _FRAME.unpack_from(content, at)[2] else None


def _length(content: bytes, at: int) -> int | None:
    """The payload length that a whole frame head at `at` states."""
    if at + _HEAD > len(content):
        return None
    marker, length, _ = _FRAME.unpack_from(content, at)
    if marker != _MARKER or _CRC.unpack_from(content, at + _FRAME.size)[0] != zlib.crc32(
        content[at : at + _FRAME.size]
    ):
        return None
    return int(length)


def _unfinished(content: bytes, at: int) -> bool:
    """Whether a crash during a write explains the broken frame at `at`: it is partly unwritten, or short and the last.

    A write begins only after the one before it is durable. So behind an unfinished frame there is at most the rest of the
    same write; unwritten sectors read as zeros, and a frame never has a sector of zeros of its own.
    """
    length = _length(content, at)
    end = at + _HEAD + (length or 0)
    for sector in range(at // _SECTOR * _SECTOR, min(end, len(content)), _SECTOR):
        if not any(content[max(at, sector) : sector + _SECTOR]):
            return True
    marker = _MARKER.to_bytes(4, "big")
    following = content.find(marker, at + 1)
    while following >= 0:
        if _payload(content, following) is not None:
            return False
        following = content.find(marker, following + 1)
    return end > len(content)


def _damage(path: str, at: int, what: str) -> RemapError:
    return RemapError(
        f"{path} is damaged at offset {at}: {what}; restore the state folder from a copy, or remove it to read all topics "
        "from their beginning"
    )


def _create(path: Path) -> None:
    """Make an empty log that is either whole or not there."""
    _write(path, b"").rename(path)
    _sync_name(path)


def _write(path: Path, frames: bytes) -> Path:
    """A log with these frames beside `path`, durable but not yet under its name."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(HEADER + frames)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_name(path: Path) -> None:
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)


def _lock(folder: Path) -> IO[bytes]:
    lock = (folder / LOCK).open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read(20).decode("ascii", "replace").strip() or "unknown"
        lock.close()
        raise RemapError(
            f"state folder {folder} is in use by process {owner}; stop that service or choose another `state`"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n".encode())
    lock.flush()
    return lock
