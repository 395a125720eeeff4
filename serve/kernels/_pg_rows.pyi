"""Rows as messages of the PostgreSQL wire (C++). Typed use goes through `serve.pg.rows`.

ValueError when a column does not fit its form, or when a row is longer than a message may be.
"""

from collections.abc import Sequence

import pyarrow as pa

from dataflow.kernels import _rows

def data_rows(columns: list[pa.Array], forms: list[tuple[int, bool]], rows: int) -> bytes: ...
def arrays(arrays: pa.Array, elements: pa.Array, form: tuple[int, bool], oid: int, /) -> tuple[object, object]: ...
def copy_rows(columns: list[pa.Array], rows: int, csv: bool, delimiter: str, null: str) -> bytes: ...

class Lookups:
    """Reads by key as one client sends them."""

    def __init__(
        self,
        head: bytes,
        tail: bytes,
        rest: bytes,
        before: bytes,
        sent: int,
        columns: Sequence[int],
        forms: Sequence[tuple[int, bool]],
    ) -> None:
        """head, tail: what is before and behind the value's length and value in Bind; rest: the messages behind Bind; before: what
        an answer begins with; columns: of the index, in the order of the result.
        """

    def answer(self, data: bytes, finder: _rows.Finder) -> bytes | None:
        """The answer to bytes that are such lookups and nothing else; None where one of them is unusual. O(bytes + rows found)."""
