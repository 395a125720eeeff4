"""One seed's decisions: which faults happen where.

Always true: the same seed, kinds and dropped faults give the same run, in one process.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection

RATES = {
    "crash": 0.002,
    "crash of a sink": 0.01,
    "fsync fails": 0.002,
    "clean stop": 0.002,
    "commit lost before": 0.08,
    "commit lost after": 0.08,
    "commit in doubt": 0.08,
    "records sent in part": 0.08,
    "sink broker away": 0.1,
    "source broker away": 0.06,
    "delay": 0.012,
    "partition without leader": 0.03,
    "partition added": 0.02,
    "topic recreated": 0.001,
    "records expired": 0.001,
    "records compacted": 0.001,
    "compaction": 0.02,
    "clock back": 0.02,
    "clock ahead": 0.02,
    "second coordinator": 0.02,
    "zombie sinks": 0.4,
    "taken over amid a connect": 0.3,
    "bucket away": 0.003,
    "bucket's answer lost": 0.003,
    "taken over": 0.003,
    "checkpoint damaged": 0.2,
    "log damaged": 0.2,
}
"""Fault to how often it happens where it can."""


ENDS = {"crash", "crash of a sink", "fsync fails", "clean stop", "bucket away", "bucket's answer lost", "taken over"}
"""Faults that end an incarnation."""


class Crash(BaseException):
    """The process dies here: nothing after this point happens."""


class Chance:
    """Random decisions, and the faults that were decided, in order: the schedule."""

    def __init__(self, seed: int, kinds: Collection[str], dropped: Collection[int] = ()) -> None:
        """dropped: places in the schedule of faults that do not happen, though they were decided."""
        self.random = random.Random(seed)
        self.kinds = set(kinds)
        self.dropped = frozenset(dropped)
        self.schedule: list[str] = []
        self.faults: Counter[str] = Counter()
        self.points: Counter[str] = Counter()
        """Where the process died."""
        self.now = ""
        """What the schedule says of when."""
        self.calm = False
        self.spared = False
        """Whether the process does not die now: it has died too often without getting anywhere."""

    def fault(self, kind: str, where: str = "") -> bool:
        """Whether this fault happens here. The decision is drawn in any case, so that runs with fewer faults stay alike."""
        drawn = self.random.random() < RATES[kind]
        if not drawn or kind not in self.kinds or self.calm or (self.spared and kind in ENDS):
            return False
        self.schedule.append(f"{self.now}: {kind}{where and ' '}{where}")
        if len(self.schedule) - 1 in self.dropped:
            return False
        self.faults[kind] += 1
        return True

    def point(self, name: str) -> None:
        """A place where the process may die; the name begins with its step, S1 to S8."""
        # A sink's steps are few among all: they get more of the deaths than their share.
        if self.fault("crash of a sink" if name.startswith("S7") else "crash", name):
            self.points[name] += 1
            raise Crash(name)
