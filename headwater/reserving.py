"""Times that are shown without a binding of their own, since the log holds that they may have been.

Each binding reserves the times behind it: what it bound may be shown at any of them, as long as nothing changes. So a tick that
changes nothing costs no write; now and then one binds its time all the same, beside the ticks, before the reservation ends.

    shown at t without a binding  =>  last durable binding < t <= its `until`, and the views at t are the views at that binding

Always true: what a time changed, for a sink, a checkpoint or the catalog, has a binding; what has none, only readers saw. A
start shows no time before the last `until`, so no reader's time goes back; it never waits for it (docs/adr/0023).
Deliberately unknown: what a tick changes (`headwater.ticks`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from headwater.rooms import Clock

RESERVED = 3000
"""Milliseconds that each binding reserves, by either clock: the most that times run ahead of the clock after a start, and that a
service whose state was taken over in a bucket goes on completing ticks."""

RENEWED = RESERVED // 2
"""Milliseconds of them that may pass before a tick that changes nothing binds its time."""


class Reservation:
    """What one loop may show without a binding; for its thread."""

    def __init__(self, clock: Clock, bound: int) -> None:
        """bound: the last time that the log held at the start. What it reserved is not for this service to show."""
        self._clock = clock
        self._until = 0
        self._ends = 0.0
        self._begun = 0
        self._renewed_at = 0.0
        self._renewal: tuple[int, Future[None]] | None = None
        self.bound = bound
        """The last time whose binding is known to be durable."""

    def hold(self, time: int) -> None:
        """A binding of this time is durable. One that is written beside the ticks counts when `holds` finds that it is."""
        self._held(time, self._clock.monotonic())

    @property
    def renewed(self) -> Future[None] | None:
        """The renewal that is done and not looked at yet."""
        return self._renewal[1] if self._renewal is not None and self._renewal[1].done() else None

    def holds(self, time: int) -> bool:
        """Whether a tick of this time that changes nothing needs no binding. Raises what writing the last renewal raised."""
        if self._renewal is not None and self._renewal[1].done():
            self._settle()
        return time <= self._until and self._clock.monotonic() < self._ends

    def renew(self, time: int, write: Callable[[], Future[None]]) -> None:
        """Have a binding of this time written beside the ticks, if it is time. write: begins it."""
        now = self._clock.monotonic()
        due = time - self._begun >= RENEWED or 1000 * (now - self._renewed_at) >= RENEWED
        if due and self._renewal is None:
            self._begun, self._renewed_at = time, now
            self._renewal = time, write()

    def _settle(self) -> None:
        if self._renewal is not None:
            (time, written), self._renewal = self._renewal, None
            written.result()
            self._held(time, self._renewed_at)

    def _held(self, time: int, at: float) -> None:
        if time > self.bound:
            self.bound, self._until, self._ends = time, time + RESERVED, at + RESERVED / 1000
            self._begun, self._renewed_at = time, at
