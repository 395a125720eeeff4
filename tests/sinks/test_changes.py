"""The law of the upsert envelope: folding the changes of any run of ticks turns the view before into the view after."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow import types
from dataflow.delta import Delta
from dataflow.types import Column
from sinks.changes import KeyNotUniqueError, upserts
from tests.sinks.histories import KEY, SCHEMA, State, delta, difference

unhurried = settings(deadline=None)  # time is measured elsewhere, and other tests run beside these
NAN = float("nan")
WIDE = (Column("v", types.TEXT), Column("f", types.DOUBLE), Column("n", types.NUMERIC))
STATES = st.lists(st.dictionaries(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=6)


def consume(state: State, keys: pa.Array, values: pa.Array) -> State:
    """The five-line oracle of a consumer."""
    state = dict(state)
    for key, value in zip(keys.to_pylist(), values.to_pylist(), strict=True):
        k = json.loads(key)["k"]
        if value is None:
            del state[k]
        else:
            state[k] = json.loads(value)["v"]
    return state


@unhurried
@given(STATES, st.data())
def test_fold_of_any_run_of_ticks(states: list[State], data: st.DataObject) -> None:
    """Also: at most one change per key, none for a key that is as before, and each carries its key's last tick."""
    history = [{}, *states]
    start = data.draw(st.integers(0, len(states) - 1))
    end = data.draw(st.integers(start + 1, len(states)))
    ticks = [(100 + i, difference(history[i], history[i + 1])) for i in range(start, end)]
    before, after = history[start], history[end]
    changes = upserts(ticks, SCHEMA, KEY)
    assert consume(before, changes.keys, changes.values) == after
    touched = [json.loads(key)["k"] for key in changes.keys.to_pylist()]
    assert sorted(touched) == sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    last = {k: max(100 + i for i in range(start, end) if history[i].get(k) != history[i + 1].get(k)) for k in touched}
    assert changes.times.tolist() == [last[k] for k in touched]


@unhurried
@given(STATES, st.randoms(use_true_random=False))
def test_order_and_splitting_of_rows_mean_nothing(states: list[State], chance: Any) -> None:
    """A delta may hold a row several times, in any order, and rows that cancel."""
    whole = difference({}, states[0])
    rows = list(zip(whole.columns[0].to_pylist(), whole.columns[1].to_pylist(), whole.diffs.tolist(), strict=True))
    rows += [(9, "x", 1), (9, "x", -3), (9, "x", 2)]
    rows += [(k, v, sign) for k, v, _ in rows[: len(rows) // 2] for sign in (1, -1)]
    chance.shuffle(rows)
    changes = upserts([(7, delta(rows))], SCHEMA, KEY)
    assert consume({}, changes.keys, changes.values) == states[0]


@unhurried
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 0.0, -0.0, NAN, 1.5, float("inf")]),
            st.sampled_from([None, "1", "1.0", "0.5"]),
            st.sampled_from([-1, 1]),
        ),
        max_size=6,
        unique_by=lambda row: (str(abs(row[0])) if row[0] is not None else None, row[1] and float(row[1])),
    )
)
def test_keys_that_are_equal_are_equal_bytes(rows: list[tuple[float | None, str | None, int]]) -> None:
    """0.0 and -0.0, every NaN, and 1 and 1.0 as numeric are one key each; NULL is a key like others."""
    type_ = types.NUMERIC.arrow
    numbers = [None if n is None else pa.scalar(n).cast(type_).as_py() for _, n, _ in rows]
    columns = (
        pa.array(["v"] * len(rows), pa.large_string()),
        pa.array([f for f, _, _ in rows], pa.float64()),
        pa.array(numbers, type_),
    )
    changes = upserts([(1, Delta(columns, np.array([d for _, _, d in rows], np.int64)))], WIDE, (1, 2))
    keys = changes.keys.to_pylist()
    assert len(set(keys)) == len(keys) == len(rows)
    assert not any(b"-0.0" in key for key in keys)


@pytest.mark.parametrize(
    "rows",
    [
        [(1, "a", 1), (1, "b", 1)],
        [(1, "a", 2)],
        [(1, "a", -1), (1, "b", -1)],
        [(1, "a", -1), (1, "b", 1), (1, "c", 1)],
    ],
)
def test_a_key_with_two_rows_is_refused(rows: list[tuple[int, str, int]]) -> None:
    with pytest.raises(KeyNotUniqueError):
        upserts([(1, delta([(0, "x", 1), *rows]))], SCHEMA, KEY)


def test_no_ticks_are_no_changes() -> None:
    assert len(upserts([], SCHEMA, KEY)) == 0
    assert len(upserts([(1, delta([]))], SCHEMA, KEY)) == 0
