"""The law for window functions: every function, frame and exclusion, several at once, with ties, copies and NULLs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.layout import Order
from dataflow.operators.window_calls import WindowCall
from dataflow.operators.window_frames import Frame
from dataflow.types import BIGINT, DOUBLE, INTEGER, JSONB, NUMERIC, TEXT, TIMESTAMPTZ, ColumnType, Kind
from tests.laws import windows
from tests.laws.law import check
from tests.laws.strategies import histories

MONEY = ColumnType(Kind.NUMERIC, 12, 2)
TYPES = (BIGINT, DOUBLE, TEXT, MONEY, INTEGER, TIMESTAMPTZ, JSONB)
INTEGRAL, TOTAL = ColumnType(Kind.NUMERIC, scale=0), ColumnType(Kind.NUMERIC, scale=2)
TERMS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 4]), st.booleans(), st.booleans()), max_size=2)
EXCLUSIONS = st.sampled_from(["no others", "no others", "no others", "current row", "group", "ties"])
PARTITIONS = st.sampled_from([(), (2,), (4, 2)])


@st.composite
def frames(draw: st.DrawFn, order: list[tuple[int, bool, bool]]) -> Frame:
    unit = draw(st.sampled_from(["rows", "rows", "range", "groups"]))
    offsets = [-2, -1, 0, 0, 1, 3] if unit != "range" or (len(order) == 1 and order[0][0] != 2) else [0]
    start, end = draw(st.sampled_from([None, None, *offsets])), draw(st.sampled_from([None, *offsets, *offsets]))
    return Frame(unit, start, end, draw(EXCLUSIONS))


@st.composite
def calls(draw: st.DrawFn, order: list[tuple[int, bool, bool]], near: bool) -> WindowCall:
    kinds = ["rank", "shift", "value", "aggregate", "aggregate"]
    amount_column = None if near else draw(st.sampled_from([None, None, 4]))
    match "shift" if near and draw(st.booleans()) else draw(st.sampled_from(kinds)):
        case "rank":
            name, type_ = draw(st.sampled_from([*_RANKS.items()][: 3 if near else None]))
            return WindowCall(name, None, type_, amount=draw(st.integers(0, 3)), amount_column=amount_column)
        case "shift":
            column = draw(st.sampled_from(range(6)))
            default = draw(st.sampled_from([None, column]))
            name = draw(st.sampled_from(["lag", "lead"]))
            amount = draw(st.integers(-2, 3))
            return WindowCall(name, column, TYPES[column], Frame(), amount, amount_column, default)
        case "value":
            column = draw(st.sampled_from(range(6)))
            name = draw(st.sampled_from(["first_value", "last_value", "nth_value"]))
            amount = draw(st.integers(0, 3))
            return WindowCall(name, column, TYPES[column], draw(frames(order)), amount, amount_column)
        case _:
            name, column, type_, *other = draw(st.sampled_from(_AGGREGATES))
            return WindowCall(name, column, type_, draw(frames(order)), other=other[0] if other else None)


_RANKS = {
    "row_number": BIGINT,
    "rank": BIGINT,
    "dense_rank": BIGINT,
    "percent_rank": DOUBLE,
    "cume_dist": DOUBLE,
    "ntile": INTEGER,
}
_AGGREGATES = [
    ("count_star", None, BIGINT),
    *(("count", column, BIGINT) for column in (0, 2)),
    *((name, column, TYPES[column]) for name in ("min", "max") for column in (0, 1, 2, 3, 5)),
    ("sum", 0, INTEGRAL),
    ("sum", 1, DOUBLE),
    ("sum", 3, TOTAL),
    ("sum", 4, BIGINT),
    ("avg", 0, NUMERIC),
    ("avg", 1, DOUBLE),
    ("avg", 3, NUMERIC),
    ("stddev_samp", 0, NUMERIC),
    ("var_pop", 3, NUMERIC),
    ("var_samp", 1, DOUBLE),
    ("covar_pop", 1, DOUBLE, 1),
    ("regr_slope", 1, DOUBLE, 1),
    *((name, column, TYPES[column]) for name in ("bit_and", "bit_or", "bit_xor") for column in (0, 4)),
    ("string_agg", 2, TEXT),
    ("string_agg", 2, TEXT, 2),
    ("jsonb_agg", 6, JSONB),
    *((name, column, TYPES[column], by) for name in ("max_by", "min_by") for column, by in ((2, 0), (0, 1), (3, 5))),
]


@st.composite
def cases(draw: st.DrawFn):
    order = draw(TERMS)
    near = draw(st.booleans())
    chosen = draw(st.lists(calls(order, near), min_size=1, max_size=2))
    return draw(PARTITIONS), order, chosen, draw(histories({"a": TYPES}, signed=True))


@given(cases(), st.randoms(use_true_random=False))
def test_window(case, chance: random.Random) -> None:
    partition, order, chosen, steps = case
    check(
        {"a": TYPES},
        lambda g, n: g.window(n["a"], partition, [Order(*term) for term in order], chosen),
        lambda a: windows.window(a, partition, order, chosen),
        steps,
        chance,
        key=(2,),
    )


_NEAR = (INTEGER, INTEGER, DOUBLE)


def _near_call(chance: random.Random, order: list[tuple[int, bool, bool]]) -> WindowCall:
    def bound(*others: int | None) -> int | None:
        return chance.choice([-3, -2, -1, 0, 0, 1, 2, *others])  # type: ignore[list-item]

    name = chance.choice(
        [
            "lag",
            "lead",
            "sum",
            "sum",
            "max",
            "first_value",
            "last_value",
            "row_number",
            "rank",
            "dense_rank",
            "bit_xor",
            "max_by",
            "var_pop",
        ]
    )
    if name in _RANKS:
        return WindowCall(name, None, _RANKS[name])  # type: ignore[arg-type]
    column = chance.choice([1, 2])
    if name in ("lag", "lead"):
        return WindowCall(name, column, _NEAR[column], amount=chance.randint(0, 3))  # type: ignore[arg-type]
    unit = chance.choice(["rows", "rows", "groups", "range"])
    bounds = (bound(None, None, None), bound()) if unit != "range" else (chance.choice([None, 0, 0]), 0)
    exclude = chance.choice(["no others"] * 3 + ["current row", "group", "ties"])
    type_ = (BIGINT if column == 1 else DOUBLE) if name == "sum" else _NEAR[column]
    frame = Frame(unit, *bounds, exclude)  # type: ignore[arg-type]
    match name:
        case "bit_xor":
            return WindowCall(name, 1, INTEGER, frame)
        case "max_by":
            return WindowCall(name, column, _NEAR[column], frame, other=3 - column)
        case "var_pop":
            return WindowCall(name, 2, DOUBLE, frame)
    return WindowCall(name, column, type_, frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(60))
def test_few_changes_in_many_rows(seed: int) -> None:
    """What a change can matter to is a part of the partition, and neither too small a part nor the wrong one."""
    chance = random.Random(seed)
    order = [(0, chance.random() < 0.3, False)] if chance.random() < 0.9 else []
    chosen = [_near_call(chance, order) for _ in range(chance.choice((1, 1, 1, 2)))]
    rows: list[tuple[int, int, float]] = []
    steps = []
    for number in range(8):
        gone = [rows.pop(chance.randrange(len(rows))) for _ in range(chance.randint(0, 2)) if rows]
        new = [
            (chance.randrange(40), chance.randrange(3), chance.randrange(4) / 2)
            for _ in range(30 if not number else chance.randint(0, 2))
        ]
        rows += new
        steps.append({"a": [*((row, -1) for row in gone), *((row, chance.choice((1, 1, 1, 2))) for row in new)]})
    check(
        {"a": _NEAR},
        lambda g, n: g.window(n["a"], (), [Order(*term) for term in order], chosen),
        lambda a: windows.window(a, (), order, chosen),
        steps,
        chance,
    )
