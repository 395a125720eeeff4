"""From relational plans to operators.

Always true: equal plans become one node, also across views, and equal expressions are one object, so the builder can share
what they compute. A Project over a Filter is one linear operator. Deliberately unknown: SQL, names, and how operators run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dataflow.expression import Expression
from dataflow.graph import Aggregate, GraphBuilder, Node
from dataflow.types import ColumnType
from planner.compile import compile_scalar
from planner.plan import Constant, Distinct, Filter, Get, Join, Negate, Plan, Project, Reduce, Union
from planner.scalar import ColumnRef, Literal, Scalar
from planner.scalars import columns, move


class Lowering:
    """Turns plans into nodes of one builder. `relations` maps each source and each view lowered so far to its node."""

    def __init__(self, builder: GraphBuilder) -> None:
        self._builder = builder
        self._nodes: dict[Plan, Node] = {}
        self._expressions: dict[Scalar, Expression] = {}
        self.relations: dict[str, Node] = {}

    def lower(self, plan: Plan) -> Node:
        """The node whose collection is the plan's."""
        node = self._nodes.get(plan)
        if node is None:
            node = self._nodes[plan] = self._make(plan)
        return node

    def _make(self, plan: Plan) -> Node:
        match plan:
            case Get():
                return self.relations[plan.name]
            case Constant():
                return self._constant(plan)
            case Filter():
                return self._linear(plan.input, plan.predicates, range(len(plan.types)), plan.types)
            case Project():
                outputs = [self._output(output) for output in plan.outputs]
                if isinstance(plan.input, Filter):
                    return self._linear(plan.input.input, plan.input.predicates, outputs, plan.types)
                return self._linear(plan.input, (), outputs, plan.types)
            case Join():
                return self._join(plan)
            case Reduce():
                return self._reduce(plan)
            case Distinct():
                return self._builder.distinct(self.lower(plan.input))
            case Negate():
                return self._builder.negate(self.lower(plan.input))
            case Union():
                return self._builder.union([self.lower(below) for below in plan.inputs])

    def _linear(
        self,
        below: Plan,
        predicates: Sequence[Scalar],
        outputs: Sequence[int | Expression],
        types: Sequence[ColumnType],
    ) -> Node:
        compiled = [self._compile(predicate) for predicate in predicates]
        return self._builder.linear(self.lower(below), compiled, list(outputs), types)

    def _output(self, scalar: Scalar) -> int | Expression:
        return scalar.index if isinstance(scalar, ColumnRef) else self._compile(scalar)

    def _compile(self, scalar: Scalar) -> Expression:
        expression = self._expressions.get(scalar)
        if expression is None:
            expression = self._expressions[scalar] = compile_scalar(scalar)
        return expression

    def _constant(self, plan: Constant) -> Node:
        cells = [self._cells([row[i] for row in plan.rows], type_) for i, type_ in enumerate(plan.types)]
        return self._builder.constant(cells, np.ones(len(plan.rows), np.int64), plan.types)

    def _cells(self, values: Sequence[object], type_: ColumnType) -> pa.Array:
        """Literal values as a column, read as any literal is."""
        cells = [self._compile(Literal(value, type_)).evaluate((), 1).values for value in values]  # type: ignore[arg-type]
        return pa.concat_arrays(cells) if cells else pa.array([], type_.arrow)

    def _join(self, plan: Join) -> Node:
        if len(plan.inputs) == 1:
            return self.lower(plan.inputs[0])
        if len(plan.inputs) > 2:
            raise ValueError("a join of more than two inputs reached lowering; this is a planner mistake")
        width = len(plan.inputs[0].types)
        # One order of the key columns for all joins on them, so that they share an arrangement.
        pairs = sorted(
            (p if max(columns(p[0])) < width else (p[1], p[0]) for p in plan.equal),
            key=lambda p: (str(p[1]), str(p[0])),
        )
        left, left_key = self._keyed(plan.inputs[0], [a for a, _ in pairs], 0)
        right, right_key = self._keyed(plan.inputs[1], [b for _, b in pairs], width)
        joined = self._builder.join(left, right, left_key, right_key)
        if len(joined.types) == len(plan.types):
            return joined
        first = len(left.types)
        kept = [*range(width), *range(first, first + len(plan.types) - width)]
        return self._builder.linear(joined, (), kept, plan.types)

    def _keyed(self, below: Plan, keys: Sequence[Scalar], offset: int) -> tuple[Node, list[int]]:
        """An input with its join keys as columns: those that are computed stand behind its own."""
        node = self.lower(below)
        own = [move(key, lambda index: index - offset) for key in keys]
        computed = list(dict.fromkeys(key for key in own if not isinstance(key, ColumnRef)))
        width = len(node.types)
        position = {key: width + i for i, key in enumerate(computed)}
        if computed:
            outputs: list[int | Expression] = [*range(width), *map(self._compile, computed)]
            node = self._builder.linear(node, (), outputs, (*node.types, *(key.type for key in computed)))
        return node, [key.index if isinstance(key, ColumnRef) else position[key] for key in own]

    def _reduce(self, plan: Reduce) -> Node:
        arguments = [a.argument for a in plan.aggregates if a.argument is not None]
        scalars = list(dict.fromkeys((*plan.keys, *arguments)))
        place = {scalar: i for i, scalar in enumerate(scalars)}
        below = self.lower(Project(plan.input, tuple(scalars)))
        aggregates = [
            Aggregate(a.function, None if a.argument is None else place[a.argument], a.type) for a in plan.aggregates
        ]
        return self._builder.reduce(below, [place[key] for key in plan.keys], aggregates, default_row=not plan.keys)
