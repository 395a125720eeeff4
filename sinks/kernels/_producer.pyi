"""Transactional producer in C++; sinks.producer wraps it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Failure = tuple[int, str, str, bool, bool, bool]
"""(code, name, text, fatal, retriable, the transaction must be aborted) of a librdkafka error."""

class Producer:
    """One librdkafka producer handle; one thread at a time."""

    def __init__(self, library: str, settings: dict[str, str]) -> None: ...
    def init_transactions(self, timeout_ms: int) -> Failure | None: ...
    def begin(self) -> Failure | None: ...
    def commit(self, timeout_ms: int) -> Failure | None: ...
    def abort(self, timeout_ms: int) -> Failure | None: ...
    def flush(self, timeout_ms: int) -> Failure | None: ...
    def produce(
        self,
        topic: str,
        partition: int,
        keys: pa.Array,
        values: pa.Array,
        header: str,
        times: npt.NDArray[np.int64],
        start: int,
        timeout_ms: int,
    ) -> tuple[int, int, Failure | None]:
        """Queue messages from `start` on: (first message not queued, bytes queued, error). A null value is a tombstone;
        partition -1 means by key."""

    def take_log(self) -> list[tuple[int, str]]:
        """librdkafka's log lines since the last call: (syslog level, text)."""

    def close(self) -> None:
        """Drop what is queued and free the handle; an open transaction is left to the broker."""
