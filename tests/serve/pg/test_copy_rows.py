"""COPY FROM's formats: the same bytes give the same rows, or the same error, as PostgreSQL's COPY."""

from __future__ import annotations

import csv
import io
import random
import struct
from contextlib import suppress
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from itertools import pairwise
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.types import Column, ColumnType
from serve.kernels import _pg_copy
from serve.pg import values
from serve.pg.commands import CopyFormat, CopyFrom
from serve.pg.copy_rows import CopyReader
from serve.sql.errors import QueryError
from tests.serve.pg.door import KINDS
from tests.servers.postgres import PostgresServer

COLUMNS = (
    Column("a", ColumnType.parse("integer")),
    Column("b", ColumnType.parse("text")),
    Column("c", ColumnType.parse("varchar(3)"), nullable=False),
)
DEFINITION = "CREATE TEMPORARY TABLE t (a integer, b text, c varchar(3) NOT NULL)"
Outcome = tuple[Any, ...]


def copy(format_: CopyFormat, **more: Any) -> CopyFrom:
    marks = ("\t", "\\N") if format_ == "text" else (",", "")
    given = {"header": False, "match": False, "delimiter": marks[0], "null": marks[1], "quote": '"', "escape": '"'}
    return CopyFrom("t", 1, ("a", "b", "c"), format_, **(given | more))


