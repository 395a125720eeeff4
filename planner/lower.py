"""From relational plans to operators.

Always true: equal plans become one node, also across views, and equal expressions are one object, so the builder can share
what they compute. A Project over a Filter is one linear operator. Deliberately unknown: SQL, names, and how operators run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.expression import Evaluated, Expression
from dataflow.graph import Aggregate, GraphBuilder, Node
from dataflow.operators.recursive import Loop, outside, variable
from dataflow.operators.temporal import TimeBound
from dataflow.operators.window_calls import WindowCall
from dataflow.types import BIGINT, ColumnType
from planner.compile import compile_scalar
from planner.compile_table import compile_call
from planner.flat_joins import FlatJoins, in_order
from planner.keys import Key, keys_of, partner_columns
from planner.lower_delta import delta_join
from planner.lower_reduce import reduced
from planner.monotonic import append_only
from planner.plan import (
    Constant,
    Distinct,
    Filter,
    FlatMap,
    Get,
    Join,
    Negate,
    OuterJoin,
    Pairs,
    Plan,
    Positive,
    Project,
    Recursive,
    Reduce,
    SemiJoin,
    Single,
    TemporalFilter,
    TopK,
    Union,
    Window,
)
from planner.scalar import ColumnRef, Literal, Parameter, Scalar, Value
from planner.scalars import columns, move

MOST_ITERATIONS = 10_000
"""Iterations of a recursion that says no limit, after which it counts as endless."""

_ONE = pa.scalar(1, pa.int64())
_SEVERAL = pa.scalar("more than one row returned by a subquery used as an expression", pa.large_string())
_NOTHING = pa.scalar(None, pa.large_string())


@dataclass(frozen=True, slots=True)
class AtMostOne:
    """The Expression that is TRUE, and an error where the count in a column is above one."""

    column: int

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        """TRUE or PostgreSQL's error for each row."""
        several = pc.greater(columns[self.column], _ONE)
        return Evaluated(pa.repeat(pa.scalar(True), rows), pc.if_else(several, _SEVERAL, _NOTHING))

    def __str__(self) -> str:
        return f"#{self.column} <= 1 or fail"


