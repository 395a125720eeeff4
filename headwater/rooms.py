"""What the tick loop is given, and what it carries through one time: the rooms, the clock, the changes for the sinks.

Always true: nothing here moves time or does work of its own. Deliberately unknown: the order of a tick (`headwater.ticks`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate
from dataflow.stack import Stack
from dataflow.step import Dataflow
from dataflow.types import Schema
from headwater.checkpoint import Checkpoints
from ingest.remap import Log
from ingest.source import Source
from ingest.table_log import TableLog
from ingest.tables import TableSource
from serve.definitions import Definitions
from serve.metrics import Metrics
from serve.reads import NOTHING, Publication
from serve.subscribe.hub import Hub
from sinks.kafka import KafkaSink


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> int:
        """Wall clock, milliseconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the loop drives, built by `headwater.app`.

    dependencies: view to the sources it reads, directly or through other views.
    sink_views: sink to its view.
    checkpoints: where the state goes every `checkpoint_seconds` (None: nowhere). meaning: a hash of everything in the file that
    decides what the state holds. subscriptions: who follows views from tick to tick. tables: where what is written to tables
    becomes durable.
    """

    sources: Mapping[str, Source | TableSource]
    dataflow: Dataflow | Stack
    sinks: Mapping[str, KafkaSink]
    sink_views: Mapping[str, str]
    remap: Log
    publication: Publication
    metrics: Metrics
    dependencies: Mapping[str, frozenset[str]]
    catalog: str
    checkpoints: Checkpoints | None = None
    checkpoint_seconds: float = 60.0
    meaning: str = ""
    subscriptions: Hub | None = None
    tables: TableLog | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What readers see as one relation, or as a further index of one.

    view: the dataflow's view of it; None while it is being filled. sources: those that it reads, directly or through others.
    history: milliseconds for which its earlier times stay readable. number: another one where the name means other rows.
    """

    view: str | None
    sources: frozenset[str]
    schema: Schema = ()
    kind: Literal["view", "source", "index"] = "view"
    history: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What is computed from some time on: the views by the names under which they are shown, and a hash of all that they mean."""

    shown: Mapping[str, Shown]
    catalog: str
    definitions: Definitions = NOTHING


@dataclass(slots=True)
class Pending:
    """Changes of one time that is not complete yet: what the sinks will get of it, and those who follow relations.

    followed: those relations, each with the dataflow's view that has its changes. recorded: views whose past is kept.
    """

    changes: dict[str, list[Delta]] = field(default_factory=dict)
    followed: Mapping[str, str] = field(default_factory=dict)
    recorded: Collection[str] = ()

    def add(self, changes: Mapping[str, Delta], wanted: Iterable[str]) -> None:
        """Keep the changes of the views that a sink wants, of those that are followed, and of those whose past is kept."""
        for view in {*self.followed.values(), *self.recorded, *wanted}:
            if (delta := changes.get(view)) is not None and len(delta):
                self.changes.setdefault(view, []).append(delta)

    def of(self, view: str) -> Delta | None:
        """The whole change of a view at this time, consolidated; None when nothing changed."""
        parts = self.changes.get(view, [])
        if len(parts) <= 1:
            return parts[0] if parts else None
        return consolidate(concat_deltas(parts))
