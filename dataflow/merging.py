"""Which runs of a spine are merged together, and a merge under way.

Runs of about the same size are merged a few at a time, in slices, so that a row moves about log(n) times and no call pays for
a big merge. Always true: the inputs of a merge stay readable until somebody puts its result in their place.
Deliberately unknown: when there is time to merge (spine.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from dataflow.beside import Beside
from dataflow.kernels import _rows

FAN_IN = 4
"""Runs of one tier that are merged together. Measured best between sorting cost and the number of runs to probe."""

TINY_ROWS = 1024
"""Runs below this many rows are tier 0: merging them costs less than keeping many of them apart."""

TINY_RUNS = 8
"""Runs of tier 0 that are merged together."""

LARGE_ROWS = 1 << 17
"""From this many rows on it is the memory that a merge writes for the first time that costs, more than the comparing."""

LARGE_FAN_IN = 8
"""Runs of one tier of large runs that are merged together."""

LARGE_TIER = 16
"""The tier of the smallest large runs: above all others."""

SLICE_ROWS = 1 << 15
"""Rows that a merge beside moves at a time: who needs its result waits for one such slice, some milliseconds, then goes on."""

Scratch = Callable[[int], AbstractContextManager[int | None] | None]
"""For the bytes of a merge: None where memory will do, else the descriptor of a file as large (None in it: there is no room)."""


def tier_of(rows: int) -> int:
    """0 for tiny runs, then one tier for each factor of FAN_IN, and from LARGE_ROWS on of LARGE_FAN_IN."""
    if rows < TINY_ROWS:
        return 0
    if rows < LARGE_ROWS:
        return 1 + ((rows // TINY_ROWS).bit_length() - 1) // (FAN_IN.bit_length() - 1)
    return LARGE_TIER + ((rows // LARGE_ROWS).bit_length() - 1) // (LARGE_FAN_IN.bit_length() - 1)


def full(tier: int, runs: int) -> bool:
    """Whether so many runs of one tier are due to be merged."""
    return runs >= (TINY_RUNS if tier == 0 else FAN_IN if tier < LARGE_TIER else LARGE_FAN_IN)


@dataclass(slots=True)
class Merging:
    """A merge under way; its inputs stay among the spine's runs until it ends."""

    inputs: tuple[_rows.Run, ...]
    scratch: Scratch | None
    merge: _rows.Merge = field(init=False)
    remaining: int = field(init=False)
    fuel: int = 0
    hurried: bool = False
    beside: Beside[None] | None = None

    def __post_init__(self) -> None:
        needed = _rows.Merge.most_bytes(self.inputs) if self.scratch is not None else 0
        outside = self.scratch(needed) if self.scratch is not None else None
        if outside is None:
            self.merge = _rows.Merge(self.inputs)
        else:
            with outside as file:
                self.merge = _rows.Merge(self.inputs, None if file is None else (file, needed))
        self.remaining = sum(run.rows for run in self.inputs)

    def start(self, fuel: int) -> None:
        """Move up to `fuel` rows beside whatever comes next, until `end`."""
        self.fuel = fuel
        self.beside = Beside(self.work)

    def end(self) -> None:
        """Move what is left of the fuel that was started with."""
        if self.beside is not None:
            self.hurried = True
            self.beside.result()
            self.hurried, self.beside = False, None
            self.work()

    def work(self) -> None:
        """Move what is left of the fuel, unless others need the result at once."""
        while self.fuel > 0 and self.remaining > 0 and not self.hurried:
            before = self.remaining
            self.remaining = self.merge.step(min(self.fuel, SLICE_ROWS))
            self.fuel -= before - self.remaining
