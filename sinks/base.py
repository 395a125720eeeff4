"""The contract of a sink: deltas in at each tick, a durable frontier out.

Always true: what a sink has made durable is a prefix of time. All changes before `frontier` are out, once each, and none at or
after it. A sink keeps no state of the view: whatever was handed over and is not durable comes again after a restart, because
the same ticks are computed again.
Deliberately unknown here: Kafka, formats, how ticks are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from dataflow.delta import Delta

State = Literal["connecting", "running", "waiting", "halted", "stopped"]
"""connecting: reading how far it got. running: writes as ticks come. waiting: an error that passes by itself, is retried.
halted: an error that only a person can end; nothing is written any more. stopped: closed."""


class SinkHaltedError(Exception):
    """The sink cannot go on until a person changes something; the text says what. Other sinks and all views go on."""


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink is doing; a snapshot that any thread may take.

    reason: why it is not running, for people; empty while it runs. frontier: exclusive time up to which the output is complete,
    None before the first. durable: the frontier as recorded in the output itself, which ticks without changes do not move.
    transactions, records, bytes: committed since the start. aborted: transactions given up since the start, each of them
    resent or found committed. queued_rows: handed over and not yet committed. unknown: frontiers of transactions that may have
    been committed since; once a sink has halted, none is added.
    """

    state: State
    reason: str
    frontier: int | None
    transactions: int
    records: int
    bytes: int
    aborted: int
    queued_rows: int
    durable: int | None = None
    unknown: tuple[int, ...] = ()


class Sink(Protocol):
    """Where the changes of one view go."""

    @property
    def frontier(self) -> int | None:
        """Exclusive time up to which the output is complete; None if nothing was ever written. Never goes back."""

    def open(self) -> int | None:
        """Take the output over from any predecessor and return its durable frontier.

        Called once, before the first write, by any thread. Blocks and retries while the outside is away.
        Raises SinkHaltedError if the output must not be continued; the sink then stays halted and ignores writes.
        """

    def write(self, time: int, delta: Delta) -> None:
        """Hand over all changes of one tick; the delta may be empty.

        Called once for each tick, in rising order of time, also for ticks before the durable frontier, which are ignored.
        Never blocks, nor raises for errors of the outside.
        Not promised: that the changes are out when it returns, or that each tick becomes a transaction of its own.
        """

    @property
    def full(self) -> bool:
        """Whether so much waits that the next changes had better be added up and handed over as one, once there is room."""

    def settled(self, time: int) -> bool:
        """Whether everything handed over for times up to `time` is durable; of a sink that halted it never is. Never blocks."""

    def halt(self, reason: str) -> None:
        """Write nothing more: what the engine would hand over can no longer be trusted. What is under way may still end."""

    def status(self) -> SinkStatus:
        """Never blocks."""

    def close(self, timeout: float) -> None:
        """Write what is queued within `timeout` seconds, leave the rest to the next start. May be called twice."""
