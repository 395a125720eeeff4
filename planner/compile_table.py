"""Calls of table functions to vectorised closures.

Always true: arguments are arrays of as many rows as the input; an argument that fails fails its row. Deliberately unknown: what
the functions do (planner.functions.tables).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.expression import Expression, Produced, TableExpression
from dataflow.operators.linear import first_error, present
from planner.calls import TableCall
from planner.compile import compile_scalar
from planner.functions.tables import resolve_table
from planner.scalar import Literal


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a function makes of rows some of which have arguments that fail: of those nothing."""

    produced: Produced
    counts: npt.NDArray[np.int64]
    errors: pa.Array

    def take(
        self, of: npt.NDArray[np.int64], place: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]
    ) -> tuple[pa.Array, ...]:
        """See `Produced`."""
        return self.produced.take(of, place, there)


@dataclass(frozen=True, slots=True)
class CompiledCall:
    """A TableExpression: two are equal when their calls are, so that equal operators are shared."""

    call: TableCall
    args: tuple[Expression, ...] = field(compare=False, repr=False)
    expand: Callable[[Sequence[pa.Array], int], Produced] = field(compare=False, repr=False)

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Produced:
        """See `TableExpression`."""
        values: list[pa.Array] = []
        errors: pa.Array | None = None
        for arg in self.args:
            value, failed = arg.evaluate(columns, rows)
            values.append(value)
            errors = first_error(errors, failed)
        produced = self.expand(values, rows)
        if errors is None:
            return produced
        counts = np.where(present(errors), 0, produced.counts)
        both = first_error(errors, produced.errors)
        assert both is not None
        return _Failed(produced, counts, both)

    def __str__(self) -> str:
        return str(self.call)


def compile_call(call: TableCall) -> TableExpression:
    """Compile; FunctionError when the call has no meaning for its types (binding found that before)."""
    constants = [arg.value if isinstance(arg, Literal) else None for arg in call.args]
    function, _ = resolve_table(call.function, [arg.type for arg in call.args], constants)
    return CompiledCall(call, tuple(map(compile_scalar, call.args)), function.expand)
