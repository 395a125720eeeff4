"""Exact integers wider than 64 bits, in numpy: what sums are made of between the kernel that adds rows and the result.

Always true: nothing here rounds or wraps unnoticed. A `Wide` is an array of 128-bit two's complement integers as uint64
pairs (low, high), which is also how Arrow lays out decimal128, so that the two convert without work per row.
Deliberately unknown here: groups, NULL rules and SQL types beyond the scale of a decimal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.scalars import decimal_arithmetic
from dataflow.scalars.codes import Arithmetic

Wide = npt.NDArray[np.uint64]
"""uint64, shape (n, 2)."""

WORD = 2**64 - 1
"""The bits of one limb."""

Mask = npt.NDArray[np.bool_]
Longs = npt.NDArray[np.int64]


def limbs(values: pa.Array) -> Wide:
    """The unscaled integers of a decimal128 array; where the value is NULL they mean nothing."""
    flat = np.frombuffer(values.buffers()[1], np.uint64) if len(values) else np.empty(0, np.uint64)
    return flat[values.offset * 2 : (values.offset + len(values)) * 2].reshape(-1, 2)


def decimals(values: Wide, scale: int, nulls: Mask | None = None) -> pa.Array:
    """A decimal128(38, scale) array of these unscaled integers."""
    validity = None if nulls is None else pa.array(~nulls).buffers()[1]
    return pa.Array.from_buffers(
        pa.decimal128(38, scale), len(values), [validity, pa.py_buffer(np.ascontiguousarray(values))]
    )


def add(left: Wide, right: Wide) -> Wide:
    """left + right, modulo 2^128."""
    total = np.empty_like(left)
    low = np.add(left[:, 0], right[:, 0], out=total[:, 0])
    np.add(left[:, 1], right[:, 1], out=total[:, 1])
    total[:, 1] += low < left[:, 0]
    return total


def subtract(left: Wide, right: Wide) -> Wide:
    """left - right, modulo 2^128."""
    difference = left - right
    difference[:, 1] -= left[:, 0] < right[:, 0]
    return difference


def split(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A decimal128 array as low + high * 2^64: (decimal128(38, 0) in [0, 2^64), int64), with the same NULLs.

    Each part can be added 5 * 10^18 times within 38 digits, which the values themselves cannot.
    """
    whole = limbs(values)
    low = np.zeros_like(whole)
    low[:, 0] = whole[:, 0]
    nulls = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    return decimals(low, 0, nulls), pa.array(whole[:, 1].view(np.int64), mask=nulls)


def unsplit(low: Wide, high: Wide) -> tuple[Wide, Mask]:
    """low + high * 2^64 of two sums of parts, and where that is beyond 128 bits (the number then means nothing)."""
    upper = add(np.stack([low[:, 1], _sign(low)], axis=1), high)
    total = np.stack([low[:, 0], upper[:, 0]], axis=1)
    return total, upper[:, 1] != _sign(total)


def _sign(values: Wide) -> npt.NDArray[np.uint64]:
    """All ones where negative, else zero: the limb that extends a number without changing it."""
    return (values[:, -1].view(np.int64) >> np.int64(63)).view(np.uint64)


def saturating_add(values: Wide, number: int) -> Wide:
    """values + number, or the least or greatest 128-bit integer where that is beyond them; number has at most 127 bits."""
    other = np.array([[number & WORD, number >> 64 & WORD]], np.uint64)
    total = add(values, np.broadcast_to(other, values.shape))
    wrapped = (_sign(total) != _sign(values)) & (_sign(values) == _sign(other))
    top = 1 << 63 if number < 0 else (1 << 63) - 1
    extreme = np.array([0 if number < 0 else WORD, top], np.uint64)
    return np.where(wrapped[:, None], extreme, total)


def ranks(values: Wide) -> Longs:
    """Numbers that compare as these do."""
    high = values[:, 1].view(np.int64)
    order = np.lexsort((values[:, 0], high))
    new = (np.diff(values[order], axis=0) != 0).any(axis=1)
    found = np.empty(len(values), np.int64)
    found[order] = np.concatenate([[0], np.cumsum(new)])[: len(values)]
    return found


def fits_decimal(values: Wide, digits: int) -> Mask:
    """Where the number has at most `digits` decimal digits (1 to 38)."""
    if digits > 18 and fits_long(values).all():
        return np.ones(len(values), np.bool_)  # the usual case, and much cheaper
    bound = 10**digits
    low, high = np.uint64(bound & WORD), np.uint64(bound >> 64)
    sign = _sign(values)
    # The absolute value: two's complement negation is the complement plus one.
    negative = (sign & np.uint64(1)).astype(np.uint64)
    size = add(values ^ sign[:, None], np.stack([negative, np.zeros_like(negative)], axis=1))
    fits: Mask = (size[:, 1] < high) | ((size[:, 1] == high) & (size[:, 0] < low))
    return fits


def fits_long(values: Wide) -> Mask:
    """Where the number fits into an int64."""
    low = values[:, 0].view(np.int64) >> np.int64(63)
    fits: Mask = low == values[:, 1].view(np.int64)
    return fits


def longs(values: Wide) -> Longs:
    """The numbers as int64; right where `fits_long`."""
    return np.ascontiguousarray(values[:, 0]).view(np.int64)


def quotients(totals: Wide, scale: int, counts: Longs, digits: int) -> tuple[pa.Array, Mask | None]:
    """totals / 10^scale / counts, rounded half away from zero to `digits` digits after the point; NULL where no count is.

    totals: within 38 digits; counts: 0 or more. Returns decimal128(38, digits), and where it has more than 38 digits (the
    number then means nothing; None: nowhere).
    """
    rows = len(counts)
    divisors = np.zeros_like(totals)
    divisors[:, 0] = counts.view(np.uint64)
    dividends, none = decimals(totals, scale), counts == 0
    values, errors = decimal_arithmetic(Arithmetic.DIVIDE, dividends, decimals(divisors, 0, none), rows, digits)
    return values, None if errors is None else errors.is_valid().to_numpy(zero_copy_only=False)
