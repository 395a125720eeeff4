"""What binding makes of queries and of FROM clauses, and what they may read.

Always true: a From's conditions are over the columns of its inputs side by side, and its scope's fields are positions there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from dataflow.types import ColumnType
from planner.catalog import Catalog
from planner.parse import Text
from planner.plan import Filter, Join, Plan
from planner.scalar import Scalar
from planner.scalars import move
from planner.scope import Scope

Columns = tuple[tuple[str, ColumnType, bool], ...]
"""Name, type and nullability of each column of a bound query."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A bound query: its plan and its columns."""

    plan: Plan
    columns: Columns


@dataclass(frozen=True)
class Environment:
    """What a query may read: the catalog, the WITH queries around it, and the columns of the SELECTs around it (`outer`)."""

    text: Text
    catalog: Catalog
    bind_query: Callable[[exp.Expr, Environment], Relation]
    ctes: Mapping[str, Relation] = field(default_factory=dict)
    outer: tuple[Scope, ...] = ()

    def with_ctes(self, ctes: Mapping[str, Relation]) -> Environment:
        """The environment inside a WITH."""
        return replace(self, ctes={**self.ctes, **ctes})

    def inside(self, scope: Scope) -> Environment:
        """The environment of a subquery in an expression over this scope."""
        return replace(self, outer=(*self.outer, scope))


@dataclass(frozen=True, slots=True)
class From:
    """A bound FROM clause or part of one: the inputs of the join to be, the conditions on them, and the scope."""

    inputs: tuple[Plan, ...]
    conditions: tuple[Scalar, ...]
    scope: Scope

    @property
    def width(self) -> int:
        """How many columns its rows have."""
        return sum(len(plan.types) for plan in self.inputs)

    @property
    def plan(self) -> Plan:
        """The rows."""
        plan = self.inputs[0] if len(self.inputs) == 1 else Join(self.inputs)
        return Filter(plan, self.conditions) if self.conditions else plan

    def beside(self, other: From, env: Environment, node: exp.Expr) -> From:
        """Every row of both, in one scope."""
        right = other.scope.shifted(self.width)
        moved = tuple(move(condition, lambda index: index + self.width) for condition in other.conditions)
        return From(self.inputs + other.inputs, self.conditions + moved, self.scope.joined(right, env.text, node))
