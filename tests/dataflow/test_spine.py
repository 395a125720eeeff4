"""The spine equals a dictionary of rows, however it is inserted, merged and probed."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.kernels import _rows
from dataflow.layout import Layout, Order
from dataflow.spine import LOOSE_RUNS, Spine
from dataflow.types import BIGINT, DOUBLE, TEXT, ColumnType
from tests.dataflow import twins
from tests.examples import examples

weak = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(25))


@st.composite
def layouts(draw: st.DrawFn, ordered: bool) -> Layout:
    types = draw(twins.column_types())
    indices = st.integers(0, len(types) - 1)
    key = draw(st.lists(indices, unique=True, max_size=2))
    if not ordered:
        return Layout(types, tuple(key))
    order = draw(st.lists(st.builds(Order, indices, st.booleans(), st.booleans()), min_size=1, max_size=2))
    return Layout(types, tuple(key), tuple(order))


def histories(ordered: bool) -> st.SearchStrategy[tuple[Layout, list[tuple[Delta, int]]]]:
    """A layout and the deltas of a spine, each with the fuel that `maintain` gets after it (-1: it is not called)."""
    return layouts(ordered).flatmap(
        lambda layout: st.tuples(
            st.just(layout),
            st.lists(st.tuples(twins.deltas(layout.types), st.sampled_from([-1, 0, 1, 10, 1000])), max_size=6),
        )
    )


def grow(layout: Layout, history: list[tuple[Delta, int]]) -> tuple[Spine, Counter[twins.Row]]:
    """A spine with a history, and its twin."""
    spine, total = Spine(layout), Counter[twins.Row]()
    for delta, fuel in history:
        spine.insert(delta)
        if fuel >= 0:
            spine.maintain(fuel)
        total.update(twins.bag(delta))
    return spine, Counter({row: diff for row, diff in total.items() if diff})


def wanted_keys(spine: Spine, data: st.DataObject) -> tuple[tuple[pa.Array, ...], list[twins.Row]]:
    """Some key columns, and their rows."""
    kinds = [spine.layout.types[c] for c in spine.layout.key]
    count = data.draw(st.integers(0, 8)) if kinds else 1
    keys = tuple(
        twins.column(data.draw(st.lists(twins.values_of(kind), min_size=count, max_size=count)), kind) for kind in kinds
    )
    return keys, twins.rows_of(keys, count)


@weak
@given(case=histories(ordered=False), data=st.data())
def test_rows_and_probes_equal_a_dictionary(hash_bits: int, case: tuple, data: st.DataObject) -> None:
    spine, total = grow(*case)
    snapshot = spine.snapshot()
    everything = snapshot.rows()
    assert twins.bag(everything) == total
    assert len(everything) == len(total) <= snapshot.count
    keys, wanted = wanted_keys(spine, data)
    for nulls_match in (True, False):
        expected = twins.probe(total, spine.layout.key, wanted, nulls_match)
        assert twins.probe_bag(snapshot.probe(keys, nulls_match)) == expected
        pieces = list(snapshot.probe_pieces(keys, nulls_match, limit=3))
        assert all(len(piece) <= 3 for piece in pieces)
        assert sum((twins.probe_bag(piece) for piece in pieces), Counter()) == Counter(
            {row: diff for row, diff in expected.items() if diff > 0}
        ) or any(diff < 0 for piece in pieces for diff in piece.diffs)


@weak
@given(case=st.booleans().flatmap(histories), data=st.data())
def test_the_rows_of_one_key_equal_a_dictionary(hash_bits: int, case: tuple, data: st.DataObject) -> None:
    """By its arrays and, where nothing is NULL, by its bytes; those that add up to nothing are not there."""
    spine, total = grow(*case)
    keys, wanted = wanted_keys(spine, data)
    for index, key in enumerate(wanted):
        one = [column.slice(index, 1) for column in keys]
        found = spine.snapshot().find(one)
        expected = Counter({row[1:]: diff for row, diff in twins.probe(total, spine.layout.key, [key], False).items()})
        assert twins.bag(found) == expected
        assert len(found) == len(expected)
        if all(column.null_count == 0 for column in one):
            assert twins.bag(spine.snapshot().find([as_bytes(column) for column in one])) == expected


def as_bytes(column: pa.Array) -> bytes:
    """The bytes of an array of one."""
    if pa.types.is_boolean(column.type):
        return bytes([column[0].as_py()])
    _, *ends, data = pa.concat_arrays([column]).buffers()
    if data is None:
        return b""
    if ends:
        begin, end = np.frombuffer(ends[0], np.int64)[:2]
        return data.to_pybytes()[begin:end]
    return data.to_pybytes()[: column.type.byte_width]


def test_a_hot_key_and_keys_that_do_not_fit() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    for part, diff in enumerate((1, 2, -1)):
        words = [f"{part % 2} {i}" for i in range(1000)]
        spine.insert(Delta((pa.array([7] * 1000), pa.array(words, pa.large_string())), np.full(1000, diff)))
    found = spine.snapshot().find([(7).to_bytes(8, "little")])
    assert twins.bag(found) == Counter({(7, f"1 {i}"): 2 for i in range(1000)})
    spine.insert(Delta((pa.array([7, 8]), pa.array(["x", "y"], pa.large_string())), np.ones(2, np.int64)))
    assert len(spine.snapshot().find([pa.array([8])])) == 1
    for key in ([b"7"], [], [pa.array([7], pa.int32())], [pa.array([7, 8])], [pa.array([7]), pa.array([7])]):
        with pytest.raises(ValueError, match=r"key|rows"):
            spine.snapshot().find(key)


@weak
@given(case=histories(ordered=True), data=st.data(), limit=st.integers(1, 4))
def test_first_rows_equal_a_sorted_list(hash_bits: int, case: tuple, data: st.DataObject, limit: int) -> None:
    spine, total = grow(*case)
    keys, wanted = wanted_keys(spine, data)
    snapshot = spine.snapshot()
    assert twins.bag(snapshot.rows()) == total
    found = snapshot.first(keys, limit)
    got = list(zip(found.probe_rows.tolist(), twins.rows_of(found.columns, 0), found.diffs.tolist(), strict=True))
    layout = spine.layout
    assert got == [
        (index, row, diff)
        for index, key in enumerate(wanted)
        for row, diff in twins.first(total, layout.key, layout.order, key, limit)
    ]
    assert twins.probe_bag(snapshot.probe(keys, True)) == twins.probe(total, layout.key, wanted, True)


@weak
@given(case=st.booleans().flatmap(histories))
def test_runs_are_sorted_consolidated_and_not_empty(hash_bits: int, case: tuple) -> None:
    layout, history = case
    spine, _ = grow(layout, history)
    for run in spine.snapshot().runs:
        plain = twins.rows_of(run.columns, len(run))
        assert len(set(plain)) == len(plain) > 0
        assert (run.diffs != 0).all()
        places = list(zip(run.key_hashes.tolist(), run.seconds.tolist(), strict=True))
        assert places == sorted(places)
        ties = [a for a, b in pairwise(places) if a == b]
        ordered = [
            twins.compare_rows(layout.order, a, b)
            for a, b, x, y in zip(plain, plain[1:], places, places[1:], strict=False)
            if x == y
        ]
        assert ordered == [-1] * len(ties)


@weak
@given(case=st.booleans().flatmap(histories))
def test_what_is_deleted_leaves_memory(hash_bits: int, case: tuple) -> None:
    layout, history = case
    spine, _ = grow(layout, history)
    for delta, _ in history:
        spine.insert(Delta(delta.columns, -delta.diffs))
    while spine.maintain(7):
        pass
    assert (spine.rows, spine.nbytes, spine.run_count, spine.snapshot().count) == (0, 0, 0, 0)


@weak
@given(case=st.booleans().flatmap(histories))
def test_snapshots_stay_as_they_were(hash_bits: int, case: tuple) -> None:
    layout, history = case
    spine, total, taken = Spine(layout), Counter[twins.Row](), []
    for delta, fuel in history:
        spine.insert(delta)
        total.update(twins.bag(delta))
        taken.append((spine.snapshot(), Counter({row: diff for row, diff in total.items() if diff})))
        spine.maintain(fuel)
    final = Counter({row: diff for row, diff in total.items() if diff})
    for snapshot, then in taken:
        assert twins.bag(snapshot.rows()) == then
        change = Counter(final)
        change.subtract(then)
        assert twins.bag(spine.snapshot().since(snapshot)) == {row: diff for row, diff in change.items() if diff}


def numbers(values: np.ndarray, diff: int = 1) -> Delta:
    """Rows (value, its text) with one diff."""
    text = pa.array(values).cast(pa.large_string())
    return Delta((pa.array(values), text), np.full(len(values), diff, np.int64))


def test_a_probe_of_an_empty_key_meets_every_row() -> None:
    spine = Spine(Layout((BIGINT, TEXT), ()))
    spine.insert(numbers(np.arange(3)))
    found = spine.snapshot().probe((), nulls_match=False, rows=2)
    assert sorted(found.probe_rows.tolist()) == [0, 0, 0, 1, 1, 1]
    assert len(spine.snapshot().probe((), nulls_match=True)) == 3


def test_a_spine_of_no_columns_counts() -> None:
    spine = Spine(Layout((), ()))
    spine.insert(Delta((), np.array([1, 1, 1])))
    spine.insert(Delta((), np.array([-1])))
    assert spine.snapshot().rows().diffs.tolist() == [2]


def test_long_histories_of_small_and_large_deltas() -> None:
    generator = np.random.default_rng(7)
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    total: Counter[int] = Counter()
    peak = 0
    for step in range(600):
        values = generator.integers(0, 3_000, int(generator.choice([1, 10, 300, 3_000])))
        diff = -1 if step % 3 == 2 else 1
        spine.insert(numbers(values, diff))
        total.update({value: diff * count for value, count in Counter(values.tolist()).items()})
        spine.maintain(500)
        peak = max(peak, spine.run_count)
        if step % 60 == 0:
            rows = spine.snapshot().rows()
            assert dict(zip(rows.columns[0].to_pylist(), rows.diffs.tolist(), strict=True)) == {
                value: diff for value, diff in total.items() if diff
            }
    assert peak < 32
    assert spine.rows < 12_000


@pytest.mark.parametrize("copies", [1, 40])
@pytest.mark.parametrize("count", [1_023, 1_024, 5_000, 100_000])
def test_large_runs_find_what_is_there_and_nothing_else(count: int, copies: int) -> None:
    spine = Spine(Layout((BIGINT, BIGINT), (0,)))
    values = np.arange(0, 2 * count, 2)
    spine.insert(Delta((pa.array(values // (2 * copies) * 2), pa.array(values)), np.ones(count, np.int64)))
    snapshot = spine.snapshot()
    distinct = -(-count // copies)
    found = snapshot.probe((pa.array(np.arange(-1, 2 * distinct + 3)),), nulls_match=True)
    assert np.array_equal(np.sort(found.columns[1].to_numpy()), values)
    assert np.array_equal(found.probe_rows - 1, found.columns[0].to_numpy())
    assert found.diffs.tolist() == [1] * count
    assert not len(snapshot.probe((pa.array([1, -7, 2 * count]),), nulls_match=True))


@pytest.mark.parametrize("left", [5, 2_000, 60_000])
def test_what_is_left_of_a_large_run_is_found(left: int) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(numbers(np.arange(100_000)))
    spine.insert(numbers(np.arange(left, 100_000), -1))
    while spine.maintain(1_000):
        pass
    assert (spine.run_count, spine.rows) == (1, left)
    assert 16 * left <= spine.nbytes <= 60 * left + 1_000
    found = spine.snapshot().probe((pa.array(np.arange(100_000)),), nulls_match=False)
    assert np.array_equal(np.sort(found.probe_rows), np.arange(left))
    assert spine.snapshot().rows().diffs.tolist() == [1] * left


def test_diffs_of_one_are_not_stored() -> None:
    ones, mixed = Spine(Layout((BIGINT,), (0,))), Spine(Layout((BIGINT,), (0,)))
    ones.insert(Delta((pa.array(np.arange(1_000)),), np.ones(1_000, np.int64)))
    mixed.insert(Delta((pa.array(np.arange(1_000)),), np.arange(1_000) % 3 - 1))
    assert ones.nbytes == 24 * 1_000
    assert mixed.nbytes == 32 * mixed.rows
    rows = mixed.snapshot().rows()
    assert np.array_equal(rows.columns[0].to_numpy() % 3 - 1, rows.diffs)


def test_tiny_inserts_do_not_pile_up_when_nobody_maintains() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    for value in range(2_000):
        spine.insert(numbers(np.array([value])))
        assert spine.run_count <= LOOSE_RUNS + 8
    found = spine.snapshot().probe((pa.array([0, 999, 2_000]),), nulls_match=False)
    assert sorted(found.columns[0].to_pylist()) == [0, 999]


def test_no_call_merges_more_than_its_fuel() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    for part in range(4):
        spine.insert(numbers(np.arange(part * 20_000, (part + 1) * 20_000)))
    spine.maintain(1)
    calls = 0
    for part in range(4, 8):
        spine.insert(numbers(np.arange(part * 20_000, (part + 1) * 20_000)))
    while spine.maintain(10_000):
        calls += 1
    assert calls < 100
    assert spine.run_count <= 4
    assert spine.snapshot().count == 160_000


def test_other_threads_read_while_one_writes() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(numbers(np.arange(1_000)))
    published = [spine.snapshot()]
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            found = published[0].probe((pa.array(np.arange(1_000)),), nulls_match=False)
            total = int(found.diffs.sum())
            if total % 1_000:
                wrong.append(total)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(150):
        spine.insert(numbers(np.arange(1_000), -1 if step % 4 == 3 else 1))
        published[0] = spine.snapshot()
        spine.maintain(2_000)
        published[0] = spine.snapshot()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


@pytest.mark.parametrize("kind", twins.TYPES, ids=str)
def test_every_type_sorts_in_both_directions(kind: ColumnType) -> None:
    values = [None, *twins._VALUES.get(kind.kind, [0, 1, -1])]
    for order in (Order(0, d, n) for d in (False, True) for n in (False, True)):
        spine = Spine(Layout((kind,), (), (order,)))
        for value in values:
            spine.insert(Delta((twins.column([value], kind),), np.array([1])))
        plain = twins.rows_of(spine.snapshot().first((), 99).columns, 0)
        signs = [twins.compare_rows((order,), a, b) for a, b in pairwise(plain)]
        assert signs == [-1] * (len(plain) - 1)
        assert len(plain) == len({twins.column_values(twins.column([v], kind))[0] for v in values})


def test_merges_end_once_and_need_runs_of_one_layout() -> None:
    here, there = (Layout((BIGINT, TEXT), (0,)).shape for _ in range(2))
    runs = [_rows.Run.make(shape, numbers(np.arange(5)).columns, np.ones(5, np.int64)) for shape in (here, here, there)]
    with pytest.raises(ValueError, match="different layouts"):
        _rows.Merge(runs)
    with pytest.raises(ValueError, match="needs a run"):
        _rows.Merge([])
    with pytest.raises(TypeError):
        _rows.Merge([None])
    merge = _rows.Merge(runs[:2])
    with pytest.raises(RuntimeError, match="not at its end"):
        merge.finish()
    assert [merge.step(4), merge.step(0), merge.step(100)] == [6, 4, 0]
    assert merge.finish().diffs().tolist() == [2] * 5
    assert merge.step(1) == 0
    with pytest.raises(RuntimeError, match="not at its end"):
        merge.finish()


def test_diffs_may_be_a_view_with_steps() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    delta = numbers(np.arange(3))
    spine.insert(Delta(delta.columns, np.array([1, 9, 2, 9, 3])[::2]))
    rows = spine.snapshot().rows()
    assert dict(zip(rows.columns[0].to_pylist(), rows.diffs.tolist(), strict=True)) == {0: 1, 1: 2, 2: 3}


def test_wrong_columns_are_refused_by_name() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    with pytest.raises(ValueError, match="column 0 has arrow format 'g', the layout says 'l'"):
        spine.insert(Delta((pa.array([1.0]), pa.array(["a"], pa.large_string())), np.array([1])))
    with pytest.raises(ValueError, match="got 1 columns, the layout has 2"):
        spine.insert(Delta((pa.array([1]),), np.array([1])))
    spine.insert(numbers(np.arange(2)))
    with pytest.raises(ValueError, match="key column 0 has arrow format 'U', the layout says 'l'"):
        spine.snapshot().probe((pa.array(["a"], pa.large_string()),), nulls_match=True)
    with pytest.raises(ValueError, match="got 2 key columns, the layout has 1"):
        spine.snapshot().probe((pa.array([1]), pa.array([1])), nulls_match=True)
    with pytest.raises(ValueError, match="no order"):
        spine.snapshot().first((pa.array([1]),), 1)
    with pytest.raises(ValueError, match="column 2 of a layout with 1 columns does not exist"):
        Spine(Layout((DOUBLE,), (2,))).insert(Delta((pa.array([1.0]),), np.array([1])))
