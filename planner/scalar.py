"""Typed scalar expressions: what binding makes of SQL text, what rules rewrite, what `planner.functions` compiles.

Always true: every node carries its type; arguments already have the types that the function takes (casts are explicit);
column references are positions in the one input relation of the plan node that holds the expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from dataflow.operators.window_calls import WindowFunction
from dataflow.operators.window_frames import Frame
from dataflow.types import ColumnType
from planner.functions.user import UserFunction

if TYPE_CHECKING:
    from planner.calls import AggregateCall
    from planner.plan import Plan

Value = bool | int | float | str | bytes | None
"""A literal's value. Numerics, dates, timestamps and jsonb are kept as their PostgreSQL text."""


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """Column `index` of the input relation; `name` is for people."""

    index: int
    type: ColumnType
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"#{self.index}"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; None is the typed NULL."""

    value: Value
    type: ColumnType

    def __str__(self) -> str:
        if self.value is None:
            return f"NULL::{self.type}"
        if isinstance(self.value, str):
            return "'" + self.value.replace("'", "''") + f"'::{self.type}"
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator by its registry name: `+`, `=`, `and`, `not`, `is_null`, `coalesce`, `upper` ...

    `and`, `or`, `coalesce` are n-ary and lenient: an error in an argument that cannot change the result is no error.
    """

    function: str
    args: tuple[Scalar, ...]
    type: ColumnType

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.args))
        if len(self.args) == 2 and not self.function[0].isalpha():
            return f"({self.args[0]} {self.function} {self.args[1]})"
        return f"{self.function}({inner})"


@dataclass(frozen=True, slots=True)
class UserCall:
    """A call of a function that the service brings along, its arguments of the function's types; any error may come of it."""

    function: UserFunction
    args: tuple[Scalar, ...]

    @property
    def type(self) -> ColumnType:
        """The type that the function declares."""
        return self.function.result

    def __str__(self) -> str:
        return f"{self.function.name}({', '.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class Cast:
    """`arg::type`, by PostgreSQL's rules: rounding half away from zero, range errors as row errors."""

    arg: Scalar
    type: ColumnType

    def __str__(self) -> str:
        return f"({self.arg})::{self.type}"


@dataclass(frozen=True, slots=True)
class Case:
    """CASE WHEN condition THEN value ... ELSE default END: an error in a branch not taken is no error."""

    branches: tuple[tuple[Scalar, Scalar], ...]
    default: Scalar
    type: ColumnType

    def __str__(self) -> str:
        whens = " ".join(f"WHEN {condition} THEN {value}" for condition, value in self.branches)
        return f"CASE {whens} ELSE {self.default} END"


@dataclass(frozen=True, slots=True)
class Over:
    """A window function of the rows with the same `partition` values. order: expression, descending, NULLs first.

    argument: None where it takes none. amount: what lag, lead, nth_value and ntile take besides, a constant or `amount_by`.
    default: of lag and lead. call: of an aggregate that takes more than a value.
    Stands in bound expressions only: `planner.windows` makes a column of it before a plan node holds it.
    """

    function: WindowFunction
    argument: Scalar | None
    partition: tuple[Scalar, ...]
    order: tuple[tuple[Scalar, bool, bool], ...]
    frame: Frame
    type: ColumnType
    amount: int = 1
    amount_by: Scalar | None = None
    default: Scalar | None = None
    call: AggregateCall | None = None

    def __str__(self) -> str:
        inner = "" if self.argument is None else self.argument
        return f"{self.call or f'{self.function}({inner})'} over"


@dataclass(frozen=True, slots=True)
class OuterRef:
    """Column `index` of the FROM clause of an enclosing SELECT; `depth` counts the SELECTs around that one.

    Stands only in plans of subqueries, until `planner.decorrelate` has joined them to the rows around them.
    """

    depth: int
    index: int
    type: ColumnType
    name: str = ""

    def __str__(self) -> str:
        return f"outer {self.name}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is known when the query runs: `$1` by its number, a session's value (`now`, `current_user`) by its name.

    Stands in plans of queries only, never in those of views; `planner.query` puts literals in its place before lowering.
    """

    name: str
    type: ColumnType

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class Grouping:
    """grouping(a, b): a bit for each argument, the last one lowest, set where the row's grouping set is without it.

    Stands in bound expressions only, like Over: it becomes a column of the rows that GROUP BY makes.
    """

    args: tuple[Scalar, ...]
    type: ColumnType

    def __str__(self) -> str:
        return f"grouping({', '.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class Now:
    """mz_now(), the time of the step. Stands in bound conditions only, until `planner.temporal` makes bounds of them."""

    type: ColumnType

    def __str__(self) -> str:
        return "mz_now()"


@dataclass(frozen=True, slots=True)
class TableValue:
    """A table function in a select list: the row stands there once for each value, which is its column at `place`.

    Stands in bound expressions only, like Over: it becomes a column of a FlatMap.
    """

    function: str
    args: tuple[Scalar, ...]
    columns: tuple[ColumnType, ...]
    place: int = 0

    @property
    def type(self) -> ColumnType:
        """The type of the column."""
        return self.columns[self.place]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery as a value: whether it has rows (`exists`), its one value (`scalar`), or whether
    `values` compares with some row of it (`any`): `values operator row`, where several values compare as rows do.

    nulls: for each value, whether it or the subquery's column may be NULL. Stands in bound expressions only, like Over.
    """

    kind: OneOf["exists", "scalar", "any"]
    plan: Plan
    depth: int
    type: ColumnType
    values: tuple[Scalar, ...] = ()
    operator: str = "="
    nulls: tuple[bool, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} subquery"


Scalar = (
    ColumnRef
    | Literal
    | Call
    | UserCall
    | Cast
    | Case
    | Over
    | OuterRef
    | Parameter
    | Now
    | Grouping
    | TableValue
    | Subquery
)
