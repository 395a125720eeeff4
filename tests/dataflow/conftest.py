"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataflow.kernels import _rows

ALL_BITS = 2**64 - 1


@pytest.fixture(params=[ALL_BITS, 0, 1, 0b111, 0b11 << 62], ids=["all", "none", "one", "low", "high"])
def hash_bits(request: pytest.FixtureRequest) -> Iterator[int]:
    """Row hashes of few bits: different rows collide all the time, and answers must not change."""
    _rows.set_hash_mask(request.param)
    yield request.param
    _rows.set_hash_mask(ALL_BITS)
