"""Functions that are Python for each row, for nothing vectorised has their rules: `PER_ROW` of each family names them.

Always true: NULL in, NULL out; a row that fails raises `RowError` with PostgreSQL's message. The cost is about a microsecond a
row, and columns of few distinct values pay it once for each value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from planner.functions.registry import Implementation, Kernel, Operands, Site


class RowError(Exception):
    """A row that has no result; its text is PostgreSQL's message."""


def by_row(function: Callable[..., Any]) -> Implementation:
    """The implementation of an entry by a function of Python values; each different row of arguments is computed once a call."""

    def build(site: Site) -> Kernel:
        data = site.result.arrow

        def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
            columns = [column.to_pylist() * (rows if len(column) == 1 else 1) for column in operands]
            known: dict[tuple[Any, ...], tuple[Any, str | None]] = {}
            done = []
            for row in zip(*columns, strict=True):
                found = known.get(row)
                if found is None:
                    found = known[row] = (None, None) if None in row else _one(function, row)
                done.append(found)
            messages = [message for _, message in done]
            failed = any(message is not None for message in messages)
            return pa.array([value for value, _ in done], data), pa.array(
                messages, pa.large_string()
            ) if failed else None

        return kernel

    return Implementation(build)


def _one(function: Callable[..., Any], row: tuple[Any, ...]) -> tuple[Any, str | None]:
    try:
        return function(*row), None
    except RowError as error:
        return None, str(error)
