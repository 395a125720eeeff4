"""Hypothesis strategies: values with the awkward ones in front, rows, and histories of steps.

Domains are small, so that rows collide, cancel and meet in joins.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dataflow.types import ColumnType, Kind
from tests.laws.law import Step
from tests.laws.zsets import Row, Weighted

_FLOATS = [0.0, -0.0, 1.5, -1.5, 1.0, math.nan, math.inf, -math.inf, 1e16, -1e16, 3.0e38, 0.1]
_DAY = datetime.date(2026, 11, 22)
_NOON = datetime.datetime(2026, 11, 22, 12, 0, 0, 123456)

_VALUES: dict[Kind, list[Any]] = {
    Kind.BOOLEAN: [False, True],
    Kind.SMALLINT: [0, 1, -1, 32767, -32768],
    Kind.INTEGER: [0, 1, -1, 2, 2**31 - 1, -(2**31)],
    Kind.BIGINT: [0, 1, -1, 2, 3, 2**63 - 1, -(2**63)],
    Kind.REAL: [float(np.float32(value)) for value in _FLOATS],
    Kind.DOUBLE: [*_FLOATS, 5e-324, 1.7e308, -1.7e308],
    Kind.TEXT: ["", "a", "b", "ä", "aaaaaaaab", "aaaaaaaac", "a\0b"],
    Kind.JSONB: ['{"a": 1}', "[]", "null"],
    Kind.BYTEA: [b"", b"\0", b"\xff\xfe", b"ab"],
    Kind.DATE: [_DAY, _DAY - datetime.timedelta(1), datetime.date(1969, 12, 31)],
    Kind.TIMESTAMP: [_NOON, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)],
    Kind.TIMESTAMPTZ: [_NOON.replace(tzinfo=datetime.UTC), datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)],
}


def values(kind: ColumnType) -> st.SearchStrategy[Any]:
    """Values of a type, NULL among them."""
    if kind.kind is Kind.NUMERIC:
        digits = 38 if kind.precision is None else kind.precision
        units = [0, 1, -1, 5, 10**digits - 1, 1 - 10**digits, 6 * 10 ** (digits - 1)]
        domain: list[Any] = [Decimal((int(u < 0), tuple(map(int, str(abs(u)))), -kind.decimal_scale)) for u in units]
    else:
        domain = _VALUES[kind.kind]
    return st.sampled_from([*domain, None])


DIFFS = st.sampled_from([1, 1, 1, -1, -1, 2, -2, 3])
"""Any weights: a collection may go below zero and come back."""


@st.composite
def changes(draw: st.DrawFn, types: Sequence[ColumnType]) -> list[Weighted]:
    """One step of one input: any weights."""
    return draw(st.lists(st.tuples(st.tuples(*map(values, types)), DIFFS), max_size=6))


@st.composite
def histories(draw: st.DrawFn, inputs: Mapping[str, Sequence[ColumnType]], signed: bool = False) -> list[Step]:
    """Steps over these inputs. Not `signed`: inserts, updates and deletes of rows that are there; else any weights as well."""
    live: dict[str, list[Row]] = {name: [] for name in inputs}
    steps: list[Step] = []
    any_weights = signed and draw(st.booleans())
    for _ in range(draw(st.integers(1, 6))):
        step = {}
        for name, types in inputs.items():
            step[name] = draw(changes(types)) if any_weights else draw(_edits(types, live[name]))
        steps.append(step)
    return steps


@st.composite
def _edits(draw: st.DrawFn, types: Sequence[ColumnType], live: list[Row]) -> list[Weighted]:
    pairs: list[Weighted] = []
    row = st.tuples(*map(values, types))
    for action in draw(st.lists(st.sampled_from(["insert", "insert", "delete", "update", "again"]), max_size=6)):
        if action != "insert" and live:
            position = draw(st.integers(0, len(live) - 1))
            if action == "again":
                pairs.append((live[position], 1))
                live.append(live[position])
                continue
            pairs.append((live.pop(position), -1))
        if action != "delete":
            live.append(draw(row))
            pairs.append((live[-1], 1))
    return pairs


@st.composite
def additions(draw: st.DrawFn, inputs: Mapping[str, Sequence[ColumnType]]) -> list[Step]:
    """Steps over inputs whose rows only come, some of them several times."""
    rows = {
        name: st.tuples(st.tuples(*map(values, types)), st.sampled_from([1, 1, 1, 2])) for name, types in inputs.items()
    }
    step = st.fixed_dictionaries({name: st.lists(pairs, max_size=8) for name, pairs in rows.items()})
    return draw(st.lists(step, min_size=1, max_size=6))
