"""The endpoints: bytes of a request in, status and JSON out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.spine import Spine
from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    JSONB,
    NUMERIC,
    REAL,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    ColumnType,
)
from serve.answers import MAX_LIMIT
from serve.status import ServiceStatus
from tests.serve.published import TIME, Diff, House, Memory, Source, view

MONEY = ColumnType.parse("numeric(12,2)")
REVENUE = view(
    "revenue",
    {"customer": TEXT, "total": MONEY, "orders": BIGINT},
    ["customer"],
    [
        ("ada", Decimal("12.50"), 3),
        ("bob", Decimal("1.00"), 1),
        ("a/b é", Decimal("2.00"), 1),
        (None, Decimal("7.00"), 1),
    ],
    [("bob", Decimal("1.00"), 1, Diff(-1)), ("bob", Decimal("3.00"), 2)],
)
ADA = {"customer": "ada", "total": "12.50", "orders": 3}
BOB = {"customer": "bob", "total": "3.00", "orders": 2}


@pytest.fixture
def house() -> House:
    made = House()
    made.publish(REVENUE)
    return made


def error(house: House, path: str, status: int, method: str = "GET") -> dict[str, str | None]:
    found, body = house.get(path, method)
    assert found == status, body
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "detail", "hint", "code"}
    return body["error"]


class TestLookup:
    def test_by_key(self, house: House) -> None:
        assert house.get("/views/revenue/ada") == (200, {"view": "revenue", "timestamp": TIME, "rows": [ADA]})

    def test_a_changed_row(self, house: House) -> None:
        assert house.get("/views/revenue/bob")[1]["rows"] == [BOB]

    def test_absent_key(self, house: House) -> None:
        assert house.get("/views/revenue/zoe") == (404, {"view": "revenue", "timestamp": TIME, "rows": []})

    def test_a_key_of_any_text(self, house: House) -> None:
        status, body = house.get("/views/revenue/a%2Fb%20%C3%A9")
        assert (status, body["rows"][0]["total"]) == (200, "2.00")

    def test_composite_key_and_copies(self) -> None:
        house = House()
        columns = {"day": DATE, "n": INTEGER, "t": TEXT}
        rows = [(date(2026, 11, 22), 1, "x", Diff(2)), (date(2026, 11, 22), 2, "y")]
        house.publish(view("v", columns, ["n", "day"], rows))
        row = {"day": "2026-11-22", "n": 1, "t": "x"}
        assert house.get("/views/v/1/2026-11-22")[1]["rows"] == [row, row]
        refused = error(house, "/views/v/1", 400)
        assert refused["message"] == "the key of view v has 2 columns, the path 1 segments"
        assert refused["detail"] == "the key is: n, day"

    @pytest.mark.parametrize(
        ("type_", "value", "texts", "absent", "bad"),
        [
            (BOOLEAN, True, ["true", "t", "1"], ["false"], ["maybe", ""]),
            (SMALLINT, 7, ["7", "+7", "007"], ["8"], ["7.0", "x", "40000", "-40000", ""]),
            (BIGINT, 2**63 - 1, [str(2**63 - 1)], ["0"], [str(2**63), "1e3", "９"]),
            (
                NUMERIC,
                Decimal("1.5"),
                ["1.5", "1.50", "15e-1", "+1.5"],
                ["1.51", "1e400", "1.00000000000000001"],
                ["NaN", "1,5"],
            ),
            (MONEY, Decimal("1.50"), ["1.5", "1.500"], ["1.501", "1" * 60], ["--1"]),
            (DOUBLE, 0.1, ["0.1", "1e-1"], ["0.2", "nan", "Infinity"], ["0x1", "1_0"]),
            (REAL, 0.5, ["0.5"], ["0.1"], [""]),
            (TEXT, "1", ["1"], ["", "01"], ["%00"]),
            (DATE, date(2026, 1, 2), ["2026-01-02"], ["2026-01-03"], ["2026-13-01", "today"]),
            (
                TIMESTAMP,
                datetime(2026, 1, 2, 3, 4, 5, 600000),
                ["2026-01-02T03:04:05.6", "2026-01-02%2003:04:05.600"],
                ["2026-01-02"],
                ["2026-01-02T25:04:05", "x"],
            ),
            (
                TIMESTAMPTZ,
                datetime(2026, 1, 2, 3, tzinfo=UTC),
                ["2026-01-02T03:00:00Z", "2026-01-02T04:00:00+01:00", "2026-01-02T03:00"],
                ["2026-01-02"],
                ["2026-13-01T00:00:00Z", "x"],
            ),
            (BYTEA, b"\xff?", ["/z8=".replace("/", "%2F")], ["AAAA"], ["a", "*"]),
        ],
    )
    def test_typed_keys(self, type_, value, texts, absent, bad) -> None:
        house = House()
        house.publish(view("v", {"k": type_, "n": BIGINT}, ["k"], [(value, 1)]))
        for text in texts:
            assert house.get(f"/views/v/{text}")[0] == 200, text
            assert len(house.get(f"/views/v?k={text.replace('+', '%2B')}")[1]["rows"]) == 1, text
            assert len(house.get(f"/views/v?n=1&k={text.replace('+', '%2B')}")[1]["rows"]) == 1, text
        for text in absent:
            assert house.get(f"/views/v/{text}") == (404, {"view": "v", "timestamp": TIME, "rows": []}), text
        for text in bad:
            refused = error(house, f"/views/v/{text}", 400)
            assert refused["code"] in ("22P02", "22003", "22021"), text
            assert refused["detail"] == f"column k of view v is {type_}"

    def test_what_an_answer_shows_finds_the_row_again(self) -> None:
        columns = {"r": REAL, "d": DOUBLE, "m": MONEY, "t": TIMESTAMPTZ, "b": BYTEA, "s": TEXT}
        row = (0.1, 1e300, Decimal("-0.05"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), b"\x00\xfe", "a&b=c %")
        house = House()
        house.publish(view("v", columns, ["s"], [row]))
        for column, shown in house.get("/views/v")[1]["rows"][0].items():
            assert len(house.get(f"/views/v?{column}={quote(str(shown), safe='')}")[1]["rows"]) == 1, column

    def test_years_of_more_digits_and_before_christ(self) -> None:
        days = pa.array([-800_000, 4_000_000, 0], pa.int32())
        moments = pa.array([-(10**17), 10**18, 0], pa.int64())
        columns = {"d": DATE, "t": TIMESTAMP, "z": TIMESTAMPTZ, "n": BIGINT}
        arrays = (
            days.view(pa.date32()),
            *(moments.view(t.arrow) for t in (TIMESTAMP, TIMESTAMPTZ)),
            pa.array([1, 2, 3]),
        )
        spine = Spine(Layout(tuple(columns.values()), (0,)))
        spine.insert(Delta(arrays, np.ones(3, np.int64)))
        house = House()
        house.publish(replace(view("v", columns, ["d"]), rows=spine.snapshot()))
        shown = house.get("/views/v")[1]["rows"]
        assert {row["d"][0] for row in shown} == {"-", "+", "1"}
        for row in shown:
            assert house.get(f"/views/v/{quote(row['d'])}")[1]["rows"] == [row]
            for column in columns:
                assert house.get(f"/views/v?{column}={quote(str(row[column]), safe='')}")[1]["rows"] == [row]

    def test_jsonb(self) -> None:
        house = House()
        house.publish(view("v", {"k": JSONB}, ["k"], [('{"a": 1, "bc": [true]}',)]))
        text = quote('{"bc":[true],"a":1}', safe="")
        assert house.get(f"/views/v?k={text}")[1]["rows"] == [{"k": {"a": 1, "bc": [True]}}]
        assert house.get(f"/views/v/{text}")[0] == 200
        assert error(house, "/views/v?k=x", 400)["message"].startswith("invalid input syntax for type json")

    def test_a_view_without_key(self) -> None:
        house = House()
        house.publish(view("v", {"k": TEXT}, [], [("a",)]))
        assert error(house, "/views/v/a", 400)["detail"] == "the key is: no columns"

    def test_parameters_do_not_mix_with_a_path(self, house: House) -> None:
        assert error(house, "/views/revenue/ada?orders=3", 400)["hint"] == "use /views/revenue?..."


class TestScan:
    def test_everything(self, house: House) -> None:
        status, body = house.get("/views/revenue")
        assert status == 200
        assert sorted(str(row["customer"]) for row in body["rows"]) == ["None", "a/b é", "ada", "bob"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("customer=ada", [ADA]),
            ("orders=3", [ADA]),
            ("total=12.5&orders=3", [ADA]),
            ("customer=ada&orders=3", [ADA]),
            ("customer=ada&orders=4", []),
            ("customer=zoe", []),
            ("total=0.001", []),
            ("limit=0", []),
        ],
    )
    def test_by_columns(self, house: House, query: str, expected: list[object]) -> None:
        assert house.get(f"/views/revenue?{query}") == (200, {"view": "revenue", "timestamp": TIME, "rows": expected})

    def test_limit(self, house: House) -> None:
        assert len(house.get("/views/revenue?limit=2")[1]["rows"]) == 2
        house.publish(view("v", {"n": BIGINT}, ["n"], [(n,) for n in range(20_000)]))
        assert len(house.get("/views/v")[1]["rows"]) == 100
        assert len(house.get("/views/v?limit=10000")[1]["rows"]) == 10_000
        for bad in ("-1", "x", str(MAX_LIMIT + 1), "", "1e3", "%C2%B2", "9" * 30):
            assert error(house, f"/views/v?limit={bad}", 400)["code"] == "22023"

    def test_unknown_column(self, house: House) -> None:
        refused = error(house, "/views/revenue?custmer=ada", 400)
        assert refused["code"] == "42703"
        assert refused["hint"] == "did you mean customer?"
        assert (
            error(house, "/views/revenue?customer=a&customer=b", 400)["message"] == 'column "customer" is given twice'
        )

    def test_queries_that_cannot_be_read(self, house: House) -> None:
        assert error(house, "/views/revenue?customer=%ff", 400)["code"] == "22021"
        assert error(house, "/views/%ff", 400)["code"] == "22021"
        assert error(house, "/views/revenue?" + "&".join(f"a{i}=1" for i in range(1001)), 400)["code"] == "22023"


class TestStates:
    def test_unknown_view(self, house: House) -> None:
        refused = error(house, "/views/revenu/ada", 404)
        assert (refused["code"], refused["hint"]) == ("42P01", "did you mean revenue?")
        assert error(house, "/views/xyz", 404)["hint"] == "there are revenue"

    def test_nothing_published_yet(self) -> None:
        house = House()
        house.status = ServiceStatus(False, "hydrating", {}, {}, list, 0.0, 0)
        for path in ("/views", "/views/revenue", "/views/revenue/ada", "/views/revenue/errors"):
            refused = error(house, path, 503)
            assert (refused["code"], refused["detail"]) == ("57P03", "hydrating")

    def test_a_view_that_hydrates(self, house: House) -> None:
        house.publish(replace(REVENUE, state="hydrating", reason="source orders: topic orders does not exist"))
        for path in ("/views/revenue", "/views/revenue/ada"):
            refused = error(house, path, 503)
            assert refused["message"] == "view revenue is hydrating"
            assert refused["detail"] == "source orders: topic orders does not exist"
        listed = house.get("/views")[1]["views"][0]
        assert (listed["state"], listed["reason"]) == ("hydrating", "source orders: topic orders does not exist")

    def test_the_list(self, house: House) -> None:
        status, body = house.get("/views")
        assert status == 200
        assert body["timestamp"] == TIME
        assert body["freshness_seconds"] > 0
        (listed,) = body["views"]
        assert listed["columns"][1] == {"name": "total", "type": "numeric(12,2)", "nullable": True}
        assert listed["key"] == ["customer"]
        assert listed["rows"] == 4
        assert listed["errors"] == 0
        assert listed["bytes"] > 0

    def test_errors_of_a_view(self) -> None:
        house = House()
        house.publish(view("v", {"n": BIGINT}, ["n"], [(1,)], errors={"division by zero": 2, 'bad "x"': 1}))
        status, body = house.get("/views/v/errors")
        assert (status, body["view"], body["timestamp"]) == (200, "v", TIME)
        assert sorted(body["errors"], key=str) == [
            {"message": 'bad "x"', "count": 1},
            {"message": "division by zero", "count": 2},
        ]
        assert len(house.get("/views/v/errors?limit=1")[1]["errors"]) == 1
        assert error(house, "/views/v/errors?n=1", 400)["message"] == 'unknown parameter "n"'
        assert house.get("/views")[1]["views"][0]["errors"] == 3
        assert house.get("/views/v/1")[1] == {"view": "v", "timestamp": TIME, "errors": 3, "rows": [{"n": 1}]}

    def test_no_errors(self, house: House) -> None:
        assert house.get("/views/revenue/errors")[1]["errors"] == []


class TestProtocol:
    def test_methods(self, house: House) -> None:
        for path in ("/views", "/views/revenue/ada", "/sources", "/livez", "/metrics", "/"):
            for method in ("POST", "PUT", "DELETE"):
                status, headers, body = house.request(path, method)
                assert status == 405
                assert {part.strip() for part in headers["allow"].split(",")} == {"GET", "HEAD"}
                assert json.loads(body)["error"]["code"] == "0A000"

    def test_head_is_get_without_body(self, house: House) -> None:
        for path in ("/views", "/views/revenue/ada", "/views/revenue/zoe", "/views/none"):
            got, head = house.request(path), house.request(path, "HEAD")
            assert head[0] == got[0]
            assert head[2] == b""
            if path != "/views":  # whose freshness differs from call to call
                assert head[1] == got[1]

    def test_headers(self, house: House) -> None:
        _, headers, body = house.request("/views/revenue/ada")
        assert headers == {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "cache-control": "no-store",
        }

    def test_unknown_paths(self, house: House) -> None:
        assert error(house, "/view/revenue", 404)["hint"] == "views are at /views, sources at /sources"
        assert error(house, "/viewsx", 404)["code"] == "42704"
        assert house.get("/views/")[0] == 200

    def test_a_bug_is_an_answer(self, house: House) -> None:
        broken = replace(REVENUE, rows=None)
        house.publish(broken)
        assert error(house, "/views/revenue/ada", 500)["code"] == "XX000"


SEGMENTS = st.lists(
    st.sampled_from([*"v%aAfF0189/?&=.+-é:TZ_ ", "%2F", "%ff", "v", "views", "limit", "k", "n", "errors"]), max_size=12
)


@given(
    SEGMENTS,
    st.sampled_from([TEXT, BIGINT, MONEY, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ, BYTEA, BOOLEAN, JSONB]),
    st.text(max_size=12),
)
def test_any_request_is_answered(segments: list[str], type_: ColumnType, text: str) -> None:
    """Whatever is asked for, the answer is rows or a refusal, never a failure of ours."""
    house = House()
    house.publish(view("v", {"k": type_, "n": BIGINT}, ["k"], [(None, 1)]))
    free = "".join(segments)
    for target in (
        f"/views/{free}",
        f"/views/v/{free}",
        f"/views/v?{free}",
        f"/views/v?k={quote(text)}",
        f"/views/v/{quote(text, safe='')}",
    ):
        status, body = house.get(target)
        assert status in (200, 400, 404), (target, body)
        assert ("error" in body) == (status == 400 or (status == 404 and "rows" not in body))


class TestHealth:
    def test_live_and_index(self, house: House) -> None:
        assert house.get("/livez") == (200, {"live": True})
        assert "/views" in house.get("/")[1]["endpoints"]

    def test_ready(self, house: House) -> None:
        status, body = house.get("/readyz")
        assert (status, body["ready"], body["reason"]) == (200, True, None)

    def test_not_ready_says_why(self, house: House) -> None:
        waiting = {"orders": Source("waiting", "topic orders does not exist")}
        house.status = ServiceStatus(False, "hydrating", waiting, {}, list, 0.0, 0)
        status, body = house.get("/readyz")
        assert status == 503
        assert body["reason"] == "hydrating"
        assert body["sources"] == {"orders": {"state": "waiting", "reason": "topic orders does not exist"}}

    def test_hydration_shows_how_far_it_is(self, house: House) -> None:
        sources = {"orders": Source("hydrating", "1 of 3 offsets of orders (33 %)", hydration=(1, 3))}
        house.status = ServiceStatus(False, "hydrating", sources, {}, list, 0.0, 0)
        assert house.get("/readyz")[1]["sources"] == {
            "orders": {
                "state": "hydrating",
                "reason": "1 of 3 offsets of orders (33 %)",
                "hydration": {"offsets": 1, "of": 3, "percent": 33.3},
            }
        }

    def test_memory_above_its_limit_is_ready_and_says_why(self, house: House) -> None:
        within = {"state": "ok", "reason": None, "limit_bytes": 1000, "state_bytes": 900}
        assert house.get("/readyz")[1]["memory"] == within
        house.status = replace(house.status, memory=Memory(state_bytes=1100, trouble="state/runs cannot take 1.0 MiB"))
        status, body = house.get("/readyz")
        assert status == 200
        assert body["memory"] == {
            "state": "above the limit",
            "reason": "state/runs cannot take 1.0 MiB",
            "limit_bytes": 1000,
            "state_bytes": 1100,
        }
        house.status = replace(house.status, memory=None)
        assert "memory" not in house.get("/readyz")[1]
