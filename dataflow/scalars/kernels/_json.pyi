"""Row encoder in C++; dataflow.json wraps it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.kernels import _rows

class Spec:
    """How one column prints: the bytes before each value, a Form, and whether zeros at the end of a fraction go."""

    def __init__(self, prefix: bytes, form: int, trims: bool) -> None: ...

def encode_rows(columns: list[pa.Array], specs: list[Spec]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The offsets (rows + 1) and the bytes of one JSON object per row; ValueError if layouts or lengths do not fit."""

def encode_found(found: _rows.Found, specs: list[Spec]) -> bytes:
    """One JSON object for each row, all its columns, with commas between them; ValueError if layouts do not fit."""
