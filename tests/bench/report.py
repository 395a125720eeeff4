"""What the benchmarks found: a table, JSON and a plot.

Always true: `tests/bench/out` has the last run; `docs/` changes only when asked to (`publish`), between its two markers.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.plot import plot

OUT = Path(__file__).parent / "out"
DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

_CLOCKS = {"wall": "of the wall clock", "cpu": "processor time, as the machine was busy"}

Result = Mapping[str, Any]


def line(found: Result) -> str:
    """One workload in a line, for a terminal."""
    up, ticks, duck = found["catch_up"], found["ticks"], found["duckdb"]
    return (
        f"{found['workload']:<7} catch-up {up['rows_per_second'] / 1e6:6.2f} M rows/s ({up['seconds']:.3f} s, "
        f"{up['seconds'] / duck['seconds']:.1f}x duckdb)  tick p50 {_ms(ticks['p50'])} p99 {_ms(ticks['p99'])} ms, "
        f"p50 first tenth {_ms(ticks['first_p50'])} last {_ms(ticks['last_p50'])} "
        f"({ticks['last_p50'] / duck['seconds']:.3f}x duckdb)  state {up['state_rows']:,} rows, "
        f"{up['bytes_per_state_row']:.0f} B each, memory {up['memory_bytes'] / 1e6:.0f} MB"
    )


def write(measured: Sequence[Result], peers: Sequence[Result], publish: bool) -> None:
    """Leave `results.json`, `results.md` and `results.svg` in the folder of the last run, and in docs/ if `publish`."""
    OUT.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "headwater": list(measured), "peers": list(peers)}
    text, drawing = table(measured, peers), plot(measured, peers)
    (OUT / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "results.md").write_text(text)
    (OUT / "results.svg").write_text(drawing)
    print(f"\n{text}\nalso in {OUT}: results.json, results.md, results.svg")
    if publish:
        (DOCS / "benchmarks.svg").write_text(drawing)
        (DOCS / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
        page = (DOCS / "benchmarks.md").read_text()
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        (DOCS / "benchmarks.md").write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def machine() -> dict[str, Any]:
    """What was measured on."""
    models = [row.split(":")[1].strip() for row in _lines("/proc/cpuinfo") if row.startswith("model name")]
    model = models[0] if models else platform.processor()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "clock": os.environ.get("BENCH_CLOCK", "wall"),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _lines(path: str) -> Iterable[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else ()


def table(measured: Sequence[Result], peers: Sequence[Result]) -> str:
    """The results as Markdown."""
    events = measured[0]["events"] if measured else 0
    host = machine()
    rows = [
        f"{events:,} events; one of {host['cores']} cores ({host['cpu']}), load average of the machine {host['load']:.1f}, "
        f"Python {host['python']}; times are {_CLOCKS[host['clock']]}. Every answer equals DuckDB's.",
        "",
        "| workload | catch-up, M rows/s | catch-up / DuckDB | tick p50, ms | tick p99, ms | p50 first → last tenth | "
        "last tenth / DuckDB | state rows | bytes per state row | memory, MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for found in measured:
        up, ticks, duck = found["catch_up"], found["ticks"], found["duckdb"]["seconds"]
        cells = (
            f"**{found['workload']}** {found['title']}",
            f"{up['rows_per_second'] / 1e6:.2f}",
            f"{up['seconds'] / duck:.1f}",
            _ms(ticks["p50"]),
            _ms(ticks["p99"]),
            f"{_ms(ticks['first_p50'])} → {_ms(ticks['last_p50'])}",
            f"{ticks['last_p50'] / duck:.3f}",
            f"{up['state_rows']:,}",
            f"{up['bytes_per_state_row']:.0f}",
            f"{up['memory_bytes'] / 1e6:.0f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, *(_peers(measured, peers) if peers else ()), ""])


def _peers(measured: Sequence[Result], peers: Sequence[Result]) -> list[str]:
    rows = [
        "",
        "| workload | system | catch-up, M rows/s | Headwater is faster by | tick p50, ms | tick p99, ms | "
        "Headwater's p50 is less by | answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in measured:
        up, ticks = found["catch_up"], found["ticks"]
        duck = {"peer": "duckdb, recompute", "workload": found["workload"], "answer": "the reference"}
        seconds = found["duckdb"]["seconds"]
        all_peers = [{**duck, "seconds": seconds, "ticks": {"p50": seconds}}]
        all_peers += [peer for peer in peers if peer["workload"] == found["workload"]]
        for peer in all_peers:
            tick = peer.get("ticks") or {}
            cells = (
                found["workload"],
                peer["peer"],
                f"{found['rows'] / peer['seconds'] / 1e6:.2f}",
                _ratio(peer["seconds"] / up["seconds"]),
                _ms(tick["p50"]) if "p50" in tick else "–",
                _ms(tick["p99"]) if "p99" in tick else "–",
                _ratio(tick["p50"] / ticks["p50"]) if "p50" in tick else "–",
                peer["answer"],
            )
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def _ratio(value: float) -> str:
    return f"{value:.0f}x" if value >= 10 else f"{value:.1f}x" if value >= 1 else f"{value:.2f}x"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
