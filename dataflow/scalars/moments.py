"""Statistics from exact sums: moments of numbers and of pairs, and what variance, correlation and regression make of them.

Always true: moments form a commutative group, so that what was added goes without a trace; a statistic is rounded once.
Deliberately unknown here: which rows are in a group.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.scalars.kernels import _moments

Int64s = npt.NDArray[np.int64]

_import = pa.Array._import_from_c_capsule


def moments_of(ids: Int64s, groups: int, xs: pa.Array, ys: pa.Array | None, diffs: Int64s) -> pa.LargeBinaryArray:
    """The exact sums of each group's numbers and their squares or, with `ys`, of its pairs and their products.

    Rows with a NULL are skipped. Moments form a commutative group; those of nothing have no bytes.
    """
    return _import(*_moments.moments_of(pa.array(ids), groups, xs, ys, pa.array(diffs)))


def moments_add(a: pa.LargeBinaryArray, b: pa.LargeBinaryArray, pairs: bool) -> pa.LargeBinaryArray:
    """Add moments row by row. pairs: as they were made."""
    return _import(*_moments.moments_add(a, b, pairs))


def statistic(
    name: str, moments: pa.LargeBinaryArray, counts: Int64s, pairs: bool, scale: int | None, digits: int
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """A statistic by its SQL name (var_pop, stddev_samp, corr, regr_slope, ...), rounded once; NULL where it has no value.

    counts: of the numbers or pairs. scale: of the numbers where they are exact (0 for integers): then the result is a decimal with
    `digits` after the point; None: they are floats, and it is float64. Also says where it does not fit (the value means nothing).
    """
    scale = -1 if scale is None else scale
    values, bad = _moments.statistic(name, moments, pa.array(counts), pairs, scale, digits)
    return _import(*values), _import(*bad).to_numpy(zero_copy_only=False)
