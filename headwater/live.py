"""What ticks take from and write to, as it comes and goes: sources that read, sinks that are open.

Always true: a sink that `open_sink` returned for is new, and may write; whoever fails to open one leaves nothing running.
Deliberately unknown: why one comes or goes (`headwater.changes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic

from dataflow.delta import Delta
from dataflow.types import Schema
from headwater.catalog import Item
from headwater.feed import SINK_PATIENCE
from headwater.world import shown_as
from ingest.source import Source
from ingest.tables import TableSource
from serve.sql.errors import QueryError
from sinks.base import SinkHaltedError
from sinks.kafka import KafkaSink

OPEN_SLICE = 0.05
"""Seconds between looks whether who asked for a sink is still there."""

CLOSE_SECONDS = 1.0
"""Seconds that a dropped sink has to commit what it holds; what is left is never written."""


@dataclass
class Live:
    """What ticks take from and write to, by name. Changed between ticks only.

    dependencies: what relations follow from. schemas: the columns of the file's sources.
    """

    sources: dict[str, Source | TableSource] = field(default_factory=dict)
    sinks: dict[str, KafkaSink] = field(default_factory=dict)
    sink_views: dict[str, str] = field(default_factory=dict)
    dependencies: dict[str, frozenset[str]] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)


@dataclass
class Opened:
    """What is new in a world: objects that need layers, sources that read, sinks that are open.

    filled: rows that tables among the items are made with, by id.
    """

    items: Sequence[Item] = ()
    filled: Mapping[int, Delta] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    sinks: dict[str, KafkaSink] = field(default_factory=dict)
    sink_views: dict[str, str] = field(default_factory=dict)


def open_sink(sink: KafkaSink, check: Callable[[], None]) -> None:
    """Have a new sink's topics made and its transactions begun. QueryError when that takes too long or cannot be."""
    with ThreadPoolExecutor(1, "open-sink") as pool:
        opening, until = pool.submit(sink.open), monotonic() + SINK_PATIENCE
        try:
            while not wait([opening], OPEN_SLICE).done:
                check()
                if monotonic() > until:
                    reason = sink.status().reason or "no answer"
                    raise QueryError("08006", f"sink {shown_as(sink.name)} does not get to its broker: {reason}")
            if opening.result() is not None:
                raise QueryError(
                    "58000", f"topic {sink.topic} has been written by a sink {shown_as(sink.name)} before",
                    hint="choose another name and topic",
                )  # fmt: skip
        except SinkHaltedError as halted:
            raise QueryError("58000", str(halted)) from None
        finally:
            if not opening.done():
                sink.close(0)


def end(outside: Sequence[Source | KafkaSink]) -> None:
    """Let go of what is read and written no more."""
    for one in outside:
        if isinstance(one, KafkaSink):
            one.close(CLOSE_SECONDS)
        else:
            one.stop()
