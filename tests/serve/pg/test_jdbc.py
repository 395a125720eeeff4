"""PostgreSQL's JDBC driver: prepared lookups, types, metadata, portals, SUBSCRIBE, COPY, errors."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.serve.pg.door import Door
from tests.servers.maven import Unavailable, jars
from tests.servers.programs import leave_out

HERE = Path(__file__).parent / "jdbc"


def test_jdbc(door: Door) -> None:
    try:
        folder = jars(HERE / "pom.xml")
    except Unavailable as reason:
        leave_out(f"the JDBC driver cannot be had: {reason}")
    command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/*", str(HERE / "Reads.java")]
    url = f"jdbc:postgresql://{door.host}:{door.port}/shop"
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *(f"lookup {number * number} word {number % 7}" for number in range(6)),
        "kinds true 3 -0.05 0.1 2020-02-29 00000000-0000-0000-0000-000000000007 2",
        "column customer text",
        "column total numeric",
        "column orders int8",
        "table revenue VIEW",
        "sum 4950",
        "subscribed true",
        "copied ada,grace,linus,",
        "error 42703",
    ]
