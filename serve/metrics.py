"""Metrics for Prometheus: what is counted per tick, and what is read from the status and the views at each scrape.

Always true: every name begins with `headwater_` (the process's own with `process_`) and ends with its unit; the table of
families below is the whole list. A scrape never waits for the tick thread. Deliberately unknown: dashboards.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from serve.reads import Publication
from serve.status import ServiceStatus, StatusSource, lag

TICK_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. A tick of 100 rows has 2 ms; one that carries a topic's past may take many."""

GAUGES = {
    "ready": ("1 when every view answers", ()),
    "source_state": ("1 for the state that the source is in", ("source", "state")),
    "source_offset": ("next offset to read", ("source", "partition")),
    "source_high_offset": ("end of the partition in the broker", ("source", "partition")),
    "source_lag_records": ("offsets between the next one to read and the partition's end", ("source", "partition")),
    "source_hydration_offsets": ("offsets of the topic's past that are taken", ("source",)),
    "source_hydration_target_offsets": ("offsets that the topic's past has", ("source",)),
    "view_rows": ("rows of the view, each copy counted", ("view",)),
    "view_state_bytes": ("bytes of the view's index, in memory and in files", ("view",)),
    "view_state_file_bytes": ("of these, bytes that lie in files", ("view",)),
    "view_hydrated": ("1 when the view holds the whole past of its sources", ("view",)),
    "view_errors": ("rows that could not be computed; see /views/{view}/errors", ("view",)),
    "view_freshness_seconds": ("time since the last complete tick", ("view",)),
    "memory_limit_bytes": ("bytes of state that may be in memory, where `memory` limits it", ()),
    "memory_state_bytes": ("bytes of state in memory, where `memory` limits it", ()),
    "memory_trouble": ("1 while state above the limit cannot be moved to files; /readyz says why", ()),
    "operator_state_rows": ("rows that the operator holds", ("view", "operator", "node")),
    "operator_state_bytes": (
        "bytes of state that the operator holds, in memory and in files",
        ("view", "operator", "node"),
    ),
    "operator_state_file_bytes": ("of these, bytes that lie in files", ("view", "operator", "node")),
    "sink_state": ("1 for the state that the sink is in", ("sink", "state")),
    "sink_frontier_lag_seconds": ("how far the topic is behind the last complete tick", ("sink",)),
    "sink_queued_rows": ("changes that wait to be written", ("sink",)),
}
COUNTERS = {
    "source_records": ("messages read", ("source",)),
    "source_bytes": ("bytes of messages read", ("source",)),
    "source_errors": ("messages that could not be read as rows", ("source",)),
    "operator_seconds": ("time that the operator worked", ("view", "operator", "node")),
    "operator_rows_in": ("changes that went into the operator", ("view", "operator", "node")),
    "operator_rows_out": ("changes that came out of the operator", ("view", "operator", "node")),
    "sink_transactions": ("committed transactions", ("sink",)),
    "sink_records": ("messages in committed transactions", ("sink",)),
    "sink_bytes": ("bytes of messages in committed transactions", ("sink",)),
    "sink_aborted": ("transactions that were thrown away and written again", ("sink",)),
}
"""Families that a scrape reads from the status: name without prefix to help and labels. Counters end with `_total`."""

SOURCE_STATES = ("connecting", "waiting", "hydrating", "running", "halted", "stopped")
SINK_STATES = ("connecting", "running", "waiting", "halted", "stopped")


