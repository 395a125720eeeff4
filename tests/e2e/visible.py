"""Insert on one connection, then read on another: what was acknowledged is there, in the table and in a view over it.

`python -m tests.e2e.visible --rounds 100000`. Several pairs of connections at once, each over keys of its own; a round is an INSERT
that was acknowledged, then a read by key and, every tenth time, one of the view, on the pair's other connection.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.service import RUN, Headwater, running

PAIRS = 16


def settings() -> dict[str, Any]:
    """Tables need no broker: the one that is named here does not exist."""
    return {
        "name": f"visible_{RUN}",
        "kafka": {"main": {"bootstrap.servers": "127.0.0.1:1"}},
        "sources": {},
        "serve": {"postgres": "127.0.0.1:0"},
    }


class Rounds:
    """Pairs of connections to one service, until there are enough rounds."""

    def __init__(self, service: Headwater, rounds: int) -> None:
        self._service = service
        self._left = rounds
        self._lock = threading.Lock()
        self.done = 0
        self.missed: list[str] = []

    def run(self) -> None:
        """All of them, to the end."""
        with self._connect() as connection:
            connection.execute("CREATE TABLE seen (pair integer, number bigint, PRIMARY KEY (pair, number))")
            connection.execute(
                "CREATE MATERIALIZED VIEW counted AS SELECT pair, count(*) AS n, max(number) AS last FROM seen GROUP BY pair"
            )
            connection.execute("CREATE INDEX ON counted (pair)")
        threads = [threading.Thread(target=self._guarded, args=(pair,), daemon=True) for pair in range(PAIRS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._service.postgres,
            user="ada",
            dbname="shop",
            autocommit=True,
            prepare_threshold=1,
        )

    def _guarded(self, pair: int) -> None:
        try:
            self._work(pair)
        except Exception as error:  # noqa: BLE001  (of a thread: told at the end)
            self.missed.append(repr(error))

    def _work(self, pair: int) -> None:
        number = 0
        with self._connect() as writes, self._connect() as reads:
            while self._take():
                number += 1
                writes.execute("INSERT INTO seen VALUES (%s, %s)", (pair, number))
                sql = "SELECT number FROM seen WHERE pair = %s AND number = %s"
                if reads.execute(sql, (pair, number)).fetchall() != [(number,)]:
                    self.missed.append(f"row ({pair}, {number}) was acknowledged and not read")
                if number % 10 == 0:
                    found = reads.execute("SELECT n, last FROM counted WHERE pair = %s", (pair,)).fetchall()
                    if found != [(number, number)]:
                        self.missed.append(f"after row ({pair}, {number}) the view was read as {found}")
                with self._lock:
                    self.done += 1

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self.missed


def main(arguments: list[str]) -> int:
    """Run against a service of its own, print a summary; exit status 0 when every read found what it had to."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.visible")
    parser.add_argument("--rounds", type=int, default=100_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, running(Path(name), settings()) as service:
        rounds = Rounds(service, options.rounds)
        began = time.monotonic()
        rounds.run()
        seconds = time.monotonic() - began
    print("\n".join(rounds.missed[:10]) or "every read found what was acknowledged before it")
    print(
        json.dumps({"rounds": rounds.done, "pairs": PAIRS, "seconds": round(seconds, 1), "missed": len(rounds.missed)})
    )
    return 1 if rounds.missed or rounds.done < options.rounds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
