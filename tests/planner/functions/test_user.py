"""Functions in Python: what they give is checked, and a row's value and error are its own, however rows come together."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.types import BIGINT, Column
from planner import PlanErrors, build_dataflow, plan_views
from planner.functions.registry import Site
from planner.functions.user import Called, Functions, SignatureError, UserFunction, read_signature


def one(signature: str, call: Called, text: str = "v1") -> Functions:
    made = read_signature(signature, call, text)
    return {made.name: (made,)}


def run(function: UserFunction, *operands: Any) -> tuple[list[Any], list[str | None]]:
    rows = next((len(operand) for operand in operands if isinstance(operand, pa.Array)), 1)
    values, errors = function.kernel(Site(function.name, (), function.result))(operands, rows)
    assert values.type == function.result.arrow
    assert len(values) == rows
    return values.to_pylist(), [None] * rows if errors is None else errors.to_pylist()


def evaluated(sql: str, functions: Functions) -> tuple[list[Any], list[str]]:
    planned = plan_views({}, {"v": sql}, functions=functions)
    flow = build_dataflow(planned, {}, {}, {"v": (0,)}, lambda: 0.0)
    flow.step({})
    view = flow.view("v")
    return sorted(view.snapshot().rows().columns[0].to_pylist(), key=str), view.errors().rows().columns[0].to_pylist()


def inverse(values: pa.Array) -> pa.Array:
    return pc.divide(1000, values)


INVERSE = read_signature("inverse(n bigint) returns bigint", inverse, "v1")


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=40))
def test_a_row_fails_alone(rows: list[int | None]) -> None:
    values, errors = run(INVERSE, pa.array(rows, pa.int64()))
    for row, value, error in zip(rows, values, errors, strict=True):
        if row == 0:
            assert error == "function inverse: divide by zero"
        else:
            assert (value, error) == (None if row is None else int(1000 / row), None)


@pytest.mark.parametrize(
    ("signature", "call", "said"),
    [
        ("f(n bigint) returns bigint", lambda _: [1], "gave list, not an Arrow array of int64"),
        ("f(n bigint) returns bigint", lambda _: pa.array([1, 2]), "gave 2 values for 1 rows"),
        ("f(n bigint) returns text", lambda n: n, "gave int64, not large_string"),
        (
            "f(n bigint) returns smallint",
            lambda _: pa.array([70_000]),
            "Integer value 70000 not in range: -32768 to 32767",
        ),
        ("f(n bigint) returns jsonb", lambda _: pa.array(["{"]), "invalid input syntax for type json"),
        (
            "f(n bigint) returns numeric(4,2)",
            lambda _: pa.array([100]).cast(pa.decimal128(20, 0)),
            "numeric field overflow",
        ),
        (
            "f(n bigint) returns date",
            lambda _: pa.array([-(2**31)]).cast(pa.int32()).cast(pa.date32()),
            "date out of range",
        ),
        (
            "f(n bigint) returns timestamp",
            lambda n: n.cast(pa.timestamp("us", "UTC")),
            "gave timestamp[us, tz=UTC], not",
        ),
        ("f(n bigint) returns bigint", lambda n: n.nothing, "'pyarrow.lib.Int64Array' object has no attribute"),
    ],
)
def test_what_is_wrong_with_a_result(signature: str, call: Called, said: str) -> None:
    (value,), (error,) = run(read_signature(signature, call, "v1"), pa.array([1]))
    assert value is None
    assert said in (error or "")


def test_what_is_taken() -> None:
    assert run(read_signature("f(n bigint) returns text", lambda _: pa.scalar("x"), ""), pa.array([1, 2]))[0] == [
        "x",
        "x",
    ]
    chunked = read_signature("f(n bigint) returns integer", lambda n: pa.chunked_array([n[:1], n[1:]]), "")
    assert run(chunked, pa.array([1, 2]))[0] == [1, 2]
    nothing = read_signature("f(n bigint) returns text", lambda n: pa.nulls(len(n)), "")
    assert run(nothing, pa.array([1, 2]))[0] == [None, None]
    sorted_keys = read_signature("f(n bigint) returns jsonb", lambda _: pa.array(['{"b":1,"a":2}']), "")
    assert run(sorted_keys, pa.array([1]))[0] == ['{"a": 2, "b": 1}']


def test_a_function_names_the_rows_that_fail() -> None:
    def odd(n: pa.Array) -> tuple[pa.Array, pa.Array]:
        return n, pc.if_else(pc.equal(pc.bit_wise_and(n, 1), 1), "odd", None)

    values, errors = run(read_signature("odd(n bigint) returns bigint", odd, ""), pa.array([1, 2]))
    assert (values[1], errors) == (2, ["function odd: odd", None])


def test_constants_are_scalars() -> None:
    seen: list[Any] = []

    def add(a: Any, b: Any) -> Any:
        seen.append((type(a).__name__, type(b).__name__))
        return pc.add(a, b)

    found, _ = evaluated(
        "SELECT f(g, 5) FROM generate_series(1, 3) g", one("f(a integer, b integer) returns integer", add)
    )
    assert (found, seen[-1]) == ([6, 7, 8], ("Int32Array", "Int32Scalar"))


def test_overloads_and_names() -> None:
    functions = {
        "f": (
            read_signature(
                "f(n bigint, plus bigint) returns text", lambda n, plus: pc.cast(pc.add(n, plus), pa.string()), ""
            ),
            read_signature("f(t text) returns text", pc.utf8_upper, ""),
        )
    }
    assert evaluated("SELECT f('a')", functions)[0] == ["A"]
    assert evaluated("SELECT f(plus => 1::smallint, n => 2)", functions)[0] == ["3"]
    assert evaluated("SELECT f(2, plus => 1)", functions)[0] == ["3"]
    assert evaluated("SELECT f(n) FROM (VALUES ('a'), (NULL)) t(n)", functions)[0] == ["A", None]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("inverse()", "function inverse() does not exist"),
        ("inverse(true)", "function inverse(boolean) does not exist"),
        ("inverse('x')", "invalid input syntax for type bigint"),
        ("inverse(m => 1)", "function inverse has no such arguments (there is inverse(n))"),
        ("inverse(n => 1, 2)", "positional argument cannot follow named argument"),
        ("inverse(n => 1, n => 2)", 'argument name "n" used more than once'),
        ("inverse(1) OVER ()", "inverse"),
    ],
)
def test_calls_that_are_mistakes(call: str, said: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        evaluated(f"SELECT {call}", {"inverse": (INVERSE,)})
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("f(n bigint)", "allowed: name(parameter type, ...) returns type"),
        ("f(bigint) returns text", "allowed: a parameter's name and its type"),
        ("f(n bigin) returns text", "unknown type 'bigin'"),
        ("f(n interval) returns text", "interval is not handed to Python"),
        ("f(n bigint, n text) returns text", "two parameters have one name"),
    ],
)
def test_signatures_that_are_mistakes(signature: str, said: str) -> None:
    with pytest.raises(SignatureError, match=said.replace("(", "\\(").replace(")", "\\)").replace("...", "\\.\\.\\.")):
        read_signature(signature, len, "")


def test_another_text_is_another_view() -> None:
    tables = {"t": (Column("n", BIGINT),)}
    queries = {"v": "SELECT inverse(n) AS n FROM t", "w": "SELECT n FROM v", "x": "SELECT n FROM t"}

    def definitions(text: str) -> dict[str, str]:
        functions = one("inverse(n bigint) returns bigint", inverse, text)
        return plan_views(tables, queries, functions=functions).definitions

    first, again, other = definitions("v1"), definitions("v1"), definitions("v2")
    assert first == again
    assert [name for name in queries if first[name] != other[name]] == ["v", "w"]


def test_equal_calls_are_computed_once() -> None:
    tables = {"t": (Column("n", BIGINT),)}
    functions = one("inverse(n bigint) returns bigint", inverse)
    queries = dict.fromkeys(("v", "w"), "SELECT inverse(n) AS n, count(*) AS c FROM t GROUP BY inverse(n)")
    flow = build_dataflow(plan_views(tables, queries, functions=functions), tables, {}, {}, lambda: 0.0)
    assert "map inverse(t.n)" in flow.explain("v")
    assert "(shared with" in flow.explain("v")
