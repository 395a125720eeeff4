"""Flat map: each row beside every row that table functions make of it.

    SELECT * FROM t, generate_series(1, t.n) WITH ORDINALITY AS g (i, place)

Linear, so it keeps no state: an output row has the diff of its input row. Several functions go side by side, place by place,
NULL where one has ended before the longest; without any place there is no row, or with `keeps` one of NULLs.
Always true: a row for which a function fails, or gives more than `MOST_ROWS` rows, is an error and gives none. What comes out of
few rows may be much: it goes on in pieces of `PIECE_ROWS` where the consumer takes them, and is never whole in memory then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow import rows
from dataflow.delta import Delta
from dataflow.expression import Produced, TableExpression
from dataflow.operators.base import Operator, Types, combine
from dataflow.operators.linear import first_error, messages, present
from dataflow.rows import Int64s

PIECE_ROWS = 1 << 16
"""Rows that are made at a time."""

MOST_ROWS = 10_000_000
"""Rows that one row may become."""

TOO_MANY = f"a table function gives more than {MOST_ROWS} rows for one row"


@dataclass(frozen=True, slots=True)
class FlatMapSpec:
    """The functions; `ordinality`: a last column, a bigint, has the place; `keeps`: a row without places stays, with NULLs."""

    functions: tuple[TableExpression, ...]
    ordinality: bool = False
    keeps: bool = False

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return FlatMap(self, types, inputs)

    def __str__(self) -> str:
        kept = ", rows without any kept" if self.keeps else ""
        return f"each row with {', '.join(map(str, self.functions))}{', numbered' if self.ordinality else ''}{kept}"


class FlatMap(Operator):
    """Stateless: every step is computed from that step's rows alone."""

    multiplies = True
    streams = True

    def __init__(self, spec: FlatMapSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._spec = spec

    def step(self, *deltas: Delta) -> Delta:
        return combine(list(self._pieces(deltas[0])), self.types)

    def stream(self) -> Iterator[Delta]:
        for piece in self.pull(self.inputs[0]):
            yield from self._pieces(piece)

    def _pieces(self, delta: Delta) -> Iterator[Delta]:
        if not len(delta):
            return
        made = [function.evaluate(delta.columns, len(delta)) for function in self._spec.functions]
        counts = [produced.counts for produced in made]
        most = counts[0].copy() if len(counts) == 1 else np.maximum.reduce(counts)
        failed = self._fail(made, most, delta)
        given = np.maximum(most, 1) if self._spec.keeps else most
        if failed is not None:
            given = np.where(failed, 0, given)
        ends = np.cumsum(given)
        total = int(ends[-1])
        for begin in range(0, total, PIECE_ROWS):
            places = np.arange(begin, min(begin + PIECE_ROWS, total), dtype=np.int64)
            of = np.searchsorted(ends, places, side="right")
            yield self._piece(delta, made, of, places - (ends - given)[of], most)

    def _piece(self, delta: Delta, made: list[Produced], of: Int64s, place: Int64s, most: Int64s) -> Delta:
        """The rows at these places (from 0) of these input rows."""
        columns = rows.take(delta.columns, of)
        for produced in made:
            columns += produced.take(of, place, place < produced.counts[of])
        if self._spec.ordinality:
            missing = place >= most[of]
            columns += (pa.array(place + 1, mask=missing if missing.any() else None),)
        return Delta(columns, delta.diffs[of])

    def _fail(self, made: list[Produced], most: Int64s, delta: Delta) -> npt.NDArray[np.bool_] | None:
        """Report the rows that fail; which ones they are, or None."""
        errors: pa.Array | None = None
        for produced in made:
            errors = first_error(errors, produced.errors)
        if (most > MOST_ROWS).any():
            errors = first_error(errors, messages(most > MOST_ROWS, TOO_MANY))
        if errors is None or errors.null_count == len(delta):
            return None
        failed = present(errors)
        (texts,) = rows.filter_rows((errors,), failed)
        self.report(texts, delta.diffs[failed])
        return failed
