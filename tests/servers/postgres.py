"""A PostgreSQL server of the tests' own, and its fixture, as a pytest plugin.

It listens on a socket in a temporary folder, and on a port when asked to; it keeps nothing, and dies with the test process.
Where PostgreSQL is not installed, tests that ask for it fail in CI; elsewhere they are left out, and the run's last lines say so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.servers.programs import leave_out

_START_SECONDS = 30.0


def find_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: the newest of Debian's, or what the PATH has."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if installed:
        return installed[-1].parent
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


class PostgresServer:
    """One server. `start` returns when it takes connections."""

    def __init__(self, binaries: Path, port: int | None = None) -> None:
        """port: of 127.0.0.1 that it listens on, too."""
        self._binaries = binaries
        self._port = port
        # A socket's path may have 107 bytes: pytest's own temporary folders can be too long for it.
        self.folder = Path(tempfile.mkdtemp(prefix="hw-pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make an empty cluster and start it. RuntimeError with its output when it does not come up."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        data = self.folder / "data"
        initdb: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        # What sanitizers of the tests' own process load is not the server's.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run(
            self._unprivileged(initdb), cwd=self.folder, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")
        address = ["listen_addresses="]
        if self._port is not None:
            address = ["listen_addresses=127.0.0.1", f"port={self._port}"]
        options = (*address, f"unix_socket_directories={self.folder}", "fsync=off", "timezone=UTC")
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            data,
            *(word for option in options for word in ("-c", option)),
        ]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._unprivileged(command), cwd=self.folder, stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    output = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {output}") from error
                time.sleep(0.05)

    @staticmethod
    def _unprivileged(command: list[str | Path]) -> list[str]:
        """PostgreSQL refuses to run as root; and whatever happens to this process, the server must not outlive it."""
        user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *user, "--pdeathsig=INT", *map(str, command)]

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A new connection, in autocommit."""
        return psycopg.connect(
            host=str(self.folder), port=self._port or 5432, user="postgres", dbname="postgres", autocommit=True
        )

    def stop(self) -> None:
        """Stop the server and remove everything it wrote."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A running server. Where PostgreSQL is not installed, the test is left out: see `leave_out`."""
    binaries = find_binaries()
    if binaries is None:
        leave_out("PostgreSQL is not installed; install Debian's package postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server, shared by the tests of one process: use schemas of your own."""
    with running_postgres() as server:
        yield server
