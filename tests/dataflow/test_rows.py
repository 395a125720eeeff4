"""The row kernels equal their plain twins, also when the hashes collide."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dataflow import rows
from dataflow.delta import Delta
from dataflow.types import BIGINT, DOUBLE, TEXT
from tests.dataflow import twins
from tests.examples import examples

weak = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(25))
some = settings(deadline=None, max_examples=examples(80))


def two(values: list[object], kind: object = None) -> tuple[pa.Array, np.ndarray]:
    array = pa.array(values, kind)
    return array, np.ones(len(array), np.int64)


any_delta = twins.column_types().flatmap(twins.deltas)


@weak
@given(delta=any_delta)
def test_consolidate_equals_a_dictionary(hash_bits: int, delta: Delta) -> None:
    result = rows.consolidate(delta)
    assert twins.bag(result) == twins.bag(delta)
    assert len(result) == len(twins.bag(delta))
    assert [c.type for c in result.columns] == [c.type for c in delta.columns]
    for column in result.columns:
        column.validate(full=True)


@weak
@given(delta=any_delta)
def test_group_equals_a_dictionary(hash_bits: int, delta: Delta) -> None:
    ids, representatives = rows.group(delta.columns)
    assert (ids.tolist(), representatives.tolist()) == twins.group(delta.columns, len(delta))


@some
@given(delta=any_delta)
def test_equal_rows_hash_alike_and_others_do_not(delta: Delta) -> None:
    hashes = rows.hash_rows(delta.columns).tolist()
    ids, _ = twins.group(delta.columns, len(delta))
    assert len(set(zip(ids, hashes, strict=True))) == len(set(ids)) == len(set(hashes))


def test_hashes_are_the_same_in_every_version() -> None:
    columns = (pa.array([1, None]), pa.array(["headwater", "x"], pa.large_string()), pa.array([-0.0, math.nan]))
    zero = (columns[0], columns[1], pa.array([0.0, -math.nan]))
    assert rows.hash_rows(columns).tolist() == rows.hash_rows(zero).tolist()
    assert rows.hash_rows((), rows=2).tolist() == [rows.hash_rows((), rows=1)[0]] * 2


def test_no_columns_are_one_group() -> None:
    assert [part.tolist() for part in rows.group((), rows=3)] == [[0, 0, 0], [0]]
    assert [part.tolist() for part in rows.group((), rows=0)] == [[], []]
    summed = rows.consolidate(Delta((), np.array([2, -1])))
    assert (summed.columns, summed.diffs.tolist()) == ((), [1])
    assert len(rows.consolidate(Delta((), np.array([1, -1])))) == 0


@some
@given(delta=any_delta, data=st.data())
def test_take_filter_and_concat_equal_lists(delta: Delta, data: st.DataObject) -> None:
    plain = twins.rows_of(delta.columns, len(delta))
    indices = data.draw(st.lists(st.integers(0, len(delta) - 1), max_size=20)) if len(delta) else []
    taken = rows.take(delta.columns, np.array(indices, np.int64))
    assert twins.rows_of(taken, len(indices)) == [plain[i] for i in indices]
    mask = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=len(delta), max_size=len(delta)))
    kept = [row for row, keep in zip(plain, mask, strict=True) if keep]
    assert twins.rows_of(rows.filter_rows(delta.columns, pa.array(mask, pa.bool_())), 0) == kept
    whole = np.array([bool(keep) for keep in mask], bool)
    assert twins.rows_of(rows.filter_rows(delta.columns, whole), 0) == kept
    assert twins.rows_of(rows.concat([delta.columns, taken]), 0) == plain + [plain[i] for i in indices]
    for column in taken:
        column.validate(full=True)


def test_take_refuses_rows_that_do_not_exist() -> None:
    for row in (-1, 2):
        with pytest.raises(IndexError, match=r"row -?. of 2 does not exist"):
            rows.take((pa.array([1, 2]),), np.array([row]))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 and 2 rows"):
        rows.hash_rows((pa.array([1]), pa.array([1, 2])))
    with pytest.raises(ValueError, match="expected 2"):
        rows.consolidate(Delta((pa.array([1]),), np.array([1, 1])))


exact_values = st.sampled_from([t for t in twins.TYPES if t.kind.value in ("smallint", "integer", "bigint", "numeric")])
exact_diffs = st.lists(st.sampled_from([1, -1, 3, 2**62, -(2**63)]), min_size=12, max_size=12)


@some
@given(kind=exact_values, data=st.data(), diffs=exact_diffs)
def test_sums_are_exact(kind: twins.ColumnType, data: st.DataObject, diffs: list[int]) -> None:
    values = data.draw(st.lists(twins.values_of(kind), min_size=12, max_size=12))
    ids = data.draw(st.lists(st.integers(0, 2), min_size=12, max_size=12))
    sums, overflow = rows.sum_by(np.array(ids), 3, twins.column(values, kind), np.array(diffs))
    expected = twins.sum_by(ids, 3, values, diffs)
    too_large = [abs(total * 10**kind.decimal_scale if kind.precision else total) >= 10**38 for total in expected]
    assert (overflow is not None) == any(too_large)
    for got, total, large, flag in zip(
        sums.to_pylist(), expected, too_large, overflow if overflow is not None else too_large, strict=True
    ):
        assert flag == large
        assert large or Fraction(got) == total


def test_sums_of_booleans_and_of_diffs() -> None:
    ids, diffs = np.array([0, 0, 1]), np.array([1, 5, 2])
    sums, overflow = rows.sum_by(ids, 3, pa.array([True, None, True]), diffs)
    assert (sums.to_pylist(), sums.type, overflow) == ([1, 2, 0], pa.decimal128(38, 0), None)
    counts, _ = rows.sum_by(ids, 3, None, diffs)
    assert (counts.to_pylist(), counts.type) == ([6, 2, 0], pa.int64())


def test_an_overflow_on_the_way_is_none() -> None:
    huge = pa.array([10**38 - 1] * 3, pa.decimal128(38, 0))
    one_group = np.zeros(3, np.int64)
    sums, overflow = rows.sum_by(one_group, 1, huge, np.array([5, 5, -9]))
    assert (sums.to_pylist(), overflow) == ([10**38 - 1], None)
    _, overflow = rows.sum_by(one_group, 2, huge, np.array([5, 5, -8]))
    assert overflow is not None
    assert overflow.tolist() == [True, False]


@some
@given(kind=st.sampled_from(twins.TYPES), data=st.data(), descending=st.booleans())
def test_leaders_equal_a_comparison(kind: twins.ColumnType, data: st.DataObject, descending: bool) -> None:
    values = data.draw(st.lists(twins.values_of(kind), min_size=6, max_size=6))
    current = data.draw(st.lists(twins.values_of(kind), min_size=2, max_size=2))
    ids = data.draw(st.lists(st.integers(0, 1), min_size=6, max_size=6))
    diffs = data.draw(st.lists(st.sampled_from([1, 2, -1, 0]), min_size=6, max_size=6))
    columns = twins.column(values, kind), twins.column(current, kind)
    found = rows.leaders(np.array(ids), 2, columns[0], np.array(diffs), columns[1], descending)
    plain, firsts = map(twins.column_values, columns)
    assert found.tolist() == twins.leaders(ids, plain, diffs, firsts, descending)


def test_ids_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="group id 2 of row 1 is outside 0 to 1"):
        rows.sum_by(np.array([0, 2]), 2, None, np.array([1, 1]))
    with pytest.raises(ValueError, match="group id -1"):
        rows.float_sums(np.array([-1]), 1, pa.array([1.0]), np.array([1]))
    with pytest.raises(ValueError, match="group id 1 of row 0 is outside 0 to 0"):
        rows.leaders(np.array([1]), 1, pa.array([1]), np.array([1]), pa.array([1]), False)
    with pytest.raises(ValueError, match="'l' are compared with 'g'"):
        rows.leaders(np.array([0]), 1, pa.array([1]), np.array([1]), pa.array([1.0]), False)


any_float = st.one_of(
    st.none(), st.floats(), st.floats(-1e3, 1e3), st.sampled_from([5e-324, 1e308, -1e308, 2.0**-1022])
)
float_diff = st.sampled_from([1, 1, -1, 2, -3, 2**40, -(2**60)])


@settings(deadline=None, max_examples=examples(200))
@given(st.lists(st.tuples(any_float, float_diff), max_size=8))
@example([(1e308, 1), (1e308, 1), (-1e308, 1)])
@example([(2.0**53, 1), (1.0, 1), (2.0**-1074, 1)])
@example([(2.0**53, 1), (1.0, 1)])
@example([(2.0**-1022, 1), (5e-324, -1)])
def test_float_sums_are_rounded_once(pairs: list[tuple[float | None, int]]) -> None:
    values, diffs = [value for value, _ in pairs], [diff for _, diff in pairs]
    ids = np.zeros(len(pairs), np.int64)
    array = pa.array(values, pa.float64())
    expected = twins.float_sum(values, diffs)
    accumulated = rows.float_sums(ids, 1, array, np.array(diffs, np.int64))
    assert twins.column_values(rows.float_round(accumulated)) == [expected]
    parts = [
        rows.float_sums(ids[:1], 1, array[i : i + 1], np.array(diffs[i : i + 1], np.int64)) for i in range(len(pairs))
    ]
    total = rows.float_sums(ids[:0], 1, array[:0], ids[:0])
    zero = total
    for part in reversed(parts):
        total = rows.float_add(total, part)
    assert total.equals(accumulated)
    taken_back = rows.float_sums(ids, 1, array, -np.array(diffs, np.int64))
    assert rows.float_add(total, taken_back).equals(zero)


def test_float32_values_and_nulls_are_summed() -> None:
    ids = np.zeros(2, np.int64)
    sums = rows.float_sums(ids, 2, pa.array([0.5, None], pa.float32()), np.array([3, 1]))
    assert rows.float_round(sums).to_pylist() == [1.5, 0.0]
    assert rows.float_round(pa.array([None], sums.type)).to_pylist() == [None]
    assert rows.float_round(rows.float_add(sums, pa.nulls(2, sums.type))).to_pylist() == [1.5, 0.0]
    with pytest.raises(ValueError, match="not that of float sums"):
        rows.float_round(pa.array([b"abc"], pa.binary(3)))
    with pytest.raises(ValueError, match="not floating-point"):
        rows.float_sums(ids, 1, pa.array([1, 2]), np.array([1, 1]))


def test_stored_float_sums_are_short_and_damage_is_seen() -> None:
    values = pa.array([1.5, -2.25, 1e308, 5e-324, 0.0, math.inf, None])
    alone = [(np.arange(7), np.arange(1, 8))]
    packed, _, _ = rows.float_frames(values, pa.nulls(7, pa.large_binary()), alone)
    assert [len(value) for value in packed.to_pylist()] == [10, 10, 10, 10, 0, 26, 0]
    again, rounded, _ = rows.float_frames(pa.nulls(7, pa.float64()), packed, alone)
    assert again.equals(packed)
    assert rounded.to_pylist() == [*values.to_pylist()[:6], 0.0]
    for damaged in (b"x", b"\0\1", b"\0\xff", b"\x22\1" + bytes(8), b"\0\0x"):
        with pytest.raises(ValueError, match="damaged"):
            rows.float_frames(
                pa.nulls(1, pa.float64()), pa.array([damaged], pa.large_binary()), [(np.array([0]), np.array([1]))]
            )


def test_types_the_engine_has_no_columns_of_are_refused() -> None:
    for array in (pa.array(["a"]), pa.array([[1]]), pa.array(["a"]).dictionary_encode()):
        with pytest.raises(ValueError, match=r"arrow format|nested"):
            rows.hash_rows((array,))


def test_large_deltas_consolidate() -> None:
    generator = np.random.default_rng(1)
    keys = generator.integers(0, 5_000, 60_000)
    delta = Delta((pa.array(keys), pa.array([f"row {k}" for k in keys], pa.large_string())), np.ones(60_000, np.int64))
    result = rows.consolidate(delta)
    assert np.array_equal(result.diffs, np.bincount(keys)[result.columns[0].to_numpy()])
    assert len(result) == len(np.unique(keys))
    assert Delta.empty((BIGINT, TEXT, DOUBLE)).columns[0].type == result.columns[0].type
