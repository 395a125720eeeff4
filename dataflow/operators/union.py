"""The group operations of Z-sets: + of several collections, and the inverse.

    SELECT * FROM a UNION ALL SELECT * FROM b        union(a, b)
    a EXCEPT ALL b, before the cut at zero           union(a, negate(b))

Both are linear and keep no state. Errors are not negated: they reach the views once, with the sign they were reported with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dataflow.delta import Delta
from dataflow.operators.base import Operator, Types, combine


@dataclass(frozen=True, slots=True)
class UnionSpec:
    """The sum of all inputs."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Union(self, types, inputs)

    def __str__(self) -> str:
        return "union"


class Union(Operator):
    """An input that stands in it twice counts twice."""

    streams = True

    def stream(self) -> Iterator[Delta]:
        """The pieces of one input after the other."""
        for source in self.inputs:
            yield from self.pull(source)

    def step(self, *deltas: Delta) -> Delta:
        return combine(deltas, self.types)


@dataclass(frozen=True, slots=True)
class NegateSpec:
    """Every diff with the other sign."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Negate(self, types, inputs)

    def __str__(self) -> str:
        return "negate"


class Negate(Operator):
    """The inverse of the group."""

    streams = True

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        return Delta(delta.columns, -delta.diffs)
