"""The remap log in a bucket: segments, numbered without gaps, each created once and never changed.

`remap/{number}` holds the frames of some bindings, as `ingest.remap` encodes them, and the number of the first segment whose frames
it holds: usually its own; now and then a segment holds those of the segments before it too, which then go. Whoever opens the log
claims the number after the last one with an empty segment. So of two services that write one log, the one that came first fails
at its next binding, whatever it had been waiting for: the number is taken.
Always true: `append` returns once the bindings are durable and nobody else's are in between; segments read from the last one
backwards, each naming where it begins, are the whole log; a damaged or missing one is an error that names it.
Deliberately unknown: what is done at a time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import structlog

from ingest.objects import Objects, TakenError
from ingest.remap import HEADER, Binding, RemapError, check_order, encode, read, walk
from ingest.sealed import seal, unseal

log = structlog.get_logger(__name__)

PREFIX = "remap"
MAGIC = b"headwater remap segment 1\n"
GATHERED = 64
"""Segments after which one holds what they hold too: bounds how many a start reads."""

GATHERED_BYTES = 1 << 20
"""Size beyond which a segment is gathered into no later one: bounds what is written again."""

ATTEMPTS = 100
"""How often the log is read again when somebody else writes to it meanwhile."""


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """One object. first: the number of the first segment that it stands for. writer: who wrote it, another for each start."""

    first: int
    writer: str
    frames: bytes


class ObjectLog:
    """The log below one prefix, with the contract of `ingest.remap.Log`. Not for several threads at once."""

    def __init__(self, objects: Objects, writer: str, chain: Mapping[int, Segment], bindings: list[Binding]) -> None:
        """chain: all segments, the one that claimed the log last."""
        self._objects, self._writer, self._number = objects, writer, max(chain)
        self._gathered_from, self._gathered, self._pieces = self._number + 1, b"", 0
        for segment in reversed(list(chain.values())):
            if len(segment.frames) + len(self._gathered) > GATHERED_BYTES:
                break
            self._gathered_from, self._gathered = segment.first, segment.frames + self._gathered
            self._pieces += 1
        self._size = sum(len(segment.frames) for segment in chain.values())
        self._last = bindings[-1].time if bindings else None
        self._broken = ""
        self.bindings = bindings
        """The bindings that the log held when it was opened, in order of time."""

    @classmethod
    def open(cls, objects: Objects) -> ObjectLog:
        """Take the log over from whoever has it. RemapError when it is damaged; OSError when the store does not answer."""
        writer = uuid.uuid4().hex
        for _ in range(ATTEMPTS):
            chain, keys = _stored(objects)
            bindings = _bindings(objects, chain)
            number = max(chain, default=-1) + 1
            claim = Segment(number, writer, b"")
            try:
                objects.create(_key(number), _encode(claim))
            except TakenError:
                continue
            objects.delete([key for key in keys if _number(key) not in chain])
            return cls(objects, writer, {**chain, number: claim}, bindings)
        raise _busy(objects)

    def reread(self) -> list[Binding]:
        """The bindings in the bucket now, also those appended since it was opened. Any thread, also while another appends."""
        return _bindings(self._objects, _stored(self._objects)[0])

    def append(self, bindings: Sequence[Binding]) -> None:
        """Write bindings behind the others, as one object.

        RemapError when their times do not rise, when another service has taken the log over, or after an earlier failure;
        OSError when the store refuses, and then the log takes nothing more.
        """
        if self._broken:
            raise RemapError(
                f"{self._objects.url}/{PREFIX} cannot be written since {self._broken}; restart the service"
            )
        last = check_order(self._last, bindings, f"{self._objects.url}/{PREFIX}")
        frames = b"".join(encode(binding) for binding in bindings)
        gathered = self._gathered + frames
        number = self._number + 1
        if self._pieces < GATHERED:
            self._put(Segment(number, self._writer, frames))
            self._pieces += 1
        else:
            self._put(Segment(self._gathered_from, self._writer, gathered))
            self._drop(range(self._gathered_from, number))
            self._pieces = 1
            if len(gathered) > GATHERED_BYTES:
                self._gathered_from, gathered, self._pieces = number + 1, b"", 0
        self._gathered = gathered
        self._size += len(frames)
        self._last = last

    def owned(self) -> bool:
        """Whether nobody has taken the log over so far. Any thread, also while another appends; OSError without an answer."""
        for _ in range(ATTEMPTS):
            last = self._objects.keys(PREFIX)[-1]
            if _number(last) <= self._number:
                return True
            if (content := self._objects.get(last)) is not None:  # else a later one stands for it
                return _decode(content, f"{self._objects.url}/{last}").writer == self._writer
        return False

    def walk(self) -> Iterator[tuple[Binding, int]]:
        """The bindings in the bucket now, each with the offset behind it in all frames together. Any thread."""
        return walk(_content(_stored(self._objects)[0]))

    def rewrite(self, bindings: Sequence[Binding], end: int | None = None) -> None:
        """Put these bindings, the folds of all that the log holds before offset `end` (None: of all), in the place of it.

        ValueError when the folds of all end at another time; otherwise as `append`.
        """
        if end is None and (bindings[-1].time if bindings else None) != self._last:
            raise ValueError(f"folds of {self._objects.url}/{PREFIX} must end at its last time {self._last}")
        rest = b"" if end is None else _content(_stored(self._objects)[0])[end:]
        frames = b"".join(encode(binding) for binding in bindings) + rest
        self._put(Segment(0, self._writer, frames))
        self._drop(range(self._number))
        self._gathered_from, self._gathered, self._pieces = self._number + 1, b"", 0
        self._size = len(frames)

    def forget(self) -> None:
        """Drop `bindings` from memory once they were replayed; the objects keep them."""
        self.bindings = []

    @property
    def nbytes(self) -> int:
        """Size of all frames."""
        return self._size

    def close(self) -> None:
        """Nothing is held."""

    def _put(self, segment: Segment) -> None:
        """Write the next segment."""
        try:
            self._objects.create(_key(self._number + 1), _encode(segment))
        except TakenError:
            self._broken = "another service took it over"
            raise RemapError(
                f"another service has taken over the state in {self._objects.url}: this one ends; a state is for one service"
            ) from None
        except OSError as error:
            # Whether it was written is unknown; opening the log again finds out.
            self._broken = str(error)
            raise
        self._number += 1

    def _drop(self, numbers: range) -> None:
        """Remove segments that a later one stands for."""
        try:
            present = {_number(key) for key in self._objects.keys(PREFIX)}
            self._objects.delete([_key(number) for number in numbers if number in present])
        except OSError as error:
            log.warning(
                "segments of the remap log that are no longer needed stay until the next start", reason=str(error)
            )


def _stored(objects: Objects) -> tuple[dict[int, Segment], list[str]]:
    """The segments that together are the log, in order, and all keys that there are; somebody may write meanwhile."""
    before = -1
    for _ in range(ATTEMPTS):
        keys = objects.keys(PREFIX)
        number = last = _number(keys[-1]) if keys else -1
        found: dict[int, Segment] = {}
        while number >= 0 and (content := objects.get(_key(number))) is not None:
            found[number] = _decode(content, f"{objects.url}/{_key(number)}")
            number = found[number].first - 1
        if number < 0:
            return dict(sorted(found.items())), keys
        if last == before:  # it did not go because a later one stands for it
            raise RemapError(
                f"{objects.url}/{_key(number)} is missing: restore it from a copy, or remove all of {PREFIX}/ to read all "
                "topics from their beginning"
            )
        before = last
    raise _busy(objects)


def _busy(objects: Objects) -> RemapError:
    return RemapError(f"the remap log in {objects.url} is being written by another service; stop it")


def _content(chain: Mapping[int, Segment]) -> bytes:
    """What a log of these segments in one file would hold."""
    return HEADER + b"".join(segment.frames for segment in chain.values())


def _bindings(objects: Objects, chain: Mapping[int, Segment]) -> list[Binding]:
    name = f"{objects.url}/{PREFIX}"
    content = _content(chain)
    bindings, size = read(content, name)
    if size != len(content):
        raise RemapError(f"the remap log in {name} ends amid a binding; restore it from a copy")
    return bindings


def _encode(segment: Segment) -> bytes:
    return seal(MAGIC, msgspec.msgpack.encode(segment))


def _decode(content: bytes, name: str) -> Segment:
    if not content.startswith(MAGIC):
        raise RemapError(f"{name} is not a segment of this version; use another `state` or restore it")
    payload = unseal(MAGIC, content)
    if payload is None:
        raise RemapError(f"{name} is damaged: its checksum is wrong; restore it from a copy")
    return msgspec.msgpack.decode(payload, type=Segment)


def _key(number: int) -> str:
    return f"{PREFIX}/{number:016d}"


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])
