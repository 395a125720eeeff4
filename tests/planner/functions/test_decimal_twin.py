"""The decimal kernel against Python's fractions: every operator at every pair of scales."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.scalars.codes import Arithmetic, Comparison, Rounding
from dataflow.types import ColumnType, Kind

LIMIT = 10**38
OVERFLOW = "numeric field overflow"

units = st.one_of(
    st.integers(-(LIMIT - 1), LIMIT - 1),
    st.integers(-1000, 1000),
    st.builds(lambda sign, digits: sign * (10**digits - 1), st.sampled_from([1, -1]), st.integers(1, 38)),
    st.builds(lambda sign, digits: sign * 10**digits, st.sampled_from([1, -1]), st.integers(0, 37)),
)
scales = st.integers(0, 38)


def decimal_column(values: list[int], scale: int) -> pa.Array:
    """Counts of 10^-scale."""
    decimals = [Decimal((int(value < 0), tuple(map(int, str(abs(value)))), -scale)) for value in values]
    return pa.array(decimals, pa.decimal128(38, scale))


def away(value: Fraction) -> int:
    """The nearest integer, halves away from zero."""
    whole = int(abs(value) + Fraction(1, 2))
    return -whole if value < 0 else whole


def given_back(result: scalars.Result, scale: int) -> int | str:
    """The count of 10^-scale in the one row, or its error."""
    values, errors = result
    if errors is not None:
        return str(errors[0].as_py())
    assert values.type == pa.decimal128(38, scale)
    sign, digits, _ = values[0].as_py().as_tuple()
    return int("".join(map(str, digits))) * (-1 if sign else 1)


def expected(exact: Fraction, scale: int) -> int | str:
    units = away(exact * 10**scale)
    return units if abs(units) < LIMIT else OVERFLOW


@given(units, scales, units, scales)
def test_arithmetic(a: int, sa: int, b: int, sb: int) -> None:
    left, right = decimal_column([a], sa), decimal_column([b], sb)
    x, y = Fraction(a, 10**sa), Fraction(b, 10**sb)
    top = max(sa, sb)

    def ours(op: Arithmetic, scale: int) -> int | str:
        return given_back(scalars.decimal_arithmetic(op, left, right, 1, scale), scale)

    assert ours(Arithmetic.ADD, top) == expected(x + y, top)
    assert ours(Arithmetic.SUBTRACT, top) == expected(x - y, top)
    capped = min(sa + sb, max(top, 16))
    assert ours(Arithmetic.MULTIPLY, capped) == expected(x * y, capped)
    if b == 0:
        assert ours(Arithmetic.DIVIDE, 16) == ours(Arithmetic.MODULO, top) == "division by zero"
        return
    assert ours(Arithmetic.DIVIDE, 16) == expected(x / y, 16)
    quotient = x / y
    whole = int(quotient)
    assert ours(Arithmetic.MODULO, top) == expected(x - whole * y, top)


@given(units, scales, units, scales)
def test_comparison(a: int, sa: int, b: int, sb: int) -> None:
    left, right = decimal_column([a], sa), decimal_column([b], sb)
    x, y = Fraction(a, 10**sa), Fraction(b, 10**sb)
    answers = {
        Comparison.EQUAL: x == y,
        Comparison.NOT_EQUAL: x != y,
        Comparison.LESS: x < y,
        Comparison.LESS_EQUAL: x <= y,
        Comparison.GREATER: x > y,
        Comparison.GREATER_EQUAL: x >= y,
        Comparison.DISTINCT: x != y,
        Comparison.NOT_DISTINCT: x == y,
    }
    for op, answer in answers.items():
        assert scalars.compare(op, left, right, 1).to_pylist() == [answer]


@given(units, scales, scales, st.integers(1, 38))
def test_rescaling(a: int, sa: int, scale: int, precision: int) -> None:
    target = ColumnType(Kind.NUMERIC, max(precision, scale), scale)
    units = away(Fraction(a, 10**sa) * 10**scale)
    wanted = units if abs(units) < 10 ** max(precision, scale) else OVERFLOW
    assert given_back(scalars.cast_number(decimal_column([a], sa), 1, target), scale) == wanted


@given(units, scales, st.integers(-45, 45))
def test_rounding(a: int, sa: int, digits: int) -> None:
    column, places = decimal_column([a], sa), pa.array([digits], pa.int32())
    scale = min(max(digits, 0), 38)
    exact = Fraction(a, 10**sa) * Fraction(10) ** digits
    for mode, whole in (
        (Rounding.NEAREST, away(exact)),
        (Rounding.TRUNCATE, int(exact)),
        (Rounding.FLOOR, exact.__floor__()),
        (Rounding.CEILING, exact.__ceil__()),
    ):
        if mode in (Rounding.FLOOR, Rounding.CEILING) and digits != 0:
            continue  # SQL has no floor and ceil to digits
        wanted = expected(whole / Fraction(10) ** digits, scale)
        assert given_back(scalars.decimal_round(mode, column, places, 1, scale), scale) == wanted


@given(st.lists(units, min_size=1, max_size=20), st.integers(0, 16))
def test_constants_stand_for_every_row(values: list[int], scale: int) -> None:
    column, one = decimal_column(values, scale), decimal_column([7], scale)
    spread = decimal_column([7] * len(values), scale)
    for op in Arithmetic:
        result_scale = 16 if op is Arithmetic.DIVIDE else min(2 * scale, 16) if op is Arithmetic.MULTIPLY else scale
        short = scalars.decimal_arithmetic(op, column, one, len(values), result_scale)
        long = scalars.decimal_arithmetic(op, column, spread, len(values), result_scale)
        assert short == long
        sliced = scalars.decimal_arithmetic(op, column.slice(1), spread.slice(1), len(values) - 1, result_scale)
        assert sliced[0] == long[0].slice(1)
