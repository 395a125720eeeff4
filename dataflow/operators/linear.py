"""Filter, map and project in one operator: linear, so it keeps no state and distributes over +.

    SELECT a, 1 / b FROM t WHERE b > 0        predicates (#1 > 0), outputs #0, (1 / #1)

Always true: an input row becomes one output row, one error row or nothing, with its diff unchanged. A row is dropped, without
an error, as soon as any predicate is FALSE or NULL; else it is an error if a predicate or an output failed. So the order
of the predicates decides nothing but which of two messages is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.beside import THREADS
from dataflow.delta import Delta
from dataflow.expression import Evaluated, Expression
from dataflow.operators.base import Operator, Types
from dataflow.rows import Columns

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LinearSpec:
    """WHERE every predicate is TRUE; the outputs are input columns (by position) or expressions over the input."""

    predicates: tuple[Expression, ...]
    outputs: tuple[int | Expression, ...]

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Linear(self, types, inputs)

    def __str__(self) -> str:
        kept = ", ".join(f"#{output}" if isinstance(output, int) else str(output) for output in self.outputs)
        where = f" where {' and '.join(map(str, self.predicates))}" if self.predicates else ""
        return f"map {kept or 'nothing'}{where}"


class Linear(Operator):
    """Stateless: every step is computed from that step's rows alone."""

    streams = True

    def __init__(self, spec: LinearSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._predicates = spec.predicates
        self._outputs = spec.outputs
        self._types = tuple(t.arrow for t in types)

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        if self._predicates:
            delta = self._filter(delta)
        count = len(delta)
        columns: list[pa.Array] = []
        errors: pa.Array | None = None
        for output, expected in zip(self._outputs, self._types, strict=True):
            if isinstance(output, int):
                columns.append(delta.columns[output])
                continue
            values, failed = evaluate(output, delta.columns, count)
            if values.type != expected:
                raise TypeError(f"{output} gave {values.type}, but its column is {expected}; this is a planner mistake")
            columns.append(values)
            errors = first_error(errors, failed)
        if errors is None or errors.null_count == count:
            return Delta(tuple(columns), delta.diffs)
        bad = present(errors)
        self._fail(errors, bad, delta)
        return Delta(rows.filter_rows(tuple(columns), ~bad), delta.diffs[~bad])

    def _filter(self, delta: Delta) -> Delta:
        """The rows for which every predicate is TRUE; failed ones are reported unless some predicate rejects them."""
        count = len(delta)
        passed = np.ones(count, np.bool_)
        candidate = np.ones(count, np.bool_)
        errors: pa.Array | None = None
        for predicate in self._predicates:
            values, failed = evaluate(predicate, delta.columns, count)
            true = truth(values)
            if failed is None:
                passed &= true
                candidate &= true
                continue
            bad = present(failed)
            passed &= true & ~bad
            candidate &= true | bad
            errors = first_error(errors, failed)
        if errors is not None:
            self._fail(errors, candidate & ~passed, delta)
        if passed.all():
            return delta
        return rows.take_delta(delta, np.flatnonzero(passed))

    def _fail(self, errors: pa.Array, where: Mask, delta: Delta) -> None:
        if where.any():
            (messages,) = rows.filter_rows((errors,), where)
            self.report(messages, delta.diffs[where])


def evaluate(expression: Expression, columns: Columns, count: int) -> Evaluated:
    """As `Expression.evaluate`; a large delta in stretches, which threads share."""
    stretches = THREADS.stretches(count)
    if len(stretches) < 2:
        return expression.evaluate(columns, count)

    def stretch(number: int) -> Evaluated:
        begin, end = stretches[number]
        return expression.evaluate(tuple(column.slice(begin, end - begin) for column in columns), end - begin)

    parts = THREADS.share(stretch, len(stretches))
    failed = [
        pa.nulls(end - begin, pa.large_string()) if errors is None else errors
        for (begin, end), (_, errors) in zip(stretches, parts, strict=True)
    ]
    none = all(errors is None for _, errors in parts)
    return Evaluated(pa.concat_arrays([values for values, _ in parts]), None if none else pa.concat_arrays(failed))


def first_error(errors: pa.Array | None, more: pa.Array | None) -> pa.Array | None:
    """Messages by row, the earlier one where both have one; None when there are none."""
    if errors is None or more is None:
        return more if errors is None else errors
    return pc.coalesce(errors, more)


def messages(failed: Mask, message: str) -> pa.Array:
    """The message where a row failed, else NULL."""
    return pc.if_else(pa.array(failed), pa.scalar(message, pa.large_string()), pa.scalar(None, pa.large_string()))


def present(values: pa.Array) -> Mask:
    """Where the value is not NULL."""
    mask: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    return mask


def truth(values: pa.Array) -> Mask:
    """Where the boolean is TRUE, neither FALSE nor NULL."""
    validity, bits = values.buffers()
    if not len(values) or bits is None:
        return np.zeros(len(values), np.bool_)
    true = _bits(bits, values)
    return true & _bits(validity, values) if values.null_count else true


def _bits(bitmap: pa.Buffer, values: pa.Array) -> Mask:
    """A bit for each of the values, as Arrow lays them out."""
    end = values.offset + len(values)
    octets = np.frombuffer(bitmap, np.uint8, (end + 7) // 8)
    return np.unpackbits(octets, count=end, bitorder="little")[values.offset :].view(np.bool_)
