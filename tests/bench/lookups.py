"""`python -m tests.bench lookups`: reads by key and of whole views, PostgreSQL and Headwater in one run.

The same client (pgbench), the same prepared statement, the same rows, both over TCP on loopback; HTTP lookups from a small
client of our own. Every server is a process of its own. Always true: before anything is timed both answer the same rows.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.spine import Spine
from dataflow.types import BIGINT, TEXT, Column
from serve.http import HttpServer
from serve.pg.server import PgServer
from serve.reads import PublishedView
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.subscribe.hub import Hub
from tests.bench.numbers import quantile
from tests.serve.published import House
from tests.servers.postgres import PostgresServer, find_binaries

ROWS = 1_000_000
SECONDS = 5
CLIENTS = (1, 8)
COLUMNS = (Column("id", BIGINT, nullable=False), Column("customer", TEXT), Column("total", BIGINT))
STATEMENT = "SELECT * FROM accounts WHERE id = "


def rows() -> tuple[pa.Array, ...]:
    """The rows of `accounts`."""
    ids = np.arange(1, ROWS + 1)
    return (
        pa.array(ids),
        pa.array([f"customer {i}" for i in ids.tolist()], pa.large_string()),
        pa.array(ids * 7919 % 1_000_003),
    )


def serve() -> None:
    """Headwater's doors over the rows, until stdin ends; prints its ports."""
    spine = Spine(Layout(tuple(column.type for column in COLUMNS), (0,)))
    spine.insert(Delta(rows(), np.ones(ROWS, np.int64)))
    house = House()
    empty = Spine(Layout((TEXT,), (0,))).snapshot()
    house.publish(PublishedView("accounts", COLUMNS, (0,), spine.snapshot(), empty))
    relations = Relations(lambda: house.status, RELATIONS, "bench")
    queries = Queries(house.publication, lambda: house.status, relations)
    hub = Hub(house.publication, relations, lambda: None)
    wire = PgServer("127.0.0.1", 0, queries, {}, None, "bench", "0.0.0", hub)
    web = HttpServer("127.0.0.1", 0, house.app)
    print(wire.start()[1], web.start()[1], flush=True)
    sys.stdin.read()
    wire.stop()
    web.stop()


@contextmanager
def headwater() -> Iterator[tuple[int, int]]:
    """A process of Headwater's doors: its ports."""
    command = [sys.executable, "-m", "tests.bench.lookups", "serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        wire, web = process.stdout.readline().split()
        yield int(wire), int(web)
    finally:
        process.stdin.close()
        process.wait(30)


@contextmanager
def postgres() -> Iterator[int]:
    """PostgreSQL with the same rows: its port."""
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed; install Debian's package postgresql")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = PostgresServer(binaries, port)
    try:
        server.start()
        with server.connect() as client, client.cursor() as cursor:
            cursor.execute("CREATE TABLE accounts (id bigint PRIMARY KEY, customer text, total bigint)")
            with cursor.copy("COPY accounts FROM STDIN") as copy:
                columns = [column.to_pylist() for column in rows()]
                copy.write("".join(f"{i}\t{c}\t{t}\n" for i, c, t in zip(*columns, strict=True)))
            cursor.execute("VACUUM ANALYZE accounts")
        yield port
    finally:
        server.stop()


def load(port: int, clients: int, seconds: int = SECONDS) -> dict[str, float]:
    """pgbench's lookups by a prepared statement: how many each second, and the 50th and 99th percentile in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "lookup.sql"
        script.write_text(f"\\set id random(1, {ROWS})\n{STATEMENT}:id;\n")
        command = [
            "pgbench",
            "-n",
            "-M",
            "prepared",
            "-c",
            str(clients),
            "-j",
            "1",
            "-T",
            str(seconds),
            "-f",
            str(script),
        ]
        where = [
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-U",
            "postgres",
            "-l",
            "--log-prefix",
            f"{folder}/log",
            "postgres",
        ]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            raise RuntimeError(done.stderr)
        took = [
            int(line.split()[2]) / 1000 for path in Path(folder).glob("log*") for line in path.read_text().splitlines()
        ]
    return {"rate": len(took) / seconds, "p50": quantile(took, 0.5), "p99": quantile(took, 0.99)}


def connect(port: int) -> psycopg.Connection[tuple[Any, ...]]:
    """A client of either."""
    return psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True)


def stream(port: int, binary: bool) -> float:
    """Seconds for SELECT * of all rows, read as they come and not looked at."""
    with connect(port) as client:
        best = 1e9
        for _ in range(3):
            began = time.perf_counter()
            client.pgconn.send_query_params(b"SELECT * FROM accounts", [], result_format=int(binary))
            count = 0
            while (result := client.pgconn.get_result()) is not None:
                count += result.ntuples
            assert count == ROWS
            best = min(best, time.perf_counter() - began)
    return best


def web_load(port: int, seconds: int = SECONDS, connections: int = 8) -> float:
    """HTTP lookups each second, over connections that stay open, each with one request under way."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    generator = np.random.default_rng(1)
    keys = generator.integers(1, ROWS + 1, 1_000_000).tolist()
    end, count = time.perf_counter() + seconds, 0
    for one in sockets:
        one.sendall(b"GET /views/accounts/%d HTTP/1.1\r\nhost: x\r\n\r\n" % keys[0])
    while time.perf_counter() < end:
        for one in sockets:
            data = one.recv(65536)
            while not data.endswith(b"]}"):
                data += one.recv(65536)
            if not data.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(data.decode())
            count += 1
            one.sendall(b"GET /views/accounts/%d HTTP/1.1\r\nhost: x\r\n\r\n" % keys[count % len(keys)])
    for one in sockets:
        one.close()
    return count / seconds


def same(ports: tuple[int, int]) -> None:
    """AssertionError unless both answer the same."""
    answers = []
    for port in ports:
        with connect(port) as client:
            found = [
                client.execute(f"{STATEMENT}%s", (i,), prepare=True, binary=True).fetchall()
                for i in (1, 77, ROWS, ROWS + 1)
            ]
            answers.append(found)
    assert answers[0] == answers[1], answers


def main() -> None:
    """Print a row for each measurement."""
    with postgres() as theirs, headwater() as (ours, web):
        same((theirs, ours))
        for clients in CLIENTS:
            pg, hw = load(theirs, clients), load(ours, clients)
            print(
                f"lookups, {clients} clients: postgres {pg['rate']:,.0f}/s p50 {pg['p50']:.3f} p99 {pg['p99']:.3f} ms, "
                f"headwater {hw['rate']:,.0f}/s p50 {hw['p50']:.3f} p99 {hw['p99']:.3f} ms: "
                f"{hw['rate'] / pg['rate']:.2f} times the rate, {hw['p99'] / pg['p99']:.2f} times the p99",
                flush=True,
            )
        for binary in (False, True):
            pg_seconds, hw_seconds = stream(theirs, binary), stream(ours, binary)
            print(
                f"SELECT * of {ROWS:,} rows, {'binary' if binary else 'text'}: postgres {pg_seconds:.2f} s, "
                f"headwater {hw_seconds:.2f} s: {pg_seconds / hw_seconds:.2f} times as fast",
                flush=True,
            )
        print(f"HTTP lookups: {web_load(web):,.0f}/s (the client uses a core of its own)", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
