"""Generated data on disk, as Arrow files that every peer maps: the same rows for all.

Always true: a file is complete (it is renamed into place), and its folder names the number of events.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from tests.bench.workloads import Workload

FOLDER = Path(__file__).parents[2] / ".cache" / "bench"
VERSION = 2
"""Rises when a generator changes."""


def folder(workload: Workload, events: int) -> Path:
    """Where a workload's data are."""
    return FOLDER / f"{workload.data}-{events}-v{VERSION}"


def ensure(workload: Workload, events: int) -> Path:
    """Generate the data unless they are there."""
    place = folder(workload, events)
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        for name, table in workload.generate(events).items():
            part = place / f"{name}.part{os.getpid()}"
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table.combine_chunks())
            part.rename(place / f"{name}.arrow")
        (place / "complete").touch()
    return place


def load(workload: Workload, events: int) -> Mapping[str, pa.Table]:
    """The tables that a workload reads, mapped from their files."""
    place = ensure(workload, events)
    return {
        name: pa.ipc.open_file(pa.memory_map(str(place / f"{name}.arrow"))).read_all()
        for name in set(workload.tables.values())
    }