def read(data: bytes, how: CopyFrom, columns: tuple[Column, ...] = COLUMNS, pieces: int = 1) -> Outcome:
    """Rows, or an error's code, message, context and hint."""
    reader = CopyReader("t", columns, how)
    cuts = [len(data) * n // pieces for n in range(pieces + 1)]
    found: list[tuple[Any, ...]] = []
    try:
        for number, (begin, end) in enumerate(pairwise(cuts), 1):
            batch = reader.read(data[begin:end], number == pieces)
            found += list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    except QueryError as error:
        return error.code, error.message, error.context, error.hint
    return ("", found)


def expected(connection: psycopg.Connection[Any], data: bytes, options: str) -> Outcome:
    """What PostgreSQL makes of the same bytes."""
    connection.execute("TRUNCATE t")
    try:
        with connection.cursor().copy(f"COPY t FROM STDIN {options}") as copied:
            copied.write(data)
    except psycopg.Error as error:
        diagnosis = error.diag
        return diagnosis.sqlstate, diagnosis.message_primary, diagnosis.context, diagnosis.message_hint
    return ("", connection.execute("SELECT a, b, c FROM t").fetchall())


@pytest.fixture(scope="module")
def oracle(postgres: PostgresServer) -> Any:
    with postgres.connect() as connection:
        connection.execute(DEFINITION)
        yield connection


FIELD = st.one_of(
    st.sampled_from(["1", "-7", "x", "", "\\N", "\\.", "ab", "abcd", "ab  ", '"', '"a"', '"a""b"', '"a\nb"', "a\\tb"]),
    st.sampled_from(["\\101", "\\x41", "\\xff", "\\\\", "\\n", "é", "99999999999", " 5", '"x', "\\\n", 'q"r"s', "\\,"]),
    st.text('ab1,\t"\\\n\r.N\\', max_size=4),
)
LINE = st.lists(FIELD, min_size=1, max_size=4)


def document(lines: list[list[str]], delimiter: str, end: str, whole: bool) -> bytes:
    return (end.join(delimiter.join(line) for line in lines) + (end if whole else "")).encode()


@settings(max_examples=150)
@given(st.lists(LINE, max_size=4), st.sampled_from(["\n", "\n", "\r\n", "\r"]), st.booleans(), st.integers(1, 6))
@example([["1", "a", "b"], ["2", "", "abcd"]], "\n", True, 2)
@example([["1", "\\.", "b"]], "\n", True, 1)
def test_text_is_read_as_postgresql_reads_it(
    oracle: Any, lines: list[list[str]], end: str, whole: bool, pieces: int
) -> None:
    data = document(lines, "\t", end, whole)
    if b"\\." in data and not data.startswith(b"\\.") and b"\n\\.\n" not in data:
        return  # PostgreSQL ends at a marker within a line; here it is corrupt
    compare(read(data, copy("text"), pieces=pieces), expected(oracle, data, ""), data)


@settings(max_examples=150)
@given(
    st.lists(LINE, max_size=4),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from(['"', "\\", "'"]),
    st.booleans(),
)
def test_csv_is_read_as_postgresql_reads_it(
    oracle: Any, lines: list[list[str]], end: str, whole: bool, pieces: int, escape: str, header: bool
) -> None:
    data = document(lines, ",", end, whole)
    how = copy("csv", escape=escape, header=header)
    options = f"(FORMAT csv, ESCAPE '{escape.replace(chr(39), chr(39) * 2)}', HEADER {header})"
    compare(read(data, how, pieces=pieces), expected(oracle, data, options), data)


def compare(got: Outcome, wanted: Outcome, data: bytes) -> None:
    assert got[0] == wanted[0], (data, got, wanted)
    assert got[1:] == wanted[1:], (data, got, wanted)


TYPES = tuple(Column(name, type_) for name, type_ in KINDS.items())
SAMPLES = {
    "flag": ["true", "false"], "small": ["-32768", "7"], "whole": ["2147483647"], "long": ["-9223372036854775808"],
    "exact": ["0", "-12.5", "1234567890.0625", "0.0001", "100000000", "99999999999999999999"], "money": ["-0.05", "1234567890.12"],
    "short": ["1.5", "NaN", "-Infinity"], "wide": ["0.1", "1e300"], "word": ["", "ä\n\"'\\"],
    "day": ["2020-02-29", "0001-01-01", "1970-01-01"], "local": ["2020-02-29 01:02:03.000004"],
    "moment": ["1969-12-31 23:59:59.999999+00"], "doc": ['{"a": [1, null]}', "3"], "raw": ["\\x00ff", "\\x"],
    "span": ["1 year -3 days 00:00:04.000001"], "clock": ["24:00:00", "01:02:03.5"],
    "unique": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "fixed": ["ab"], "short_word": ["abcde", "x  "],
}  # fmt: skip


def test_every_type_in_binary_is_what_its_text_is(oracle: Any) -> None:
    chance = random.Random(3)
    listed = ", ".join(f'"{column.name}" {column.type}' for column in TYPES)
    oracle.execute(f"CREATE TEMPORARY TABLE k ({listed})")
    lines = [
        [None if chance.random() < 0.2 else chance.choice(SAMPLES[column.name]) for column in TYPES] for _ in range(50)
    ]
    marks = ", ".join(f"%s::{column.type}" for column in TYPES)
    oracle.cursor().executemany(f"INSERT INTO k VALUES ({marks})", lines)
    with oracle.cursor().copy("COPY k TO STDOUT (FORMAT binary)") as copied:
        binary = b"".join(map(bytes, copied))
    with oracle.cursor().copy("COPY k TO STDOUT") as copied:
        text = b"".join(map(bytes, copied))
    for pieces in (1, 7, 300):
        got = read(binary, copy("binary"), TYPES, pieces)
        assert repr(got) == repr(read(text, copy("text"), TYPES, pieces))  # NaN is not equal to itself
        assert len(got[1]) == 50
    # Cut off or changed anywhere, it is an error or other rows, and nothing else.
    for _ in range(300):
        data = bytearray(binary)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with suppress(QueryError):
            CopyReader("t", TYPES, copy("binary")).read(bytes(data[: chance.randrange(len(data))]), last=True)


def test_a_binary_row_that_is_wrong_is_told_as_postgresql_tells_it(oracle: Any) -> None:
    def row(*fields: bytes | None) -> bytes:
        parts = [struct.pack("!i", -1) if one is None else struct.pack("!i", len(one)) + one for one in fields]
        return struct.pack("!h", len(fields)) + b"".join(parts)

    begin, good = b"PGCOPY\n\xff\r\n\0" + bytes(8), row(struct.pack("!i", 5), b"x", b"y")
    for data in (
        begin + good + b"\xff\xff",
        begin + good + row(b"12", b"x", b"y"),
        begin + row(None, b"\xff", b"y"),
        begin + row(None, b"a", None) + b"\xff\xff",
        begin + row(None, b"a", b"abcd") + b"\xff\xff",
        begin + row(b"a", b"b"),
        begin + good + b"\xff\xff" + b"x",
        begin + good[:-1],
        b"nothing",
        begin + struct.pack("!hi", 3, -5),
    ):
        got, wanted = read(data, copy("binary")), expected(oracle, data, "(FORMAT binary)")
        assert got[0] == wanted[0], (data, got, wanted)
        assert got[1] == wanted[1], data


def test_a_header_has_to_match_when_that_is_asked_for(oracle: Any) -> None:
    for data in (b"a,b,c\n1,x,y\n", b"a,c,b\n1,x,y\n", b"a,b\n", b'"a",b,"c"\r\n1,x,y\r\n', b"a,,c\n"):
        how = copy("csv", header=True, match=True)
        got, wanted = read(data, how), expected(oracle, data, "(FORMAT csv, HEADER match)")
        assert got[:2] == wanted[:2], (data, got, wanted)


def test_the_kernel_reads_what_pythons_csv_writes() -> None:
    chance = random.Random(9)
    lines = [["".join(chance.choices('ab,"\r\n é', k=chance.randrange(6))) for _ in range(3)] for _ in range(500)]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(lines)
    columns = tuple(Column(name, ColumnType.parse("text")) for name in "xyz")
    assert read(out.getvalue().encode(), copy("csv"), columns, 20) == ("", [tuple(line) for line in lines])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20))
