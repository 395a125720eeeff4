"""What a running service spent its time on: its threads by the kernel's accounts, its operators by its own metrics."""

from __future__ import annotations

import os
from pathlib import Path


def thread_seconds(pid: int) -> dict[str, float]:
    """Seconds of processor that each thread of a process has used, most first; threads of one name are added up."""
    tick = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        head, _, rest = (task / "stat").read_text().rpartition(")")
        fields = rest.split()
        name = "main" if task.name == str(pid) else head.partition("(")[2]
        found[name] = round(found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / tick, 2)
    return dict(sorted(((n, s) for n, s in found.items() if s), key=lambda item: -item[1]))


def operator_seconds(metrics: str) -> float:
    """The seconds of all operators together, from the text of /metrics."""
    lines = [line for line in metrics.splitlines() if line.startswith("headwater_operator_seconds_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
