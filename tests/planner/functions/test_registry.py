"""Every overload of the registry against PostgreSQL, over the products of its arguments' domains."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from dataflow.types import INTEGER, JSONB, NESTED, TEXT, ColumnType, Kind
from planner.functions import SCALARS, FunctionError, resolve
from planner.functions.described import OWN
from planner.functions.registry import Function, Pattern
from tests.planner.functions.domains import DOMAINS, type_of
from tests.planner.functions.oracle import Answer, ask, beyond_numeric, compute, folded, quoted, same, written
from tests.servers.postgres import PostgresServer

ROWS = 150
"""Rows of an overload at most, spread over the product."""

REFUSED = {(name, Kind.JSONB) for name in ("<", "<=", ">", ">=", "greatest", "least")}
"""What PostgreSQL computes and we refuse: jsonb has no order."""


CONSTANT = {
    *(
        "regexp_replace",
        "to_char",
        "format",
        "to_date",
        "to_timestamp",
        "to_number",
        "regexp_match",
        "regexp_split_to_array",
    ),
    *("any", "all"),
}
"""Functions with arguments that must be constants: `test_casts.py` has calls of them."""

ELSEWHERE = OWN | {"pg_typeof", "row", "record_field"}
"""Functions that PostgreSQL has not, or with a type that is not ours: `test_small.py` and `test_nested.py` have calls of them."""


def _signatures(function: Function) -> Iterator[list[ColumnType]]:
    for count in range(len(function.parameters) - function.optional, len(function.parameters) + 1 + function.variadic):
        parameters = function.expand(count) or ()
        patterned = any(isinstance(parameter, Pattern) for parameter in parameters)
        arrays = Pattern.ARRAY in parameters or Pattern.TEXTS in parameters
        if {Pattern.LIST, Pattern.MAP, Pattern.RECORD} & set(parameters):
            continue  # these are not PostgreSQL's: `test_nested.py` has calls of them
        for kind in (
            ([Kind.INTEGER] if arrays else (k for k in Kind if k not in NESTED)) if patterned else (Kind.BOOLEAN,)
        ):
            if Pattern.AS_TEXT in parameters and kind is Kind.ARRAY:
                continue
            patterns = {Pattern.ARRAY: INTEGER.array, Pattern.TEXTS: TEXT.array}
            yield [type_of(p) if isinstance(p, Kind) else patterns.get(p, type_of(kind)) for p in parameters]


def _known(ours: Answer, theirs: Answer, name: str) -> bool:
    """Differences that are documented: the end of numerics, no infinite timestamps, no intervals that wrap around."""
    if name in ("make_date", "make_timestamp", "make_timestamptz") and ours.error and theirs.error:
        return "out of range" in ours.error and "out of range" in theirs.error
    if name == "regexp_instr" and ours.error and theirs.error:
        return "regular expression" in ours.error  # the same options are unknown, another is named first
    if name == "regexp_count" and ours.error and "empty text" in ours.error:
        return True
    if name == "make_interval" and ours.error == "interval out of range":
        return True
    if name == "array_position" and ours.error == "initial position must not be null":
        return theirs.value is None  # PostgreSQL looks whether there is a NULL to be found before it looks where from
    infinite = name == "to_timestamp" and theirs.value is not None and "infinity" in theirs.value
    return beyond_numeric(ours, theirs) or infinite


@pytest.mark.postgres
# Those of the catalog answer for this service, with bigint for oid: tests/serve asks them as clients do.
@pytest.mark.parametrize(
    "name", sorted(n for n in set(SCALARS) - CONSTANT - ELSEWHERE if not n.startswith("pg_catalog."))
)
def test_registry_agrees_with_postgresql(name: str, postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        for types in (types for function in SCALARS[name] for types in _signatures(function)):
            if name == "jsonb_build_object" and (len(types) % 2 or {JSONB, INTEGER.array} & set(types)):
                continue
            if (name, len(types)) in (("date_trunc", 3), ("similar_to", 3), ("make_timestamptz", 7)):
                continue  # in a zone, with another escape: constants, which test_parts.py has
            if name == "array_slice" and len(types) % 2 == 0:
                continue
            if (types and (name, types[-1].kind) in REFUSED) or (name == "age" and len(types) == 1):
                with pytest.raises(FunctionError):
                    resolve(name, types)
                continue
            rows = list(itertools.product(*(DOMAINS[type_.kind] for type_ in types)))
            if name == "repeat":  # PostgreSQL copies nothing two thousand million times, which takes it a minute
                rows = [row for row in rows if row != ("", "2147483647")]
            rows = rows[:: len(rows) // ROWS + 1]
            theirs = ask(connection, [written(name, list(map(quoted, row, types))) for row in rows])
            ours = compute(name, types, rows)
            wrong = [
                (row, a, b)
                for row, a, b in zip(rows, ours, theirs, strict=True)
                if not same(a, b) and not _known(a, b, name)
            ]
            assert not wrong, f"{name}{tuple(map(str, types))}: {wrong[:3]}"
            for row, over_column in list(zip(rows, ours, strict=True))[:20]:
                constant = folded(name, types, row)
                assert constant in (None, over_column), f"{name}{row} folded"
