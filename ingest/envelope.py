"""Envelope: from decoded messages to the deltas of a source's input.

Always true: the input delta keeps arrival order, which the upsert operator relies on (the last entry of a key in a step is
its value); the error delta has one text column and one row for each bad message, whose text tells the message's place, so
that two bad messages are two rows. Deliberately unknown here: how messages are encoded, and what a key's earlier value was.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from ingest.decode.decoded import Decoded
from ingest.messages import Messages


def input_delta(decoded: Decoded) -> Delta:
    """The rows in arrival order: +1 an appended row (envelope none) or a key's new value (upsert), -1 a key's tombstone."""
    return Delta(decoded.columns, decoded.diffs)


def error_delta(decoded: Decoded, messages: Messages, topic: str) -> Delta:
    """One row of text for each bad message: `orders[3] offset 41: ` and the reason; all diffs are +1."""
    partitions, offsets = messages.partitions, messages.offsets
    texts = [f"{topic}[{partitions[row]}] offset {offsets[row]}: {reason}" for row, reason in decoded.errors]
    return Delta((pa.array(texts, pa.large_string()),), np.ones(len(texts), np.int64))
