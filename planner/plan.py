"""The relational plan: few node kinds, all immutable.

Always true: every node knows the types of its rows; a scalar in a node refers to columns of the node's one input (for Join: of all
inputs side by side, in order); equal plans are equal objects. Rows are Z-sets: Union adds, Negate changes signs, Distinct keeps
rows whose count is above zero, once. Deliberately unknown: names of SQL scopes, arrangements, and how any node is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataflow.layout import Order
from dataflow.operators.window_calls import WindowCall
from dataflow.types import BIGINT, Schema
from planner.calls import AggregateCall, Bound, TableCall, Types
from planner.scalar import Parameter, Scalar, Value


@dataclass(frozen=True, slots=True)
class Get:
    """All rows of a source or of another view."""

    name: str
    schema: Schema

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return tuple(column.type for column in self.schema)


@dataclass(frozen=True, slots=True)
class Constant:
    """Rows written in the query, each once."""

    rows: tuple[tuple[Value, ...], ...]
    types: Types


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows for which every predicate is TRUE."""

    input: Plan
    predicates: tuple[Scalar, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Project:
    """One output column for each scalar (SELECT's list: it maps, reorders and drops)."""

    input: Plan
    outputs: tuple[Scalar, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return tuple(scalar.type for scalar in self.outputs)


Pairs = tuple[tuple[Scalar, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Every combination of one row of each input for which all `equal` pairs are equal.

    NULL equals nothing, unless `null_safe`: then NULL equals NULL in every pair.
    Invariant: both scalars of a pair lie in memory alike, and each reads the columns of exactly one input, not the same one.
    """

    inputs: tuple[Plan, ...]
    equal: Pairs = ()
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows: the columns of all inputs."""
        return tuple(t for plan in self.inputs for t in plan.types)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Position of each input's first column, and after the last the width."""
        offsets = [0]
        for plan in self.inputs:
            offsets.append(offsets[-1] + len(plan.types))
        return tuple(offsets)


@dataclass(frozen=True, slots=True)
class OuterJoin:
    """The pairs of rows that match, and each left row without a match once, NULL for the right columns.

    Rows match where all `equal` pairs are (as in Join) and all predicates of `on`, over both sides, are TRUE. `full`: right
    rows without a match stand in it too.
    """

    left: Plan
    right: Plan
    equal: Pairs = ()
    on: tuple[Scalar, ...] = ()
    full: bool = False
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows: the columns of both inputs."""
        return self.left.types + self.right.types


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """The left rows, each as often as it is there, that match some right row; `anti`: those that match none.

    What matches is said as in OuterJoin.
    """

    left: Plan
    right: Plan
    equal: Pairs = ()
    on: tuple[Scalar, ...] = ()
    anti: bool = False
    null_safe: bool = False

    @property
    def types(self) -> Types:
        """Types of the left rows."""
        return self.left.types


def sides(plan: OuterJoin | SemiJoin) -> tuple[int, int, int]:
    """Position of each side's first column in the scalars, and the width of both."""
    width = len(plan.left.types)
    return 0, width, width + len(plan.right.types)


@dataclass(frozen=True, slots=True)
class TopK:
    """The rows at the places `offset + 1` to `offset + limit` (None: to the end) of each group.

    group: columns that are alike in a group. Ties of the order are broken by all columns. `numbered`: a last column has the place.
    Parameters get their values before the plan is lowered.
    """

    input: Plan
    group: tuple[int, ...]
    order: tuple[Order, ...]
    limit: int | Parameter | None
    offset: int | Parameter = 0
    numbered: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows, then of the place."""
        return (*self.input.types, BIGINT) if self.numbered else self.input.types


@dataclass(frozen=True, slots=True)
class Window:
    """Every row, and behind its columns one for each window function. Columns are positions in the input.

    partition: columns that are alike in a partition. Ties of the order are broken by all columns.
    """

    input: Plan
    partition: tuple[int, ...]
    order: tuple[Order, ...]
    calls: tuple[WindowCall, ...]

    @property
    def types(self) -> Types:
        """Types of the rows, then of the functions."""
        return (*self.input.types, *(call.type for call in self.calls))


@dataclass(frozen=True, slots=True)
class Positive:
    """The rows whose count is above zero, as often as they count."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Single:
    """The rows, of which there may be one for each value of the first `keys` columns: several are an error.

    Invariant: there is one column besides those.
    """

    input: Plan
    keys: int

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Reduce:
    """One row for each group: the keys, then the aggregates. With no keys: exactly one row, even over no input."""

    input: Plan
    keys: tuple[Scalar, ...]
    aggregates: tuple[AggregateCall, ...]

    @property
    def types(self) -> Types:
        """Types of the keys, then of the aggregates."""
        return tuple(key.type for key in self.keys) + tuple(aggregate.type for aggregate in self.aggregates)


@dataclass(frozen=True, slots=True)
class TemporalFilter:
    """The rows for which all bounds hold at the time that it is."""

    input: Plan
    bounds: tuple[Bound, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class FlatMap:
    """Each row beside the rows that the calls make of it, place by place, NULL where a call has ended before the longest.

    ordinality: a last column has the place, from 1. keeps: a row of which no row is made stays once, with NULLs.
    """

    input: Plan
    calls: tuple[TableCall, ...]
    ordinality: bool = False
    keeps: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows, of the calls' columns, then of the place."""
        made = tuple(type_ for call in self.calls for type_ in call.types)
        return (*self.input.types, *made, *((BIGINT,) if self.ordinality else ()))


@dataclass(frozen=True, slots=True)
class Recursive:
    """One of several collections that are defined by one another: where iterating their bodies from nothing comes to rest.

    inputs: what the bodies read besides; there these are `Get`s of `outside`, and the collections `Get`s of `names`.
    output: which of them. limit: of iterations, where that was written. returns: what it is at the limit counts, without an error.
    """

    inputs: tuple[Plan, ...]
    names: tuple[str, ...]
    bodies: tuple[Plan, ...]
    output: int
    limit: int | None = None
    returns: bool = False

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.bodies[self.output].types


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each row whose count is above zero, once."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Negate:
    """The same rows with the opposite sign."""

    input: Plan

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.input.types


@dataclass(frozen=True, slots=True)
class Union:
    """The sum of inputs of the same types."""

    inputs: tuple[Plan, ...]

    @property
    def types(self) -> Types:
        """Types of the rows."""
        return self.inputs[0].types


Plan = (
    Get
    | Constant
    | Filter
    | Project
    | Join
    | OuterJoin
    | SemiJoin
    | Reduce
    | TopK
    | FlatMap
    | Window
    | TemporalFilter
    | Recursive
    | Distinct
    | Positive
    | Single
    | Negate
    | Union
)
