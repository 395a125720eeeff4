"""What plan nodes hold besides scalars: calls of aggregates and of table functions, and bounds of time.

Always true: as of plans and scalars: immutable, equal ones are equal objects. Deliberately unknown: the nodes that hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dataflow.operators.aggregates import Function
from dataflow.operators.ordered import OrderedFunction
from dataflow.types import ColumnType
from planner.scalar import Scalar

Types = tuple[ColumnType, ...]
AggregateFunction = Function | OrderedFunction


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """One aggregate; `argument` is None for count(*) alone. `distinct`: each value counts once.

    other, order, fraction: of aggregates that need their values in order (`dataflow.operators.ordered`); order has expression,
    descending, NULLs first.
    """

    function: AggregateFunction
    argument: Scalar | None
    type: ColumnType
    distinct: bool = False
    other: Scalar | None = None
    order: tuple[tuple[Scalar, bool, bool], ...] = ()
    fraction: float = 0.0

    def __str__(self) -> str:
        if self.argument is None:
            return "count(*)"
        word = "DISTINCT " if self.distinct else ""
        more = "" if self.other is None else f", {self.other}"
        terms = ", ".join(f"{term}{' desc' if descending else ''}" for term, descending, _ in self.order)
        share = f"{self.fraction:g} of " if self.function.startswith("percentile") else ""
        return f"{self.function}({word}{share}{self.argument}{more}{f' in order of {terms}' if terms else ''})"

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """The scalars that it reads."""
        own = tuple(part for part in (self.argument, self.other) if part is not None)
        return own + tuple(term for term, _, _ in self.order)

    def change(self, change: Callable[[Scalar], Scalar]) -> AggregateCall:
        """The same over changed scalars, which `change` sees in the order of `scalars`."""
        return replace(
            self,
            argument=None if self.argument is None else change(self.argument),
            other=None if self.other is None else change(self.other),
            order=tuple((change(term), descending, nulls_first) for term, descending, nulls_first in self.order),
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """`mz_now() operator value`, where the operator is <, <=, > or >=; a timestamptz, or a bigint in milliseconds."""

    operator: str
    value: Scalar

    def __str__(self) -> str:
        return f"mz_now() {self.operator} {self.value}"


@dataclass(frozen=True, slots=True)
class TableCall:
    """A call of a table function, which makes rows of `types` of one row."""

    function: str
    args: tuple[Scalar, ...]
    types: Types

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.args))})"
