"""Checkpoints in a bucket: the same files as in a folder, and one object that says which of them count.

`checkpoints/current` holds the manifests that are kept and the epoch of the service that wrote it; it is replaced only while it is
what this service wrote last. A start replaces it by itself with the next epoch: from then on the service before can make no
checkpoint count and removes nothing. Run files have the epoch in their names, so that no two services write the same one.
Always true: a file is in the bucket before `current` names it, and stays as long as it is named.
Deliberately unknown: what a checkpoint holds, and when there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from headwater.manifest import Manifest
from ingest.objects import Objects, TakenError
from ingest.sealed import seal, unseal

PREFIX = "checkpoints"
CURRENT = f"{PREFIX}/current"
MAGIC = b"headwater checkpoints 1\n"
OF_EPOCH = 1_000_000
"""Checkpoints that one epoch has numbers for: one a second for eleven days. Beyond, the next epoch's follow."""


class Current(msgspec.Struct, frozen=True, array_like=True):
    """Which checkpoints count. manifests: oldest first."""

    epoch: int
    manifests: tuple[Manifest, ...]


class Remote:
    """The bucket's side of the checkpoints of one service; for one thread at a time."""

    def __init__(self, objects: Objects) -> None:
        """Take the checkpoints over. ValueError when `current` is damaged; OSError when the store does not answer, or another
        service starts at the same moment."""
        self._objects = objects
        self._current, self._tag = self._read()
        self._swap(Current(self._current.epoch + 1, self._current.manifests))

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The checkpoints that count, oldest first."""
        return self._current.manifests

    @property
    def first_number(self) -> int:
        """The number of this service's first checkpoint."""
        return self._current.epoch * OF_EPOCH + 1

    def fetch(self, path: Path) -> None:
        """Get a run file, unless it is there; whether it is whole is for the reader to check."""
        if not path.exists():
            self._objects.download(f"{PREFIX}/{path.name}", path)

    def upload(self, path: Path) -> None:
        """Put a run file there."""
        self._objects.upload(path, f"{PREFIX}/{path.name}")

    def name(self, manifests: Sequence[Manifest]) -> None:
        """Make these checkpoints the ones that count. OSError when another service has taken over."""
        self._swap(Current(self._current.epoch, tuple(manifests)))

    def remove_all_but(self, names: set[str]) -> None:
        """Remove the run files that have other names. Only after `name`."""
        keep = {CURRENT, *(f"{PREFIX}/{name}" for name in names)}
        self._objects.delete([key for key in self._objects.keys(PREFIX) if key not in keep])

    def _swap(self, current: Current) -> None:
        try:
            self._tag = self._objects.swap(CURRENT, seal(MAGIC, msgspec.msgpack.encode(current)), self._tag)
        except TakenError as error:
            raise OSError(f"another service has taken over the checkpoints: {error}") from error
        self._current = current

    def _read(self) -> tuple[Current, str | None]:
        found = self._objects.tagged(CURRENT)
        if found is None:
            return Current(0, ()), None
        content, tag = found
        payload = unseal(MAGIC, content)
        if payload is None:
            raise ValueError(
                f"{self._objects.url}/{CURRENT} is damaged or of another version; restore it, or remove {PREFIX}/ there to read "
                "the topics from their beginning"
            )
        return msgspec.msgpack.decode(payload, type=Current), tag
