"""A Kafka broker for tests: Apache Kafka (KRaft) from Maven Central, or what can be had instead.

Always true: it listens on loopback only, keeps its data in a temporary folder, and dies with the processes that use it
(tests/servers/leash.py). `kind` says what it is: "apache"; "noida" where Java or Maven Central cannot be had, which cannot
show timed-out transactions, crashes or KIP-848; "external" where KAFKA_BOOTSTRAP names a cluster.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.servers.maven import CACHE, Unavailable, jars

HERE = Path(__file__).parent
FALLBACK_NOTE = CACHE / "fallback"
START_SECONDS = 90.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}/logs
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=1000
log.cleaner.dedupe.buffer.size=8388608
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# A killed broker may come back only when its session is over.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
num.network.threads=2
num.io.threads=2
"""

_PROXIED = """\
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{outer}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
"""
"""Over the properties above: the last line of a name counts."""

_LOGGING = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""


def free_ports(count: int) -> list[int]:
    """Different TCP ports of loopback that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class KafkaServer:
    """One broker: `start`, then `bootstrap` is its address; `kill` and `restart` keep its data and its port.

    folder: where lock, process id and log lie; it must exist. The broker ends when no process holds `lock` any more.
    proxied: ports (inner, outer) of one more listener: the broker listens at the inner one, and tells clients that come
    through it to use the outer one, where a proxy listens.
    """

    def __init__(self, folder: Path, proxied: tuple[int, int] | None = None) -> None:
        self.folder = folder
        self._proxied = proxied
        self.kind: Literal["apache", "noida", "external"] = "apache"
        self.bootstrap = ""
        self.fallback = ""
        self.data = Path()
        self._lock: IO[bytes] | None = None
        self._admin: AdminClient | None = None

    @property
    def config(self) -> dict[str, str]:
        """The librdkafka properties with which clients connect to this broker."""
        config = {"bootstrap.servers": self.bootstrap}
        if self.kind == "noida":  # it ignores fetch.max.bytes
            config["receive.message.max.bytes"] = "2147483647"
        return config

    @property
    def admin(self) -> AdminClient:
        """An admin client of this broker."""
        if self._admin is None:
            self._admin = AdminClient({**self.config, "log_level": 0})
        return self._admin

    def start(self) -> str:
        """Start the broker, wait until it answers, and return its address; join it if another process has started it."""
        self.hold()
        record = self.folder / "server"
        if record.exists():
            kind, self.bootstrap, data = record.read_text().split("\n")
            self.kind, self.data = ("noida" if kind == "noida" else "apache"), Path(data)
        else:
            self.data = Path(tempfile.mkdtemp(prefix="headwater-kafka-"))
            port, controller = free_ports(2)
            self.bootstrap = f"127.0.0.1:{port}"
            try:
                self._format(jars(HERE / "pom.xml"), port, controller)
            except Unavailable as error:
                self.kind, self.fallback = "noida", str(error)
                FALLBACK_NOTE.parent.mkdir(parents=True, exist_ok=True)
                FALLBACK_NOTE.write_text(self.fallback)
            record.write_text(f"{self.kind}\n{self.bootstrap}\n{self.data}")
        if self.pid is None:
            self._run()
        self._wait_ready()
        return self.bootstrap

    def hold(self) -> None:
        """Keep the broker alive as long as this process lives or until `stop`."""
        if self._lock is None:
            self._lock = (self.folder / "lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    @property
    def pid(self) -> int | None:
        """Process id of the running broker."""
        try:
            pid = int((self.folder / "pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return None
        return None if state == "Z" else pid

    def kill(self) -> None:
        """End the broker at once, as a crash would; noida, which would lose everything then, is ended politely."""
        self._signal(signal.SIGTERM if self.kind == "noida" else signal.SIGKILL)

    def terminate(self) -> None:
        """End the broker in order, keeping its data."""
        self._signal(signal.SIGTERM)

    def restart(self) -> None:
        """Start the broker again on its data and its port."""
        self._run()
        self._wait_ready()

    def stop(self) -> None:
        """Let go of the broker: it ends, and its data goes, once nobody else holds it."""
        self._admin = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic, wait until the broker knows it, and return its name."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        self.admin.create_topics([topic])[name].result(30)
        self._wait_partitions(name, partitions)
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until it is gone."""
        self.admin.delete_topics([name])[name].result(30)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if name not in self.admin.list_topics(timeout=10).topics:
                return
            time.sleep(0.05)
        raise TimeoutError(f"topic {name} did not go from {self.bootstrap}")

    def add_partitions(self, name: str, total: int) -> None:
        """Grow a topic to `total` partitions and wait until the broker knows them."""
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(30)
        self._wait_partitions(name, total)

    def _wait_partitions(self, name: str, total: int) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.admin.list_topics(name, timeout=10).topics[name]
            led = [one for one in found.partitions.values() if one.leader >= 0]
            if found.error is None and len(led) == total:
                return
            time.sleep(0.05)
        raise TimeoutError(f"topic {name} did not get {total} partitions on {self.bootstrap}")

    def log(self) -> str:
        """What the broker has written so far: warnings and errors."""
        return (self.folder / "log").read_text(errors="replace")

    def _format(self, libs: Path, port: int, controller: int) -> None:
        properties = self.data / "server.properties"
        text = _PROPERTIES.format(port=port, controller=controller, data=self.data)
        if self._proxied is not None:
            inner, outer = self._proxied
            text += _PROXIED.format(port=port, controller=controller, inner=inner, outer=outer)
        properties.write_text(text)
        (self.data / "log4j2.properties").write_text(_LOGGING)
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        arguments = ["format", "--standalone", "-t", cluster, "-c", str(properties)]
        command = self._java(libs, "kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise Unavailable(f"kafka could not format its storage: {done.stderr.strip()[:300]}")

    def _java(self, libs: Path, main: str, *arguments: str) -> list[str]:
        # The first compiler only and the serial collector: short-lived and small, on a machine that runs tests.
        machine = ["-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        logging = f"-Dlog4j2.configurationFile={self.data}/log4j2.properties"
        return ["java", *machine, logging, "-cp", f"{libs}/*", main, *arguments]

    def _run(self) -> None:
        if self.kind == "noida":
            port = self.bootstrap.rpartition(":")[2]
            # The program itself: its Python wrapper would be killed in its place.
            package = importlib.util.find_spec("noida_db")
            if package is None or package.origin is None:
                raise Unavailable(f"{self.fallback}, and noida-db is not installed either")
            command = [
                str(Path(package.origin).parent / "noida-db"),
                "start",
                "--only",
                "kafka",
                "--kafka-port",
                port,
                "--data-dir",
                str(self.data),
            ]
        else:
            command = self._java(jars(HERE / "pom.xml"), "kafka.Kafka", str(self.data / "server.properties"))
        pid_file, log = self.folder / "pid", self.folder / "log"
        pid_file.unlink(missing_ok=True)
        leash = [
            sys.executable,
            str(HERE / "leash.py"),
            str(self.folder / "lock"),
            str(pid_file),
            str(self.data),
            str(log),
        ]
        subprocess.run([*leash, *command], check=True)
        deadline = time.monotonic() + START_SECONDS
        while not pid_file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker's leash did not start; see {log}")
            time.sleep(0.01)

    def _wait_ready(self) -> None:
        host, _, port = self.bootstrap.rpartition(":")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.pid is None:
                raise RuntimeError(f"the broker ended while starting: {self.log()[-2000:]}")
            try:
                socket.create_connection((host, int(port)), 1).close()
                if self.admin.list_topics(timeout=5).brokers:
                    return
            except (OSError, KafkaException):
                time.sleep(0.05)
        raise TimeoutError(f"the broker at {self.bootstrap} did not answer in {START_SECONDS} s: {self.log()[-2000:]}")

    def _signal(self, number: int) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        deadline = time.monotonic() + 60
        while self.pid is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the broker {pid} did not end after signal {number}")
            time.sleep(0.02)


class ExternalKafka(KafkaServer):
    """The cluster that KAFKA_BOOTSTRAP names: it is neither started nor stopped."""

    def start(self) -> str:
        """Return its address."""
        self.kind, self.bootstrap = "external", os.environ["KAFKA_BOOTSTRAP"]
        return self.bootstrap
