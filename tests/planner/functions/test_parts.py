"""SIMILAR TO, places and parts by regular expressions, bytes, degrees and zones: PostgreSQL's results and errors."""

from __future__ import annotations

import pytest

from planner import PlanErrors
from planner.document import result_of
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

BYTES = ("'\\x1234567890'::bytea", "''::bytea", "NULL::bytea")
OF_BYTES = [
    expression
    for t in BYTES
    for expression in (
        *(f"substring({t} from {s} for {c})" for s in (-1, 0, 1, 3, 9) for c in (0, 2, 7, -1)),
        *(f"substr({t}, {s})" for s in (-1, 0, 2, 9)),
        f"position('\\x5678'::bytea in {t})",
        f"position(''::bytea in {t})",
        *(f"{name}({t}, '\\x9012'::bytea)" for name in ("btrim", "ltrim", "rtrim", "trim")),
        f"trim(both '\\x9012'::bytea from {t})",
        *(f"overlay({t} placing '\\x0203'::bytea from {a} for {b})" for a in (-1, 0, 1, 2, 4, 9) for b in (-1, 0, 3)),
        *(f"overlay({t} placing '\\x0203'::bytea from {a})" for a in (0, 2, 5)),
    )
]
OVERLAYS = [f"overlay('Txxxxas' {rest})" for rest in ("placing 'hom' from 2 for 4", "placing 'hom' from 2")]
ANGLES = [*range(0, 391, 15), -30, -45, -90, -450, 12.345, 1e10, "NaN", "Infinity", "-0.0"]
SIDES = ["0", "0.5", "-0.5", "1", "-1", "0.3", "-0.9", "2", "NaN", "Infinity", "-0.0"]
DEGREES = [
    *(f"{name}('{angle}'::float8)" for name in ("sind", "cosd", "tand", "cotd") for angle in ANGLES),
    *(f"{name}('{side}'::float8)" for name in ("asind", "acosd", "atand") for side in SIDES),
    *(
        f"atan2d('{y}'::float8, '{x}'::float8)"
        for y in ("1", "-1", "0", "Infinity", "2.5")
        for x in ("1", "-1", "0", "-7")
    ),
]
TEXTS = ["'abc'", "'a.c'", "'a\nc'", "''", "'a%c'", "'a_c'", "'a]c'", "'a\\c'", "'ab|c'", "'aaa'", "NULL"]
PATTERNS = [
    "abc",
    "a%",
    "a_c",
    "%(b|d)%",
    "(b|c)%",
    "a\\%c",
    "a.c",
    "a[^b]c",
    "a[]b]c",
    "a{3}",
    "a+",
    "a\\\\c",
    "[a-c]*",
]
PATTERNS += ["a^c|abc", "a$", "(a|ab)(c|bcd)?"]
SIMILAR = [
    *(f"{text} SIMILAR TO '{pattern}'" for text in TEXTS for pattern in PATTERNS),
    *(f"{text} NOT SIMILAR TO 'a%'" for text in TEXTS),
    *(f"{text} SIMILAR TO {rest}" for text in TEXTS for rest in ("'a#%c' ESCAPE '#'", "'a\\_c' ESCAPE ''")),
]
PARTS = [
    f"substring({text}{between}'{pattern}')"
    for text in ("'Thomas'", "'foobarbaz'", "''", "NULL")
    for pattern in ("...$", "o(.)", "(x)?b(a)", "[aeiou]", "q")
    for between in (" from ", ", ")
]
PLACES = [
    f"regexp_instr({arguments})"
    for arguments in (
        "'number of your street', '[^,]*'", "'ABCDEFGHI', 'D'", "'abcabcabc', 'a.c', 1, 3", "'abcabcabc', 'a.c', 1, 4",
        "'abcabcabc', 'A.C', 1, 2, 0, 'i'", "'1234567890', '(123)(4(56)(78))', 1, 1, 0, 'i', 0",
        "'1234567890', '(123)(4(56)(78))', 1, 1, 0, 'i', 4", "'1234567890', '(123)(4(56)(78))', 1, 1, 1, 'i', 4",
        "'1234567890', '(123)(4(56)(78))', 1, 1, 0, 'i', 5", "'abc', 'b', 0", "'abc', 'b', 1, 0", "'abc', 'b', 1, 1, 2",
        "'abc', 'b', 1, 1, 0, 'g'", "'abc', 'b', 1, 1, 0, '', -1", "'foobarbaz', 'ba.', 5", "'foobarbaz', 'ba.', 5, 1, 1",
        "'aaa', 'a*', 1, 2", "'abc', '^b', 2", "'abc', '(x)|b', 1, 1, 0, '', 1", "NULL, 'a'", "'abc', 'b', 9", "'abc', 'c', 4",
    )
]  # fmt: skip
ROOTS = ["|/ 25.0", "||/ 27.0", "|/ 2"]
ZONES = ("Australia/Sydney", "Europe/Paris", "UTC", "Asia/Kolkata")
TIMES = ("2024-07-16 23:38:40.1234+00", "2024-03-31 12:00+00", "2024-10-27 00:30+00", "2024-10-27 01:30+00")
UNITS = ("day", "month", "hour", "minute", "week", "year", "second", "quarter")
TRUNCATED = [f"date_trunc('{u}', timestamptz '{t}', '{z}')" for u in UNITS for t in TIMES for z in ZONES]
TRUNCATED += ["date_trunc('day', NULL::timestamptz, 'Europe/Paris')", "date_trunc('day', now(), 'No/Where')"]
MADE = [
    f"make_timestamptz({arguments})"
    for arguments in (
        "2024, 2, 29, 10, 30, 0", "2024, 2, 29, 10, 30, 1.5, 'Europe/Paris'", "2024, 3, 31, 2, 30, 0, 'Europe/Paris'",
        "2024, 2, 30, 10, 30, 0", "2024, 2, 29, 10, 30, 0, 'No/Where'",
    )
]  # fmt: skip


def _ours(expression: str) -> tuple[str | None, bool]:
    """The result, and whether there is none for an error."""
    try:
        return result_of(expression), False
    except (ValueError, PlanErrors):
        return None, True


@pytest.mark.postgres
@pytest.mark.parametrize(
    "expressions",
    [OF_BYTES, OVERLAYS, DEGREES, SIMILAR, PARTS, PLACES, ROOTS, TRUNCATED, MADE],
    ids=["bytes", "overlay", "degrees", "similar", "parts", "places", "roots", "truncated", "made"],
)
def test_postgresql(expressions: list[str], postgres: PostgresServer) -> None:
    with postgres.connect() as database:
        theirs = ask(database, expressions)
    assert [(e, *_ours(e)) for e in expressions] == [
        (e, answer.value, answer.error is not None) for e, answer in zip(expressions, theirs, strict=True)
    ]
