"""What stands in for parts of the service that wait or are watched: the events, the clock, a sink without its thread, a source
and a publication that say what they do. Always true: whoever waits lets the world go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast
from unittest import mock

from dataflow.delta import Delta
from ingest.source import Source, Taken
from serve.reads import Publication, Published
from sinks.base import SinkHaltedError
from sinks.kafka import KafkaSink
from sinks.session import SessionLostError, SessionStoppedError
from tests.sim.chance import Chance, Crash
from tests.sim.promises import Wrong

START = 1_795_346_117_450


class Turn(Protocol):
    """The world, as whoever waits sees it."""

    chance: Chance

    @property
    def overtaken(self) -> bool:
        """Whether another service has taken the state over: this one is to end at its next binding."""
        ...

    def go_on(self, seconds: float) -> None:
        """Some things happen, and time passes."""
        ...


class Flag:
    """An Event in a world of one thread."""

    def __init__(self, world: Turn) -> None:
        self._world, self._set = world, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._world.go_on(timeout or 0.0)
        return self._set


class Clock:
    """Wall time that may jump, and monotonic time; also in the place of the module `time`."""

    def __init__(self) -> None:
        self.wall, self.seconds = float(START), 0.0

    def now(self) -> int:
        return int(self.wall)

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += seconds * 1000


class SimSink(KafkaSink):
    """The real sink without its thread: the world calls `pump`.

    opened: told the frontier that it read. changed: told every change that it is given.
    """

    world: Turn
    opened: Callable[[int | None], None]
    changed: Callable[[int, Delta], None]
    succeeded = False
    """Whether a later incarnation has a sink of this name: then this one is to be fenced."""

    def open(self) -> int | None:
        while self._session is None:
            try:
                self._connect(0)
            except SessionLostError as error:
                self._lose("connecting", error)
                self.world.go_on(0.1)
            except SinkHaltedError as error:
                if not self.world.overtaken:
                    raise Wrong(f"a sink halted at its start: {error}") from error
                self.halt(str(error))
                raise
        self._thread = cast(Any, mock.sentinel.no_thread)
        self.opened(self._durable)
        return self._durable

    def _connect(self, rows: int) -> None:
        self._asked = 0
        super()._connect(rows)

    def _check_owned(self) -> None:
        """As the real one. What it asks first may have been so a moment ago only."""
        self._asked += 1
        if not (self._asked == 1 and self.succeeded and self.world.chance.fault("taken over amid a connect")):
            super()._check_owned()

    def write(self, time: int, delta: Delta) -> None:
        super().write(time, delta)
        self.changed(time, delta)

    def pump(self) -> None:
        """Write the oldest ticks, if there are any."""
        if self._thread is None or not self._queue:
            return
        try:
            self._step()
        except Crash:
            self._session = None  # its process was within the call; one that lives on would not begin the call again
            raise
        except SessionLostError as error:
            self._lose("waiting", error)
        except (SinkHaltedError, SessionStoppedError) as error:
            if not (self.succeeded or self.world.overtaken):
                raise Wrong(f"a sink halted: {error}") from error
            self.halt(str(error))

    def write_on(self) -> None:
        """Write on after the process should have ended. With a new session only where another service may have begun meanwhile:
        in a folder, whose lock a process that lives holds, none has."""
        if self._session is not None or self._owned is not None:
            self.pump()


class WatchedSource(Source):
    """A source whose taking is a point."""

    chance: Chance

    def take(self, limit_rows: int, until: Mapping[int, int] | None = None) -> Taken | None:
        self.chance.point("S2 before a cut")
        return super().take(limit_rows, until)


class Watched(Publication):
    """Checks what is published."""

    def __init__(self, chance: Chance, check: Callable[[Published], None]) -> None:
        super().__init__()
        self._chance, self._check = chance, check

    def publish(self, published: Published) -> None:
        self._chance.point("S6 before a publication")
        super().publish(published)
        self._check(published)
        self._chance.point("S6 after a publication")
