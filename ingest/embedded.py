"""A broker for trying things out: librdkafka's own mock cluster in a helper process, so that `bootstrap.servers: embedded` works.

Always true: it listens on loopback only and is gone with the process that started it. What it cannot do: it keeps about 5 MB
or 100,000 messages of each partition and silently drops the oldest; nothing survives a stop; aborted transactions are visible
to every reader; topics cannot be created or deleted, they appear with 4 partitions when first written to; requests wait for
`fetch.wait.max.ms` even when data is there, so clients should set it to 10. Not for production, and not for tests of those.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EMBEDDED = "embedded"
"""The value of `bootstrap.servers` that asks for a broker inside the service."""

PARTITIONS = 4
"""Partitions of a topic that comes into being by being written to."""

_START_SECONDS = 30.0

# The helper ends when its standard input does: the pipe is closed by the kernel however the parent ends.
_HELPER = """\
import sys
sys.path[:] = {path!r}
from ingest.embedded import serve
serve()
"""


class EmbeddedBroker:
    """One broker in a helper process. `start` may be called once; `stop` any number of times."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it and return its bootstrap servers. OSError when the helper does not come up."""
        path = [str(Path(__file__).resolve().parent.parent), *(entry for entry in sys.path if entry)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HELPER.format(path=path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the service, which then stops its broker last
        )
        assert self._process.stdout is not None
        bootstrap = self._process.stdout.readline().strip()
        if not bootstrap:
            self.stop()
            raise OSError("the embedded broker did not start; name a real broker in `bootstrap.servers`")
        return bootstrap

    def stop(self) -> None:
        """End it; everything in it is lost."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait()


def serve() -> None:
    """The helper's own life: start the cluster, print its address, end when standard input ends."""
    from confluent_kafka import Producer

    # The cluster lives in a producer that is never used otherwise.
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    brokers = cluster.list_topics(timeout=_START_SECONDS).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)  # noqa: T201 (the answer to the parent)
    sys.stdin.read()
