"""Every cast against PostgreSQL: the same pairs are allowed, with the same values, layouts and errors."""

from __future__ import annotations

import pytest

from dataflow.types import NESTED, TEXT, ColumnType, Kind
from planner.functions import FunctionError, can_cast
from planner.functions.conversion import cast_kernel
from planner.scalar import Cast, ColumnRef, Literal
from tests.planner.functions.domains import CAST_DOMAINS, DOMAINS, type_of
from tests.planner.functions.oracle import (
    Answer,
    ask,
    beyond_numeric,
    call,
    column,
    compute,
    evaluate,
    folded,
    quoted,
    same,
    written,
)
from tests.servers.postgres import PostgresServer

TYPES = [type_of(kind) for kind in Kind if kind not in NESTED]
VARCHAR_3 = ColumnType(Kind.VARCHAR, length=3)
TARGETS = [
    *TYPES,
    ColumnType(Kind.NUMERIC, 5, 2),
    ColumnType(Kind.NUMERIC, 38, 0),
    VARCHAR_3,
    ColumnType(Kind.CHAR, length=3),
    *(of.array for of in (TEXT, VARCHAR_3, ColumnType(Kind.NUMERIC, 5, 2), ColumnType(Kind.BOOLEAN))),
]
OTHER_SPELLING = ("out of range", "invalid input syntax")


def _known(ours: Answer, theirs: Answer, source: ColumnType, target: ColumnType) -> bool:
    """Documented differences: no NaN, infinities or long values among numerics, and fewer spellings of times."""
    if target.kind is Kind.NUMERIC and ours.error and ("NaN" in ours.error or "infinity" in ours.error):
        return theirs.value in ("NaN", "Infinity", "-Infinity") or theirs.error == "numeric field overflow"
    times = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
    if source == TEXT and target.kind in times and ours.error and theirs.error:
        # Nonsense that begins with digits is a bad field to PostgreSQL and a bad text to us.
        return all(any(words in error for words in OTHER_SPELLING) for error in (ours.error, theirs.error))
    if source == TEXT and target.kind is Kind.TIME:
        # To PostgreSQL 12:30.5 is minutes and seconds, what follows a time is an unknown zone, and a zone behind T is a mistake.
        return theirs.error is not None if ours.error is None else theirs.value in (None, "00:12:30.5")
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


PATTERNS = [
    *(
        "YYYY-MM-DD HH24:MI:SS.US",
        "FMMonth DD, YYYY",
        "Day DY dy Mon month",
        "HH12:MI am MS",
        "IYYY-IW-ID Q DDD D W WW CC",
    ),
    *(
        "FMHH24hFMMI",
        'YYYY"-quoted MM-"MM',
        "YY YYY Y FMDD FMDay RM",
        "yyyy/mm/dd hh24.mi.ss",
        "HH:MI P.M.",
        "",
        "plain",
    ),
]


@pytest.mark.postgres
@pytest.mark.parametrize("kind", [Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ])
def test_to_char_agrees_with_postgresql(kind: Kind, postgres: PostgresServer) -> None:
    type_ = ColumnType(kind)
    values = [value for value in CAST_DOMAINS[kind] if value is None or "BC" not in value]
    with postgres.connect() as connection:
        for pattern in PATTERNS:
            theirs = ask(connection, [f"to_char({quoted(value, type_)}, {quoted(pattern, TEXT)})" for value in values])
            made = call("to_char", [ColumnRef(0, type_), Literal(pattern, TEXT)])
            assert evaluate(made, [column(values, type_)], len(values)) == theirs, pattern


@pytest.mark.postgres
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in NESTED])
def test_format_agrees_with_postgresql(kind: Kind, postgres: PostgresServer) -> None:
    type_ = type_of(kind)
    values, patterns = DOMAINS[kind], ["%s", "a%%b %L", "[%10s|%-10s]", "%2$s-%1$s %s", "%2$L%1$-3s", "", "plain"]
    with postgres.connect() as connection:
        for pattern in patterns:
            head = f"format({quoted(pattern, TEXT)}, "
            theirs = ask(connection, [f"{head}{quoted(value, type_)}, {quoted(value, type_)})" for value in values])
            made = call("format", [Literal(pattern, TEXT), ColumnRef(0, type_), ColumnRef(0, type_)])
            assert evaluate(made, [column(values, type_)], len(values)) == theirs, pattern


