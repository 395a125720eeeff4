"""How long a cancel request takes to end a statement, by kind of statement.

`python -m tests.e2e.cancels --rows 400000 --repeats 10` prints milliseconds from sending the request to the client's error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.service import Headwater, running
from tests.e2e.visible import settings

KINDS = {
    "scan": "SELECT id, md5(id::text || word), sha256(word::bytea) FROM big WHERE md5(word || id::text) LIKE '%zz%'",
    "join": "SELECT count(*) FROM big a JOIN big b ON a.part = b.part JOIN big c ON b.part = c.part WHERE a.id + b.id + c.id < 0",
    "aggregate": "SELECT md5(id::text), count(DISTINCT word), max(word) FROM big GROUP BY 1 ORDER BY 1",
    "subscribe": "COPY (SUBSCRIBE (SELECT part, count(*) AS n FROM big GROUP BY part)) TO STDOUT",
    "insert_select": "INSERT INTO other SELECT a.id, b.part, md5(a.word) FROM big a JOIN big b ON a.part = b.part",
    "copy_from": "COPY other FROM STDIN",
}


def fill(service: Headwater, rows: int) -> None:
    """A table to be read."""
    with connect(service) as connection:
        connection.execute("CREATE TABLE big (id bigint PRIMARY KEY, part bigint, word text)")
        connection.execute("CREATE TABLE other (id bigint, part bigint, word text)")
        with connection.cursor().copy("COPY big FROM STDIN") as copied:
            for begin in range(0, rows, 10_000):
                lines = range(begin, min(rows, begin + 10_000))
                copied.write("".join(f"{n}\t{n % 300}\tword {n}\n" for n in lines))


def connect(service: Headwater) -> psycopg.Connection[Any]:
    """A client."""
    return psycopg.connect(host="127.0.0.1", port=service.postgres, user="ada", dbname="shop", autocommit=True)


def cancelled(service: Headwater, sql: str, wait: Callable[[], None]) -> float | None:
    """Milliseconds until the error came; None when the statement was over before. `wait`: until the request is sent."""
    with connect(service) as connection:
        began: list[float] = []

        def cancel() -> None:
            wait()
            began.append(time.perf_counter())
            connection.cancel_safe(timeout=30)

        thread = threading.Thread(target=cancel, daemon=True)
        thread.start()
        try:
            if sql.startswith("COPY"):
                run_copy(connection, sql, began)
            else:
                connection.execute(sql).fetchall()  # type: ignore[call-overload]
        except psycopg.errors.QueryCanceled:
            return (time.perf_counter() - began[0]) * 1000
        except psycopg.ProgrammingError:  # nothing to fetch: it was over
            return None
        finally:
            thread.join()
        return None


def run_copy(connection: psycopg.Connection[Any], sql: str, began: list[float]) -> None:
    """Read what comes until an error, or send rows until the request was sent: libpq tells of the error then."""
    with connection.cursor().copy(sql) as copied:  # type: ignore[call-overload]
        while sql.endswith("STDIN") and not began:
            copied.write("1\t2\tx\n")
            time.sleep(0.001)
        if sql.endswith("STDIN"):
            time.sleep(0.05)
        while not sql.endswith("STDIN") and copied.read():
            pass


def main(arguments: list[str]) -> int:
    """Measure, print a summary; exit status 0 when every statement was cancelled at least once."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.cancels")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args(arguments)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, running(Path(name), settings()) as service:
        fill(service, options.rows)
        for kind, sql in KINDS.items():
            took = [cancelled(service, sql, lambda: time.sleep(0.15)) for _ in range(options.repeats)]
            found[kind] = sorted(round(one, 1) for one in took if one is not None)
        with connect(service) as connection:
            assert connection.execute("SELECT count(*) FROM other").fetchone() == (0,)
    shown = {
        kind: {"times": len(took), "median": took[len(took) // 2], "most": took[-1]} if took else {"times": 0}
        for kind, took in found.items()
    }
    print(json.dumps(shown))
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
