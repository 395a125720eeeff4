"""One life of a sink's producer: fence, read progress, write transactions; thrown away at the first error.

Always true: a session that is open knows the durable frontier, and no other session of the same sink can write any more. After
any error the outcome of the last transaction is unknown, and only the next session's `progress` tells it; librdkafka lacks
KIP-890, so a producer that saw an error could commit into the wrong transaction: it is never used again.
Deliberately unknown here: queues, retries, what a change means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sinks import progress
from sinks.base import SinkHaltedError
from sinks.changes import Changes
from sinks.producer import FencedError, ProducerError, TransactionalProducer
from sinks.progress import Progress, ProgressUnavailableError
from sinks.topics import Topics, TopicsUnavailableError

CALL = 1.0
"""Seconds that one call into the client may take before it is asked whether to stop."""
SHORT_TRANSACTION = 15.0
"""Seconds after which the broker aborts a transaction of usual size: an orphan holds back every reader that long."""
LONG_TRANSACTION = 900.0
"""Seconds that a transaction may be given at most: the broker's own default limit."""
_ROWS_PER_SECOND = 20_000  # slower than any broker worth the name; only for how long a large transaction may last

_FLUSHED_ROWS = 10_000


class SessionLostError(Exception):
    """The session is unusable and its last transaction's outcome unknown; open another. The text says why."""


class SessionFencedError(SessionLostError):
    """A newer producer of the same id has taken over, and the last transaction was not committed."""


class SessionStoppedError(Exception):
    """`stopped()` became true while something was under way."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a sink writes, and where."""

    connection: Mapping[str, str]
    service: str
    sink: str
    view: str
    topic: str
    partitions: int
    replication: int
    definition: str
    instance: str

    @property
    def transactional_id(self) -> str:
        """The same for every run of this sink, so that a new run fences the old one."""
        return f"{self.service}-{self.sink}"


def transaction_timeout(rows: int) -> float:
    """Seconds that the broker should give a transaction of so many rows; in steps, so that a session serves many sizes."""
    timeout = SHORT_TRANSACTION
    while timeout < 2.0 * rows / _ROWS_PER_SECOND and timeout < LONG_TRANSACTION:
        timeout *= 4
    return min(timeout, LONG_TRANSACTION)


