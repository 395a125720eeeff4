"""The functions of `planner.functions.small` give PostgreSQL's results and errors, or known ones where it has none."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from planner import PlanErrors
from planner.document import result_of
from planner.functions.hashes import murmur2, seahash
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

BYTES = "'\\x00ff41c3bc'::bytea"
EXPRESSIONS = [
    *(f"get_bit({BYTES}, {place})" for place in (0, 7, 8, 39, 40, -1)),
    *(f"get_byte({BYTES}, {place})" for place in (0, 1, 4, 5)),
    f"set_bit({BYTES}, 9, 0)",
    f"set_bit({BYTES}, 2, 1)",
    f"set_bit({BYTES}, 2, 2)",
    f"set_byte({BYTES}, 2, 300)",
    f"set_byte({BYTES}, 9, 3)",
    f"bit_count({BYTES})",
    "convert_from('\\xc3bc41'::bytea, 'UTF8')",
    "convert_from('\\xfc41'::bytea, 'latin1')",
    "convert_from('\\xfc41'::bytea, 'utf-8')",
    "convert_to('aü', 'utf8')",
    "convert_to('ü', 'LATIN1')",
    "convert_to('€', 'latin1')",
    "convert_from(NULL, 'utf8')",
    *(
        f"pg_size_pretty({n}::bigint)"
        for n in (0, 10239, 10240, -10240, 20 * 1024 * 1024 - 513, 20 * 1024 * 1024 - 512, 1 << 42)
    ),
    *(f"pg_size_pretty({n}::bigint)" for n in (-123456789, 987654321987, (1 << 63) - 1, -(1 << 62), 10 * 1024 * 1024)),
    *(f"factorial({n})" for n in (0, 1, 5, 33)),
    "factorial(-1)",
    *(f"scale({n})" for n in ("1.50", "0", "100", "-1.250::numeric(8,4)", "NULL::numeric")),
    *(f"min_scale({n})" for n in ("1.50", "0.000", "100", "-1.250::numeric(8,4)", "1e-10")),
    *(f"trim_scale({n})" for n in ("1.50", "0.000", "100", "-1.250::numeric(8,4)")),
    "num_nulls(NULL::int)",
    "num_nulls(1, 'a', NULL, true)",
    "num_nonnulls(NULL, NULL::date, 2)",
    *(f"pg_typeof({v})" for v in ("1", "1::bigint", "'a'::text", "'a'::varchar(3)", "1.5", "1::real", "true")),
    *(
        f"pg_typeof({v})"
        for v in ("interval '1 h'", "timestamp '2024-01-01'", "timestamptz '2024-01-01 00:00+00'", "'{}'::jsonb")
    ),
    *(f"length(normalize('\u1e9b\u0323ﬁ', {form}))" for form in ("NFC", "NFD", "NFKC", "NFKD")),
    "normalize('u\u0308')",
    "isfinite(interval '1 h')",
    "isfinite(NULL::date)",
    "make_interval(weeks => 2, secs => 1.5)",
    "make_interval(1, mins => 3)",
    "make_date(day => 3, year => 2024, month => 2)",
    *(f"quote_ident({v})" for v in ("'a b'", "'select'", "'a_1'", "'1a'", "'A'", "'a\"b'", "''", "'año'", "NULL")),
    *(f"quote_literal({v})" for v in ("'a''b'", "'a\\b'", "1.50", "true", "NULL::int")),
    *(f"quote_nullable({v})" for v in ("'a''b'", "'\\'", "7", "NULL::int")),
    *(f"parse_ident({v})::text" for v in ("'a.B.\"C d\"'", "' a . b '", "'a..b'", "'\"\"'", "'1a'", "'a.b c'")),
    *(f"parse_ident({v}, false)::text" for v in ("'a.b[1]'", "'a.'", "'a()'", "NULL")),
    *(
        f"pg_size_bytes({v})"
        for v in ("'1.5 MB'", "'7'", "' -2kB '", "'1e3 gb'", "'x'", "'1 xb'", "'.5kB'", "'99999 PB'")
    ),
    "length('\\xc3bc41'::bytea, 'utf8')",
    *(
        f"jsonb_set('{doc}'::jsonb, '{path}', '\"new\"'{create})"
        for doc in ('{"a": [1, {"b": 2}], "bb": null}', "[1, 2]", "5", "{}")
        for path in ("{a}", "{a,0}", "{a,-1,b}", "{a,9}", "{a,-9}", "{c}", "{c,d}", "{0}", "{a,x}", "{}", "{a,NULL}")
        for create in ("", ", false")
    ),
    *(
        f"jsonb_insert('{doc}'::jsonb, '{path}', '[0]'{after})"
        for doc in ('{"a": [1, {"b": 2}]}', "[1, 2]")
        for path in ("{a}", "{a,0}", "{a,-1}", "{a,9}", "{z}", "{1}", "{}")
        for after in ("", ", true")
    ),
    *(
        f"'{doc}'::jsonb #- '{path}'"
        for doc in ('{"a": [1, {"b": 2}]}', "[1, 2]", "5", "{}")
        for path in ("{a}", "{a,0}", "{a,1,b}", "{a,7}", "{-1}", "{}", "{a,x}")
    ),
    *(
        f"'{doc}'::jsonb {operator} '{keys}'"
        for doc in ('{"a": 1, "2": 1}', '["a", 2]', '"a"', "2")
        for operator in ("?|", "?&")
        for keys in ("{a,b}", "{a}", "{2}", "{a,NULL}", "{}")
    ),
    "'abc' ^@ 'ab'",
    "make_timestamp(2024, 2, mday => 3, hour => 4, min => 5, sec => 6.5)",
]


def _ours(expression: str) -> tuple[str | None, bool]:
    """The result, and whether there is none for an error."""
    try:
        return result_of(expression), False
    except (ValueError, PlanErrors):
        return None, True


@pytest.mark.postgres
def test_postgresql(postgres: PostgresServer) -> None:
    with postgres.connect() as database:
        theirs = ask(database, EXPRESSIONS)
    assert [(e, *_ours(e)) for e in EXPRESSIONS] == [
        (e, answer.value, answer.error is not None) for e, answer in zip(EXPRESSIONS, theirs, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    # The vectors of Kafka's own test, as signed numbers.
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_kafkas_hash(text: str, found: int) -> None:
    assert murmur2(text) == found & 0x7FFFFFFF
    assert result_of(f"kafka_murmur2('{text}')") == str(found & 0x7FFFFFFF)


def test_seahash() -> None:
    # The vector of the reference.
    assert seahash("to be or not to be") == 1988685042348123509
    assert result_of("seahash('\\x746f206265206f72206e6f7420746f206265'::bytea)") == "1988685042348123509"
    assert result_of("seahash('')") == "14492805990617963705"


@pytest.mark.parametrize("name", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
def test_digests(name: str) -> None:
    assert result_of(f"encode(digest('aü', '{name}'), 'hex')") == hashlib.new(name, "aü".encode()).hexdigest()
    assert result_of(f"digest('\\x61'::bytea, '{name.upper()}')") == "\\x" + hashlib.new(name, b"a").hexdigest()
    assert result_of(f"encode(hmac('a', 'k', '{name}'), 'hex')") == hmac.new(b"k", b"a", name).hexdigest()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2015-09-18T23:56:04.123Z", "2015-09-18 23:56:04.123"),
        ("2015-09-18T23:56:04Z", "2015-09-18 23:56:04"),
        ("2015-02-30T23:56:04.123Z", None),
        ("2015-09-18 23:56:04.123Z", None),
        ("2015-09-18T23:56:04.123+00", None),
        ("", None),
    ],
)
def test_monotonic_timestamps(text: str, found: str | None) -> None:
    assert result_of(f"try_parse_monotonic_iso8601_timestamp('{text}')") == found
