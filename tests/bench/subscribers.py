"""`python -m tests.bench subscribers`: what 50 subscribers, 10 of them stalled, cost the ticks.

`SUBSCRIBED_SECONDS=600 SUBSCRIBED_ROUNDS=1` has the ten stand still for ten minutes; what no readers cost is then seen for one.

The tick loop and the wire in one process, over a list source that gets rows all the time; the readers in another. Rounds without
and with the readers take turns, so that what else the machine does meets both, and the medians over the rounds are compared: of
the ticks' 50th and 99th percentiles, and of the processor time of the tick thread, which tells its own work from waiting for the
interpreter. Besides, the bytes that wait for readers, and the process's memory; the 40 that read must get every change.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

from serve.pg.server import PgServer
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.subscribe.hub import Hub
from tests.bench.numbers import quantile
from tests.headwater.house import House, running

READERS, STALLED = 50, 10
SECONDS = float(os.environ.get("SUBSCRIBED_SECONDS", "30"))
"""With readers, over all rounds."""

ROUNDS = int(os.environ.get("SUBSCRIBED_ROUNDS", "5"))
ALONE_SECONDS = 60.0
"""Of a round without readers, at most."""

SETTLE = 2.0
"""Seconds until the snapshots are sent, or the readers gone."""
KEYS = 10_000
ROWS_PER_PUSH, PACE = 100, 0.01
VIEWS = {"totals": "SELECT k, sum(n) AS n, count(*) AS c FROM items GROUP BY k"}


def serve() -> None:
    """The service: a line of numbers for each line of stdin, those since the last."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), VIEWS, sinks=False)
        house.items.push(*((i % KEYS, i) for i in range(KEYS)))
        house.items.appear()
        relations = Relations(house.status, RELATIONS, "bench")
        hub = house.hub = Hub(house.publication, relations, house.wake.set)
        hub.start()
        took: list[float] = []
        house.metrics.observe_tick = lambda seconds, rows: took.append(seconds)  # type: ignore[method-assign]
        with running(house):
            queries = Queries(house.publication, house.status, relations)
            wire = PgServer("127.0.0.1", 0, queries, {}, None, "bench", "0.0.0", hub)
            print(wire.start()[1], flush=True)
            stop = threading.Event()
            feeder = threading.Thread(target=_feed, args=(house, stop))
            feeder.start()
            clock, spent = time.pthread_getcpuclockid(cast(int, house.thread.ident)), 0.0
            for _ in sys.stdin:
                ticks, took[:] = list(took), []
                before, spent = spent, time.clock_gettime(clock)
                print(
                    json.dumps(
                        {
                            "ticks": len(ticks),
                            "p50": quantile(ticks or [0], 0.5),
                            "p99": quantile(ticks or [0], 0.99),
                            "cpu": (spent - before) / max(1, len(ticks)),
                            "readers": hub.readers,
                            "waiting": hub.waiting_bytes,
                            "rss": _rss(),
                        }
                    ),
                    flush=True,
                )
            stop.set()
            feeder.join()
            wire.stop()
        hub.stop()


def _feed(house: House, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(PACE):
        house.items.push(*(((number + i) * 7919 % KEYS, 1) for i in range(ROWS_PER_PUSH)))
        number += ROWS_PER_PUSH


def _rss() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def _connect(port: int, receive: int | None) -> socket.socket:
    made = socket.socket()
    if receive is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    made.connect(("127.0.0.1", port))
    startup = struct.pack("!i", 3 << 16) + b"user\0bench\0\0"
    made.sendall(struct.pack("!i", len(startup) + 4) + startup)
    query = b"COPY (SUBSCRIBE totals WITH (PROGRESS)) TO STDOUT\0"
    made.sendall(b"Q" + struct.pack("!i", len(query) + 4) + query)
    return made


def main() -> None:
    """Measure, print."""
    command = [sys.executable, "-m", "tests.bench.subscribers", "serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    inlet, outlet = process.stdin, process.stdout

    def ask() -> dict[str, Any]:
        inlet.write("\n")
        inlet.flush()
        found: dict[str, Any] = json.loads(outlet.readline())
        return found

    alone, beside = [], []
    try:
        port = int(outlet.readline())
        for number in range(ROUNDS):
            alone.append(_round(port, 0, ask))
            beside.append(_round(port, READERS, ask))
            _show(f"round {number + 1}, no readers", alone[-1])
            _show(f"round {number + 1}, {READERS} readers, {STALLED} of them stalled", beside[-1])
    finally:
        process.stdin.close()
        process.wait(30)
    ratios = {
        what: median(one[what] for one in beside) / median(one[what] for one in alone) for what in ("p50", "p99", "cpu")
    }
    print(
        f"medians of {ROUNDS} rounds, with readers to without: tick p50 {ratios['p50']:.2f}, p99 {ratios['p99']:.2f}, "
        f"processor time of the tick thread {ratios['cpu']:.2f} times"
    )


def _round(port: int, readers: int, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ticks take with so many readers."""
    sockets = [_connect(port, 4096 if number < STALLED else None) for number in range(readers)]
    selector = selectors.DefaultSelector()
    for one in sockets[STALLED:]:
        selector.register(one, selectors.EVENT_READ)
    read = _read(selector, SETTLE)
    ask()
    read += _read(selector, SECONDS / ROUNDS if readers else min(SECONDS / ROUNDS, ALONE_SECONDS))
    found = ask()
    for one in sockets:
        one.close()
    selector.close()
    return found | {"read": read}


def _read(selector: selectors.BaseSelector, seconds: float) -> int:
    """Read what comes for so long; how many bytes."""
    read, end = 0, time.monotonic() + seconds
    if not selector.get_map():
        time.sleep(seconds)
    while (left := end - time.monotonic()) > 0 and selector.get_map():
        for key, _ in selector.select(left):
            read += len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]
    return read


def _show(name: str, found: dict[str, Any]) -> None:
    times = ", ".join(f"{what} {found[what] * 1e3:.2f} ms" for what in ("cpu", "p50", "p99"))
    sizes = ", ".join(f"{what} {found[what] / 1e6:.1f} MB" for what in ("waiting", "read", "rss"))
    print(f"{name}: {found['ticks']} ticks, {times}, {found['readers']} readers, {sizes}", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
