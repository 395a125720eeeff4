"""The row kernels: hash, gather, group, sum, sort into runs, merge runs, probe runs. Wrapped by rows.py and spine.py.

Each says its cost: rows are those of its arguments, k is a number of runs, and a row is compared or copied in time of its bytes.
Loops run without the interpreter lock. ValueError means arguments that do not fit each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Capsules = tuple[Any, Any]
_Int64 = npt.NDArray[np.int64]
_UInt64 = npt.NDArray[np.uint64]

def hash_rows(columns: Sequence[Any], rows: int) -> _UInt64:
    """The hash of each row. O(bytes of the columns)."""

def take(columns: Sequence[Any], indices: _Int64) -> list[_Capsules]:
    """The rows at these indices. O(bytes taken); each row is one random read a column."""

def group(columns: Sequence[Any], rows: int) -> tuple[_Int64, _Int64]:
    """The group of each row, numbered as first seen, and the first row of each group.

    O(bytes of the columns): a table of hashes, then one pass a column to verify; twice that where hashes collide.
    """

def consolidate(columns: Sequence[Any], diffs: _Int64) -> tuple[list[_Capsules], _Int64]:
    """Equal rows added up, zeros dropped, in the order first seen. O(bytes of the columns), as `group`."""

def sum_diffs(ids: _Int64, groups: int, diffs: _Int64) -> _Int64:
    """The sum of the diffs of each group, modulo 2^64. O(rows + groups)."""

def sum_values(ids: _Int64, groups: int, values: Any, diffs: _Int64) -> tuple[_Capsules, npt.NDArray[np.uint8] | None]:
    """The sum of value times diff of each group, exact in 192 bits, and which do not fit a decimal. O(rows + groups)."""

def leaders(ids: _Int64, groups: int, values: Any, diffs: _Int64, current: Any, descending: bool) -> _Int64:
    """The row that now comes first in each group, -1 where the current value stays, -2 where it is taken away. O(rows + groups)."""

def float_sums(ids: _Int64, groups: int, values: Any, diffs: _Int64) -> _Capsules:
    """Exact sums of doubles as accumulators of 296 bytes. O(rows + groups), some 10 words of arithmetic a row."""

def float_add(a: Any, b: Any) -> _Capsules:
    """Accumulators added pairwise. O(rows), 37 words each."""

def float_round(sums: Any) -> _Capsules:
    """The double nearest to each accumulator. O(rows), 34 words each."""

def float_frames(
    values: Any, bases: Any, lows: Sequence[_Int64], highs: Sequence[_Int64]
) -> tuple[_Capsules, _Capsules, npt.NDArray[np.uint8]]:
    """Exact sums over ranges that slide along: packed, rounded, and which overflow. O(rows + places that enter or leave), 37 words
    each.
    """

def trim() -> bool:
    """Give unused memory of malloc back to the system; whether there was some. O(arenas' free pages): milliseconds."""

def set_threads(threads: int, piece_rows: int) -> None:
    """Share the kernels' loops between so many threads, in pieces of so many rows. Waits for the threads that end. O(threads)."""

def occupy(by: int) -> None:
    """So many more (or fewer) other threads compute now, which leave the kernels' threads less to do. O(1)."""

def set_hash_mask(mask: int) -> None:
    """For tests: keep only these bits of every hash from now on. O(1)."""

class Shape:
    @staticmethod
    def make(empty_columns: Sequence[Any], key: Sequence[int], order: Sequence[tuple[int, bool, bool]]) -> Shape:
        """Types, key, and order as (column, descending, nulls first). O(columns)."""

class Run:
    @staticmethod
    def make(shape: Shape, columns: Sequence[Any], diffs: _Int64) -> Run:
        """Sort and consolidate rows. O(rows log rows) on 128 bits each, then one copy; equal prefixes are compared in full."""

    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def negatives(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def stored_bytes(self) -> int: ...
    @property
    def named(self) -> bool: ...
    def ones(self) -> bool:
        """Whether all diffs are 1. O(1)."""

    @staticmethod
    def open(shape: Shape, columns: Sequence[Any], hashes: Any, seconds: Any, diffs: Any | None) -> Run:
        """A run where it lies, in a file for instance. O(rows): one pass over hashes and diffs, none over the columns."""

    def columns(self) -> list[_Capsules]:
        """The columns, sharing memory. O(columns)."""

    def diffs(self) -> _Int64:
        """A copy of the diffs. O(rows)."""

    def hashes(self) -> _UInt64:
        """The key hashes, sharing memory. O(1)."""

    def seconds(self) -> _UInt64:
        """The second sort keys, sharing memory. O(1)."""

class Merge:
    def __init__(self, runs: Sequence[Run], scratch: tuple[int, int] | None = None) -> None:
        """Begin to merge k runs of one shape; scratch: a file and its size for the result. O(k columns), and address space."""

    @staticmethod
    def most_bytes(runs: Sequence[Run]) -> int:
        """Bytes of scratch that suffice. O(k columns)."""

    def step(self, fuel: int) -> int:
        """Consume about `fuel` input rows; the rows that are left. O(fuel k): k comparisons a row, one where a run is ahead of the
        others for a while, and each row is copied once.
        """

    def finish(self) -> Run:
        """The merged run. O(columns), and a move of what was reserved too generously."""

class Matches:
    def __len__(self) -> int:
        """How many matches. O(1)."""

    def take(
        self, shape: Shape, columns: Sequence[int], begin: int, end: int
    ) -> tuple[_Int64, list[_Capsules], _Int64]:
        """Probe rows, columns and diffs of matches [begin, end). O(bytes taken)."""

def probe(shape: Shape, runs: Sequence[Run], keys: Sequence[Any], rows: int, nulls_match: bool) -> Matches:
    """Every row of every run with one of these keys, compared in full.

    O(rows log rows + k rows + matches) for k runs: sorted keys, one directory lookup (small runs: an interpolation) for each key
    and run, and a comparison for each candidate.
    """

def first(
    shape: Shape, runs: Sequence[Run], keys: Sequence[Any], rows: int, limit: int, negatives: bool = False
) -> Matches:
    """The first `limit` live rows of each key in the runs' order; with `negatives` rows of negative counts before them too.

    O(rows log rows + k rows + k (limit rows + what was passed over)): dead rows, and others of the same hash, are walked over.
    """

class Found:
    """The rows of one key, equal ones added up."""

    def __len__(self) -> int:
        """How many different rows. O(1)."""

    def ones(self) -> bool:
        """Whether every row is there once. O(rows)."""

    def take(self, columns: Sequence[int], shape: Shape) -> tuple[list[_Capsules], _Int64]:
        """Columns and diffs. O(bytes taken)."""

class Finder:
    def find(self, key: Sequence[Any]) -> Found:
        """The rows of a key, whose columns are bytes or arrays of one. Few rows in memory are read without giving up the
        interpreter lock: it would cost more than they.

        O(k + matches log matches) for k runs: one directory lookup for each, and a comparison for each candidate.
        """

def finder(shape: Shape, runs: Sequence[Run]) -> Finder:
    """Reads by key of these runs. O(k)."""

def stretches(
    shape: Shape,
    runs: Sequence[Run],
    delta: Run,
    own: int,
    terms: int,
    groups: bool,
    whole_groups: bool,
    base: bool,
    before: int,
    after: int,
) -> tuple[Matches, _Int64, _Int64, _Int64, npt.NDArray[np.uint8]]:
    """The rows within reach of those of a delta, in order: matches, stretches, counts, changes, bases.

    O(k (delta rows log rows + rows read)) for k runs: a search for each changed row and run, k comparisons for each row read.
    """
