"""How many cores this process may use: those that it may run on, and of them what the control group grants."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""The control group's processor time in a period, as `200000 100000`, or `max 100000`."""


def usable_cores(quota: Path = QUOTA) -> int:
    """At least 1. A quota of one and a half cores is two: the second one is free half of the time."""
    allowed = len(os.sched_getaffinity(0))
    try:
        granted, period = quota.read_text().split()
    except (OSError, ValueError):  # no control group, or none of this kind
        return allowed
    return allowed if granted == "max" else max(1, min(allowed, -(-int(granted) // int(period))))
