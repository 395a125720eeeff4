"""The exposition: every family, from a real registry."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.metrics import COUNTERS, GAUGES
from serve.status import ServiceStatus
from tests.serve.published import House, Memory, Operator, Partition, Sink, Source
from tests.serve.test_http import REVENUE


def samples(house: House) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample: name and sorted label values to value."""
    status, headers, body = house.request("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(body.decode())
    return {(s.name, tuple(sorted(s.labels.values()))): s.value for family in families for s in family.samples}


@pytest.fixture
def house() -> House:
    made = House()
    made.publish(REVENUE)
    made.status = ServiceStatus(
        True, "", {"orders": Source(partitions={0: Partition(90, 10, 100), 1: Partition(0, 40, 50), 2: Partition(-1, -1, -1)})},
        {"out": Sink()}, lambda: [Operator(), Operator(node=4, view=None)], time.time() - 3, 42,
        Memory(state_bytes=1100, trouble="no space"),
    )  # fmt: skip
    return made


def test_values(house: House) -> None:
    house.metrics.observe_tick(0.0015, 100)
    found = samples(house)
    assert found["headwater_ready", ()] == 1
    assert found["headwater_source_records_total", ("orders",)] == 80
    assert found["headwater_source_hydration_offsets", ("orders",)] == 80
    assert found["headwater_source_hydration_target_offsets", ("orders",)] == 80
    assert found["headwater_source_errors_total", ("orders",)] == 2
    assert found["headwater_source_offset", ("0", "orders")] == 90
    assert found["headwater_source_high_offset", ("0", "orders")] == 100
    assert found["headwater_source_lag_records", ("0", "orders")] == 10
    assert found["headwater_source_lag_records", ("1", "orders")] == 10  # what retention deleted is no lag
    assert ("headwater_source_lag_records", ("2", "orders")) not in found
    assert found["headwater_source_state", ("orders", "running")] == 1
    assert found["headwater_source_state", ("halted", "orders")] == 0
    assert found["headwater_view_rows", ("revenue",)] == 4
    assert found["headwater_view_hydrated", ("revenue",)] == 1
    assert 3 <= found["headwater_view_freshness_seconds", ("revenue",)] < 60
    assert found["headwater_operator_seconds_total", ("3", "join", "revenue")] == 0.5
    assert found["headwater_operator_state_bytes", ("", "4", "join")] == 400
    assert found["headwater_operator_state_file_bytes", ("", "4", "join")] == 300
    assert found["headwater_memory_limit_bytes", ()] == 1000
    assert found["headwater_memory_state_bytes", ()] == 1100
    assert found["headwater_memory_trouble", ()] == 1
    assert found["headwater_sink_frontier_lag_seconds", ("out",)] == 1.5
    assert found["headwater_sink_state", ("out", "running")] == 1
    assert found["headwater_sink_aborted_total", ("out",)] == 1
    assert found["headwater_tick_duration_seconds_bucket", ("0.002",)] == 1
    assert found["headwater_tick_duration_seconds_bucket", ("0.001",)] == 0
    assert found["headwater_tick_rows_total", ()] == 100
    assert found["process_resident_memory_bytes", ()] > 0
    assert found["process_cpu_seconds_total", ()] > 0


def test_every_family_has_samples_and_help(house: House) -> None:
    names = {name for name, _ in samples(house)}
    assert names >= {f"headwater_{name}" for name in GAUGES} | {f"headwater_{name}_total" for name in COUNTERS}
    assert all(text for text, _ in (GAUGES | COUNTERS).values())


def test_before_the_first_tick() -> None:
    house = House()
    house.status = ServiceStatus(False, "hydrating", {}, {"out": Sink(frontier=None)}, list, 0.0, 0)
    found = samples(house)
    assert found["headwater_ready", ()] == 0
    assert not any(name.startswith(("headwater_view_", "headwater_sink_frontier")) for name, _ in found)


def test_open_metrics(house: House) -> None:
    body, content_type = house.metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
