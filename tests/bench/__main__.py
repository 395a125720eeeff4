"""`make bench` and `make bench-peers`: the workloads on the engine, and on peers over the same data in the same run.

Every measurement is a process of its own on one core. Every answer is compared with DuckDB's. Nothing is asserted on time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.bench import broker, cores, decoders, end_to_end, idle, lookups, report, restart, store, subscribers, writes
from tests.bench.pinned import pinned
from tests.bench.profile import profile
from tests.bench.workloads import WORKLOADS

PARTS: dict[str, Callable[[], object]] = {
    "idle": idle.main,
    "cores": cores.main,
    "end_to_end": lambda: end_to_end.main(set()),
    "broker": broker.main,
    "decoders": decoders.main,
    "restart": restart.main,
    "lookups": lookups.main,
    "subscribers": subscribers.main,
    "writes": writes.main,
}
"""What is measured besides the workloads: `idle` and `cores` with all of them, the others only when they are named."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests.bench", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        help=f"of {', '.join(WORKLOADS)}, {', '.join(PARTS)} (default: the workloads, idle and cores)",
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--tick", type=int, default=1_000, help="events per tick")
    parser.add_argument("--runs", type=int, default=5, help="medians are over this many runs")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor time, on a busy machine"
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure the peers too, installed under .cache/environments"
    )
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead of measuring")
    parser.add_argument("--publish", action="store_true", help="write the table and the plot of docs/benchmarks.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - {*WORKLOADS, *PARTS}:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    return arguments


def _measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    numbers = [str(arguments.events), str(arguments.tick), str(arguments.runs)]
    command = pinned([sys.executable, "-m", "tests.bench.measure", name, *numbers])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Run what the command line names, print each row as it comes, and leave the JSON and the plot in tests/bench/out."""
    arguments = _arguments()
    os.environ["BENCH_CLOCK"] = arguments.clock
    names = [name for name in WORKLOADS if not arguments.workloads or name in arguments.workloads]
    if arguments.profile:
        for name in names:
            print(profile(WORKLOADS[name], arguments.events, arguments.tick), flush=True)
        return
    measured, peers = [], []
    for name in names:
        store.ensure(WORKLOADS[name], arguments.events)
        measured.append(_measure(name, arguments))
        print(report.line(measured[-1]), flush=True)
    if arguments.peers:
        from tests.bench.peers import run_all

        peers = run_all(names, arguments.events, arguments.tick, arguments.runs)
    if names:
        report.write(measured, peers, arguments.publish)
    for part in [part for part in PARTS if part in (arguments.workloads or ("idle", "cores"))]:
        PARTS[part]()


if __name__ == "__main__":
    main()
