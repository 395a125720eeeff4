"""Table functions whose columns a constant says: csv_extract by their number, regexp_extract by the groups of its pattern.

Always true: columns are texts, called column1, column2, ... or as a group is named; a NULL makes no rows. Python for each row.
Deliberately unknown here: typing by arguments' types, as for all others (planner.functions.tables).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from dataflow.expression import Produced
from dataflow.types import TEXT
from planner.functions.arrays import read_pattern
from planner.functions.listed import Arrays, Listed
from planner.functions.types import FunctionError

MOST_COLUMNS = 1600
"""As many as a table of PostgreSQL may have."""


def csv_columns(literals: Sequence[object]) -> tuple[str, ...]:
    """The names of csv_extract's columns. FunctionError when their number is no constant, or none that can be."""
    number = literals[0]
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    if not isinstance(number, int) or not 1 <= number <= MOST_COLUMNS:
        raise FunctionError(
            f"csv_extract needs a constant number of columns, from 1 to {MOST_COLUMNS}", "write csv_extract(3, line)"
        )
    return tuple(f"column{place}" for place in range(1, number + 1))


def csv_rows(args: Arrays, _rows: int, width: int) -> Produced:
    """The records of each text that have so many fields; others are left out. A text that is no CSV fails its row."""
    counts, found = [], []
    failed: list[str | None] = []
    for text, number in zip(args[1].to_pylist(), args[0].to_pylist(), strict=True):
        message, records = None, []
        if text is not None and number is not None:
            try:
                records = [record for record in csv.reader(io.StringIO(text, newline="")) if len(record) == width]
            except csv.Error as error:
                message = f"invalid CSV: {error}"
        failed.append(message)
        counts.append(len(records))
        found += records
    return Listed(np.array(counts, np.int64), _turned(found, width), _messages(failed))


def groups(literals: Sequence[object]) -> tuple[str, ...]:
    """The names of regexp_extract's columns. FunctionError when the pattern is no constant, or has no groups."""
    pattern = literals[0]
    if not isinstance(pattern, str):
        raise FunctionError("regexp_extract needs a constant pattern", "write it as a text in quotes")
    read, _ = read_pattern(pattern, "")
    if not read.groups:
        raise FunctionError(
            "regexp_extract needs a pattern with at least one group", "put what to extract into parentheses"
        )
    named = {place: name for name, place in read.groupindex.items()}
    return tuple(named.get(place, f"column{place}") for place in range(1, read.groups + 1))


def matches(args: Arrays, _rows: int, width: int) -> Produced:
    """What the groups hold of the first match in each text; no row where there is none."""
    found: list[tuple[str | None, ...]] = []
    counts = []
    for pattern, text in zip(args[0].to_pylist(), args[1].to_pylist(), strict=True):
        match = None if text is None or pattern is None else read_pattern(pattern, "")[0].search(text)
        counts.append(int(match is not None))
        if match is not None:
            found.append(match.groups())
    return Listed(np.array(counts, np.int64), _turned(found, width))


def _turned(records: Iterable[Sequence[str | None]], width: int) -> tuple[pa.Array, ...]:
    columns: Sequence[Sequence[str | None]] = list(zip(*records, strict=True)) or [()] * width
    return tuple(pa.array(column, TEXT.arrow) for column in columns)


def _messages(failed: list[str | None]) -> pa.Array | None:
    return pa.array(failed, TEXT.arrow) if any(failed) else None
