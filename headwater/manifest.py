"""What a checkpoint's manifest says. Always true: it is immutable. Deliberately unknown: files, and when one is made."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from dataflow.state import Part
from headwater.runfile import Written

HEADER = b"headwater checkpoint 1\n"
"""What a manifest's file begins with."""


class RunEntry(msgspec.Struct, frozen=True, array_like=True):
    """A run file of a manifest: its name in the folder, how many columns it has, and what identifies its content."""

    name: str
    columns: int
    bytes: int
    crc: int
    rows: int

    @property
    def written(self) -> Written:
        """What identifies the file's content."""
        return Written(self.bytes, self.crc, self.rows)


class Cut(msgspec.Struct, frozen=True, array_like=True):
    """What the state of a checkpoint belongs to.

    time: the state is that of the views at this time. positions: source to partition to exclusive offset. meaning: a hash of
    everything that decides what rows and views are. sinks: what each had recorded as its durable frontier when everything
    up to `time` was durable. withheld: sinks that had got nothing of their view yet, as it waited for a source.
    """

    time: int
    positions: dict[str, dict[int, int]]
    meaning: str
    sinks: dict[str, int | None]
    withheld: tuple[str, ...]


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """One checkpoint. spines: for each spine of a dataflow of this `shape`, and then of each layer of `parts`, its runs."""

    number: int
    cut: Cut
    shape: str
    spines: tuple[tuple[RunEntry, ...], ...]
    parts: tuple[Part, ...] = ()

    def spines_of(self, parts: Collection[Part]) -> list[tuple[RunEntry, ...]]:
        """Those of the base and of some of the layers."""
        at = len(self.spines) - sum(part.spines for part in self.parts)
        found = list(self.spines[:at])
        for part in self.parts:
            if part in parts:
                found += self.spines[at : at + part.spines]
            at += part.spines
        return found
