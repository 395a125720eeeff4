"""What binding makes of queries and of FROM clauses, and what they may read.

Always true: a From's conditions are over the columns of its inputs side by side, and its scope's fields are positions there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from dataflow.types import ColumnType
from planner.catalog import Catalog
from planner.outer import relocate
from planner.parse import Text
from planner.plan import Join, Plan
from planner.scalar import Scalar
from planner.scope import Scope
from planner.subqueries import filtered

Columns = tuple[tuple[str, ColumnType, bool], ...]
"""Name, type and nullability of each column of a bound query."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A bound query: its plan and its columns."""

    plan: Plan
    columns: Columns


@dataclass(frozen=True)
class Environment:
    """What a query may read: the catalog, the WITH queries around it, and the columns of the SELECTs around it (`outer`).

    loops: how many recursive WITHs are around.
    siblings: how many of the last of `outer` are no SELECTs around, but FROM items on the left, which LATERAL alone sees.
    """

    text: Text
    catalog: Catalog
    bind_query: Callable[[exp.Expr, Environment], Relation]
    ctes: Mapping[str, Relation] = field(default_factory=dict)
    outer: tuple[Scope, ...] = ()
    siblings: int = 0
    loops: int = 0

    def with_ctes(self, ctes: Mapping[str, Relation]) -> Environment:
        """The environment inside a WITH."""
        return replace(self, ctes={**self.ctes, **ctes})

    def inside(self, scope: Scope) -> Environment:
        """The environment of a subquery in an expression over this scope."""
        return replace(self, outer=(*self.outer, scope), siblings=0)

    def beside(self, scope: Scope) -> Environment:
        """The environment of a FROM item on the right of one with this scope."""
        return replace(self, outer=(*self.outer, scope), siblings=self.siblings + 1)

    def lateral(self) -> Environment:
        """The environment of a query that sees the FROM items on its left."""
        return replace(self, siblings=0)

    def alone(self) -> Environment:
        """The environment of a query that does not see them."""
        return replace(self, outer=self.outer[: len(self.outer) - self.siblings], siblings=0)

    def blind(self) -> Environment:
        """The environment of a condition that does not see them either, with the same depth."""
        return replace(self, outer=self.alone().outer + (Scope(),) * self.siblings)


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
        return filtered(plan, *self.conditions) if self.conditions else plan

    def beside(self, other: From, env: Environment, node: exp.Expr) -> From:
        """Every row of both, in one scope."""
        right = other.scope.shifted(self.width)
        moved = tuple(relocate(condition, lambda index: index + self.width) for condition in other.conditions)
        return From(self.inputs + other.inputs, self.conditions + moved, self.scope.joined(right, env.text, node))