def test_numerics_are_what_parameters_of_the_same_bytes_are(value: Any) -> None:
    data = psycopg.adapt.Transformer().get_dumper(value, psycopg.adapt.PyFormat.BINARY).dump(value)
    got = pa.Array._import_from_c_capsule(*_pg_copy.numeric_texts(pa.array([bytes(data)], pa.large_binary())))
    type_ = ColumnType.parse("numeric")
    assert (
        scalars.parse(got, 1, type_)[0][0].as_py()
        == scalars.parse(pa.array([values.literal(bytes(data), True, type_, 1).value], pa.large_string()), 1, type_)[0][
            0
        ].as_py()
    )


def numeric(weight: int, scale: int, *groups: int, sign: int = 0) -> bytes:
    return struct.pack(f"!hhHh{len(groups)}h", len(groups), weight, sign, scale, *groups)


NUMERIC = ColumnType.parse("numeric")
SIZES = st.one_of(st.integers(-3, 3), st.sampled_from([-1001, -1000, -41, 40, 1000, 1001]))


@given(SIZES, st.sampled_from([0, 1, 4, 7, 16383]), st.lists(st.sampled_from([0, 1, 120, 9999]), max_size=3))
@example(1000, 16383, [1])
@example(-1000, 16383, [9999])
@example(0, 32767, [])
def test_a_numerics_text_is_no_longer_than_its_bytes_say(weight: int, scale: int, groups: list[int]) -> None:
    data = numeric(weight, scale, *groups)
    (text,) = pa.Array._import_from_c_capsule(*_pg_copy.numeric_texts(pa.array([data], pa.large_binary()))).to_pylist()
    assert len(text) < 400
    if text == "?":
        assert abs(weight) > 1000
        return
    with localcontext(Context(prec=200)):
        exact = sum((group * Decimal(10) ** (4 * (weight - place)) for place, group in enumerate(groups)), Decimal(0))
        if abs(weight) <= 3:
            assert Decimal(text) == exact.quantize(Decimal(1).scaleb(-min(scale, 40)), ROUND_DOWN)
            with suppress(QueryError):  # more digits than a numeric here has
                assert Decimal(str(values.literal(data, True, NUMERIC, 1).value)) == Decimal(text)
        elif weight > 0 and any(groups):
            assert Decimal(text) > Decimal(10) ** 100
