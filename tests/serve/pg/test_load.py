"""Many clients at once: pgbench in each of its modes, a thousand open connections, clients that vanish in the middle of a query."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.serve.pg.door import Door
from tests.servers.programs import program

SLOW = (
    "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d WHERE a.square + b.square + c.square <> d.square"
)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_reads_by_key(door: Door, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "lookup.sql"
    script.write_text("\\set id random(0, 99)\nSELECT square FROM numbers WHERE id = :id;\n")
    where = ["-h", door.host, "-p", str(door.port), "-U", "ada", "shop"]
    command = [program("pgbench", "postgresql"), "-n", "-M", mode, "-c", "8", "-t", "50", "-f", str(script), *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "number of transactions actually processed: 400/400" in done.stdout


def test_a_thousand_connections_of_which_a_hundred_read(door: Door) -> None:
    async def read() -> list[int]:
        connection = await asyncpg.connect(host=door.host, port=door.port, user="ada", database="shop", timeout=120)
        found = [await connection.fetchval("SELECT square FROM numbers WHERE id = $1", i) for i in range(20)]
        assert door.server.sessions >= 900
        await connection.close()
        return found

    async def run() -> list[list[int]]:
        return await asyncio.gather(*(read() for _ in range(100)))

    before = door.server.sessions
    idle = [door.raw() for _ in range(900)]
    assert asyncio.run(run()) == [[i * i for i in range(20)]] * 100
    for wire in idle:
        wire.send((b"Q", b"SELECT 1\0"))
    assert [wire.kinds() for wire in idle] == [b"TDCZ"] * 900
    for wire in idle:
        wire.close()
    assert _until(lambda: door.server.sessions <= before)


def test_a_client_that_vanishes_in_the_middle_of_a_query_leaves_nothing(door: Door) -> None:
    before = door.server.sessions
    wires = [door.raw() for _ in range(4)]
    for wire in wires:
        wire.send((b"Q", SLOW.encode() + b"\0"))
    # Each of them is being computed: together they have all the threads that there are.
    sessions = [session for _, session in list(door.server._sessions.values())]
    assert _until(lambda: sum(session._executor._run is not None for session in sessions) == len(wires))
    for wire in wires:
        wire.close()
    assert _until(lambda: door.server.sessions <= before)
    # All four threads are free again.
    assert _until(lambda: all(session._executor._run is None for session in sessions))
    with door.connect() as client:
        assert client.execute("SELECT count(*) FROM numbers a, numbers b").fetchone() == (10_000,)


def _until(condition: Callable[[], bool]) -> bool:
    """Whether it is so, soon."""
    for _ in range(4000):
        if condition():
            return True
        time.sleep(0.005)
    return False
