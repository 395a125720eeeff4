"""Decoder of JSON and plain text in C++; ingest.decode.json and ingest.decode.keys wrap it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MAXIMUM_DEPTH: int

Result = tuple[npt.NDArray[np.int64], list[tuple[object, object]], list[tuple[int, str]]]
"""The good entries, one pair of Arrow capsules (schema, array) for each column, and (entry, reason) of each bad one."""

class Spec:
    """What to read: of each column its name, kind (place in dataflow.types.Kind), precision (0: any), scale, nullable, type.

    null_reason: the error of a NULL entry; None makes it a row of NULLs.
    scalar: the only column may also stand without an object around it.
    """

    def __init__(
        self, columns: list[tuple[str, int, int, int, bool, str]], null_reason: str | None, scalar: bool
    ) -> None: ...
    def json(self, values: pa.LargeBinaryArray) -> Result:
        """Each entry is a JSON object; TypeError when the array has no 64-bit offsets."""

    def text(self, values: pa.LargeBinaryArray) -> Result:
        """Each entry is the text of the only column's value."""
