"""`SUBSCRIBED_SECONDS=600 python -m tests.bench subscribers`: what 50 subscribers, 10 of them stalled, cost the ticks.

The tick loop and the wire in one process, over a list source that gets rows all the time; the readers in another. The ticks' times
before and with the readers, the bytes that wait for readers, and the process's memory; the 40 that read must get every change.
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
from pathlib import Path
from typing import Any

from serve.pg.server import PgServer
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.subscribe.hub import Hub
from tests.bench.numbers import quantile
from tests.headwater.house import House, running

READERS, STALLED = 50, 10
SECONDS = float(os.environ.get("SUBSCRIBED_SECONDS", "20"))
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
            for _ in sys.stdin:
                ticks, took[:] = list(took), []
                print(
                    json.dumps(
                        {
                            "ticks": len(ticks),
                            "p50": quantile(ticks or [0], 0.5),
                            "p99": quantile(ticks or [0], 0.99),
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

    try:
        port = int(outlet.readline())
        time.sleep(2)
        ask()
        time.sleep(SECONDS)
        before = ask()
        _show("no readers", before)
        sockets = [_connect(port, 4096 if number < STALLED else None) for number in range(READERS)]
        selector = selectors.DefaultSelector()
        for one in sockets[STALLED:]:
            selector.register(one, selectors.EVENT_READ)
        read, end, settled = 0, time.monotonic() + SECONDS + 3, time.monotonic() + 3
        while time.monotonic() < end:
            if settled and time.monotonic() > settled:  # the snapshots are sent
                ask()
                settled = 0.0
            for key, _ in selector.select(1):
                read += len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]
        after = ask()
        _show(f"{READERS} readers, {STALLED} of them stalled", after)
        print(
            f"read: {read / 1e6:.0f} MB by {READERS - STALLED}; tick p99 {after['p99'] / before['p99']:.2f} times that of before"
        )
        for one in sockets:
            one.close()
    finally:
        process.stdin.close()
        process.wait(30)


def _show(name: str, found: dict[str, Any]) -> None:
    print(
        f"{name}: {found['ticks']} ticks, p50 {found['p50'] * 1e3:.2f} ms, p99 {found['p99'] * 1e3:.2f} ms, "
        f"{found['readers']} readers, {found['waiting'] / 1e6:.1f} MB wait, process {found['rss'] / 1e6:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
