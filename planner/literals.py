"""Literals: how written constants get a type and a value.

Always true: a literal is read by the same code that reads a row's text at run time (`planner.compile`), so that a constant
means what the data means. Numerics, times, intervals and jsonb are kept as their text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sqlglot import exp

from dataflow.types import BIGINT, INTEGER, INTERVAL, STRINGS, TEXT, ColumnType, Kind
from planner.compile import compile_scalar
from planner.functions.types import has_record
from planner.parse import INTERVAL_FIELDS, Text
from planner.scalar import Call, Cast, Literal, Scalar, Value

_NUMBER = re.compile(r"(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?|\.(\d+)(?:[eE]([+-]?\d+))?")
_MAX_DIGITS = 38
_PLAIN = frozenset({Kind.BOOLEAN, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, Kind.BYTEA, *STRINGS})


@dataclass(frozen=True, slots=True)
class Untyped:
    """A string literal or NULL that nothing has given a type yet (PostgreSQL's `unknown`).

    parameter: the name of the query parameter that it is, whose value is not known yet; else None.
    """

    value: str | None
    parameter: str | None = None


class ConstantError(Exception):
    """A constant expression that fails for every row; the text is PostgreSQL's."""


def evaluate(scalar: Scalar) -> Literal | None:
    """The value of a scalar without columns, or None where it has no exact literal. Raises ConstantError when it fails."""
    values, errors = compile_scalar(scalar).evaluate((), 1)
    if errors is not None and errors[0].is_valid:
        raise ConstantError(errors[0].as_py())
    if not values[0].is_valid:
        return Literal(None, scalar.type)
    if scalar.type.kind in _PLAIN:
        return Literal(values[0].as_py(), scalar.type)
    if scalar.type.kind in (Kind.REAL, Kind.DOUBLE):
        # NaN equals no literal, and 0.0 would equal -0.0: plans that differ must not compare equal.
        value = float(values[0].as_py())
        return Literal(value, scalar.type) if math.isfinite(value) and value != 0.0 else None
    if has_record(scalar.type):
        return None
    text, failed = compile_scalar(Cast(scalar, TEXT)).evaluate((), 1)
    return Literal(text[0].as_py(), scalar.type) if failed is None or not failed[0].is_valid else None


def typed_literal(untyped: Untyped, target: ColumnType, node: exp.Expr, text: Text) -> Scalar:
    """The literal as a value of `target`. Raises SqlError when its text is no such value."""
    if untyped.parameter is not None and text.parameters is not None:
        return text.parameters.settle(untyped.parameter, target)
    if untyped.value is None:
        return Literal(None, target)
    if target == TEXT:
        return Literal(untyped.value, TEXT)
    if has_record(target):
        raise text.error(node, f"a value of type {target} has no literal", "write ROW(...)")
    cast = Cast(Literal(untyped.value, TEXT), target)
    try:
        return evaluate(cast) or cast
    except ConstantError as error:
        raise text.error(node, str(error)) from None


def interval(node: exp.Expr, text: Text) -> Scalar:
    """`interval 'text' [field [TO field]]`: a bare number counts the last field, and what is smaller than it is cut off."""
    text.only(node, "this", "unit")
    value, unit = Untyped(node.this.name), node.args.get("unit")
    if unit is None:
        return typed_literal(value, INTERVAL, node, text)
    if isinstance(unit, exp.IntervalSpan):
        first, last = (INTERVAL_FIELDS.index(unit.args[part].name) for part in ("this", "expression"))
        if first >= last or (first == 0) != (last == 1) or first == 1:
            raise text.error(node, f'syntax error at or near "{INTERVAL_FIELDS[last].lower()}"')
        if first == INTERVAL_FIELDS.index("MINUTE"):
            raise text.unsupported(
                node, "minute to second", "write the unit into the text: interval '1 minute 30 seconds'"
            )
        field = INTERVAL_FIELDS[last].lower()
    else:
        field = unit.name.lower()
    if value.value and _NUMBER.fullmatch(value.value.strip().lstrip("+-")):
        value = Untyped(f"{value.value} {field}")
    whole = typed_literal(value, INTERVAL, node, text)
    cut = Call("date_trunc", (Literal(field, TEXT), whole), INTERVAL)
    return whole if field == "second" else evaluate(cut) or cut


def number(written: str, node: exp.Expr, text: Text, negative: bool = False) -> Literal:
    """A number as PostgreSQL types it: integer, bigint, else numeric with as many digits after the point as written."""
    match = _NUMBER.fullmatch(written)
    if match is None:
        raise text.error(node, f'syntax error at or near "{written}"', "write numbers as 12, 1.5 or 1e3")
    sign = "-" if negative else ""
    if written.isdigit() and int(written) < 1 << 63:
        # PostgreSQL types the digits before it reads the sign.
        value: Value = -int(written) if negative else int(written)
        return Literal(value, INTEGER if int(written) < 1 << 31 else BIGINT)
    whole, fraction, exponent, bare, bare_exponent = match.groups(default="")
    digits, power = whole + fraction + bare, int(exponent or bare_exponent or 0)
    scale = len(fraction + bare) - power
    plain = _plain(digits, scale) if abs(power) <= _MAX_DIGITS else ""
    if not plain or len(plain.replace(".", "").lstrip("0")) > _MAX_DIGITS or scale > _MAX_DIGITS:
        raise text.error(
            node, f"number {written} has more than {_MAX_DIGITS} digits", "write it as '...'::double precision"
        )
    return Literal(sign + plain, ColumnType(Kind.NUMERIC, None, max(0, scale)))


def _plain(digits: str, scale: int) -> str:
    """Digits with the point `scale` places from the right, without an exponent."""
    if scale <= 0:
        return (digits + "0" * -scale).lstrip("0") or "0"
    digits = digits.rjust(scale + 1, "0")
    return f"{digits[:-scale].lstrip('0') or '0'}.{digits[-scale:]}"


def string(node: exp.Expr, text: Text) -> Untyped:
    """String literals other than plain ones: E'...', $$...$$, and adjacent strings on several lines."""
    if isinstance(node, exp.Concat):
        text.only(node, "expressions", "coalesce")
        if not all(isinstance(part, exp.Literal) and part.args.get("is_string") for part in node.expressions):
            raise text.unsupported(node)
        return Untyped("".join(part.name for part in node.expressions))
    text.only(node, "this", "is_bytes")
    return Untyped(str(node.this))
