"""Output in pieces: what a join makes of a hot key goes through its consumers piece by piece, and is never there as a whole.

    reduce <- map <- join        the reduction pulls pieces through the map, and folds each into its accumulators

Always true: the sum of the pieces is the delta, and each operator's own state takes them in one after the other within one
step; arrangements below the join stay as they are meanwhile, so that `before` and `after` mean what they always mean.
An operator gives pieces only where exactly one consumer takes them: a delta that is needed twice is made once, whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from dataflow.operators.base import Operator


def arrange_pieces(operators: Iterable[Operator]) -> None:
    """Decide for each operator, given in topological order, whether its consumer pulls its output."""
    order = list(operators)
    large: set[Operator] = set()
    for operator in order:
        if operator.multiplies or (operator.streams and any(source in large for source in operator.inputs)):
            large.add(operator)
    for operator in reversed(order):
        if operator in large and len(operator.consumers) == 1:
            (consumer,) = operator.consumers
            operator.lazy = consumer.lazy or (consumer.folds and consumer.inputs[0] is operator)
