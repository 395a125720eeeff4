"""The graph: what a dataflow is made of, as nodes with specs, and the builder that puts them together and checks them.

Always true: nodes are made after their inputs, so their numbers are a topological order; equal specs over the same inputs are
one node, so that arrangements are shared by (collection, key); a graph is pure description, and `build` may be called again
for a second dataflow with its own state. Mistakes of the planner are ValueErrors here, and never show up in a step.
Deliberately unknown here: SQL, names of columns (but for exports), and how anything runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta, Diffs
from dataflow.expression import Expression, TableExpression
from dataflow.layout import Order
from dataflow.nodes import Export, Node, upstream
from dataflow.operators.aggregates import EXTREMES, Aggregate, check_aggregate
from dataflow.operators.append import AppendDistinctSpec, AppendTopKSpec
from dataflow.operators.arrange import ArrangeSpec
from dataflow.operators.base import Spec, Stopwatch, Types, names
from dataflow.operators.constant import ConstantSpec, InputSpec
from dataflow.operators.delta_join import DeltaJoinSpec, Keyed, Link, paths_of
from dataflow.operators.distinct import DistinctSpec
from dataflow.operators.flatmap import FlatMapSpec
from dataflow.operators.join import JoinSpec
from dataflow.operators.linear import LinearSpec
from dataflow.operators.ordered import OrderedAggregate, OrderedSpec, check_ordered
from dataflow.operators.outer import Null
from dataflow.operators.positive import PositiveSpec
from dataflow.operators.recursive import Loop, RecursiveSpec, VariableSpec
from dataflow.operators.reduce import ReduceSpec
from dataflow.operators.semi import SemiJoinSpec
from dataflow.operators.temporal import TemporalSpec, TimeBound
from dataflow.operators.topk import TopKSpec
from dataflow.operators.union import NegateSpec, UnionSpec
from dataflow.operators.upsert import UpsertSpec
from dataflow.operators.window import WindowSpec
from dataflow.operators.window_calls import WindowCall, check_call
from dataflow.step import Dataflow
from dataflow.types import BIGINT, ColumnType, Schema

__all__ = ["Aggregate", "Export", "GraphBuilder", "Keyed", "Link", "Node"]


class GraphBuilder:
    """Makes nodes, shares the equal ones, and builds the dataflow."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Spec, tuple[int, ...], Types], Node] = {}
        self._inputs: dict[str, Node] = {}
        self._exports: dict[str, Export] = {}

    def input(self, name: str, types: Sequence[ColumnType]) -> Node:
        """Where the caller's deltas of this name enter. Asking again gives the same node; the types must be the same."""
        node = self._inputs.get(name)
        if node is None:
            node = self._inputs[name] = self._add(InputSpec(name), (), tuple(types))
        elif node.types != tuple(types):
            raise ValueError(f"input {name} has the types {_list(node.types)}, and cannot also have {_list(types)}")
        return node

    def constant(self, columns: Sequence[pa.Array], diffs: Diffs, types: Sequence[ColumnType]) -> Node:
        """Rows that appear at the first step and stay."""
        delta = Delta(tuple(columns), np.asarray(diffs, np.int64))
        actual, expected = [column.type for column in columns], [kind.arrow for kind in types]
        if actual != expected or any(len(column) != len(delta) for column in columns):
            raise ValueError(f"a constant of {_list(types)} and {len(delta)} diffs has the columns {_list(actual)}")
        return self._add(ConstantSpec(delta), (), tuple(types))

    def upsert(self, node: Node, key: Sequence[int]) -> Node:
        """The rows by key after a stream of new values (+1) and tombstones (-1), which `node` must give in arrival order."""
        _check(node, key, "upsert key")
        return self._add(UpsertSpec(tuple(key)), (node,), node.types)

    def linear(
        self,
        node: Node,
        predicates: Sequence[Expression],
        outputs: Sequence[int | Expression],
        types: Sequence[ColumnType],
    ) -> Node:
        """Rows for which every predicate is TRUE, each mapped to the outputs: input columns by position, or expressions.

        `types` are the outputs' types. A row that fails goes to the error collection. Expressions should compare and hash
        by what they compute; those that do so by identity work, but are not shared.
        """
        positions = [output for output in outputs if isinstance(output, int)]
        _check(node, positions, "output")
        if len(outputs) != len(types):
            raise ValueError(f"linear has {len(outputs)} outputs, but {len(types)} types")
        for output, kind in zip(outputs, types, strict=True):
            if isinstance(output, int) and node.types[output].arrow != kind.arrow:
                raise ValueError(f"output #{output} is {node.types[output]}, and cannot be passed on as {kind}")
        if not predicates and tuple(outputs) == tuple(range(len(node.types))) and tuple(types) == node.types:
            return node
        return self._add(LinearSpec(tuple(predicates), tuple(outputs)), (node,), tuple(types))

    def temporal_filter(self, node: Node, bounds: Sequence[TimeBound]) -> Node:
        """The rows for which all bounds hold at the time of the step: they come and go as time passes."""
        if not bounds:
            raise ValueError("a temporal filter needs a bound")
        return self._add(TemporalSpec(tuple(bounds)), (node,), node.types)

    def flat_map(
        self,
        node: Node,
        functions: Sequence[TableExpression],
        types: Sequence[ColumnType],
        ordinality: bool = False,
        keeps: bool = False,
    ) -> Node:
        """Each row beside the rows that table functions make of it, place by place; `types` are those of their columns.

        ordinality: a last column, a bigint, has the place. keeps: a row of which none is made stays, with NULLs.
        """
        types = (*node.types, *types, *((BIGINT,) if ordinality else ()))
        return self._add(FlatMapSpec(tuple(functions), ordinality, keeps), (node,), types)

    def join(
        self, left: Node, right: Node, left_key: Sequence[int], right_key: Sequence[int], nulls_match: bool = False
    ) -> Node:
        """Pairs of rows with equal keys, left columns first; empty keys make the cross join.

        NULL keys never match, unless `nulls_match`: then NULL equals NULL.
        """
        _check_keys(left, right, left_key, right_key)
        inputs = (self.arrange(left, left_key), self.arrange(right, right_key))
        return self._add(JoinSpec(tuple(left_key), tuple(right_key), nulls_match), inputs, left.types + right.types)

    def delta_join(self, inputs: Sequence[Node], links: Sequence[Link], unique: Collection[Keyed] = ()) -> Node:
        """The combinations of one row of each input for which all linked columns are equal, the inputs' columns in order.

        NULL equals nothing. Nothing is arranged but the inputs, each by its side of every link; the links make a tree.
        unique: inputs' keys of which no two rows are alike.
        """
        for link in links:
            (left, left_key), (right, right_key) = link.left, link.right
            if not left_key or not (0 <= left < len(inputs) and 0 <= right < len(inputs)):
                raise ValueError(f"{link} has no columns, or links what is not one of the {len(inputs)} inputs")
            _check_keys(inputs[left], inputs[right], left_key, right_key)
        spec = DeltaJoinSpec(paths_of(links, len(inputs), unique))
        arranged = tuple(self.arrange(inputs[of], key) for of, key in spec.arranged)
        return self._add(spec, arranged, tuple(kind for node in inputs for kind in node.types))

    def semi_join(
        self,
        left: Node,
        right: Node,
        left_key: Sequence[int],
        right_key: Sequence[int],
        anti: bool = False,
        nulls_match: bool = False,
        unique: bool = False,
    ) -> Node:
        """The left rows whose key is among the right rows' keys, or with `anti` those whose key is not.

        A NULL key is never among them, unless `nulls_match`. unique: no two right rows have one key, so that the rows
        themselves may be arranged by it; else the keys are counted in an arrangement of their own.
        """
        _check_keys(left, right, left_key, right_key)
        if not unique:
            right = self.linear(right, (), right_key, [right.types[c] for c in right_key])
            right_key = range(len(right_key))
        inputs = (self.arrange(left, left_key), self.arrange(right, right_key))
        return self._add(SemiJoinSpec(tuple(left_key), tuple(right_key), anti, nulls_match), inputs, left.types)

    def outer_join(
        self,
        left: Node,
        right: Node,
        left_key: Sequence[int],
        right_key: Sequence[int],
        residual: Sequence[Expression] = (),
        full: bool = False,
        nulls_match: bool = False,
        unique: bool = False,
    ) -> Node:
        """The join, and each left row that has no partner once with NULLs for the right columns; with `full` also each such
        right row.

        residual: predicates over the columns of both sides that partners must pass. unique: no two right rows have one key.
        """
        joined = self.join(left, right, left_key, right_key, nulls_match)
        width = len(left.types)
        if residual:
            joined = self.linear(joined, residual, range(len(joined.types)), joined.types)
        nulls = [Null(kind) for kind in joined.types]

        def alone(side: Node, begin: int, other: Node, keys: tuple[Sequence[int], Sequence[int]], once: bool) -> Node:
            own = range(len(side.types))
            if residual:
                places = range(begin, begin + len(own))
                partners = self.linear(joined, (), places, side.types)
                return self.semi_join(side, partners, own, own, anti=True, nulls_match=True)
            return self.semi_join(side, other, *keys, anti=True, nulls_match=nulls_match, unique=once)

        rest = alone(left, 0, right, (left_key, right_key), unique)
        parts = [joined, self.linear(rest, (), [*range(width), *nulls[width:]], joined.types)]
        if full:
            rest = alone(right, width, left, (right_key, left_key), False)
            parts.append(self.linear(rest, (), [*nulls[:width], *range(len(right.types))], joined.types))
        return self.union(parts)

    def top_k(
        self,
        node: Node,
        key: Sequence[int],
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        numbered: bool = False,
        append_only: bool = False,
    ) -> Node:
        """The rows at the places `offset + 1` to `offset + limit` (None: to the end) of each key, by `order` and then by all
        columns; with `numbered` a last column, a bigint, has the place. NULL keys are equal.

        append_only: the caller has proved that no row of `node` is ever taken away.
        """
        _check(node, key, "group key")
        _check(node, [term.column for term in order], "order")
        if (limit is not None and limit < 0) or offset < 0:
            raise ValueError(f"limit {limit} and offset {offset}: neither may be negative")
        # A spine that sorts has an order; without one asked for, any total one will do.
        order = tuple(order) or ((Order(0),) if node.types else ())
        if not order:
            raise ValueError("rows without columns have no order")
        below = _bare(node)
        types = (*node.types, BIGINT) if numbered else node.types
        spec = TopKSpec(tuple(key), order, limit, offset, numbered)
        if append_only and limit is not None:
            return self._add(AppendTopKSpec(spec), (below,), types)
        sorted_rows = self._add(ArrangeSpec(tuple(key), order), (below,), below.types)
        return self._add(spec, (sorted_rows,), types)

    def window(self, node: Node, partition: Sequence[int], order: Sequence[Order], calls: Sequence[WindowCall]) -> Node:
        """Every row, and behind its columns one for each window function over the rows with equal partition columns.

        Ties of the order are broken by all columns. NULL partition columns are equal.
        """
        _check(node, partition, "partition key")
        _check(node, [term.column for term in order], "order")
        for call in calls:
            _check(node, call.reads, f"column of {call.function}")
            check_call(call, node.types)
        if not node.types:
            raise ValueError("rows without columns have no order")
        types = (*node.types, *(call.type for call in calls))
        return self._add(WindowSpec(tuple(partition), tuple(order), tuple(calls)), (_bare(node),), types)

    def reduce(
        self,
        node: Node,
        key: Sequence[int],
        aggregates: Sequence[Aggregate],
        default_row: bool,
        append_only: bool = False,
    ) -> Node:
        """One row for each key: the key columns, then one column for each aggregate. NULL keys are equal.

        With `default_row` (no GROUP BY, so an empty key) there is one row also over no rows, from the first step on.
        append_only: the caller has proved that no row of `node` is ever taken away.
        """
        _check(node, key, "group key")
        if default_row and key:
            raise ValueError(f"a default row has no value for the group key ({names(key)})")
        for aggregate in aggregates:
            if aggregate.column is not None:
                _check(node, [aggregate.column], f"column of {aggregate.function}")
            check_aggregate(
                aggregate,
                *(None if place is None else node.types[place] for place in (aggregate.column, aggregate.other)),
            )
        extremes = [(a.column, a.function) for a in aggregates if a.column is not None and a.function in EXTREMES]
        winners = append_only and bool(extremes)
        ordered = (
            [] if winners else [self._ordered(node, key, column, function == "max") for column, function in extremes]
        )
        types = tuple(node.types[column] for column in key) + tuple(a.type for a in aggregates)
        return self._add(ReduceSpec(tuple(key), tuple(aggregates), default_row, winners), (node, *ordered), types)

    def reduce_ordered(
        self,
        node: Node,
        key: Sequence[int],
        order: Sequence[Order],
        aggregates: Sequence[OrderedAggregate],
        default_row: bool,
    ) -> Node:
        """As `reduce`, for aggregates over each key's rows in an order whose ties are broken by all columns."""
        _check(node, key, "group key")
        _check(node, [term.column for term in order], "order")
        for aggregate in aggregates:
            read = [column for column in (aggregate.column, aggregate.other) if column is not None]
            _check(node, read, f"column of {aggregate.function}")
            check_ordered(aggregate, node.types)
        order = tuple(order) or (Order(0),)
        sorted_rows = self._add(ArrangeSpec(tuple(key), order), (_bare(node),), node.types)
        types = tuple(node.types[column] for column in key) + tuple(a.type for a in aggregates)
        return self._add(OrderedSpec(tuple(key), order, tuple(aggregates), default_row), (sorted_rows,), types)

    def _ordered(self, node: Node, key: Sequence[int], column: int, descending: bool) -> Node:
        """(key, column) of a collection, each key's values in order; NULLs last, so that any value comes before them."""
        columns = (*key, column)
        pairs = self.linear(node, (), columns, [node.types[c] for c in columns])
        order = (Order(len(key), descending=descending, nulls_first=False),)
        return self._add(ArrangeSpec(tuple(range(len(key))), order), (pairs,), pairs.types)

    def distinct(self, node: Node, append_only: bool = False, reports: bool = False) -> Node:
        """Each row that is there at all, once.

        append_only: the caller has proved that no row is ever taken away. reports: a row with a negative count is an error.
        """
        if append_only:
            return self._add(AppendDistinctSpec(), (_bare(node),), node.types)
        return self._add(DistinctSpec(reports), (self.arrange(node, range(len(node.types))),), node.types)

    def positive(self, node: Node) -> Node:
        """The rows whose counts are above zero, as often as they count."""
        return self._add(PositiveSpec(), (self.arrange(node, range(len(node.types))),), node.types)

    def union(self, nodes: Sequence[Node]) -> Node:
        """The sum of collections of the same types."""
        if not nodes:
            raise ValueError("a union needs an input; for no rows at all use a constant without rows")
        for node in nodes[1:]:
            if [kind.arrow for kind in node.types] != [kind.arrow for kind in nodes[0].types]:
                raise ValueError(f"union of {_list(nodes[0].types)} with {_list(node.types)}; cast one side")
        return nodes[0] if len(nodes) == 1 else self._add(UnionSpec(), tuple(nodes), nodes[0].types)

    def negate(self, node: Node) -> Node:
        """The collection with every diff's sign turned."""
        return self._add(NegateSpec(), (node,), node.types)

    def arrange(self, node: Node, key: Sequence[int]) -> Node:
        """The collection indexed by `key`: one node, and one state, however many ask for it."""
        _check(node, key, "arrangement key")
        node = _bare(node)
        return node if _is_by(node, key) else self._add(ArrangeSpec(tuple(key)), (node,), node.types)

    def is_arranged(self, node: Node, key: Sequence[int]) -> bool:
        """Whether somebody has asked for the collection indexed by `key` already."""
        node = _bare(node)
        return _is_by(node, key) or (ArrangeSpec(tuple(key)), (node.number,), node.types) in self._nodes

    def recursive(self, nodes: Sequence[Node], loop: Loop) -> list[Node]:
        """The variables of a recursion over these collections, which its inner graph has as inputs; see `operators.recursive`."""
        for body in loop.bodies:
            for node in upstream((body,)):
                if isinstance(node.spec, TemporalSpec | UpsertSpec):
                    raise ValueError(f"{node.spec} cannot be part of a recursion")
        inputs = tuple(self.arrange(node, range(len(node.types))) for node in nodes)
        whole = self._add(RecursiveSpec(loop), inputs, ())
        return [self._add(VariableSpec(i), (whole,), body.types) for i, body in enumerate(loop.bodies)]

    def export(self, name: str, node: Node, schema: Schema, key: Sequence[int]) -> None:
        """Make the node a view of this name, indexed by `key`."""
        if name in self._exports:
            raise ValueError(f"view {name} is exported twice")
        if [column.type.arrow for column in schema] != [kind.arrow for kind in node.types]:
            raise ValueError(f"view {name} has the columns {_list([c.type for c in schema])}, but {_list(node.types)}")
        self._exports[name] = Export(name, self.arrange(node, key), tuple(schema), tuple(key))

    def build(self, stopwatch: Stopwatch) -> Dataflow:
        """A dataflow with empty state that keeps the exported views; nodes that no view needs are left out."""
        return Dataflow(
            tuple(self._exports.values()), {name: node.types for name, node in self._inputs.items()}, stopwatch
        )

    def _add(self, spec: Spec, inputs: tuple[Node, ...], types: Types) -> Node:
        same = (spec, tuple(node.number for node in inputs), types)
        node = self._nodes.get(same)
        if node is None:
            node = self._nodes[same] = Node(len(self._nodes), spec, inputs, types)
        return node


