"""A Kafka consumer of one topic that gives whole batches as columns (consumer.cpp)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_Capsules = tuple[object, object]

class Consumer:
    """One thread at a time may use it. Codes are librdkafka's: 0 is success."""

    def __init__(self, library: str, properties: Mapping[str, str], topic: str) -> None: ...
    def assign(self, offsets: Mapping[int, int]) -> None: ...
    def drain(
        self, max_messages: int, max_bytes: int, timeout_ms: int
    ) -> tuple[
        _Capsules,
        _Capsules,
        npt.NDArray[np.int64],
        npt.NDArray[np.int32],
        npt.NDArray[np.int64],
        npt.NDArray[np.uint64],
        int,
        dict[int, int],
        list[tuple[int, int, str]],
    ]: ...
    def describe(self, timeout_ms: int) -> tuple[int, str, str, list[int]]: ...
    def watermarks(self, partition: int, timeout_ms: int) -> tuple[int, str, int, int]: ...
    def known_watermarks(self, partition: int) -> tuple[int, int]: ...
    def commit(self, offsets: Mapping[int, int]) -> None: ...
    def failures(self) -> tuple[int, int, str]: ...
    def logs(self) -> list[tuple[int, str]]: ...
    def close(self) -> None: ...
