"""Messages: one batch of Kafka records as columns, between the consumer and the decoder.

Always true: every column has the same length; rows of one partition stand in offset order; a batch holds no row that a
read_committed reader may not see. A null value is a tombstone; a null key is a record without one.
Deliberately unknown here: what the bytes mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Messages:
    """One batch of records in arrival order.

    values, keys: large_binary, nullable, never chunked.
    offsets: int64, the record's offset in its partition.
    partitions: int32.
    timestamps: int64, milliseconds since 1970; -1 where the broker gave none.
    digests: uint64, a keyed hash of (partition, offset, key, value); sums of them identify a range of records.
    """

    values: pa.LargeBinaryArray
    keys: pa.LargeBinaryArray
    offsets: npt.NDArray[np.int64]
    partitions: npt.NDArray[np.int32]
    timestamps: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offsets)

    def slice(self, start: int, stop: int) -> Messages:
        """Rows start (inclusive) to stop (exclusive), without copying."""
        return Messages(
            self.values.slice(start, stop - start),
            self.keys.slice(start, stop - start),
            self.offsets[start:stop],
            self.partitions[start:stop],
            self.timestamps[start:stop],
            self.digests[start:stop],
        )
