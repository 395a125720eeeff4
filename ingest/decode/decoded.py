"""What decoding gives: typed columns of the good messages, and one error for each bad one.

Always true: a message is either one row of `columns` or one `MessageError`, never both and never several; both keep arrival
order. Deliberately unknown here: formats, and what becomes of errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.messages import Messages

Rows = npt.NDArray[np.int64]


class MessageError(NamedTuple):
    """Why a message cannot be decoded: `row` counts within its batch; `reason` never shows the message's own values."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Columns read from one binary column (the values or the keys of messages).

    columns: one array for each wanted column, one row for each entry of `rows`.
    rows: int64, which entries of the binary column were good, ascending.
    errors: the others, ascending.
    """

    columns: tuple[pa.Array, ...]
    rows: Rows
    errors: list[MessageError]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The rows of one batch of messages.

    columns: all columns of the source's schema; one row for each good message, in arrival order.
    diffs: int64, +1; -1 for a tombstone under envelope upsert, whose columns besides the key are NULL.
    rows: int64, the message that each row came from, ascending.
    errors: at most one for each message, ascending.
    """

    columns: tuple[pa.Array, ...]
    diffs: npt.NDArray[np.int64]
    rows: Rows
    errors: list[MessageError]


class FieldDecoder(Protocol):
    """Reads one binary column into typed ones. What a NULL entry means is said when the decoder is made."""

    def decode(self, values: pa.LargeBinaryArray) -> Fields:
        """Decode every entry; raises `RegistryUnavailable` when the schemas it needs cannot be had now: call again later."""
        ...


class Decoder(Protocol):
    """Reads whole messages of one source."""

    def decode(self, messages: Messages) -> Decoded:
        """Decode a batch; keeps nothing between calls but caches. Raises `RegistryUnavailable`: call again later."""
        ...