READ = {
    "YYYY-MM-DD": [
        *("2024-02-29", "2024-2-9", " 2024 - 02 - 03", "20240229", "2024/02/29", "2023-02-29", "2024-13-01", "x"),
        *("2024-02", "2024", "", "2024-02-29 and more", "2024-02-0x", "12024-01-01", "0000-01-01", None),
    ],
    "YYYYMMDD": ["20240229", "2024022", "202402", "20241301", "2024-02-29", "x0240229"],
    "DD Mon YYYY": ["29 Feb 2024", "1 jan 24", "31 APR 2024", "29-feb-2024", "29 xyz 2024", "29Feb2024"],
    "Month DD, YYYY": ["February 29, 2024", "may 1,2024", "Feb 1, 2024"],
    "YYYY-MM-DD HH24:MI:SS": [
        "2024-02-29 12:34:56",
        "2024-02-29T12:34:56",
        "2024-02-29 24:00:00",
        "2024-02-29 12:60:00",
    ],
    "YYYY-MM-DD HH24:MI:SS.MS": ["2024-02-29 12:34:56.7", "2024-02-29 12:34:56.789", "2024-02-29 12:34:56"],
    "YYYY-MM-DD HH24:MI:SS.US": ["2024-02-29 12:34:56.7", "2024-02-29 12:34:56.789012"],
    "DD/MM/YY HH:MI AM": [
        "29/02/24 12:05 am",
        "1/2/69 12:05 PM",
        "1/2/70 01:05 pm",
        "1/2/24 13:00 pm",
        "1/2/24 1:00 xm",
    ],
    "YYYY-DDD": ["2024-060", "2023-060", "2024-366", "2024-1"],
    'YYYY"T"MM': ["2024T05", "2024 05"],
    "HH12:MI": ["11:30", "0:30", "12:15"],
}


@pytest.mark.postgres
@pytest.mark.parametrize(("name", "kind"), [("to_date", Kind.DATE), ("to_timestamp", Kind.TIMESTAMPTZ)])
def test_reading_by_a_pattern_agrees_with_postgresql(name: str, kind: Kind, postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        for pattern, values in READ.items():
            theirs = ask(connection, [f"{name}({quoted(value, TEXT)}, {quoted(pattern, TEXT)})" for value in values])
            made = call(name, [ColumnRef(0, TEXT), Literal(pattern, TEXT)])
            ours = evaluate(made, [column(values, TEXT)], len(values))
            wrong = [(v, a, b) for v, a, b in zip(values, ours, theirs, strict=True) if a != b]
            assert not wrong, (pattern, wrong)


ZONED = [
    "2024-03-10 02:30",
    "2024-11-03 01:30",
    "2024-07-01",
    "2024-03-31 02:00:00.5",
    "2024-10-27 02:59:59",
    "1969-12-31",
    None,
]


@pytest.mark.postgres
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Paris", "Asia/Kolkata", "UTC"])
def test_time_zones_agree_with_postgresql(zone: str, postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        for kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            type_ = ColumnType(kind)
            theirs = ask(connection, [f"timezone('{zone}', {quoted(value, type_)})" for value in ZONED])
            made = call("timezone", [Literal(zone, TEXT), ColumnRef(0, type_)], [zone, None])
            assert evaluate(made, [column(ZONED, type_)], len(ZONED)) == theirs


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
    replaced = [
        ("aXbXc", "X", "--"),
        ("aXbXc", "x", "<\\&>", "gi"),
        ("2024-02-29", "(\\d+)-(\\d+)", "\\2/\\1"),
        ("a.b", "\\.", "\\\\"),
        ("abc", "[a-c]", "", "g"),
    ]
    with postgres.connect() as connection:
        for given in replaced:
            theirs = ask(connection, [written("regexp_replace", [quoted(arg, TEXT) for arg in given])])[0]
            constants = [Literal(arg, TEXT) for arg in given[1:]]
            column_0 = column([given[0]], TEXT)
            assert evaluate(call("regexp_replace", [ColumnRef(0, TEXT), *constants]), [column_0], 1) == [theirs], given
        questions = [written(name, [quoted(arg, TEXT) for arg in args]) for name, args in calls]
        for (name, args), theirs in zip(calls, ask(connection, questions), strict=True):
            types = [TEXT] * len(args)
            assert compute(name, types, [args])[0] == theirs, (name, args)
            assert folded(name, types, args) == theirs, (name, args)
