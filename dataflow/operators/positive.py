"""Positive: the part of a collection whose counts are above zero, with these counts.

    a EXCEPT ALL b          positive(a - b)
    a INTERSECT ALL b       a - positive(a - b)

Always true: no diff of the collection is negative. Rows are equal as in GROUP BY: NULL equals NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataflow.delta import Diffs
from dataflow.operators.base import Operator, Types
from dataflow.operators.distinct import Distinct


@dataclass(frozen=True, slots=True)
class PositiveSpec:
    """The positive part; the input is arranged by all of its columns."""

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Positive(self, types, inputs)

    def __str__(self) -> str:
        return "positive part"


class Positive(Distinct):
    """As distinct, with the counts above zero kept as they are."""

    @staticmethod
    def weight(counts: Diffs) -> Diffs:
        """The positive part of the counts."""
        return np.maximum(counts, 0)
