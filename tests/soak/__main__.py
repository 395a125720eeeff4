"""`python -m tests.soak --minutes 60 [--seed n] [--kills n --restarts n --reads n]`: progress, a summary and a verdict."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.servers.kafka import KafkaServer, free_ports
from tests.soak import readers
from tests.soak.faults import Chaos, Service, SoakError, write_settings
from tests.soak.oracle import OracleError, check
from tests.soak.proxy import Proxy
from tests.soak.teller import tell
from tests.soak.workload import OWNERS, PARTITIONS, TRANSFERS, Writer, settings

STATE_BYTES = 512 << 20
READERS = 2
"""Of each door."""


def main(arguments: list[str]) -> int:
    """Exit status 0 when every invariant held and the wanted counts were reached."""
    options = _options(arguments)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    print(f"soak of {options.minutes} minutes, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="headwater-soak-") as name:
        folder = Path(name)
        state = folder / "state"
        state.mkdir()
        mounted = _mount(state)
        print(f"state on {'a file system of its own' if mounted else 'the common disk'}", flush=True)
        try:
            return _soak(options, seed, folder, state, mounted)
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(state)], check=False)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="draws the faults; the moments they hit are the machine's")
    parser.add_argument("--kills", type=int, default=0, help="fail when there were fewer")
    parser.add_argument("--restarts", type=int, default=0, help="fail when the broker was restarted less often")
    parser.add_argument("--reads", type=int, default=0, help="fail when there were fewer")
    return parser.parse_args(arguments)


def _mount(state: Path) -> bool:
    """Give the state a small file system of its own, which can be filled; False where that is not allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={STATE_BYTES}", "headwater-soak", str(state)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _soak(options: argparse.Namespace, seed: int, folder: Path, state: Path, mounted: bool) -> int:
    inner, outer, http, postgres = free_ports(4)
    kafka = KafkaServer(_made(folder / "kafka"), proxied=(inner, outer))
    kafka.start()
    proxy = Proxy(outer, inner)
    service = Service(folder, state, http)
    write_settings(service, settings(f"127.0.0.1:{outer}", state, http, postgres))
    for topic in (TRANSFERS, OWNERS):
        kafka.create_topic(topic, PARTITIONS)
    chance = random.Random(seed)
    chaos = Chaos(service, kafka, proxy, chance, mounted)
    shared = readers.Shared()
    writer = Writer(kafka.bootstrap, seed)
    writer.start()
    reading = _clients(shared, http, postgres, folder, seed)
    began = said = time.monotonic()
    try:
        while time.monotonic() - began < options.minutes * 60:
            kind = chaos.episode()
            _alive(reading, shared, writer)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                _say(said - began, kind, chaos, shared, writer)
        writer.stopped.set()
        writer.join(120)
        ends = _ends(kafka.bootstrap)
        chaos.calm(lambda: _caught_up(service, ends))
        _alive(reading, shared, writer)
        shared.stop.set()
        for process in reading:
            process.join(60)
        _say(time.monotonic() - began, "calm", chaos, shared, writer)
        findings = check(kafka.bootstrap, chaos.bindings, folder / "samples")
    except (SoakError, OracleError) as error:
        _keep(folder, seed)
        print(f"VIOLATION (seed {seed}): {error}", flush=True)
        return 1
    finally:
        shared.stop.set()
        writer.stopped.set()
        if service.alive() and service.process is not None:
            service.process.kill()
        kafka.stop()
    return _verdict(options, seed, chaos, shared, writer, findings.__dict__)


def _clients(shared: readers.Shared, http: int, postgres: int, folder: Path, seed: int) -> list[SpawnProcess]:
    """Some readers of each door and the teller, each a process. One of them keeps samples for the oracle."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=tell, args=(shared, postgres, seed), daemon=True)]
    for number in range(READERS):
        samples = folder / "samples" if number == 0 else None
        processes += [
            context.Process(target=readers.read_http, args=(shared, http, samples), daemon=True),
            context.Process(target=readers.read_postgres, args=(shared, postgres), daemon=True),
        ]
    for process in processes:
        process.start()
    return processes


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _alive(reading: list[SpawnProcess], shared: readers.Shared, writer: Writer) -> None:
    if not shared.violations.empty():
        raise SoakError(str(shared.violations.get()))
    if not all(process.is_alive() for process in reading):
        raise SoakError("a reader ended by itself")
    if not (writer.is_alive() or writer.stopped.is_set()):
        raise SoakError("the writer ended by itself")


def _say(seconds: float, kind: str, chaos: Chaos, shared: readers.Shared, writer: Writer) -> None:
    print(
        f"{seconds / 60:6.1f} min  {kind:15s} kills {chaos.kills}, broker restarts {chaos.broker_restarts}, "
        f"reads {shared.http.value:,} + {shared.postgres.value:,}, transactions {writer.committed:,} "
        f"(aborted {writer.aborted}, lost {writer.lost}), writes {shared.written.value:,} "
        f"(not answered {shared.doubtful.value:,}), past read {shared.past.value:,}",
        flush=True,
    )


def _ends(bootstrap: str) -> dict[str, dict[int, int]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "soak-ends", "isolation.level": "read_committed"})
    try:
        return {
            topic: {
                number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=60)[1]
                for number in range(PARTITIONS)
            }
            for topic in (TRANSFERS, OWNERS)
        }
    finally:
        consumer.close()


def _caught_up(service: Service, ends: dict[str, dict[int, int]]) -> bool:
    """Whether every source is at these ends, and every sink has written everything."""
    status, body = service.get("/readyz")
    if status != 200 or any(sink["state"] != "running" for sink in body["sinks"].values()):
        return False
    for source, partitions in ends.items():
        _, body = service.get(f"/sources/{source}")
        if any(p["offset"] < partitions[p["partition"]] for p in body["partitions"]):
            return False
    metrics = service.get("/metrics")[1]
    queued = [line for line in metrics.splitlines() if line.startswith("headwater_sink_queued_rows{")]
    return bool(queued) and all(line.endswith(" 0.0") for line in queued)


def _keep(folder: Path, seed: int) -> None:
    """Keep what the next person needs to understand a violation."""
    kept = Path(tempfile.gettempdir()) / f"headwater-soak-failed-{seed}"
    subprocess.run(["cp", "-r", str(folder), str(kept)], check=False)
    print(f"everything is kept in {kept}", flush=True)


def _verdict(
    options: argparse.Namespace,
    seed: int,
    chaos: Chaos,
    shared: readers.Shared,
    writer: Writer,
    findings: dict[str, int],
) -> int:
    reads = shared.http.value + shared.postgres.value
    print(f"\nno invariant was broken (seed {seed})")
    for name, count in sorted(chaos.events.items()):
        print(f"  {name:45s} {count:>9,}")
    summary = {
        "minutes": options.minutes,
        "seed": seed,
        "kills": chaos.kills,
        "broker restarts": chaos.broker_restarts,
        "reads over http": shared.http.value,
        "reads over postgres": shared.postgres.value,
        "transactions": writer.committed,
        "acknowledged writes": shared.written.value,
        "writes without an answer": shared.doubtful.value,
        "reads of the past": shared.past.value,
        **{f"compared {name}": count for name, count in findings.items()},
    }
    print(json.dumps(summary), flush=True)
    wanted = {"kills": options.kills, "broker restarts": options.restarts}
    short = [f"{name}: {summary[name]} of {count}" for name, count in wanted.items() if int(summary[name]) < count]
    short += [f"reads: {reads} of {options.reads}"] if reads < options.reads else []
    for line in short:
        print(f"too few {line}", flush=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
