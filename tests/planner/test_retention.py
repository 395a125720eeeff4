"""Retention: rows whose time has passed are freed, in every kind of operator above the filter, down to the process's memory."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.delta import Delta
from dataflow.types import BIGINT, TEXT, TIMESTAMPTZ, Column
from planner import build_dataflow, plan_views
from tests.dataflow.memory_child import resident

TABLES = {"events": (Column("id", BIGINT), Column("person", BIGINT), Column("note", TEXT), Column("at", TIMESTAMPTZ))}
RECENT = "(SELECT * FROM events WHERE mz_now() <= at + INTERVAL '5 minutes') e"
VIEWS = {
    "counts": f"SELECT person, count(*) AS n, max(note) AS last FROM {RECENT} GROUP BY person",
    "notes": f"SELECT DISTINCT note FROM {RECENT}",
    "pairs": f"SELECT a.id, b.id AS other FROM {RECENT.removesuffix('e')} a JOIN {RECENT.removesuffix('e')} b ON b.id = a.id + 1",
    "places": f"SELECT id, row_number() OVER (PARTITION BY person ORDER BY at) AS place FROM {RECENT}",
    "visits": "SELECT person, window_start, count(*) AS n FROM session((SELECT person, at FROM events "
    "WHERE mz_now() <= at + INTERVAL '5 minutes'), at, INTERVAL '2 s', person) GROUP BY person, window_start",
}
START, MINUTE, ROWS, MINUTES = 1_795_346_000_000, 60_000, 4_000, 40


def minute(number: int) -> Delta:
    """The events of a minute, no two alike, a few people of its own among them."""
    ids = np.arange(number * ROWS, (number + 1) * ROWS)
    numbers = pa.array(ids)
    notes = pc.binary_join_element_wise(numbers.cast(pa.string()), pa.scalar("n" * 200), "-").cast(pa.large_string())
    at = pa.array((START + number * MINUTE + ids % ROWS * MINUTE // ROWS) * 1000).cast(TIMESTAMPTZ.arrow)
    return Delta((numbers, pa.array(number * 50 + ids % 100), notes, at), np.ones(ROWS, np.int64))


def test_memory_stays_what_the_window_needs() -> None:
    flow = build_dataflow(plan_views(TABLES, VIEWS), TABLES, {}, {}, time.perf_counter, append_only=("events",))
    state, memory = [], []
    for number in range(MINUTES):
        flow.step({"events": minute(number)}, time=START + number * MINUTE)
        while flow.maintain(1 << 22):
            pass
        state.append(sum(s.state_bytes for s in flow.statistics()))
        memory.append(resident())
        if number == 20:
            assert sum(flow.view("counts").snapshot().rows().columns[1].to_pylist()) <= 6 * ROWS
    assert max(state[20:]) < 1.3 * max(state[5:15])
    given = ROWS * 250 * (MINUTES - 15)
    assert memory[-1] - max(memory[5:15]) < given / 4, "what went away stayed in memory"
    for later in range(2, 20):
        flow.step({}, time=START + MINUTES * MINUTE + later * MINUTE)
    while flow.maintain(1 << 22):
        pass
    assert sum(s.state_rows for s in flow.statistics()) == 0
