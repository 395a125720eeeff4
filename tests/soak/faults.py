"""The soak's faults: episodes that start the service, hurt it or its surroundings, and leave it dead.

Always true: whatever an episode does, the service's state folder and the broker's data survive it, and the next one starts from
them. An end of the service that no fault explains, a halted source or sink, and a start that takes too long are failures.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from headwater.replay import positions
from ingest.remap import Binding, read
from tests.e2e.service import ROOT, Headwater
from tests.servers.kafka import KafkaServer
from tests.soak.entry import POINTS
from tests.soak.oracle import OracleError, merged
from tests.soak.proxy import Proxy

READY_SECONDS = 120.0
"""Until a service whose surroundings are well must be ready; a machine that others use too is slow."""
DECK = {
    "point": 12,
    "random": 4,
    "recovery": 4,
    "broker": 3,
    "broker paused": 1,
    "service paused": 1,
    "network": 1,
    "disk": 1,
    "memory": 1,
}
"""How often each kind of episode comes in a round."""
CGROUPS = Path("/sys/fs/cgroup")


class SoakError(AssertionError):
    """The service did what it must not; the text says what."""


class Service(Headwater):
    """The service under test, started through `entry`."""

    def __init__(self, folder: Path, state: Path, http: int) -> None:
        self.folder, self.state = folder, state
        self.file, self.log, self.journal = folder / "headwater.yaml", folder / "log", folder / "journal"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = http

    def launch(self, *point: str) -> None:
        """Start the process; with a point and its passage, one that will end itself there."""
        with self.log.open("wb") as out:
            self.process = self.spawn(out.fileno(), *point)

    def spawn(self, out: int, *point: str) -> subprocess.Popen[bytes]:
        """A process of the service with its output there."""
        arguments = [str(self.file), str(self.journal), *point]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.entry", *arguments],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        """Whether every view answers."""
        return self.get("/readyz")[0] == 200

    def dies_within(self, seconds: float) -> bool:
        """Wait for the process's end."""
        assert self.process is not None
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class Chaos:
    """Draws and plays episodes; `kills` and `broker_restarts` count, `events` says how often each fault came."""

    def __init__(
        self, service: Service, kafka: KafkaServer, proxy: Proxy, chance: random.Random, mounted: bool
    ) -> None:
        self._service, self._kafka, self._proxy, self._chance = service, kafka, proxy, chance
        self._mounted = mounted
        self._deck: list[str] = []
        self._known: dict[int, Binding] = {}
        self._exhausted = False  # the service may end by itself: its disk is full
        self.events: Counter[str] = Counter()
        self.kills = self.broker_restarts = 0
        self._play: dict[str, Callable[[], None]] = {
            "point": self._point,
            "random": self._random,
            "recovery": self._recovery,
            "broker": self._broker,
            "broker paused": self._broker_paused,
            "service paused": self._service_paused,
            "network": self._network,
            "disk": self._disk,
            "memory": self._memory,
        }

    @property
    def bindings(self) -> list[Binding]:
        """Every binding that was ever durable, in order of time."""
        return [self._known[time] for time in sorted(self._known)]

    def episode(self) -> str:
        """Play the next one and look at what it left; its name."""
        if not self._deck:
            self._deck = [kind for kind, count in DECK.items() for _ in range(count)]
            self._chance.shuffle(self._deck)
        kind = self._deck.pop()
        self._play[kind]()
        self.events[kind] += 1
        self.inspect()
        return kind

    def calm(self, caught_up: Callable[[], bool]) -> None:
        """No more faults: the service starts, becomes ready and catches up; then it is stopped in order."""
        self._start()
        self.wait(caught_up, READY_SECONDS, "the sinks to catch up")
        status, seconds = self._service.stop()
        if status != 0 or seconds > 15:
            raise SoakError(f"a stop ended with {status} after {seconds:.1f} s:\n{self._service.tail()}")
        self.inspect()

    def inspect(self) -> None:
        """What an ended service left: its log must tell of nothing that halted, the remap log must hold what was bound."""
        for line in self._service.log.read_bytes().splitlines():
            # A reader of PostgreSQL's wire that hung up is told of with where it was noticed.
            if b"halted" in line or (b"Traceback" in line and b"the client is gone" not in line):
                raise SoakError(f"the service says: {line.decode(errors='replace')[:3000]}")
        path = self._service.state / "remap.log"
        journal = self._service.journal
        whole, _ = (
            read(b"headwater remap log 1\n" + journal.read_bytes(), str(journal)) if journal.exists() else ([], 0)
        )
        self._known.update({binding.time: binding for binding in whole})
        journal.unlink(missing_ok=True)
        try:
            # Until the first start came as far there is none.
            log, _ = read(path.read_bytes(), str(path)) if path.exists() else ([], 0)
            merged(self._known, log)
        except OracleError as error:
            raise SoakError(str(error)) from error

    def positions(self) -> dict[str, dict[int, int]]:
        """How far everything that was bound reaches."""
        return positions(self.bindings)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Until the condition holds; SoakError when the service ends or the time passes first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self._service.alive():
                raise SoakError(f"the service ended while waiting for {what}:\n{self._service.tail()}")
            if time.monotonic() > deadline:
                raise SoakError(
                    f"waited {seconds:.0f} s for {what}: {self._service.get('/readyz')}\n{self._service.tail()}"
                )
            time.sleep(0.02)

    # Episodes.

    def _start(self) -> None:
        self._service.launch()
        self.wait(self._service.ready, READY_SECONDS, "the service to be ready")

    def _run(self, least: float, most: float) -> None:
        """Let the service be for a while; it must not end."""
        if self._service.dies_within(self._chance.uniform(least, most)):
            raise SoakError(f"the service ended by itself:\n{self._service.tail()}")

    def _kill(self) -> None:
        self._service.process and self._service.process.kill()
        self._service.dies_within(30)
        self.kills += 1

    def _point(self) -> None:
        name = self._chance.choice(list(POINTS))
        most, _ = POINTS[name]
        self._service.launch(name, str(self._chance.randint(1, most)))
        assert self._service.process is not None
        if not self._service.dies_within(10.0):
            self.events["point not met"] += 1
            self._kill()
        elif self._service.process.returncode != -signal.SIGKILL:
            raise SoakError(f"on the way to {name} the service ended by itself:\n{self._service.tail()}")
        else:
            self.kills += 1
            self.events[name] += 1

    def _random(self) -> None:
        self._start()
        self._run(0.0, 3.0)
        self._kill()

    def _recovery(self) -> None:
        for _ in range(3):
            self._service.launch()
            self._run(0.2, 3.0)
            self._kill()
            self.inspect()

    def _broker(self) -> None:
        self._start()
        (self._kafka.kill if self._chance.random() < 0.5 else self._kafka.terminate)()
        self._run(0.0, 2.0)
        with_service = self._chance.random() < 0.5
        if with_service:  # it then starts without a broker
            self._kill()
            self._service.launch()
            self._run(0.0, 3.0)
        self._kafka.restart()
        self.broker_restarts += 1
        self.wait(self._service.ready, READY_SECONDS, "the service to be ready after its broker came back")
        self._run(1.0, 4.0)
        self._kill()

    def _broker_paused(self) -> None:
        self._start()
        pid = self._kafka.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            self._run(0.5, 8.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        self._run(0.0, 3.0)
        self._kill()

    def _service_paused(self) -> None:
        """A stopped process keeps its state folder: another one must be refused; then the first goes on."""
        self._start()
        assert self._service.process is not None
        self._service.process.send_signal(signal.SIGSTOP)
        with (self._service.folder / "second.log").open("wb") as out:
            second = self._service.spawn(out.fileno())
            status = second.wait(READY_SECONDS)
        said = (self._service.folder / "second.log").read_text()
        self._service.process.send_signal(signal.SIGCONT)
        if status != 1 or not ("in use" in said or "cannot listen" in said):
            raise SoakError(f"a second service on one state folder ended with {status}:\n{said}")
        self._run(0.5, 2.0)
        self._kill()

    def _network(self) -> None:
        self._start()
        for _ in range(3):
            fault = self._chance.choice(["delay", "silence", "cut"])
            if fault == "delay":
                self._proxy.delay = self._chance.uniform(0.01, 0.3)
            elif fault == "silence":
                self._proxy.silent = True
            else:
                self._proxy.cut()
            self.events[f"network {fault}"] += 1
            self._run(0.5, 3.0)
        if self._chance.random() < 0.5:  # killed in the middle of it
            self._kill()
        self._proxy.heal()
        if self._service.alive():
            self._run(1.0, 3.0)
            self._kill()

    def _disk(self) -> None:
        """The disk is full: the service ends with the reason, or goes on without checkpoints; with room it starts again."""
        self._start()
        assert self._service.process is not None
        if self._mounted:
            ballast = self._service.state / "ballast"
            with ballast.open("wb", buffering=0) as file:  # nothing is left to write when it is closed
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
        else:  # no file may grow any more
            size = (self._service.state / "remap.log").stat().st_size
            resource.prlimit(self._service.process.pid, resource.RLIMIT_FSIZE, (size, size))
        ended = self._service.dies_within(15.0)
        if self._mounted:
            ballast.unlink()
        if not ended:
            self._kill()
        elif self._service.process.returncode != 1 or "cannot be written" not in self._service.log.read_text():
            raise SoakError(
                f"on a full disk the service ended with {self._service.process.returncode}:\n{self._service.tail()}"
            )
        else:
            self.events["disk full: stopped with the reason"] += 1

    def _memory(self) -> None:
        """A memory limit below what the process uses: the kernel kills it, or it is slow; either way it starts again."""
        self._start()
        assert self._service.process is not None
        unified = (CGROUPS / "cgroup.controllers").exists()  # version 2 of cgroups
        group = (CGROUPS if unified else CGROUPS / "memory") / f"headwater-soak-{os.getpid()}"
        try:
            if unified:
                (CGROUPS / "cgroup.subtree_control").write_text("+memory")
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text(str(self._service.process.pid))
            (group / ("memory.max" if unified else "memory.limit_in_bytes")).write_text("40M")
        except OSError:
            self.events["memory limit not possible here"] += 1
        if self._service.dies_within(4.0):
            self.kills += 1
            self.events["killed for want of memory"] += 1
        else:
            self._kill()
        if group.exists():
            group.rmdir()


def write_settings(service: Service, settings: dict[str, object]) -> None:
    """The service's file."""
    service.file.write_text(json.dumps(settings))
