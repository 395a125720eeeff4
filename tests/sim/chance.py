"""One seed's decisions: which faults happen where. Always true: the same seed and kinds give the same run, in one process."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection

RATES = {
    "crash": 0.004,
    "fsync fails": 0.004,
    "commit lost before": 0.05,
    "commit lost after": 0.05,
    "commit in doubt": 0.05,
    "sink broker away": 0.1,
    "source broker away": 0.02,
    "clock back": 0.01,
    "clock ahead": 0.01,
    "checkpoint damaged": 0.15,
    "log damaged": 0.05,
    "clean stop": 0.003,
}
"""Fault to how often it happens where it can."""


ENDS = {"crash", "fsync fails", "clean stop"}
"""Faults that end an incarnation."""


class Crash(BaseException):
    """The process dies here: nothing after this point happens."""


class Chance:
    """Random decisions, and a count of the faults that were decided."""

    def __init__(self, seed: int, kinds: Collection[str]) -> None:
        self.random = random.Random(seed)
        self.kinds = set(kinds)
        self.faults: Counter[str] = Counter()
        self.calm = False
        self.spared = False
        """Whether the process does not die now: it has died too often without getting anywhere."""

    def fault(self, kind: str) -> bool:
        """Whether this fault happens here. The decision is drawn in any case, so that runs with fewer kinds stay alike."""
        drawn = self.random.random() < RATES[kind]
        if drawn and kind in self.kinds and not self.calm and not (self.spared and kind in ENDS):
            self.faults[kind] += 1
            return True
        return False

    def point(self, name: str) -> None:
        """A place where the process may die."""
        if self.fault("crash"):
            self.faults[f"crash: {name}"] += 1
            raise Crash(name)
