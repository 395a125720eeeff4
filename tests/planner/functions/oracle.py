"""PostgreSQL as the oracle of single expressions, and the same expressions as our scalars.

`ask` answers SQL expressions with PostgreSQL, `compute` answers a call of the registry over columns, `folded` the same call
with constants. Values go in as texts and answers are texts, so that rounding and layout show, with the type or the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import psycopg
import pyarrow as pa

from dataflow.types import TEXT, ColumnType, Kind
from planner.compile import compile_scalar
from planner.functions import FunctionError, resolve
from planner.scalar import Call, Cast, ColumnRef, Literal, Scalar

TRY = """
CREATE OR REPLACE FUNCTION try(expression text, OUT value text, OUT type text, OUT error text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text, pg_typeof(' || expression || ')::text' INTO value, type;
EXCEPTION WHEN OTHERS THEN
    error := sqlerrm;
END $$
"""

WIDE = Context(prec=100, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Answer:
    """The text of the value (None is NULL), its type, or the error."""

    value: str | None
    type: str | None
    error: str | None


def ask(connection: psycopg.Connection[Any], expressions: Sequence[str]) -> list[Answer]:
    """Each expression's answer; errors of one do not touch the others."""
    connection.execute(TRY)
    rows = connection.execute(
        "SELECT t.value, t.type, t.error FROM unnest(%s::text[]) WITH ORDINALITY AS e(x, n), LATERAL try(e.x) AS t ORDER BY n",
        [list(expressions)],
    ).fetchall()
    return [Answer(*row) for row in rows]


def quoted(value: str | None, type_: ColumnType) -> str:
    """A value of a type as SQL."""
    if value is None:
        return f"NULL::{type_}"
    return "'" + value.replace("'", "''") + f"'::{type_}"


def written(name: str, args: Sequence[str]) -> str:
    """A call of the registry as SQL."""
    if name.startswith("is_"):
        words = name.replace("_", " ").upper()
        return f"{args[0]} {words}" + (f" {args[1]}" if len(args) == 2 else "")
    if name in ("like", "ilike", "not_like", "not_ilike"):
        tail = f" ESCAPE {args[2]}" if len(args) == 3 else ""
        return f"{args[0]} {name.replace('_', ' ').upper()} {args[1]}{tail}"
    if name == "in":
        return f"{args[0]} IN ({', '.join(args[1:])})"
    if name in ("and", "or"):
        return f" {name.upper()} ".join(args)
    if name == "not":
        return f"NOT {args[0]}"
    if not name[0].isalpha():
        return f"{args[0]} {name} {args[1]}" if len(args) == 2 else f"{name} {args[0]}"
    if name == "array":
        return f"ARRAY[{', '.join(args)}]"
    if name == "array_subscript":
        return f"({args[0]}){''.join(f'[{place}]' for place in args[1:])}"
    if name == "array_slice":
        return f"({args[0]}){''.join(f'[{low}:{high}]' for low, high in zip(args[1::2], args[2::2], strict=True))}"
    if name == "array_to_json":
        return f"array_to_json({args[0]})::jsonb"
    if name in ("upper", "lower"):
        # The server's own locale is C, where only ASCII has cases.
        return f'{name}({args[0]} COLLATE "C.utf8")'
    if name == "similar_to":
        return f"{args[0]} SIMILAR TO {args[1]}"
    shown = {"trim": "btrim"}.get(name, name)
    return (
        f'"{shown}"({", ".join(args)})'
        if shown not in ("coalesce", "nullif", "greatest", "least")
        else f"{shown}({', '.join(args)})"
    )


def call(name: str, args: Sequence[Scalar], literals: Sequence[object] = ()) -> Call:
    """The call with the casts that binding would write."""
    resolved = resolve(name, [arg.type for arg in args], literals)
    cast = [arg if arg.type == t else Cast(arg, t) for arg, t in zip(args, resolved.arguments, strict=True)]
    return Call(name, tuple(cast), resolved.result)


def column(values: Sequence[str | None], type_: ColumnType) -> pa.Array:
    """Texts as a column of a type; they must be valid."""
    texts = pa.array(values, pa.large_string())
    made, errors = compile_scalar(Cast(ColumnRef(0, TEXT), type_)).evaluate((texts,), len(texts))
    if errors is not None:
        raise ValueError(f"not all of {values} are {type_}: {errors.drop_null().to_pylist()}")
    return made


def evaluate(scalar: Scalar, columns: Sequence[pa.Array], rows: int) -> list[Answer]:
    """Our answers by row, as text."""
    values, errors = compile_scalar(scalar).evaluate(tuple(columns), rows)
    assert values.type == scalar.type.arrow, f"{scalar}: {values.type} instead of {scalar.type.arrow}"
    assert len(values) == rows
    values.validate(full=True)
    shown = (ColumnRef(0, scalar.type),)
    texts = compile_scalar(Cast(shown[0], TEXT)).evaluate((values,), rows).values.to_pylist()
    messages = [None] * rows if errors is None else errors.to_pylist()
    name = {Kind.TIMESTAMP: "timestamp without time zone", Kind.TIMESTAMPTZ: "timestamp with time zone"}
    name |= {Kind.TIME: "time without time zone"}
    element = scalar.type.element or scalar.type
    type_ = name.get(element.kind, element.kind.value) + ("[]" if scalar.type.element else "")
    return [
        Answer(text, type_, None) if message is None else Answer(None, None, message)
        for text, message in zip(texts, messages, strict=True)
    ]


def compute(name: str, types: Sequence[ColumnType], rows: Sequence[Sequence[str | None]]) -> list[Answer]:
    """Our answers over columns."""
    columns = [column([row[i] for row in rows], type_) for i, type_ in enumerate(types)]
    return evaluate(call(name, [ColumnRef(i, type_) for i, type_ in enumerate(types)]), columns, len(rows))


def folded(name: str, types: Sequence[ColumnType], row: Sequence[str | None]) -> Answer | None:
    """Our answer when every argument is a constant; None when it is refused as planned, such as for an unknown field."""
    args = [Cast(Literal(value, TEXT), type_) for value, type_ in zip(row, types, strict=True)]
    try:
        return evaluate(call(name, args), (), 1)[0]
    except FunctionError:
        return None


def same(ours: Answer, theirs: Answer) -> bool:
    """Equal up to the layout of numerics, which have 16 digits after the point here and a varying number there."""
    if ours == theirs:
        return True
    if ours.error or theirs.error or ours.type != theirs.type or ours.value is None or theirs.value is None:
        return False
    if ours.type != "numeric" or "N" in theirs.value:
        return False
    a, b = Decimal(ours.value), Decimal(theirs.value)
    last = Decimal(1).scaleb(-max(min(-int(b.as_tuple().exponent), 16), 0))  # of the digits that both have
    return a == b or abs(WIDE.subtract(WIDE.quantize(a, last), WIDE.quantize(b, last))) <= last


def beyond_numeric(ours: Answer, theirs: Answer) -> bool:
    """Our numerics end where PostgreSQL's do not: at 38 digits, 16 of them after the point, and without NaN and infinities."""
    if ours.error is None or "numeric" not in ours.error:
        return False
    if theirs.error is not None:
        return theirs.error in ("value overflows numeric format", "numeric field overflow")
    value = Decimal(theirs.value or "0")
    return not value.is_finite() or abs(value) >= Decimal(10) ** 22
