"""An S3 server for tests: moto's, in a process of its own on loopback, as a pytest plugin.

It keeps objects in memory and honours If-Match and If-None-Match. Always true: each bucket is a test's own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

_RUNNING = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Bucket:
    """A bucket: its name, and the properties of a client that reaches it."""

    name: str
    properties: dict[str, str]

    @property
    def url(self) -> str:
        """A place in it."""
        return f"s3://{self.name}/state/shop"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of the server."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert server.stderr is not None
    try:
        port = next(found[1] for line in server.stderr if (found := _RUNNING.search(line)))
        # What it says of each request would fill the pipe.
        with subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL) as drain:
            yield f"http://127.0.0.1:{port}"
            server.kill()
            server.wait()
            drain.wait(20)
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket."""
    name = f"test-{uuid.uuid4().hex}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/{name}", method="PUT")) as answer:
        assert answer.status == 200
    return Bucket(
        name, {"endpoint": s3_endpoint, "access_key_id": "a", "secret_access_key": "b", "region": "us-east-1"}
    )
