"""Arrange: index a collection by some of its columns, so that joins, reductions and reads can probe it.

Always true: the delta passes through unchanged; the arrangement is the sum of all deltas so far. Every consumer of the same
collection by the same key shares one arrangement. NULL keys are kept: whether they match is the reader's question.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataflow.delta import Delta
from dataflow.layout import Layout, Order
from dataflow.operators.base import Arrangement, Operator, Types, names


@dataclass(frozen=True, slots=True)
class ArrangeSpec:
    """Index by `key`; with `order`, the rows of a key can be read in that order."""

    key: tuple[int, ...]
    order: tuple[Order, ...] = ()

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Arrange(self, types, inputs)

    def __str__(self) -> str:
        order = ", ".join(f"#{o.column}{' descending' if o.descending else ''}" for o in self.order)
        return f"arrange by ({names(self.key)})" + (f" ordered by {order}" if order else "")


class Arrange(Operator):
    """The one writer of its arrangement."""

    def __init__(self, spec: ArrangeSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._arrangement = self.arrangement = Arrangement(Layout(types, spec.key, spec.order))

    def step(self, *deltas: Delta) -> Delta:
        (delta,) = deltas
        # Consumers read it in this step: sorting it beside would keep them waiting for one thread.
        self._arrangement.insert(delta, at_once=bool(self.consumers))
        return delta

    def consolidated(self) -> Delta:
        """The input's: several arrangements of one collection consolidate once."""
        return self.inputs[0].consolidated()
