"""The clock and the quantiles: one definition for the engine and DuckDB; the peers' scripts read the same variable."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
"""Seconds: of the wall, or of this process's threads on any core, where others keep the machine busy."""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed; 0.5 is the (lower) median. ValueError without values."""
    if not values:
        raise ValueError("no values to take a quantile of")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