def _bare(node: Node) -> Node:
    """The collection that a node arranges, or the node itself."""
    return node.inputs[0] if isinstance(node.spec, ArrangeSpec) else node


def _is_by(node: Node, key: Sequence[int]) -> bool:
    """Whether what makes the collection keeps it by this key itself."""
    if isinstance(node.spec, UpsertSpec):
        return node.spec.key == tuple(key)
    return isinstance(node.spec, AppendDistinctSpec) and tuple(key) == tuple(range(len(node.types)))


def _check(node: Node, columns: Sequence[int], what: str) -> None:
    for column in columns:
        if not 0 <= column < len(node.types):
            raise ValueError(f"{what} #{column} is not one of the {len(node.types)} columns of {node.spec}")


def _check_keys(left: Node, right: Node, left_key: Sequence[int], right_key: Sequence[int]) -> None:
    _check(left, left_key, "left join key")
    _check(right, right_key, "right join key")
    kinds = [left.types[c].arrow for c in left_key], [right.types[c].arrow for c in right_key]
    if kinds[0] != kinds[1]:
        raise ValueError(f"join keys have the types {_list(kinds[0])} and {_list(kinds[1])}; cast one side")


def _list(types: Sequence[object]) -> str:
    return f"({', '.join(map(str, types))})"
