"""A process that writes a history to a sink, and kills itself at a chosen point of the protocol.

Arguments: bootstrap service sink topic seed ticks point count. It dies by SIGKILL when `point` is passed for the `count`-th
time; with point `none` it writes all, closes, and exits 0. Points are named in POINTS; those that end in `*` strike
some milliseconds after the call began, while it is under way.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from config.settings import Sink
from sinks import progress, session
from sinks.kafka import KafkaSink
from sinks.producer import TransactionalProducer
from tests.sinks.histories import SCHEMA, History

POINTS = (
    "before init_transactions",
    "after init_transactions",
    "init_transactions*",
    "before read",
    "after read",
    "after begin",
    "before produce_one",
    "after produce_one",
    "before commit",
    "commit*",
    "after commit",
)


def die() -> None:
    """As a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def lay_traps(point: str, count: int, chance: random.Random) -> None:
    """Make the process die at the point."""
    left = [count]

    def strike(here: str) -> None:
        if here == point:
            left[0] -= 1
            if left[0] <= 0:
                die()

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            strike(f"before {name}")
            if point == f"{name}*":
                left[0] -= 1
                if left[0] <= 0:
                    threading.Timer(chance.random() * 0.03, die).start()
            result = function(*arguments)
            strike(f"after {name}")
            return result

        return call

    for name in ("init_transactions", "begin", "produce_one", "commit"):
        setattr(TransactionalProducer, name, wrap(name, getattr(TransactionalProducer, name)))
    session.progress.read = wrap("read", progress.read)  # type: ignore[attr-defined]


def main() -> None:
    """Write the history from its start, as a service does that computes its ticks again."""
    bootstrap, service, name, topic, seed, ticks, point, count = sys.argv[1:]
    chance = random.Random(f"{seed} {point} {count} {time.time()}")
    lay_traps(point, int(count), chance)
    settings = Sink(view="view", kafka="main", topic=topic, key=("k",))
    sink = KafkaSink(settings, name, {"bootstrap.servers": bootstrap}, SCHEMA, "d1", service, lambda: None)
    sink.open()
    for at, delta in History.random(int(seed), int(ticks)).ticks():
        sink.write(at, delta)
        if chance.random() < 0.5:  # however slow the machine is, each of these ends a transaction
            deadline = time.monotonic() + chance.choice((0.001, 0.01, 60.0, 60.0))
            while sink.status().queued_rows and time.monotonic() < deadline:
                time.sleep(0.002)
    sink.close(60.0)
    sys.exit(sink.status().state != "stopped" or sink.status().queued_rows > 0)


if __name__ == "__main__":
    main()
