"""array_agg and unnest as laws: what is put together comes apart again, after every step and whatever was taken away."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.scalars import arrays
from dataflow.types import INTEGER, TEXT, ColumnType
from tests.examples import examples
from tests.laws.queries import Steps, by_first, check_steps, nulls_last, steps_of
from tests.planner import oracle

TABLES = {"t": oracle.schema(k="integer", v="integer", s="text")}
QUERIES = {
    "agg": "SELECT k, array_agg(v ORDER BY v DESC NULLS LAST) AS a FROM t GROUP BY k",
    "text": "SELECT k, array_agg(DISTINCT s) AS a FROM t GROUP BY k",
    "apart": "SELECT k, u FROM (SELECT k, array_agg(v) AS a FROM t GROUP BY k) x, unnest(a) AS u",
    "some": "SELECT k, v FROM t WHERE v = ANY (ARRAY[k, 2])",
}
ROWS = st.tuples(
    st.integers(0, 2) | st.none(), st.integers(-2, 3) | st.none(), st.sampled_from(["a", 'q"', "", "NULL"]) | st.none()
)


def _array(values: list[Any], type_: ColumnType) -> bytes:
    shown = ["NULL" if v is None else f'"{str(v).translate({34: chr(92) + chr(34)})}"' for v in values]
    made, errors = scalars.parse(pa.array([f"{{{','.join(shown)}}}"], TEXT.arrow), 1, type_)
    assert errors is None
    value: bytes = made[0].as_py()
    return value


def _wanted(rows: list[Any]) -> dict[str, Counter[Any]]:
    groups = by_first(rows)
    return {
        "agg": Counter(
            (k, _array(sorted((r[1] for r in of), key=lambda v: (v is None, -(v or 0))), INTEGER.array))
            for k, of in groups.items()
        ),
        "text": Counter(
            (k, _array(sorted({r[2] for r in of}, key=nulls_last), TEXT.array)) for k, of in groups.items()
        ),
        "apart": Counter((k, r[1]) for k, of in groups.items() for r in of),
        "some": Counter(r[:2] for r in rows if r[1] is not None and r[1] in (r[0], 2)),
    }


@settings(max_examples=examples(40))
@given(steps_of(ROWS))
def test_every_step_is_the_query_over_what_is_there(steps: Steps) -> None:
    check_steps(TABLES["t"], QUERIES, steps, _wanted)


VALUES = st.lists(st.lists(st.none() | st.integers(-(1 << 31), (1 << 31) - 1), max_size=5), min_size=2, max_size=2)


@given(VALUES)
def test_bytes_compare_as_arrays_do(pair: list[list[int | None]]) -> None:
    a, b = (_array(values, INTEGER.array) for values in pair)
    keys = [[(1, 0) if v is None else (0, v) for v in values] for values in pair]
    assert (a < b, a == b) == (keys[0] < keys[1], keys[0] == keys[1])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4) | st.none(), max_size=5))
def test_text_reads_back(values: list[str | None]) -> None:
    flat = pa.array(values, TEXT.arrow)
    made, _ = arrays.group(flat, np.array([len(values)]))
    literal = scalars.format(made, 1, TEXT.array)
    assert scalars.parse(literal, 1, TEXT.array)[0].equals(made)
    assert arrays.elements(made, 1, TEXT.array)[1].equals(flat)


@given(st.lists(st.binary(max_size=4) | st.none(), min_size=2, max_size=2))
def test_bytes_within_arrays_keep_their_order(values: list[bytes | None]) -> None:
    column = arrays.make([pa.array(values, pa.large_binary())], 2)
    assert arrays.elements(column, 2, ColumnType.parse("bytea[]"))[1].to_pylist() == values
    a, b = column.to_pylist()
    if None not in values:
        assert (a < b, a == b) == (values[0] < values[1], values[0] == values[1])  # type: ignore[operator]


def test_a_subscript_behind_the_last_element_is_one_too() -> None:
    texts = pa.array(["[2147483646:2147483646]={1}", "[2147483646:2147483647]={1,2}"], TEXT.arrow)
    values, errors = scalars.parse(texts, 2, INTEGER.array)
    assert values.is_null().to_pylist() == [False, True]
    assert errors.to_pylist()[0] is None
    assert "lower bound is too large" in errors.to_pylist()[1]