class Session:
    """A fenced producer and the progress at its start."""

    def __init__(self, target: Target, timeout: float, stopped: Callable[[], bool]) -> None:
        """Fence predecessors and read how far they got; takes up to a minute.

        timeout: seconds that the broker gives each transaction. Raises SessionLostError, SessionStoppedError or SinkHaltedError.
        """
        self.timeout = timeout
        self.progress: Progress | None = None
        self._target = target
        self._stopped = stopped
        self._topic_id = ""
        try:
            self._producer = TransactionalProducer(_settings(target, timeout))
        except ValueError as error:
            raise SinkHaltedError(f"sink {target.sink} cannot use its connection: {error}") from error
        try:
            topics = Topics(target.connection, 5.0, stopped)
            shared = progress.topic_name(target.service)
            recorded = topics.ensure(shared, 1, target.replication, progress.TOPIC_SETTINGS) != "missing"
            self._repeat(self._producer.init_transactions, 30.0)
            if recorded:
                self.progress = progress.read(
                    target.connection, target.service, target.sink, target.topic, 5.0, stopped
                )
            self._check(topics)
        except (ProducerError, ProgressUnavailableError, TopicsUnavailableError) as error:
            self._producer.close()
            raise (SessionStoppedError() if stopped() else SessionLostError(str(error))) from error
        except BaseException:
            self._producer.close()
            raise

    def commit(self, changes: Changes, frontier: int) -> int:
        """Write the changes and, last, the new frontier in one transaction; returns the bytes of the messages.

        Raises SessionLostError (the outcome is unknown), SessionFencedError, SessionStoppedError or SinkHaltedError; close the
        session then.
        """
        target, size, row, began = self._target, 0, 0, time.monotonic()
        record = Progress(frontier, target.definition, target.sink, target.topic, target.instance, self._topic_id)
        try:
            self._producer.begin()
            while row < len(changes):
                self._check_stopped()
                row, more = self._producer.produce(target.topic, changes.keys, changes.values, changes.times, row, CALL)
                size += more
                if row < len(changes) and time.monotonic() - began > self.timeout:
                    raise SessionLostError(f"the broker took {row} of {len(changes)} records in {self.timeout:.0f} s")
            if len(changes) > _FLUSHED_ROWS:
                # Until the commit our progress record holds back every other sink that reads the progress topic.
                self._repeat(self._producer.flush, self.timeout)
            self._producer.produce_one(
                progress.topic_name(target.service),
                0,
                progress.record_key(target.sink, target.topic),
                record.encode(),
                CALL,
            )
            self._repeat(self._producer.commit, self.timeout)
        except FencedError as error:
            # The broker gives the same answer when it has timed out our transaction; it cannot have done so this early.
            if time.monotonic() - began < self.timeout * 0.9:
                raise SessionFencedError(fenced(target)) from error
            raise SessionLostError(str(error)) from error
        except ProducerError as error:
            if error.too_large:
                raise SinkHaltedError(
                    f"a row of view {target.view} makes a message that topic {target.topic} does not take ({error}); "
                    f"raise message.max.bytes of the connection and max.message.bytes of the topic, or select less"
                ) from error
            raise SessionLostError(str(error)) from error
        return size

    def abort(self, timeout: float) -> None:
        """End an open transaction now, so that it holds back no reader; whether it worked does not matter."""
        try:
            self._producer.abort(timeout)
        except ProducerError:
            return  # the broker or the next session aborts it

    def close(self) -> None:
        """Free the producer. An open transaction is left to the broker or to the next session."""
        self._producer.close()

    def _check_stopped(self) -> None:
        if self._stopped():
            raise SessionStoppedError

    def _repeat(self, call: Callable[[float], None], seconds: float) -> None:
        """Call again while it times out: the client goes on where it was."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return call(CALL)
            except ProducerError as error:
                if not error.timed_out or time.monotonic() > deadline:
                    raise
            self._check_stopped()

    def _check(self, topics: Topics) -> None:
        """Refuse to continue an output that is another view's, or that is gone; make the topic of a new one."""
        target, recorded = self._target, self.progress
        if recorded is None:
            if topics.ensure(target.topic, target.partitions, target.replication) != "missing":
                self._topic_id = topics.identity(target.topic)
            return
        again = f"rename sink {target.sink} or give it a new topic, to write the view from the start"
        if recorded.definition != target.definition:
            raise SinkHaltedError(
                f"view {target.view} is now defined otherwise ({target.definition}) than when sink {target.sink} wrote "
                f"topic {target.topic} ({recorded.definition}): {again}"
            )
        if topics.find(target.topic) == "missing":
            raise SinkHaltedError(f"topic {target.topic} is gone, but sink {target.sink} had written it: {again}")
        self._topic_id = topics.identity(target.topic)
        if recorded.topic_id != self._topic_id and recorded.topic_id:
            raise SinkHaltedError(
                f"topic {target.topic} was made anew (id {self._topic_id}) since sink {target.sink} wrote it "
                f"(id {recorded.topic_id}): {again}"
            )


def fenced(target: Target) -> str:
    """Why a sink stopped whose producer was fenced."""
    return (
        f"another running instance writes as {target.transactional_id}: sink {target.sink} of service {target.service} "
        "must run once; stop one of the two, or give one service another name"
    )


def _settings(target: Target, timeout: float) -> dict[str, str]:
    """librdkafka's properties of the producer: the connection's, and over them those that the protocol needs."""
    return {
        "compression.type": "lz4",
        "queue.buffering.max.messages": "500000",
        "linger.ms": "5",
        **target.connection,
        "transactional.id": target.transactional_id,
        "transaction.timeout.ms": str(int(timeout * 1000)),
        "enable.idempotence": "true",
        # What Java's producers do by default, so that a key written by others lands in the same partition.
        "partitioner": "murmur2_random",
    }
