"""Overload resolution, result types, common types and messages."""

from __future__ import annotations

import pytest

from dataflow.types import BIGINT, DOUBLE, INTEGER, NUMERIC, TEXT, ColumnType, Kind, record
from planner.functions import FunctionError, common_type, implicit_cast, resolve, resolve_aggregate
from planner.functions.types import derived_numeric


def _type(text: str | None) -> ColumnType | None:
    return None if text is None else ColumnType.parse(text)


def _types(text: str) -> list[ColumnType | None]:
    return [None if part == "?" else ColumnType.parse(part) for part in text.split(";") if part]


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [
        ("+", "integer;real", DOUBLE),
        ("+", "smallint;integer", INTEGER),
        ("+", "integer;?", INTEGER),
        ("+", "numeric(12,2);integer", derived_numeric(2)),
        ("+", "numeric(12,2);numeric", NUMERIC),
        ("*", "numeric(12,2);numeric(12,3)", derived_numeric(5)),
        ("*", "numeric(30,10);numeric(30,10)", derived_numeric(16)),
        ("*", "numeric(30,20);numeric(30,10)", derived_numeric(20)),
        ("/", "numeric(12,2);integer", NUMERIC),
        ("/", "integer;integer", INTEGER),
        ("round", "integer", DOUBLE),
        ("round", "numeric(12,3)", derived_numeric(0)),
        ("->", "jsonb;?", ColumnType(Kind.JSONB)),
        ("||", "?;?", TEXT),
        ("||", "text;integer", TEXT),
        ("date_trunc", "?;date", ColumnType(Kind.TIMESTAMPTZ)),
        ("-", "date;?", INTEGER),
        ("coalesce", "integer;?;numeric(5,2)", derived_numeric(2)),
        ("greatest", "date;timestamp", ColumnType(Kind.TIMESTAMP)),
        ("=", "numeric(12,2);?", ColumnType(Kind.BOOLEAN)),
    ],
)
def test_results(name: str, args: str, result: ColumnType) -> None:
    assert resolve(name, _types(args)).result == result


def test_literals_give_the_scale() -> None:
    assert resolve("round", [ColumnType(Kind.NUMERIC, 12, 3), INTEGER], [None, 2]).result == derived_numeric(2)
    assert resolve("extract", [None, ColumnType(Kind.DATE)], ["year", None]).result == derived_numeric(0)
    assert resolve("extract", [None, ColumnType(Kind.TIMESTAMP)], ["epoch", None]).result == derived_numeric(6)


def test_an_untyped_literal_beside_a_numeric_is_not_cut_to_its_scale() -> None:
    assert resolve("=", [ColumnType(Kind.NUMERIC, 12, 2), None]).arguments[1] == NUMERIC


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("=", "text;integer", "operator does not exist: text = integer"),
        ("+", "date;bigint", "operator does not exist: date + bigint"),
        ("%", "double precision;integer", "operator does not exist: double precision % integer"),
        ("upper", "integer", "function upper(integer) does not exist"),
        ("coalesce", "integer;text", "COALESCE types integer and text cannot be matched"),
        ("+", "timestamp;timestamp", "operator does not exist: timestamp without time zone + timestamp"),
        ("age", "timestamp", "reads the clock"),
        ("+", "interval;integer", "operator does not exist: interval + integer"),
        ("extract", "integer;date", "function extract(integer, date) does not exist"),
    ],
)
def test_messages(name: str, args: str, message: str) -> None:
    with pytest.raises(FunctionError) as error:
        resolve(name, _types(args))
    assert message in error.value.message


def test_a_misspelt_name_is_answered_with_a_near_one() -> None:
    with pytest.raises(FunctionError) as error:
        resolve("uper", [TEXT])
    assert "upper" in error.value.hint


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [
        ("count", "", BIGINT),
        ("count", "jsonb", BIGINT),
        ("sum", "smallint", BIGINT),
        ("sum", "bigint", derived_numeric(0)),
        ("sum", "numeric(12,2)", derived_numeric(2)),
        ("sum", "numeric", NUMERIC),
        ("sum", "real", ColumnType(Kind.REAL)),
        ("avg", "integer", NUMERIC),
        ("avg", "real", DOUBLE),
        ("max", "date", ColumnType(Kind.DATE)),
    ],
)
def test_aggregates(name: str, args: str, result: ColumnType) -> None:
    assert resolve_aggregate(name, _types(args)).result == result


def test_aggregates_that_do_not_exist() -> None:
    with pytest.raises(FunctionError, match="does not exist"):
        resolve_aggregate("xmlagg", [TEXT])
    with pytest.raises(FunctionError, match=r"function max\(boolean\) does not exist"):
        resolve_aggregate("max", [ColumnType(Kind.BOOLEAN)])


def test_common_types_of_what_holds_others() -> None:
    assert common_type([_type("integer list list"), _type("bigint list list")]) == _type("bigint list list")
    assert common_type([INTEGER.map, None]) == INTEGER.map
    assert common_type([record(INTEGER, TEXT), record(BIGINT, TEXT)]) == record(BIGINT, TEXT)
    for one, other in ((INTEGER.list, INTEGER.map), (INTEGER.list, INTEGER), (record(TEXT), record(TEXT, TEXT))):
        with pytest.raises(FunctionError, match="cannot be matched"):
            common_type([one, other])
    assert str(_type("map[ text => numeric(5,2)  list ]")) == "map[text=>numeric(5,2) list]"
    assert _type("interval[]") == ColumnType(Kind.INTERVAL).array


def test_common_types() -> None:
    assert common_type([None, None]) == TEXT
    assert common_type([INTEGER, None, BIGINT]) == BIGINT
    assert common_type([_type("numeric(12,2)"), _type("numeric(12,2)")]) == ColumnType(Kind.NUMERIC, 12, 2)
    assert common_type([_type("numeric(12,2)"), NUMERIC]) == NUMERIC
    assert common_type([INTEGER, _type("real")]) == ColumnType(Kind.REAL)
    with pytest.raises(FunctionError, match="UNION types integer and text cannot be matched"):
        common_type([INTEGER, TEXT], "UNION")


def test_implicit_casts_go_upwards_only() -> None:
    assert implicit_cast(INTEGER, BIGINT)
    assert implicit_cast(NUMERIC, DOUBLE)
    assert not implicit_cast(DOUBLE, NUMERIC)
    assert not implicit_cast(INTEGER, TEXT)
