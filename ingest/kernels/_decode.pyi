"""Decoder of JSON, plain text and avro in C++; ingest.decode.json, .keys and .avro wrap it."""

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

    def avro(self, values: pa.LargeBinaryArray, plans: dict[int, AvroPlan | str]) -> Result:
        """Each entry is in Confluent's wire format; `plans` has a plan, or an error, for each of `schema_ids(values)`."""

class AvroPlan:
    """How values of one avro schema become columns.

    nodes: its types, parts before wholes, the whole last: (type, logical type, size of a fixed, scale of a decimal, symbols or
    field names, places of items, values, fields or branches). bare: the value is the only column; else the whole is a record
    and `columns` says the column of each field, -1 for none.
    """

    def __init__(
        self, nodes: list[tuple[int, int, int, int, list[str], list[int]]], bare: bool, columns: list[int]
    ) -> None: ...

def schema_ids(values: pa.LargeBinaryArray) -> list[int]:
    """The distinct schema ids of messages in Confluent's wire format; other entries have none."""
