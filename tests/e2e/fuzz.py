"""Mutated messages of the PostgreSQL wire, at a service with tables: no crash, no hang, no leak.

`python -m tests.e2e.fuzz --messages 1000000`. Several clients at once; a connection sends messages of which most are mutated, in
transactions, COPY FROM and subscriptions too, and ends; the server has to close it. Memory is compared behind the first tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.service import Headwater, running
from tests.e2e.visible import settings
from tests.serve.pg.door import Wire, frame, startup
from tests.serve.pg.test_fuzz import SEEDS, mutated

CLIENTS = 16
MESSAGES = 60
"""Of a connection."""

IDLE_SECONDS, HANG_SECONDS = 0.3, 120.0
"""Without an answer for so long, a client goes; then the server has this long to close."""

OWN_SEEDS: tuple[tuple[bytes, bytes], ...] = (
    *SEEDS,
    (b"Q", b"INSERT INTO numbers VALUES (7, 49, 'x') ON CONFLICT DO NOTHING\0"),
    (b"Q", b"UPDATE numbers SET word = 'y' WHERE id = 7 RETURNING *\0"),
    (b"Q", b"COPY numbers FROM STDIN (FORMAT csv)\0"),
    (b"Q", b"COPY numbers (id, square) FROM STDIN\0"),
    (b"Q", b"COPY numbers FROM STDIN (FORMAT binary)\0"),
    (b"d", b"1\t2\t\\N\n3\t4\tword\n"),
    (b"d", b'1,2,"a\nb"\r\n'),
    (b"d", b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack("!hiqiqi", 3, 8, 5, 8, 25, -1)),
    (b"c", b""),
    (b"f", b"given up\0"),
    (b"Q", b"COPY (SUBSCRIBE numbers AS OF AT LEAST 0 UP TO 1) TO STDOUT\0"),
    (b"Q", b"BEGIN; INSERT INTO numbers VALUES (8, 64, NULL); ROLLBACK\0"),
    (b"Q", b"SET TimeZone = 'UTC'; SHOW ALL\0"),
)


class Fuzz:
    """Clients of one service until enough messages were sent."""

    def __init__(self, service: Headwater, messages: int, seed: int) -> None:
        self._service, self._left, self._seed = service, messages, seed
        self._lock = threading.Lock()
        self.sent = self.connections = self.answered = 0
        self.failures: list[str] = []
        self.memory: list[tuple[int, int]] = []

    def run(self) -> None:
        """All of them, to the end."""
        with self.connect() as connection:
            connection.execute("CREATE TABLE numbers (id bigint PRIMARY KEY, square bigint, word text)")
            connection.execute("CREATE TABLE revenue (customer text PRIMARY KEY, total numeric)")
            connection.execute("CREATE TABLE kinds (a integer, b jsonb)")
            connection.execute("INSERT INTO revenue VALUES ('ada', 1)")
        threads = [threading.Thread(target=self._guarded, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.note()

    def connect(self) -> psycopg.Connection[Any]:
        """A client that means well."""
        return psycopg.connect(
            host="127.0.0.1", port=self._service.postgres, user="ada", dbname="shop", autocommit=True
        )

    def note(self) -> None:
        """Look at the memory of the service."""
        assert self._service.process is not None
        status = Path(f"/proc/{self._service.process.pid}/statm").read_text()
        print(f"{self.sent} messages", file=sys.stderr, flush=True)
        self.memory.append((self.sent, int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20))

    def _guarded(self, number: int) -> None:
        chance = random.Random(self._seed + number)
        try:
            while not self.failures and self._take():
                self._connection(chance)
        except Exception as error:  # noqa: BLE001  (of a thread: told at the end)
            self.failures.append(repr(error))

    def _take(self) -> bool:
        with self._lock:
            if self._left <= 0:
                return False
            self._left -= MESSAGES
            self.sent += MESSAGES
            self.connections += 1
            if self.connections % 100 == 0:
                self.note()
            return True

    def _connection(self, chance: random.Random) -> None:
        wire = Wire(socket.create_connection(("127.0.0.1", self._service.postgres), timeout=HANG_SECONDS))
        try:
            wire.send_raw(startup(user="ada"))
            wire.until(b"Z")
            # After a mistake of the extended protocol nothing is looked at up to a Sync.
            data = b"".join(chance.choice((b"", frame(b"S"))) + mutated(chance, OWN_SEEDS, 1) for _ in range(MESSAGES))
            sender = threading.Thread(target=self._send, args=(wire, data + frame(b"S") + frame(b"X")), daemon=True)
            sender.start()
            self._read(wire)
            sender.join(HANG_SECONDS)
        finally:
            wire.close()

    def _read(self, wire: Wire) -> None:
        """Read until the server closes. A length too large waits for more, a subscription for changes: then the client goes."""
        wire.socket.settimeout(IDLE_SECONDS)
        left = False
        while True:
            try:
                if (data := wire.socket.recv(65536)) == b"":
                    return
                self.answered += len(data)
            except TimeoutError:
                if left:
                    raise RuntimeError(f"the server has not closed {HANG_SECONDS} s after its client went") from None
                left = True
                wire.socket.settimeout(HANG_SECONDS)
                with suppress(OSError):
                    wire.socket.shutdown(socket.SHUT_WR)
            except ConnectionError:
                return

    @staticmethod
    def _send(wire: Wire, data: bytes) -> None:
        with suppress(OSError):  # the server has closed: what the reader sees
            wire.send_raw(data)


def main(arguments: list[str]) -> int:
    """Run against a service of its own, print a summary; exit status 0 when it went on serving."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.fuzz")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name, running(Path(name), settings()) as service:
        fuzz = Fuzz(service, options.messages, options.seed)
        began = time.monotonic()
        fuzz.run()
        seconds = time.monotonic() - began
        with fuzz.connect() as connection:
            connection.execute("SELECT count(*) FROM numbers").fetchall()
    print("\n".join(fuzz.failures[:10]) or "the service answered or closed, and goes on")
    counts = {"messages": fuzz.sent, "connections": fuzz.connections, "answered_bytes": fuzz.answered}
    print(
        json.dumps(
            {**counts, "seconds": round(seconds, 1), "memory_mib": fuzz.memory[:: max(1, len(fuzz.memory) // 12)]}
        )
    )
    return 1 if fuzz.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
