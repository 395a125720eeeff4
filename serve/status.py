"""What the doors show of a running service, as shapes: health, metrics, the list of views.

Always true: reading a status never waits for the tick thread. The rooms' own status classes have these shapes without
knowing them; `serve` imports none of them. Deliberately unknown: how a status comes about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class PartitionStatus(Protocol):
    """One partition: the next offset to read, and the offsets that the broker has from `low` up to, without, `high`."""

    @property
    def offset(self) -> int: ...
    @property
    def low(self) -> int: ...
    @property
    def high(self) -> int: ...


def lag(partition: PartitionStatus) -> int | None:
    """Offsets that the broker has and no tick took yet; None until the broker said how many it has."""
    if partition.high < 0:
        return None
    return max(0, partition.high - max(partition.offset, partition.low, 0))


class SourceStatus(Protocol):
    """A source: state is connecting, waiting, hydrating, running, halted or stopped; the counts are since the start.

    latest_errors: of the newest bad messages, oldest first, where each is and why it is no row. hydration: offsets taken, and
    offsets that the topic's past has; (0, 0) until that is known.
    """

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def partitions(self) -> Mapping[int, PartitionStatus]: ...
    @property
    def records(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def latest_errors(self) -> Sequence[str]: ...
    @property
    def hydration(self) -> tuple[int, int]: ...


class SinkStatus(Protocol):
    """A sink: `frontier` is the exclusive time up to which its topic is complete, None before anything was written."""

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def frontier(self) -> int | None: ...
    @property
    def transactions(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def aborted(self) -> int: ...
    @property
    def queued_rows(self) -> int: ...


class OperatorStatus(Protocol):
    """One operator of the dataflow: what went through it since the start, and what it holds."""

    @property
    def node(self) -> int: ...
    @property
    def operator(self) -> str: ...
    @property
    def view(self) -> str | None: ...
    @property
    def rows_in(self) -> int: ...
    @property
    def rows_out(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def state_rows(self) -> int: ...
    @property
    def state_bytes(self) -> int: ...
    @property
    def state_file_bytes(self) -> int: ...


class MemoryStatus(Protocol):
    """How much of the state is in memory, and the limit, in bytes; `trouble` says why it cannot be moved to files."""

    @property
    def limit(self) -> int: ...
    @property
    def state_bytes(self) -> int: ...
    @property
    def trouble(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One client of the PostgreSQL wire. since: wall clock in seconds since 1970; state: active, idle, idle in transaction, or
    idle in transaction (aborted)."""

    process: int
    user: str
    application: str
    address: str
    since: float
    state: str


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """One collection that is followed. reads: its views. time: up to which it was followed; None before the first.

    readers: how many; waiting_bytes: of changes that they have not taken yet.
    """

    reads: Sequence[str]
    time: int | None
    readers: int
    waiting_bytes: int


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The whole service. `ready`: every view answers; `reason`: why not, or what it is doing.

    operators, sessions, subscriptions: give those of now; a call looks at each of them. memory: None where there is no limit.
    last_tick_wall: wall clock of the last complete tick, in seconds since 1970; 0 before the first. ticks: how many so far.
    """

    ready: bool
    reason: str
    sources: Mapping[str, SourceStatus]
    sinks: Mapping[str, SinkStatus]
    operators: Callable[[], Sequence[OperatorStatus]]
    last_tick_wall: float
    ticks: int
    memory: MemoryStatus | None = None
    sessions: Callable[[], Sequence[SessionStatus]] = tuple
    subscriptions: Callable[[], Sequence[SubscriptionStatus]] = tuple


StatusSource = Callable[[], ServiceStatus]
"""Gives the status of now; called from the HTTP thread at any time."""
