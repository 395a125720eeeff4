"""COPY's formats read (C++). Typed use goes through `serve.pg.copy_rows` and `serve.pg.rows`.

A `_Column` is a pair of capsules for `pyarrow.Array._import_from_c_capsule`. ValueError for what no caller may ask.
"""

from typing import TypeAlias

import pyarrow as pa

_Column: TypeAlias = tuple[object, object]

def fields(
    data: bytes,
    columns: int,
    form: int,
    delimiter: str,
    quote: str,
    escape: str,
    null: str,
    ends: int,
    skip: int,
    last: bool,
) -> tuple[list[_Column], _Column, _Column, _Column, int, int, int, bool, int, int, int, bytes]:
    """Cut whole rows out of text (form 0), csv (1) or binary (2).

    Gives: the columns; where each row begins and ends, and the number of its line among those of this call; bytes taken; lines
    passed; how lines end (to hand in again); whether the end's marker was there; what is wrong with the row that follows (0:
    nothing), in which column, and where that row ends; a value whose escapes make bytes that are no text. A row that ends too
    early is the last of the columns, with NULLs behind its end.
    """

def numeric_texts(values: pa.Array) -> _Column: ...
def copy_data(rows: bytes) -> bytes: ...
