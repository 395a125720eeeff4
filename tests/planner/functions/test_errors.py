"""Which row errors count: arguments before the call itself, and none that cannot change the result."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataflow.types import BOOLEAN, INTEGER, TEXT, ColumnType
from planner.compile import compile_scalar
from planner.functions import FunctionError
from planner.scalar import Call, Case, Cast, ColumnRef, Literal, Scalar

A, B = ColumnRef(0, INTEGER, "a"), ColumnRef(1, INTEGER, "b")
ZERO = "division by zero"
FAILING: Scalar = Call("=", (Call("/", (A, B), INTEGER), Literal(1, INTEGER)), BOOLEAN)
"""a / b = 1: an error where b is 0."""


def run(scalar: Scalar, a: list[int | None], b: list[int | None]) -> list[object]:
    """Values, or the message where a row failed."""
    columns = (pa.array(a, pa.int32()), pa.array(b, pa.int32()))
    values, errors = compile_scalar(scalar).evaluate(columns, len(a))
    messages = [None] * len(a) if errors is None else errors.to_pylist()
    assert errors is None or errors.null_count < len(a)
    return [value if message is None else message for value, message in zip(values.to_pylist(), messages, strict=True)]


def boolean(value: bool | None) -> Literal:
    return Literal(value, BOOLEAN)


@pytest.mark.parametrize(("decided", "name"), [(False, "and"), (True, "or")])
@pytest.mark.parametrize("first", [True, False])
def test_and_or_are_lenient(decided: bool, name: str, first: bool) -> None:
    def both(other: Scalar) -> Scalar:
        return Call(name, (other, FAILING) if first else (FAILING, other), BOOLEAN)

    assert run(both(boolean(decided)), [1], [0]) == [decided]
    assert run(both(boolean(not decided)), [1], [0]) == [ZERO]
    assert run(both(boolean(None)), [1], [0]) == [ZERO]
    assert run(both(boolean(not decided)), [1, 1, None], [1, 0, 0]) == [True, ZERO, None]


def test_and_of_two_errors_gives_the_first() -> None:
    overflow = Call("=", (Call("+", (A, Literal(2147483647, INTEGER)), INTEGER), B), BOOLEAN)
    assert run(Call("and", (overflow, FAILING), BOOLEAN), [1], [0]) == ["integer out of range"]


def test_guarded_division() -> None:
    guard = Call("<>", (B, Literal(0, INTEGER)), BOOLEAN)
    assert run(Call("and", (guard, FAILING), BOOLEAN), [1, 1, 1, None], [1, 0, None, 0]) == [True, False, None, False]


def test_coalesce_counts_errors_up_to_the_first_value() -> None:
    quotient = Call("/", (A, B), INTEGER)
    assert run(Call("coalesce", (A, quotient), INTEGER), [1, None], [0, 0]) == [1, None]
    assert run(Call("coalesce", (quotient, Literal(7, INTEGER)), INTEGER), [1, None, 4], [0, 0, 2]) == [ZERO, 7, 2]
    null = Literal(None, INTEGER)
    assert run(Call("coalesce", (null, quotient, Literal(7, INTEGER)), INTEGER), [1], [0]) == [ZERO]


def test_case_evaluates_only_the_branch_it_takes() -> None:
    quotient = Call("/", (A, B), INTEGER)
    is_zero = Call("=", (B, Literal(0, INTEGER)), BOOLEAN)
    guarded = Case(((is_zero, Literal(-1, INTEGER)),), quotient, INTEGER)
    assert run(guarded, [6, 6, 6], [2, 0, None]) == [3, -1, None]
    turned = Case(((is_zero, quotient),), Literal(5, INTEGER), INTEGER)
    assert run(turned, [6, 6], [2, 0]) == [5, ZERO]
    condition = Case(((is_zero, Literal(0, INTEGER)), (FAILING, Literal(1, INTEGER))), Literal(2, INTEGER), INTEGER)
    assert run(condition, [6, 6, 2], [2, 0, 2]) == [2, 0, 1]
    failing = Case(((FAILING, Literal(1, INTEGER)), (boolean(True), Literal(9, INTEGER))), Literal(2, INTEGER), INTEGER)
    assert run(failing, [6, 6], [2, 0]) == [9, ZERO]


def test_a_folded_error_is_an_error_of_every_row_that_needs_it() -> None:
    broken = Call("/", (Literal(1, INTEGER), Literal(0, INTEGER)), INTEGER)
    assert run(broken, [1, 2], [1, 1]) == [ZERO, ZERO]
    assert run(Case(((Call("=", (A, B), BOOLEAN), broken),), A, INTEGER), [1, 2], [1, 1]) == [ZERO, 2]
    assert run(broken, [], []) == []


def test_errors_of_arguments_come_first() -> None:
    quotient = Call("/", (A, B), INTEGER)
    product = Call("*", (quotient, Call("+", (A, Literal(2147483647, INTEGER)), INTEGER)), INTEGER)
    assert run(product, [1, 0], [0, 1]) == [ZERO, 0]
    assert run(Call("is_null", (quotient,), BOOLEAN), [1, None], [0, 0]) == [ZERO, True]


def test_a_plan_that_does_not_fit_is_refused() -> None:
    with pytest.raises(FunctionError, match="planned as text"):
        compile_scalar(Call("+", (A, B), TEXT))
    with pytest.raises(FunctionError, match="cannot cast type"):
        compile_scalar(Cast(A, ColumnType.parse("date")))
    with pytest.raises(FunctionError, match="invalid regular expression"):
        compile_scalar(Call("~", (Cast(A, TEXT), Literal("(", TEXT)), BOOLEAN))


def test_varying_patterns_and_fields() -> None:
    texts = pa.array(["abc", "abc", None, "x", "abc"], pa.large_string())
    patterns = pa.array(["^a", "(", "a", None, "c$"], pa.large_string())
    match = compile_scalar(Call("~", (ColumnRef(0, TEXT), ColumnRef(1, TEXT)), BOOLEAN))
    values, errors = match.evaluate((texts, patterns), 5)
    assert values.to_pylist() == [True, None, None, None, True]
    assert [message is not None for message in errors.to_pylist()] == [False, True, False, False, False]


def test_in_lists() -> None:
    def values(*items: int | None) -> tuple[Scalar, ...]:
        return tuple(Literal(item, INTEGER) for item in items)

    for items in ((1, 2), (1, 2, 3, 4, 5), (1, None), (1, 2, 3, 4, None)):
        expected = [True, None if None in items else False, None]
        assert run(Call("in", (A, *values(*items)), BOOLEAN), [1, 9, None], [0, 0, 0]) == expected
    assert run(Call("in", (A, B, Literal(3, INTEGER)), BOOLEAN), [1, 3, 2], [1, 1, None]) == [True, True, None]
