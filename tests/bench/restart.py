"""A start from a checkpoint beside a start from the topics: seconds from the process to a ready view, and what checkpoints cost.

Always true: both starts are of the same state folder and topics, killed by SIGKILL before; the rows are counted after each. A row
is some 200 bytes of JSON in eight columns, of which the view keeps all, indexed by key.
`python -m tests.bench.restart [rows]`.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.end_to_end import broker
from tests.e2e.service import ROOT, Headwater, produce

ROWS = 10_000_000
ROOMS = ("config", "ingest", "planner", "dataflow", "sinks", "serve", "headwater")
READY_SECONDS = 900.0
VIEW = "SELECT id, account, amount, currency, customer, city, note, at FROM events"


def _settings(bootstrap: str, interval: str) -> dict[str, Any]:
    columns = {
        "id": "bigint",
        "account": "integer",
        "amount": "numeric(12,2)",
        "currency": "text",
        "customer": "text",
        "city": "text",
        "note": "text",
        "at": "timestamptz",
    }
    return {
        "name": "restart",
        "checkpoint": {"interval": interval},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {"events": {"kafka": "main", "topic": "restart_events", "format": "json", "columns": columns}},
        "views": {"kept": {"sql": VIEW, "key": ["id"]}},
    }


def _events(rows: int) -> Iterator[tuple[None, bytes]]:
    form = (
        b'{"id":%d,"account":%d,"amount":"%d.%02d","currency":"EUR","customer":"customer %d","city":"city %d",'
        b'"note":"order %d of the day, paid in advance","at":"2026-11-%02dT%02d:%02d:%02dZ"}'
    )
    for i in range(rows):
        yield (
            None,
            form % (i, i % 10_007, i % 997, i % 100, i % 100_003, i % 1009, i, i % 28 + 1, i % 24, i % 60, i * 7 % 60),
        )


def _start(service: Headwater, rows: int) -> float:
    began = time.monotonic()
    service.start(READY_SECONDS)
    seconds = time.monotonic() - began
    (view,) = (view for view in service.get("/views")[1]["views"] if view["name"] == "kept")
    assert view["rows"] == rows, view
    return seconds


def main(rows: int = ROWS) -> None:
    """Print the seconds of both starts, their ratio, and the checkpoint's size."""
    for room in ROOMS:  # as an installation does
        compileall.compile_dir(ROOT / room, quiet=2)
    with broker() as kafka, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kafka.create_topic("restart_events", 4)
        produce(kafka.bootstrap, "restart_events", _events(rows))
        service = Headwater(folder, _settings(kafka.bootstrap, "2s"))
        checkpoints = folder / "state" / "checkpoints"
        first = _start(service, rows)
        manifests = set(checkpoints.glob("*.manifest"))
        while not set(checkpoints.glob("*.manifest")) - manifests:
            time.sleep(0.1)
        service.kill()
        size = sum(path.stat().st_size for path in checkpoints.iterdir())
        restored = _start(service, rows)
        service.kill()
        shutil.rmtree(checkpoints)
        replayed = _start(service, rows)
        service.stop()
    result = {
        "rows": rows,
        "first start, s": first,
        "from the checkpoint, s": restored,
        "from the topics, s": replayed,
        "ratio": restored / replayed,
        "checkpoint, MB": size / 1e6,
    }
    for key, value in result.items():
        print(f"  {key:32s} {value:>14,.2f}")
    print(json.dumps({"cores": os.cpu_count(), "restart": result}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
