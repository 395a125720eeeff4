"""One core for each measurement: the last one that this process may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence


def pinned(command: Sequence[str]) -> list[str]:
    """The command on one core, where the machine has `taskset`."""
    taskset = shutil.which("taskset")
    if taskset is None:
        return list(command)
    return [taskset, "-c", str(max(os.sched_getaffinity(0))), *command]
