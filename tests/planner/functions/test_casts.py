"""Every cast against PostgreSQL: the same pairs are allowed, with the same values, layouts and errors."""

from __future__ import annotations

import pytest

from dataflow.types import NUMERIC, TEXT, ColumnType, Kind
from planner.functions import FunctionError, can_cast
from planner.functions.conversion import cast_kernel
from planner.scalar import Cast, ColumnRef
from tests.planner.functions.domains import CAST_DOMAINS
from tests.planner.functions.oracle import (
    Answer,
    ask,
    beyond_numeric,
    column,
    compute,
    evaluate,
    folded,
    quoted,
    same,
    written,
)
from tests.servers.postgres import PostgresServer

TYPES = [NUMERIC if kind is Kind.NUMERIC else ColumnType(kind) for kind in Kind]
VARCHAR_3 = ColumnType(Kind.VARCHAR, length=3)
TARGETS = [
    *TYPES,
    ColumnType(Kind.NUMERIC, 5, 2),
    ColumnType(Kind.NUMERIC, 38, 0),
    VARCHAR_3,
    ColumnType(Kind.CHAR, length=3),
]
OTHER_SPELLING = ("out of range", "invalid input syntax")


def _known(ours: Answer, theirs: Answer, source: ColumnType, target: ColumnType) -> bool:
    """Documented differences: no NaN, infinities or long values among numerics, and fewer spellings of times."""
    if target.kind is Kind.NUMERIC and ours.error and ("NaN" in ours.error or "infinity" in ours.error):
        return theirs.value in ("NaN", "Infinity", "-Infinity") or theirs.error == "numeric field overflow"
    times = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME)
    if source == TEXT and target.kind in times and ours.error and theirs.error:
        # Nonsense that begins with digits is a bad field to PostgreSQL and a bad text to us.
        return all(any(words in error for words in OTHER_SPELLING) for error in (ours.error, theirs.error))
    if source == TEXT and target.kind is Kind.INTERVAL and ours.error:
        # PostgreSQL passes over punctuation, so that `[1,]` is a second.
        return theirs.error is not None or theirs.value == "00:00:01"
    return beyond_numeric(ours, theirs)


@pytest.mark.postgres
@pytest.mark.parametrize("source", TYPES, ids=str)
def test_casts_agree_with_postgresql(source: ColumnType, postgres: PostgresServer) -> None:
    values = CAST_DOMAINS[source.kind]
    with postgres.connect() as connection:
        for target in TARGETS:
            theirs = ask(connection, [f"{quoted(value, source)}::{target}" for value in values])
            allowed = not all(answer.error and answer.error.startswith("cannot cast type") for answer in theirs)
            assert can_cast(source, target) == allowed
            if not allowed:
                with pytest.raises(FunctionError, match="cannot cast type"):
                    cast_kernel(source, target)
                continue
            ours = evaluate(Cast(ColumnRef(0, source), target), [column(values, source)], len(values))
            wrong = [
                (value, a, b)
                for value, a, b in zip(values, ours, theirs, strict=True)
                if not same(a, b) and not _known(a, b, source, target)
            ]
            assert not wrong, f"{source}::{target}: {wrong[:3]}"


@pytest.mark.postgres
def test_patterns_and_parts_agree_with_postgresql(postgres: PostgresServer) -> None:
    """The functions of text at values that their domains do not reach."""
    calls = [
        ("like", ["abc", "a%c"]),
        ("like", ["a%c", "a\\%c"]),
        ("like", ["aé", "a_"]),
        ("like", ["mississippi", "%iss%ip%"]),
        ("like", ["ab", "%b\\"]),
        ("like", ["bab", "%a\\"]),
        ("like", ["a_c", "ax_c", "x"]),
        ("ilike", ["ABC", "a%C"]),
        ("ilike", ["a_c", "AX_C", "X"]),
        ("~", ["line\nbreak", "e.b"]),
        ("~", ["abc", "^b"]),
        ("~*", ["ABC", "b+c$"]),
        ("!~", ["abc", "[0-9]"]),
        ("replace", ["aXbXX", "X", "--"]),
        ("btrim", ["xyxabcyx", "xy"]),
        ("ltrim", ["ééa", "é"]),
        ("concat_ws", [",", "a", None]),
        ("strpos", ["aéb", "b"]),
        ("md5", ["a" * 200]),
    ]
    with postgres.connect() as connection:
        questions = [written(name, [quoted(arg, TEXT) for arg in args]) for name, args in calls]
        for (name, args), theirs in zip(calls, ask(connection, questions), strict=True):
            types = [TEXT] * len(args)
            assert compute(name, types, [args])[0] == theirs, (name, args)
            assert folded(name, types, args) == theirs, (name, args)
