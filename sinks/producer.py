"""A transactional producer: typed errors around the native one.

Always true: every failure of librdkafka becomes a ProducerError with its code and flags, or FencedError if the broker knows a
newer producer of the same id (or has timed out our transaction: the broker's answer is the same).
Deliberately unknown here: when to retry, what a transaction means. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

import confluent_kafka.cimpl
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import structlog

from sinks.kernels import _producer

log = structlog.get_logger(__name__)

_TIMED_OUT = -185
_BY_KEY = -1
_FENCED = {-144, 47, 90}  # _FENCED, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED
_TOO_LARGE = {10, 18}  # MSG_SIZE_TOO_LARGE, RECORD_LIST_TOO_LARGE
_ERROR = 3  # syslog level


class ProducerError(Exception):
    """An error of librdkafka: its symbolic name and text."""

    def __init__(self, code: int, name: str, text: str, retriable: bool) -> None:
        super().__init__(f"{name}: {text}")
        self.code = code
        self.retriable = retriable

    @property
    def timed_out(self) -> bool:
        """The call may be made again and goes on where it was."""
        return self.code == _TIMED_OUT

    @property
    def too_large(self) -> bool:
        """A message is larger than this client may send."""
        return self.code in _TOO_LARGE


class FencedError(ProducerError):
    """Another producer of this id has taken over, or the broker has timed out the transaction."""


class TransactionalProducer:
    """One producer for one transactional id. Timeouts are in seconds; a timed out call may be repeated."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """ValueError names a property that librdkafka does not know or take."""
        self._native = _producer.Producer(confluent_kafka.cimpl.__file__, dict(settings))

    def init_transactions(self, timeout: float) -> None:
        """Fence every earlier producer of this id; the broker has ended their transactions when this returns."""
        self._check(self._native.init_transactions(int(timeout * 1000)))

    def begin(self) -> None:
        """Open a transaction; the broker hears of it with the first message."""
        self._check(self._native.begin())

    def produce(
        self,
        topic: str,
        keys: pa.LargeBinaryArray,
        values: pa.LargeBinaryArray,
        times: npt.NDArray[np.int64],
        start: int,
        timeout: float,
    ) -> tuple[int, int]:
        """Queue messages from row `start` on, each with its time as header `headwater-time`, until `timeout` at the latest.

        Returns the first row that is not queued, and the bytes that are.
        """
        row, size, failure = self._native.produce(
            topic, _BY_KEY, keys, values, "headwater-time", times, start, int(timeout * 1000)
        )
        if failure is not None and failure[0] != _TIMED_OUT:
            self._check(failure)
        return row, size

    def produce_one(self, topic: str, partition: int, key: bytes, value: bytes, timeout: float) -> None:
        """Queue one message without headers, at the latest after `timeout`."""
        keys, values = pa.array([key], pa.large_binary()), pa.array([value], pa.large_binary())
        _, _, failure = self._native.produce(
            topic, partition, keys, values, "", np.zeros(1, np.int64), 0, int(timeout * 1000)
        )
        self._check(failure)

    def flush(self, timeout: float) -> None:
        """Send what is queued; what failed on the way shows at the commit."""
        self._check(self._native.flush(int(timeout * 1000)))

    def commit(self, timeout: float) -> None:
        """Send what is queued and commit. Any error but a timeout leaves the outcome unknown."""
        self._check(self._native.commit(int(timeout * 1000)))

    def abort(self, timeout: float) -> None:
        """Drop what is queued and abort."""
        self._check(self._native.abort(int(timeout * 1000)))

    def close(self) -> None:
        """Free it; may be called twice. An open transaction stays until the broker or a successor ends it."""
        self._log()
        self._native.close()

    def _check(self, failure: _producer.Failure | None) -> None:
        self._log()
        if failure is None:
            return
        code, name, text, _, retriable, _ = failure
        raise (FencedError if code in _FENCED else ProducerError)(code, name, text, retriable)

    def _log(self) -> None:
        for level, text in dict.fromkeys(self._native.take_log()):
            # Errors of connections come back as results of calls; on their own they are for those who look for them.
            (log.info if level < _ERROR else log.debug)("librdkafka", level=level, text=text)
