"""The peers: each in a virtual environment of its own (`tests.servers.environments`), one process for each run.

Always true: a peer maps the same files as the engine, runs on the same one core, and its answer is compared with DuckDB's.
A wrong answer is reported as such, with its time. The scripts of this folder run in the peers' environments: they import
nothing of this project. Install and start of a process are never part of a time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.bench import store
from tests.bench.duck import Duck
from tests.bench.numbers import quantile
from tests.bench.pinned import pinned
from tests.bench.workloads import WORKLOADS, Workload
from tests.servers.environments import Environment

PATIENCE = 300
"""Seconds for one run of a peer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A system to compare with. `answers`: the mode of its script that leaves the answer of a catch-up."""

    name: str
    requirements: tuple[str, ...]
    workloads: tuple[str, ...]
    ticks: tuple[str, ...]
    answers: str = "catch_up"

    @property
    def environment(self) -> Environment:
        """Where it is installed."""
        return Environment(self.name, self.requirements)


_CHDB = ("W1", "W2", "W3", "W4", "W5", "W7")
PEERS = (
    Peer("chdb", ("chdb==4.4.0", "pyarrow"), _CHDB, _CHDB),
    Peer("bytewax", ("bytewax==0.21.1", "pyarrow", "numpy"), ("W1",), ("W1",)),
    Peer("pathway", ("pathway==0.33.0", "pyarrow"), ("W1", "W2", "W3", "W4", "W5"), ("W1",), "answer"),
)


def run_all(names: Sequence[str], events: int, tick: int, runs: int) -> list[dict[str, Any]]:
    """Every peer on those of the workloads that it can do; one result for each, printed as it comes."""
    found = []
    for peer in PEERS:
        if reason := peer.environment.install():
            print(f"{peer.name} left out: {reason}", flush=True)
            continue
        for name in names:
            if name in peer.workloads:
                found.append(_measure(peer, WORKLOADS[name], events, tick, runs))
                print(_line(found[-1]), flush=True)
    return [result for result in found if "seconds" in result]


def _line(result: dict[str, Any]) -> str:
    if "seconds" not in result:
        return f"{result['workload']:<7} {result['peer']:<9} failed: {result['answer']}"
    ticks = result["ticks"]
    lag = f"tick p50 {ticks['p50'] * 1e3:.2f} p99 {ticks['p99'] * 1e3:.2f} ms" if ticks else "no ticks"
    return f"{result['workload']:<7} {result['peer']:<9} catch-up {result['seconds']:.3f} s  {lag}  answer {result['answer']}"


def _measure(peer: Peer, workload: Workload, events: int, tick: int, runs: int) -> dict[str, Any]:
    result: dict[str, Any] = {"peer": peer.name, "workload": workload.name, "events": events, "ticks": None}
    duck = Duck(workload)
    duck.load(store.load(workload, events), -1, events)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        try:
            _run(peer, workload, events, tick, peer.answers, answer)
            result["answer"] = _verdict(duck, answer)
            times = [_run(peer, workload, events, tick, "catch_up", answer)["seconds"] for _ in range(runs)]
            result |= {"seconds": statistics.median(times), "runs": times}
            if workload.name in peer.ticks:
                ticks = _run(peer, workload, events, tick, "ticks", answer)["ticks"]
                result["ticks"] = {"p50": quantile(ticks, 0.5), "p99": quantile(ticks, 0.99), "count": len(ticks)}
        except (subprocess.SubprocessError, ValueError) as failure:
            result["answer"] = str(failure)
    return result


def _run(peer: Peer, workload: Workload, events: int, tick: int, mode: str, answer: Path) -> Any:
    script = Path(__file__).parent / f"{peer.name}.py"
    numbers = [workload.name, str(store.folder(workload, events)), str(events), str(tick), mode, str(answer)]
    # -P: the folder of the script, where a file has the peer's own name, must not be on the path.
    command = pinned([str(peer.environment.python), "-P", str(script), *numbers])
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE, cwd=answer.parent)
    if done.returncode:
        raise ValueError(f"{peer.name} ended with {done.returncode}: {_last_error(done.stderr)}")
    return json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "Error" in line] or [text.strip()[-200:] or "no output"]
    return lines[-1]


def _verdict(duck: Duck, answer: Path) -> str:
    with pa.ipc.open_stream(str(answer)) as stream:
        rows = stream.read_all()
    try:
        duck.check(rows)
    except ValueError as difference:
        return f"differs: {difference}"
    return "equal"
