"""Moments and statistics (C++). Typed use goes through `dataflow.scalars.moments`. A `_Column` is as in `_scalars`."""

from typing import TypeAlias

import pyarrow as pa

_Column: TypeAlias = tuple[object, object]

def moments_of(ids: pa.Array, groups: int, xs: pa.Array, ys: pa.Array | None, diffs: pa.Array) -> _Column:
    """Exact sums of numbers and their squares, or of pairs and their products, packed. O(rows + groups), some 20 words a row."""

def moments_add(a: pa.Array, b: pa.Array, pairs: bool, /) -> _Column:
    """Moments added pairwise. O(rows), at most 340 words each."""

def statistic(
    name: str, moments: pa.Array, counts: pa.Array, pairs: bool, scale: int, digits: int, /
) -> tuple[_Column, _Column]:
    """A statistic of each moments, and where it does not fit. O(rows), each a few products and quotients of the sums' digits."""