class Metrics(Collector):
    """The metrics of one service, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry, status: StatusSource) -> None:
        self._registry = registry
        self._status = status
        self._publication = Publication()
        self._ticks = [0] * (len(TICK_BUCKETS) + 1)  # by bucket; the last: longer than all of them
        self._tick_seconds, self._tick_rows = 0.0, 0
        ProcessCollector(registry=registry)
        registry.register(self)

    def watch(self, publication: Publication) -> None:
        """Show the views of this publication. Called once, before the first scrape."""
        self._publication = publication

    def observe_tick(self, seconds: float, rows: int) -> None:
        """One complete tick: how long it took and how many rows it took from the sources. Called by the tick thread, which alone
        writes these: an idle tick has no time for the library's locks.
        """
        self._ticks[bisect_left(TICK_BUCKETS, seconds)] += 1
        self._tick_seconds += seconds
        self._tick_rows += rows

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text and its content type, for the scraper's Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> list[Metric]:
        """No families at registration: the service may not have started yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family of GAUGES and COUNTERS, from the status of now."""
        status = self._status()
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            name: GaugeMetricFamily(f"headwater_{name}", text, labels=labels) for name, (text, labels) in GAUGES.items()
        } | {
            name: CounterMetricFamily(f"headwater_{name}", text, labels=labels)
            for name, (text, labels) in COUNTERS.items()
        }
        families["ready"].add_metric([], float(status.ready))
        if status.memory is not None:
            families["memory_limit_bytes"].add_metric([], status.memory.limit)
            families["memory_state_bytes"].add_metric([], status.memory.state_bytes)
            families["memory_trouble"].add_metric([], float(bool(status.memory.trouble)))
        self._sources(status, families)
        self._views(status, families)
        self._operators(status, families)
        self._sinks(status, families)
        yield from families.values()
        yield from self._of_ticks()

    def _of_ticks(self) -> Iterator[Metric]:
        counts = list(accumulate(self._ticks))
        names = [*map(floatToGoString, TICK_BUCKETS), "+Inf"]
        yield HistogramMetricFamily(
            "headwater_tick_duration_seconds",
            "time that a tick took",
            buckets=list(zip(names, counts, strict=True)),
            sum_value=self._tick_seconds,
        )
        yield CounterMetricFamily("headwater_tick_rows", "rows that ticks took from the sources", value=self._tick_rows)

    @staticmethod
    def _sources(status: ServiceStatus, families: dict[str, GaugeMetricFamily | CounterMetricFamily]) -> None:
        for name, source in status.sources.items():
            for state in SOURCE_STATES:
                families["source_state"].add_metric([name, state], float(state == source.state))
            families["source_records"].add_metric([name], source.records)
            families["source_bytes"].add_metric([name], source.bytes)
            families["source_errors"].add_metric([name], source.errors)
            done, total = source.hydration
            families["source_hydration_offsets"].add_metric([name], done)
            families["source_hydration_target_offsets"].add_metric([name], total)
            for partition, at in source.partitions.items():
                labels = [name, str(partition)]
                if at.offset >= 0:
                    families["source_offset"].add_metric(labels, at.offset)
                if (behind := lag(at)) is not None:
                    families["source_high_offset"].add_metric(labels, at.high)
                    families["source_lag_records"].add_metric(labels, behind)

    def _views(self, status: ServiceStatus, families: dict[str, GaugeMetricFamily | CounterMetricFamily]) -> None:
        published = self._publication.current()
        for name, view in published.views.items() if published is not None else ():
            families["view_rows"].add_metric([name], view.rows.total)
            families["view_state_bytes"].add_metric([name], view.rows.nbytes)
            families["view_state_file_bytes"].add_metric([name], view.rows.file_bytes)
            families["view_hydrated"].add_metric([name], float(view.state == "ready"))
            families["view_errors"].add_metric([name], view.errors.total)
            if status.last_tick_wall:
                families["view_freshness_seconds"].add_metric([name], max(0.0, time.time() - status.last_tick_wall))

    @staticmethod
    def _operators(status: ServiceStatus, families: dict[str, GaugeMetricFamily | CounterMetricFamily]) -> None:
        for operator in status.operators():
            labels = [operator.view or "", operator.operator, str(operator.node)]
            families["operator_seconds"].add_metric(labels, operator.seconds)
            families["operator_rows_in"].add_metric(labels, operator.rows_in)
            families["operator_rows_out"].add_metric(labels, operator.rows_out)
            families["operator_state_rows"].add_metric(labels, operator.state_rows)
            families["operator_state_bytes"].add_metric(labels, operator.state_bytes)
            families["operator_state_file_bytes"].add_metric(labels, operator.state_file_bytes)

    def _sinks(self, status: ServiceStatus, families: dict[str, GaugeMetricFamily | CounterMetricFamily]) -> None:
        published = self._publication.current()
        for name, sink in status.sinks.items():
            for state in SINK_STATES:
                families["sink_state"].add_metric([name, state], float(state == sink.state))
            families["sink_transactions"].add_metric([name], sink.transactions)
            families["sink_records"].add_metric([name], sink.records)
            families["sink_bytes"].add_metric([name], sink.bytes)
            families["sink_aborted"].add_metric([name], sink.aborted)
            families["sink_queued_rows"].add_metric([name], sink.queued_rows)
            if published is not None and sink.frontier is not None:
                behind = max(0, published.time + 1 - sink.frontier) / 1000
                families["sink_frontier_lag_seconds"].add_metric([name], behind)
