"""A graph run once: deltas go in, the node's collection and the row errors come out, and nothing is kept.

Always true: it is the operators of `dataflow.step`, run in the same order; what comes out is what a view of the node would hold
after a first step with these inputs. Deliberately unknown: where the deltas come from, and who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dataflow.delta import Delta
from dataflow.nodes import Node, upstream
from dataflow.operators.base import NO_ERRORS, Operator, Stopwatch, combine
from dataflow.operators.constant import Input
from dataflow.operators.pieces import arrange_pieces
from dataflow.types import TEXT


class Once:
    """The operators of one node and of everything below it. Used by one thread.

    check: called before each operator and between the pieces that it takes; what it raises ends the run. `run` may be called
    again with further rows only where no operator keeps state: then each result is that of its own rows.
    """

    def __init__(self, node: Node, check: Callable[[], None], stopwatch: Stopwatch) -> None:
        operators: dict[int, Operator] = {}
        for one in upstream((node,)):
            below = tuple(operators[source.number] for source in one.inputs)
            operators[one.number] = one.spec.build(one.types, below)
        self._order = tuple(operators.values())
        self._result = operators[node.number]
        self._inputs = {op.name: op for op in self._order if isinstance(op, Input)}

        def watch() -> float:
            check()
            return stopwatch()

        # Operators look at the stopwatch before and after each piece.
        self._stopwatch = watch
        arrange_pieces(self._order)

    def run(self, inputs: Mapping[str, Delta]) -> tuple[Delta, Delta]:
        """The result, not consolidated, and its row errors, one text column. Inputs that the node does not need are ignored.

        TypeError when a delta is not of its input's types.
        """
        for name, delta in inputs.items():
            if (into := self._inputs.get(name)) is not None and len(delta):
                into.check(delta)
                into.put(delta)
        failed = []
        for operator in self._order:
            if operator.due:
                operator.run(self._stopwatch)
                if len(operator.errors):
                    failed.append(operator.errors)
        result = self._result.delta
        for operator in self._order:
            operator.finish()
        return result, combine(failed, (TEXT,)) if failed else NO_ERRORS
