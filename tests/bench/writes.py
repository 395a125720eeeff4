"""`python -m tests.bench writes`: INSERTs of one row, of one writer and of 100 at the same time, into a real service.

The client is pgbench, with a prepared statement into a table with a primary key; every answer is after an fsync. One and 100 take
turns: what else the machine does meets both. Always true: afterwards every row that was acknowledged is there.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from tests.bench.lookups import connect
from tests.e2e.service import running

WRITERS = 100
SECONDS = 4
ROUNDS = 3
TABLE = "CREATE TABLE written (id bigint PRIMARY KEY, word text, n integer)"
SETTINGS = {
    "name": "writes",
    "kafka": {"main": {"bootstrap.servers": "127.0.0.1:1"}},
    "sources": {},
    "serve": {"postgres": "127.0.0.1:0"},
}


def load(port: int, writers: int, seconds: int = SECONDS) -> tuple[float, int]:
    """pgbench's inserts: how many a second, and how many were acknowledged."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "write.sql"
        script.write_text("\\set id random(1, 1000000000000000)\nINSERT INTO written VALUES (:id, 'word', 7);\n")
        command = [
            "pgbench",
            "-n",
            "-M",
            "prepared",
            "-c",
            str(writers),
            "-j",
            "1",
            "-T",
            str(seconds),
            "-f",
            str(script),
        ]
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres"]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise RuntimeError(done.stderr)
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    count = re.search(r"transactions actually processed: (\d+)", done.stdout)
    assert rate is not None
    assert count is not None
    return float(rate[1]), int(count[1])


def measure(port: int) -> None:
    """Print what was measured."""
    with connect(port) as client:
        client.execute(TABLE)
    told, ones, many = 0, [], []
    for _ in range(ROUNDS):
        for writers, rates in ((1, ones), (WRITERS, many)):
            rate, count = load(port, writers)
            rates.append(rate)
            told += count
    with connect(port) as client:
        row = client.execute("SELECT count(*) FROM written").fetchone()
    if row is None or row[0] < told:
        raise RuntimeError(f"{told} rows were acknowledged, {row} are there")
    one, hundred = median(ones), median(many)
    print(f"1 writer {one:,.0f}/s, {WRITERS} writers {hundred:,.0f}/s: {hundred / one:.1f} times", flush=True)


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), SETTINGS) as service:
        measure(service.postgres)


if __name__ == "__main__":
    main()
