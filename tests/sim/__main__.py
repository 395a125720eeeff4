"""`make sim SEEDS=n`: many runs; prints the seed of one that broke a promise and the fewest kinds of faults that do it.

`python -m tests.sim --seeds 100 [--first 1] [--ticks 200] [--seconds 60] [--plant skip-fsync]`
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter

import structlog

from tests.sim.chance import RATES
from tests.sim.world import World, Wrong

PLANTS = ("skip-fsync", "no-fence", "publish-first")
"""Mistakes that can be built in, to see that they are found: the log is not synced; a sink's predecessor is not fenced; a time
is shown before its binding is durable."""


def verdict(seed: int, ticks: int, kinds: set[str], plant: str) -> tuple[World, str]:
    """A run and what it broke, empty when nothing."""
    world = World(seed, ticks, kinds, plant)
    try:
        world.run()
    except Wrong as wrong:
        return world, str(wrong)
    except Exception:  # noqa: BLE001 (whatever fails has to be told with its seed)
        return world, traceback.format_exc()
    return world, ""


def shrink(seed: int, ticks: int, plant: str) -> tuple[set[str], int]:
    """The fewest kinds of faults, then the fewest ticks, with which this seed still breaks a promise."""
    kinds = set(RATES)
    for kind in sorted(RATES):
        if verdict(seed, ticks, kinds - {kind}, plant)[1]:
            kinds.discard(kind)
    low, high = 1, ticks
    while low < high:
        middle = (low + high) // 2
        if verdict(seed, middle, kinds, plant)[1]:
            high = middle
        else:
            low = middle + 1
    return kinds, high


def main() -> int:
    """Run; the status is 1 when a promise was broken."""
    parser = argparse.ArgumentParser("tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=None, help="the first seed (default: from the clock)")
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=None, help="end after this time, whatever is left")
    parser.add_argument("--plant", choices=PLANTS, default="")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a seed's schedule
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first = arguments.first if arguments.first is not None else time.time_ns() // 1000 % 1_000_000_000
    began, faults = time.monotonic(), Counter[str]()
    done = publications = incarnations = restored = 0
    for seed in range(first, first + arguments.seeds):
        if arguments.seconds is not None and time.monotonic() - began > arguments.seconds:
            break
        world, wrong = verdict(seed, arguments.ticks, set(RATES), arguments.plant)
        done += 1
        publications += world.publications
        incarnations += world.incarnations
        restored += world.restored
        faults.update({kind: count for kind, count in world.chance.faults.items() if not kind.startswith("crash:")})
        if wrong:
            print(f"seed {seed} broke a promise: {wrong}")
            kinds, ticks = shrink(seed, arguments.ticks, arguments.plant)
            print(
                f"it takes {', '.join(sorted(kinds)) or 'no fault'} and {ticks} ticks: python -m tests.sim --first {seed} --seeds 1"
            )
            return 1
    print(
        f"seeds {first} to {first + done - 1}: {publications} publications in {incarnations} incarnations, "
        f"{restored} of them from a checkpoint, "
        f"{sum(faults.values())} faults, no promise broken, {time.monotonic() - began:.0f} s"
    )
    print(", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
