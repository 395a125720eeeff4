"""Wide integers against Python's own."""

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from dataflow.operators import exact

WORD = 2**64 - 1
TOP = 10**38 - 1


def _wide(numbers):
    return np.array([[n & WORD, (n >> 64) & WORD] for n in numbers], np.uint64).reshape(-1, 2)


def _numbers(values):
    return [int(low) | int(high.astype(np.int64)) << 64 for low, high in values]


# Of every length, not only the longest.
integers = st.integers(0, 127).flatmap(lambda bits: st.integers(-(2**bits), 2**bits - 1))
decimals = integers.filter(lambda n: abs(n) <= TOP) | st.sampled_from([0, TOP, -TOP])


@given(st.lists(decimals), st.integers(0, 38))
def test_decimals_and_back(numbers, scale) -> None:
    array = exact.decimals(_wide(numbers), scale)
    assert [int(Fraction(value) * 10**scale) for value in array.to_pylist()] == [int(n) for n in numbers]
    assert _numbers(exact.limbs(array)) == numbers
    assert _numbers(exact.limbs(array.slice(1))) == numbers[1:]


@given(st.lists(st.tuples(decimals, decimals)))
def test_add(pairs) -> None:
    left, right = (_wide([pair[side] for pair in pairs]) for side in (0, 1))
    total = [(a + b + 2**127) % 2**128 - 2**127 for a, b in pairs]
    assert _numbers(exact.add(left, right)) == total


@given(st.lists(integers), st.integers(1, 38))
@example([10**38, -(10**38), TOP], 38)
@example([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64, -(2**64)], 19)
def test_fits(numbers, digits) -> None:
    assert exact.fits_decimal(_wide(numbers), digits).tolist() == [abs(n) < 10**digits for n in numbers]
    assert exact.fits_long(_wide(numbers)).tolist() == [-(2**63) <= n < 2**63 for n in numbers]


@given(st.lists(st.tuples(decimals, st.integers(-(10**17), 10**17))))
@example([(TOP, 1), (-TOP, 2), (TOP, 10**17)])
def test_parts_add_up_beyond_128_bits(pairs) -> None:
    low, high = exact.split(exact.decimals(_wide([n for n, _ in pairs]), 0))
    lows = _wide([int(value) * times for value, (_, times) in zip(low.to_pylist(), pairs, strict=True)])
    highs = _wide([value * times for value, (_, times) in zip(high.to_pylist(), pairs, strict=True)])
    totals, beyond = exact.unsplit(lows, highs)
    for total, over, (number, times) in zip(_numbers(totals), beyond.tolist(), pairs, strict=True):
        product = number * times
        assert over == (not -(2**127) <= product < 2**127)
        assert over or total == product


@given(st.lists(st.tuples(decimals, st.integers(0, 10**18))), st.integers(0, 38))
@example([(TOP, 2), (1, 2), (-1, 2), (3, 2), (TOP, 1), (5, 0)], 16)
@example([(TOP, 1), (10**22 - 1, 1), (10**22, 1), (-(10**22), 1)], 0)
def test_quotients_round_half_away_from_zero(pairs, scale) -> None:
    totals, counts = _wide([n for n, _ in pairs]), np.array([c for _, c in pairs], np.int64)
    values, beyond = exact.quotients(totals, scale, counts, 16)
    overflown = np.zeros(len(pairs), bool) if beyond is None else beyond
    for value, over, (number, count) in zip(values.to_pylist(), overflown.tolist(), pairs, strict=True):
        if not count:
            assert value is None
            continue
        size = int(Fraction(abs(number) * 10**16, count * 10**scale) + Fraction(1, 2))
        assert over == (size > TOP)
        assert over or int(Fraction(value) * 10**16) == (-size if number < 0 else size)


@given(st.lists(st.integers(-(2**127), 2**127 - 1)), st.integers(-(2**126), 2**126))
def test_shifting_and_ranks(numbers, offset) -> None:
    shifted = exact.saturating_add(_wide(numbers), offset)
    expected = [min(max(number + offset, -(2**127)), 2**127 - 1) for number in numbers]
    assert _numbers(shifted) == expected
    ranks = exact.ranks(shifted).tolist()
    assert ranks == [sorted(set(expected)).index(number) for number in expected]
