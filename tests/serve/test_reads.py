"""Reads of snapshots in pieces equal a dictionary of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import serve.reads
from dataflow.types import BIGINT, DOUBLE, TEXT
from serve.reads import Publication, Published, copies, lookup, scan
from tests.serve.published import Diff, delta, snapshot, view

ROWS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", None]), st.integers(-2, 3)), max_size=20)


def counted(found) -> Counter:
    if not len(found):
        return Counter()
    return Counter(
        dict(zip(zip(*(c.to_pylist() for c in found.columns), strict=True), found.diffs.tolist(), strict=True))
    )


def model(batches) -> Counter:
    """What the batches add up to: row to how often it is there."""
    total = Counter()
    for batch in batches:
        for *row, diff in batch:
            total[tuple(row)] += diff
    return Counter({row: diff for row, diff in total.items() if diff})


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.reads, "SMALL_WINDOW", 2)
    monkeypatch.setattr(serve.reads, "LARGE_WINDOW", 3)


@given(st.lists(ROWS, max_size=5), st.sampled_from([(), (0,), (1,), (0, 1)]), st.data())
def test_scan_equals_the_model(batches, key, data) -> None:
    types = [BIGINT, TEXT]
    deltas = [delta(types, [row[:2] for row in batch], [row[2] for row in batch]) for batch in batches]
    rows = snapshot(types, key, *deltas)
    expected = model(batches)
    assert counted(scan(rows, [], 10_000)) == expected

    number, text = data.draw(st.integers(0, 7)), data.draw(st.sampled_from(["a", "c"]))
    filters = [(0, pa.array([number], pa.int64())), (1, pa.array([text], pa.large_string()))]
    for wanted in (filters, filters[:1], filters[1:]):
        kept = {row: n for row, n in expected.items() if all(row[i] == value[0].as_py() for i, value in wanted)}
        assert counted(scan(rows, wanted, 10_000)) == Counter(kept)

    limit = data.draw(st.integers(1, 8))
    part = counted(scan(rows, [], limit, distinct=True))
    assert all(expected[row] == n for row, n in part.items())
    assert len(part) >= min(limit, len(expected))


def test_a_scan_stops_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.reads, "SMALL_WINDOW", 10)
    big = [delta([BIGINT], [(n,) for n in range(i * 1000, (i + 1) * 1000)]) for i in range(4)]
    found = scan(snapshot([BIGINT], (0,), *big), [], 10)
    assert 10 <= len(found) <= 80


def test_rows_cancelled_in_another_run_are_not_seen() -> None:
    rows = [(n, str(n)) for n in range(100)]
    gone = view("v", {"n": BIGINT, "t": TEXT}, ["n"], rows, [(*row, Diff(-1)) for row in rows[:-1]])
    assert counted(scan(gone.rows, [], 1)) == Counter({(99, "99"): 1})


def test_lookup_adds_runs_up_and_finds_no_null() -> None:
    found = view("v", {"k": TEXT, "n": BIGINT}, ["k"], [("a", 1), ("b", 2), (None, 9)], [("a", 1, Diff(-1)), ("a", 3)])
    assert counted(lookup(found, [pa.array(["a"], pa.large_string())])) == Counter({("a", 3): 1})
    assert counted(lookup(found, [pa.array(["z"], pa.large_string())])) == Counter()


def test_nan_equals_nan_and_zero_equals_minus_zero() -> None:
    numbers = snapshot([DOUBLE], (0,), delta([DOUBLE], [(float("nan"),), (-0.0,), (1.0,), (None,)]))
    assert len(scan(numbers, [(0, pa.array([float("nan")], pa.float64()))], 10)) == 1
    assert len(scan(numbers, [(0, pa.array([0.0], pa.float64()))], 10)) == 1


def test_copies_follow_diffs_up_to_the_limit() -> None:
    rows = delta([BIGINT], [(1,), (2,), (3,)], [2, 1, 1 << 60])
    assert [c.to_pylist() for c in copies(rows, 3)] == [[1, 1, 2]]
    assert [c.to_pylist() for c in copies(rows, 6)] == [[1, 1, 2, 3, 3, 3]]
    assert copies(delta([BIGINT], [(1,), (2,)]), 2)[0].to_pylist() == [1, 2]


def test_publishing_is_one_reference() -> None:
    publication = Publication()
    assert publication.current() is None
    published = Published(7, {})
    publication.publish(published)
    assert publication.current() is published


def test_equal_key_hashes_are_split_by_the_second() -> None:
    # No key: every row has the same key hash, and a window still holds few rows.
    rows = snapshot([BIGINT], (), delta([BIGINT], [(n,) for n in range(1000)]), delta([BIGINT], [(5000,)]))
    assert len({int(h) for run in rows.runs for h in np.asarray(run.key_hashes)}) == 1
    assert len(scan(rows, [], 4)) < 20
