"""A model of a bucket, in the place of `ingest.objects.Objects`: consistent, with conditions, and sometimes without an answer.

Always true: after a call that fails the write may have happened or not; a write whose condition does not hold never happens.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from ingest.objects import TakenError
from tests.sim.chance import Chance


class Bucket:
    """Objects by key."""

    url = "s3://sim/state"

    def __init__(self, chance: Chance) -> None:
        self.objects: dict[str, bytes] = {}
        self._chance = chance

    def create(self, key: str, content: bytes) -> None:
        if self.objects.get(key, content) != content:
            raise TakenError(f"{key} was written by somebody else")
        self._put(key, content)

    def swap(self, key: str, content: bytes, tag: str | None) -> str:
        found = self.tagged(key)
        if (found[1] if found is not None else None) != tag:
            raise TakenError(f"{key} was written by somebody else")
        self._put(key, content)
        return _tag(content)

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def tagged(self, key: str) -> tuple[bytes, str] | None:
        content = self.objects.get(key)
        return (content, _tag(content)) if content is not None else None

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(f"{prefix}/"))

    def upload(self, path: Path, key: str) -> None:
        self._put(key, path.read_bytes())

    def download(self, key: str, path: Path) -> None:
        if key not in self.objects:
            raise OSError(f"{key} is not there")
        path.write_bytes(self.objects[key])

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def _put(self, key: str, content: bytes) -> None:
        step = "S4" if key.startswith("remap/") else "S8"
        self._chance.point(f"{step} before a put")
        if self._chance.fault("bucket away", key):
            raise OSError(f"cannot write {key}: no answer")
        self.objects[key] = content
        self._chance.point(f"{step} after a put")
        if self._chance.fault("bucket's answer lost", key):
            raise OSError(f"cannot write {key}: no answer")


def _tag(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}{len(content)}"
