"""`make sim SEEDS=n`: many runs; prints the seed of one that broke a promise, and the fewest faults and ticks that do it.

`python -m tests.sim --seeds 100 [--first 1] [--ticks 200] [--seconds 60] [--plant fsync]`
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Collection

import structlog

from tests.sim.chance import RATES
from tests.sim.plants import PLANTS
from tests.sim.promises import Wrong
from tests.sim.world import World


def verdict(
    seed: int, ticks: int, kinds: Collection[str] = tuple(RATES), plant: str = "", dropped: Collection[int] = ()
) -> tuple[World, str]:
    """A run and what it broke, empty when nothing."""
    world = World(seed, ticks, kinds, plant, dropped)
    try:
        world.run()
    except Wrong as wrong:
        return world, str(wrong)
    except Exception:  # noqa: BLE001 (whatever fails has to be told with its seed)
        return world, traceback.format_exc()
    return world, ""


def shrink(seed: int, first: World, seconds: float) -> World:
    """The fewest kinds of faults, then the fewest ticks, then the fewest faults with which a seed still breaks a promise, as far as
    some seconds go. first: the run that did."""
    best, deadline = first, time.monotonic() + seconds

    def still(ticks: int, kinds: Collection[str], dropped: Collection[int] = ()) -> bool:
        nonlocal best
        if time.monotonic() > deadline:
            return False
        world, wrong = verdict(seed, ticks, kinds, first.plant, dropped)
        best = world if wrong else best
        return bool(wrong)

    ticks, kinds = min(first.ticks, first.promises.publications + 1), set(RATES)
    if not still(ticks, kinds):
        ticks = first.ticks
    for kind in sorted(kinds):
        if still(ticks, kinds - {kind}):
            kinds.discard(kind)
    low = 1
    while low < ticks and time.monotonic() < deadline:
        middle = (low + ticks) // 2
        if still(middle, kinds):
            ticks = middle
        else:
            low = middle + 1
    dropped: set[int] = set()
    size = len(best.chance.schedule) // 2
    while size:  # halves first, single ones last
        for begin in range(0, len(best.chance.schedule), size):
            fewer = dropped | set(range(begin, begin + size))
            if fewer != dropped and still(ticks, kinds, fewer):
                dropped = fewer
        size //= 2
    return best


def tell(world: World, arguments: argparse.Namespace, wrong: str) -> None:
    """Print a seed that broke a promise, and what it takes."""
    seed = world.seed
    plant = f" --plant {arguments.plant}" if arguments.plant else ""
    print(f"seed {seed} broke a promise: {wrong}")
    print(f"again with: python -m tests.sim --first {seed} --seeds 1 --ticks {arguments.ticks}{plant}", flush=True)
    if arguments.go_on:
        return
    least = shrink(seed, world, arguments.shrink)
    faults = [fault for place, fault in enumerate(least.chance.schedule) if place not in least.chance.dropped]
    print(
        f"shrunk to {least.promises.publications} ticks of {', '.join(least.planned.order)} and {len(faults)} faults:"
    )
    print("\n".join(f"  {fault}" for fault in faults))


def main() -> int:
    """Run; the status is 1 when a promise was broken."""
    parser = argparse.ArgumentParser("tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=None, help="the first seed (default: from the clock)")
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--shrink", type=float, default=120, help="seconds to look for the fewest faults of a seed")
    parser.add_argument("--seconds", type=float, default=None, help="end after this time, whatever is left")
    parser.add_argument(
        "--go-on", action="store_true", help="run the other seeds too, instead of looking for the fewest faults"
    )
    parser.add_argument("--plant", choices=PLANTS, default="", help="build a mistake in")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a seed's schedule
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]])
    gc.freeze()  # what is there from the start stays
    gc.set_threshold(50_000, 20, 20)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first = arguments.first if arguments.first is not None else time.time_ns() // 1000 % 1_000_000_000
    began, faults = time.monotonic(), Counter[str]()
    checked, died, broken = Counter[str](), Counter[str](), list[int]()
    done = publications = incarnations = restored = 0
    for seed in range(first, first + arguments.seeds):
        if arguments.seconds is not None and time.monotonic() - began > arguments.seconds:
            break
        world, wrong = verdict(seed, arguments.ticks, plant=arguments.plant)
        done += 1
        publications += world.promises.publications
        checked.update(world.promises.checked)
        incarnations += world.incarnations
        restored += world.restored
        faults.update(world.chance.faults)
        died.update({point.split()[0]: count for point, count in world.chance.points.items()})
        if wrong:
            broken.append(seed)
            tell(world, arguments, wrong)
            if not arguments.go_on:
                return 1
        if done % 25 == 0:
            print(f"{done} seeds, {sum(faults.values())} faults, {time.process_time():.0f} s of CPU", flush=True)
    print(
        f"seeds {first} to {first + done - 1}: {publications} publications in {incarnations} incarnations, "
        f"{restored} of them from a checkpoint, "
        f"{sum(faults.values())} faults, {f'broken by {broken}' if broken else 'no promise broken'}, "
        f"{time.monotonic() - began:.0f} s"
    )
    for counted in (faults, checked, died):
        print(", ".join(f"{kind} {count}" for kind, count in sorted(counted.items())))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