class Lowering:
    """Turns plans into nodes of one builder.

    relations: each source and each view lowered so far, with its node. keys: what is known to be unique in them.
    append_only: those whose rows only ever come. nodes: every plan lowered so far.
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.keys: dict[str, frozenset[Key]] = {}
        self.nodes: dict[Plan, Node] = {}
        self.flat = FlatJoins()
        self._expressions: dict[Scalar, Expression] = {}
        self.relations: dict[str, Node] = {}
        self.append_only: set[str] = set()

    def lower(self, plan: Plan) -> Node:
        """The node whose collection is the plan's."""
        node = self.nodes.get(plan)
        if node is None:
            node = self.nodes[plan] = self._make(plan)
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
            case OuterJoin():
                return self._outer_join(plan)
            case SemiJoin():
                return self._semi_join(plan)
            case Reduce():
                return reduced(self, plan)
            case TemporalFilter():
                bounds = [
                    TimeBound(self.compile(b.value), b.operator[0] == "<", len(b.operator) == 1) for b in plan.bounds
                ]
                return self.builder.temporal_filter(self.lower(plan.input), bounds)
            case FlatMap():
                calls = [compile_call(call) for call in plan.calls]
                types = [type_ for call in plan.calls for type_ in call.types]
                return self.builder.flat_map(self.lower(plan.input), calls, types, plan.ordinality, plan.keeps)
            case TopK(limit=None, offset=0, numbered=True):
                place = WindowCall("row_number", None, BIGINT)
                return self.builder.window(self.lower(plan.input), plan.group, plan.order, [place])
            case Window():
                return self.builder.window(self.lower(plan.input), plan.partition, plan.order, plan.calls)
            case TopK():
                below, (limit, offset) = self.lower(plan.input), (plan.limit, plan.offset)
                assert not isinstance(limit, Parameter)
                assert not isinstance(offset, Parameter)
                grows = self.grows(plan.input)
                return self.builder.top_k(below, plan.group, plan.order, limit, offset, plan.numbered, grows)
            case Recursive():
                return self._recursive(plan)
            case Positive():
                return self.builder.positive(self.lower(plan.input))
            case Single():
                return self._single(plan)
            case Distinct():
                return self.builder.distinct(self.lower(plan.input), self.grows(plan.input))
            case Negate():
                return self.builder.negate(self.lower(plan.input))
            case Union():
                return self.builder.union([self.lower(below) for below in plan.inputs])

    def grows(self, plan: Plan) -> bool:
        """Whether rows of the plan only ever come."""
        return append_only(plan, self.append_only)

    def _linear(
        self,
        below: Plan,
        predicates: Sequence[Scalar],
        outputs: Sequence[int | Expression],
        types: Sequence[ColumnType],
    ) -> Node:
        compiled = [self.compile(predicate) for predicate in predicates]
        return self.builder.linear(self.lower(below), compiled, list(outputs), types)

    def _output(self, scalar: Scalar) -> int | Expression:
        return scalar.index if isinstance(scalar, ColumnRef) else self.compile(scalar)

    def compile(self, scalar: Scalar) -> Expression:
        """The scalar as an expression; equal ones are one object."""
        expression = self._expressions.get(scalar)
        if expression is None:
            expression = self._expressions[scalar] = compile_scalar(scalar)
        return expression

    def _constant(self, plan: Constant) -> Node:
        cells = [self._cells([row[i] for row in plan.rows], type_) for i, type_ in enumerate(plan.types)]
        return self.builder.constant(cells, np.ones(len(plan.rows), np.int64), plan.types)

    def _cells(self, values: Sequence[Value], type_: ColumnType) -> pa.Array:
        """Literal values as a column, read as any literal is."""
        cells = [self.compile(Literal(value, type_)).evaluate((), 1).values for value in values]
        return pa.concat_arrays(cells) if cells else pa.array([], type_.arrow)

    def _join(self, plan: Join) -> Node:
        if len(plan.inputs) == 1:
            return self.lower(plan.inputs[0])
        if len(plan.inputs) > 2:
            raise ValueError("a join of more than two inputs reached lowering; this is a planner mistake")
        by_lookups = delta_join(self, plan)
        if by_lookups is not None:
            return by_lookups
        width = len(plan.inputs[0].types)
        left, left_key, right, right_key = self._sides(plan.inputs[0], plan.inputs[1], plan.equal)
        joined = self.builder.join(left, right, left_key, right_key, plan.null_safe)
        return self._without_keys(joined, width, len(left.types), plan.types)

    def _sides(self, left: Plan, right: Plan, equal: Pairs) -> tuple[Node, list[int], Node, list[int]]:
        """Both sides of a join and the positions of their keys."""
        width = len(left.types)
        pairs = in_order(p if max(columns(p[0])) < width else (p[1], p[0]) for p in equal)
        return *self.keyed(left, [a for a, _ in pairs], 0), *self.keyed(right, [b for _, b in pairs], width)

    def _without_keys(self, joined: Node, width: int, first: int, types: Sequence[ColumnType]) -> Node:
        """Joined rows without the computed keys behind each side's own columns; `first` is where the right side begins."""
        if len(joined.types) == len(types):
            return joined
        kept = [*range(width), *range(first, first + len(types) - width)]
        return self.builder.linear(joined, (), kept, types)

    def _outer_join(self, plan: OuterJoin) -> Node:
        width = len(plan.left.types)
        left, left_key, right, right_key = self._sides(plan.left, plan.right, plan.equal)
        residual = self._residual(plan, width, len(left.types))
        once = self._one_partner(plan)
        joined = self.builder.outer_join(
            left, right, left_key, right_key, residual, plan.full, plan.null_safe, unique=once
        )
        return self._without_keys(joined, width, len(left.types), plan.types)

    def _semi_join(self, plan: SemiJoin) -> Node:
        builder, width = self.builder, len(plan.left.types)
        left, left_key, right, right_key = self._sides(plan.left, plan.right, plan.equal)
        if plan.on:
            # Left rows are told by their values: equal rows have the same partners.
            joined = builder.join(left, right, left_key, right_key, plan.null_safe)
            residual = self._residual(plan, width, len(left.types))
            right = builder.linear(joined, residual, range(width), plan.left.types)
            left, left_key, right_key = self.lower(plan.left), list(range(width)), list(range(width))
            return builder.semi_join(left, right, left_key, right_key, plan.anti, nulls_match=True)
        once = self._one_partner(plan)
        found = builder.semi_join(left, right, left_key, right_key, plan.anti, plan.null_safe, unique=once)
        return builder.linear(found, (), range(width), plan.types)

    def _residual(self, plan: OuterJoin | SemiJoin, width: int, first: int) -> list[Expression]:
        """The conditions over the columns of the joined rows, where the right side begins at `first`."""
        moved = (move(p, lambda index: index if index < width else index - width + first) for p in plan.on)
        return [self.compile(predicate) for predicate in moved]

    def _one_partner(self, plan: OuterJoin | SemiJoin) -> bool:
        """Whether no two right rows have the same key."""
        width = len(plan.left.types)
        own = {column - width for column in partner_columns(plan)}
        return any(key <= own for key in keys_of(plan.right, self.keys))

    def _recursive(self, plan: Recursive) -> Node:
        inner = Lowering(GraphBuilder())
        for i, below in enumerate(plan.inputs):
            inner.relations[outside(i)] = inner.builder.input(outside(i), below.types)
        for i, (name, body) in enumerate(zip(plan.names, plan.bodies, strict=True)):
            inner.relations[name] = inner.builder.input(variable(i), body.types)
        # More rows in make more rows out: with a limit that was written it matters how far it is from nothing.
        monotone = plan.limit is None and all(append_only(body, inner.relations) for body in plan.bodies)
        bodies = tuple(map(inner.lower, plan.bodies))
        names = tuple(name.partition("@")[0] for name in plan.names)
        key = replace(plan, output=0)
        loop = Loop(key, names, bodies, plan.limit or MOST_ITERATIONS, plan.returns, monotone)
        return self.builder.recursive([self.lower(below) for below in plan.inputs], loop)[plan.output]

    def _single(self, plan: Single) -> Node:
        keys = list(range(plan.keys))
        value = plan.types[plan.keys]
        aggregates = [Aggregate("count_star", None, BIGINT), Aggregate("min", plan.keys, value)]
        grows = self.grows(plan.input)
        groups = self.builder.reduce(self.lower(plan.input), keys, aggregates, default_row=False, append_only=grows)
        return self.builder.linear(groups, [AtMostOne(plan.keys)], [*keys, plan.keys + 1], plan.types)

    def keyed(self, below: Plan, keys: Sequence[Scalar], offset: int) -> tuple[Node, list[int]]:
        """An input with its join keys as columns: those that are computed stand behind its own."""
        node = self.lower(below)
        own = [move(key, lambda index: index - offset) for key in keys]
        computed = list(dict.fromkeys(key for key in own if not isinstance(key, ColumnRef)))
        width = len(node.types)
        position = {key: width + i for i, key in enumerate(computed)}
        if computed:
            outputs: list[int | Expression] = [*range(width), *map(self.compile, computed)]
            node = self.builder.linear(node, (), outputs, (*node.types, *(key.type for key in computed)))
        return node, [key.index if isinstance(key, ColumnRef) else position[key] for key in own]
