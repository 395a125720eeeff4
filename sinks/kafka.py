"""The Kafka sink: a queue of ticks, a thread that writes them in transactions, and what to do when that fails.

Always true: a tick leaves the queue only when it is known to be committed; `frontier` is the end of the last such tick. A
transaction holds whole ticks, the oldest first: one when the sink keeps up, more when it is behind.
Deliberately unknown here: the transaction protocol (session), consolidation (changes).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from config.settings import Sink as Settings
from dataflow.delta import Delta
from dataflow.types import Schema
from sinks.base import SinkHaltedError, SinkStatus, State
from sinks.changes import KeyNotUniqueError, upserts
from sinks.session import (
    Session,
    SessionFencedError,
    SessionLostError,
    SessionStoppedError,
    Target,
    fenced,
    transaction_timeout,
)

log = structlog.get_logger(__name__)

QUEUE_ROWS = 1_000_000
"""Rows that may wait before there is no room; one tick may be larger. There is room again when half of them are written."""
TRANSACTION_ROWS = 250_000
"""Rows after which no further tick joins a transaction; one tick may be larger."""
ABORT_SECONDS = 1.0
"""Seconds that closing gives the broker to end an open transaction; without an answer the next start ends it."""
FENCES = 5
"""How often in a row, without a commit, a sink whose state is its own takes the output back from whoever fences it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts: doubled after each failure."""


class KafkaSink:
    """Writes one view's changes to a topic, exactly once; see sinks.base.Sink for the contract of each method."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        connection: Mapping[str, str],
        schema: Schema,
        definition: str,
        service: str,
        wake: Callable[[], None],
        owned: Callable[[], bool] | None = None,
    ) -> None:
        """definition: names what the view computes; another one halts the sink. wake: called after every change of status,
        by any thread; must not block. ValueError if a key column is not a column of the view.

        owned: whether the state that the sink is written from is still this service's; OSError when that cannot be told just
        now. None: nobody can tell. A sink that knows writes only while it is, and goes on when a service of before fences it.
        """
        names = [column.name for column in schema]
        if missing := [column for column in settings.key if column not in names]:
            raise ValueError(f"sink {name}: key column {missing[0]} is not a column of view {settings.view}")
        self._key = tuple(names.index(column) for column in settings.key)
        self._settings = settings
        self._schema = schema
        self._wake = wake
        self._target = Target(
            # What the connection says to other clients means nothing to librdkafka.
            {key: value for key, value in connection.items() if not key.startswith("schema.registry.")},
            service,
            name,
            settings.view,
            settings.topic,
            settings.partitions,
            settings.replication,
            definition,
            uuid.uuid4().hex,
        )
        self._log = log.bind(sink=name, topic=settings.topic)
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._queue: deque[tuple[int, Delta]] = deque()
        self._queued_rows = 0
        self._full = False
        self._state: State = "connecting"
        self._reason = ""
        self._frontier: int | None = None
        self._durable: int | None = None
        self._transactions = self._records = self._bytes = self._aborted = 0
        self._deadline: float | None = None  # set by close
        self._attempted: set[int] = set()  # frontiers of transactions whose outcome is unknown
        # Of the one thread that writes (before it runs: of the thread in `open`):
        self._session: Session | None = None
        self._owned = owned
        self._fences = 0
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The name that its transactions have."""
        return self._target.sink

    @property
    def topic(self) -> str:
        """The topic that it writes."""
        return self._target.topic

    @property
    def frontier(self) -> int | None:
        """Exclusive time up to which the topic is complete; None if nothing was ever written."""
        with self._changed:
            return self._frontier

    def open(self) -> int | None:
        """Fence any predecessor, read its progress, start writing; returns the durable frontier, None for a new sink."""
        pause = FIRST_PAUSE
        try:
            while self._session is None:
                if self._stopped():
                    raise SessionStoppedError
                if self._state == "halted":
                    raise SinkHaltedError(self._reason)
                try:
                    self._connect(0)
                except SessionLostError as error:
                    self._lose("connecting", error)
                    pause = self._pause(pause)
        except SessionStoppedError:
            self._finish()
            raise SinkHaltedError(f"sink {self._target.sink} was closed while it connected to its broker") from None
        except SinkHaltedError as error:
            self.halt(str(error))
            raise
        self._log.info("sink open", frontier=self._durable)
        self._thread = threading.Thread(target=self._run, name=f"sink-{self._target.sink}", daemon=True)
        self._thread.start()
        return self._durable

    def write(self, time: int, delta: Delta) -> None:
        """Hand over one tick; never waits."""
        with self._changed:
            if self._state in ("halted", "stopped") or (self._frontier is not None and time < self._frontier):
                return
            if not len(delta) and not self._queue:
                self._frontier = time + 1  # nothing to write: the topic is complete up to here as it is
                return
            if self._queue and not len(delta) and not len(self._queue[-1][1]):
                self._queue.pop()  # a run of empty ticks says no more than its last
            self._queue.append((time, delta))
            self._queued_rows += len(delta)
            self._full = self._full or self._queued_rows >= QUEUE_ROWS
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether what comes next had better wait until it can be handed over as one change."""
        with self._changed:
            self._full = self._full and self._queued_rows > QUEUE_ROWS // 2
            return self._full and self._state not in ("halted", "stopped")

    def settled(self, time: int) -> bool:
        """Whether everything handed over for times up to `time` is durable; of a sink that halted it never is."""
        with self._changed:
            return self._state != "halted" and (not self._queue or self._queue[0][0] > time)

    def status(self) -> SinkStatus:
        """How the sink is doing now."""
        with self._changed:
            return SinkStatus(
                self._state,
                self._reason,
                self._frontier,
                self._transactions,
                self._records,
                self._bytes,
                self._aborted,
                self._queued_rows,
                self._durable,
                tuple(sorted(self._attempted)),
            )

    def halt(self, reason: str) -> None:
        """Drop what is queued and take nothing more; a transaction under way may still commit. The first reason stays."""
        with self._changed:
            if self._state in ("halted", "stopped"):
                return
            self._queue.clear()
            self._queued_rows = 0
            self._state, self._reason = "halted", reason
            self._changed.notify_all()
        self._log.error("sink halted", reason=reason)
        self._wake()

    def close(self, timeout: float) -> None:
        """Commit what is queued within `timeout` seconds, else abort and leave it to the next start."""
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
            self._changed.notify_all()
        if self._thread is not None:
            # Beyond the deadline it still ends the call under way, aborts, and frees the producer.
            self._thread.join(timeout + 10.0)
            if self._thread.is_alive():
                self._log.warning("the sink did not end in time", queued_rows=self.status().queued_rows)
        else:
            self._finish()

    def _stopped(self) -> bool:
        deadline = self._deadline
        return deadline is not None and (self._thread is None or time.monotonic() >= deadline)

    def _set(self, state: State, reason: str) -> None:
        with self._changed:
            if self._state == "halted" or (state, reason) == (self._state, self._reason):
                return
            self._state, self._reason = state, reason
            self._changed.notify_all()
        self._wake()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._wait_for_ticks():
                try:
                    self._step()
                    pause = FIRST_PAUSE
                except SessionLostError as error:
                    self._lose("waiting", error)
                    pause = self._pause(pause)
        except SessionStoppedError:
            if self._session is not None:
                self._session.abort(ABORT_SECONDS)
        except SinkHaltedError as error:
            self.halt(str(error))
        except Exception:
            log.exception("sink failed", sink=self._target.sink)
            self.halt("an unexpected error, which the log tells; restart the service to try again")
        finally:
            self._finish()

    def _lose(self, state: State, error: SessionLostError) -> None:
        """Throw the session away; what it had begun is unknown until the next one reads the progress."""
        self._log.warning("sink lost its broker", reason=str(error), queued_rows=self._queued_rows)
        self._close_session()
        with self._changed:
            self._aborted += bool(self._attempted)
        self._set(state, str(error))

    def _pause(self, seconds: float) -> float:
        """Wait, unless closed, and return how long to wait after the next failure."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._stopped() and (left := until - time.monotonic()) > 0:
                self._changed.wait(left if self._deadline is None else min(left, 0.1))
        return min(LONGEST_PAUSE, seconds * 2)

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _finish(self) -> None:
        self._close_session()
        with self._changed:
            left = self._queued_rows
            self._queue.clear()
            self._queued_rows = 0
        self._set("stopped", f"{left} queued rows are left to the next start" if left else "")

    def _wait_for_ticks(self) -> bool:
        """Until there is something to write (True) or nothing more to do (False)."""
        with self._changed:
            while not self._queue:
                if self._deadline is not None or self._state == "halted":
                    return False
                self._changed.wait()
        return not self._stopped()

    def _step(self) -> None:
        """Write the oldest ticks in one transaction."""
        ticks = self._oldest()
        if not ticks:
            return  # halted meanwhile
        rows = sum(len(delta) for _, delta in ticks)
        needed = transaction_timeout(rows)
        if self._session is not None and self._session.timeout != needed:
            self._close_session()  # between transactions nothing is unknown
        if self._session is None:
            self._connect(rows)
            return  # what is queued may have changed
        try:
            changes = upserts(ticks, self._schema, self._key)
        except KeyNotUniqueError as error:
            raise SinkHaltedError(
                f"view {self._settings.view} has two rows for one value of ({', '.join(self._settings.key)}), the key of "
                f"sink {self._target.sink}: choose key columns that are unique in the view, or group by them"
            ) from error
        end, size = ticks[-1][0] + 1, 0
        if len(changes):
            if not self._attempt(end):
                return
            try:
                size = self._session.commit(changes, end)
            except SessionFencedError as error:
                self._fences += 1
                if self._owned is None or self._fences > FENCES:
                    raise SinkHaltedError(str(error)) from error
                raise
        self._committed(end, len(changes), size)

    def _oldest(self) -> list[tuple[int, Delta]]:
        ticks: list[tuple[int, Delta]] = []
        rows = 0
        with self._changed:
            for tick in self._queue:
                if ticks and rows + len(tick[1]) > TRANSACTION_ROWS:
                    break
                ticks.append(tick)
                rows += len(tick[1])
        return ticks

    def _attempt(self, end: int) -> bool:
        """Note that a transaction up to here begins; False when the sink halted meanwhile."""
        with self._changed:
            if self._state != "halted":
                self._attempted.add(end)
            return self._state != "halted"

    def _committed(self, end: int, records: int, size: int) -> None:
        with self._changed:
            self._forget_before(end)
            self._frontier = end
            if records:
                self._durable = end
                self._transactions += 1
                self._records += records
                self._bytes += size
                self._attempted.clear()
                self._fences = 0
            if self._state != "halted":
                self._state, self._reason = "running", ""
            self._changed.notify_all()
        self._wake()

    def _forget_before(self, end: int) -> None:
        while self._queue and self._queue[0][0] < end:
            self._queued_rows -= len(self._queue.popleft()[1])

    def _connect(self, rows: int) -> None:
        """Open a session; what it finds committed leaves the queue. Raises what Session does."""
        self._check_owned()
        session = Session(self._target, transaction_timeout(rows), self._stopped)
        try:
            # Whoever takes the state over from now on opens its session after this one, and so fences it.
            self._check_owned()
        except BaseException:
            session.close()
            raise
        progress = session.progress
        found = progress.frontier if progress else None
        ours = progress is not None and progress.instance == self._target.instance and found in self._attempted
        if self._thread is not None and found != self._durable and not ours:
            session.close()
            raise SinkHaltedError(fenced(self._target))
        with self._changed:
            self._session = session
            self._transactions += ours
            self._attempted.clear()
            self._durable = found
            if found is not None:
                self._forget_before(found)
                self._frontier = max(found, self._frontier or found)
            self._changed.notify_all()
        self._set("running", "")

    def _check_owned(self) -> None:
        if self._owned is None:
            return
        try:
            owned = self._owned()
        except OSError as error:
            raise SessionLostError(f"whose state it is cannot be told: {error}") from error
        if not owned:
            raise SinkHaltedError(
                f"another service has taken the state over, and writes sink {self._target.sink} from now on"
            )
