"""What a service costs that has nothing to do: the tick loop, the dataflow, publishing, the log and a scrape, over many views.

Processor time of the whole process, so a busy machine changes little; the sources are lists, everything behind them is real.
Idle here means that ticks go on because somebody else has rows: each tick binds a time, steps, and publishes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.headwater.house import House, running

TWENTY_OPERATORS = {
    "totals": "SELECT k, sum(n) AS n FROM items GROUP BY k",
    "notes": "SELECT k, max(n) AS n FROM late GROUP BY k",
    "both": "SELECT items.k, late.n FROM items JOIN late ON items.k = late.k",
    "some": "SELECT k, n FROM items WHERE n > 3 AND k IN (SELECT k FROM late)",
    "top": "SELECT k, n FROM late ORDER BY n DESC LIMIT 3",
}

SECONDS = 10.0
"""How long each measurement goes on."""

PACE = 0.05
"""Seconds between ticks: 20 a second."""

SCRAPE_SECONDS = 15.0
"""How often Prometheus asks where nobody says otherwise."""


def many(count: int) -> dict[str, str]:
    """`count` views of one source, no two of them alike, and one view of the other source."""
    views = {f"v{i}": f"SELECT k, sum(n + {i}) AS n, count(*) AS c FROM items GROUP BY k" for i in range(count)}
    return views | {"live": "SELECT k, sum(n) AS n FROM late GROUP BY k"}


def measure(views: Mapping[str, str], live: bool, seconds: float = SECONDS, pace: float = PACE) -> dict[str, float]:
    """Ticks at a pace, over views that hold rows and get no more; `live`: one more view gets a row in every tick."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), views, sinks=False)
        house.items.push(*((i % 100, i) for i in range(10_000)))
        house.items.appear()
        with running(house):
            house.until(lambda: house.loop.ticks > 1)
            clock = time.pthread_getcpuclockid(cast(int, house.thread.ident))
            thread, cpu, began = time.clock_gettime(clock), time.process_time(), time.monotonic()
            ticks = house.loop.ticks
            while time.monotonic() - began < seconds:
                if live:
                    house.late.push((1, 1))
                else:
                    house.wake.set()
                time.sleep(pace)
            thread, cpu = time.clock_gettime(clock) - thread, time.process_time() - cpu
            ticks = house.loop.ticks - ticks
            scrape = time.process_time()
            house.metrics.exposition("")
            scrape = time.process_time() - scrape
            operators = len(house.dataflow.statistics())
            return {"operators": operators, "thread": thread / ticks, "process": cpu / ticks, "scrape": scrape}


def main() -> None:
    """Measure, print a table and a line of JSON."""
    found = {
        "20 operators": measure(TWENTY_OPERATORS, live=False),
        "20 operators, 100 a second": measure(TWENTY_OPERATORS, live=False, pace=0.01),
        "1 idle view, one live": measure(many(1), live=True),
        "1,000 idle views": measure(many(1000), live=False),
        "1,000 idle views, one live": measure(many(1000), live=True),
    }
    print(f"{'':28s} operators  tick thread, us  process, us  at 20 a second  scrape, ms  each 15 s")
    for name, row in found.items():
        print(
            f"{name:28s} {row['operators']:>9.0f} {row['thread'] * 1e6:>16.0f} {row['process'] * 1e6:>12.0f} "
            f"{row['process'] / PACE:>15.2%} {row['scrape'] * 1e3:>11.1f} {row['scrape'] / SCRAPE_SECONDS:>10.2%}"
        )
    print(json.dumps({"cores": os.cpu_count(), **found}))


if __name__ == "__main__":
    main()
