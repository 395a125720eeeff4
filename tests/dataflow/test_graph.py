"""The graph: what is shared, what is refused, and how it prints."""

import numpy as np
import pyarrow as pa
import pytest

from dataflow.graph import Aggregate, GraphBuilder
from dataflow.types import BIGINT, DOUBLE, INTEGER, NUMERIC, TEXT, Column, ColumnType, Kind
from tests.laws import functions

SHOP = (BIGINT, TEXT, INTEGER)


def _schema(node):
    return tuple(Column(f"c{i}", kind) for i, kind in enumerate(node.types))


def test_equal_specs_over_the_same_inputs_are_one_node() -> None:
    graph = GraphBuilder()
    orders, people = graph.input("orders", SHOP), graph.input("people", (TEXT, TEXT))
    assert graph.input("orders", SHOP) is orders
    assert graph.join(orders, people, (1,), (0,)) is graph.join(orders, people, [1], [0])
    assert graph.linear(orders, [functions.Function("f", len, BIGINT)], (0,), (BIGINT,)) is graph.linear(
        orders, [functions.Function("f", len, BIGINT)], (0,), (BIGINT,)
    )
    assert graph.arrange(orders, (1,)) is graph.join(orders, people, (1,), (0,)).inputs[0]
    assert graph.distinct(orders) is graph.distinct(orders)
    assert graph.negate(orders) is not graph.negate(people)


def test_an_arrangement_is_shared_by_join_view_and_reduction() -> None:
    graph = GraphBuilder()
    orders = graph.upsert(graph.input("orders", SHOP), (0,))
    assert graph.arrange(orders, (0,)) is orders
    assert graph.arrange(graph.arrange(orders, (1,)), (2,)) is graph.arrange(orders, (2,))
    least = [Aggregate("min", 2, INTEGER), Aggregate("min", 2, INTEGER)]
    node = graph.reduce(orders, (1,), least, False)
    assert node.inputs[1] is node.inputs[2]
    graph.export("orders", orders, _schema(orders), (0,))
    graph.export("again", orders, _schema(orders), (0,))
    assert len(graph.build(lambda: 0.0).statistics()) == 2


def test_identity_is_no_node() -> None:
    graph = GraphBuilder()
    orders = graph.input("orders", SHOP)
    assert graph.linear(orders, (), (0, 1, 2), SHOP) is orders
    assert graph.union([orders]) is orders


def test_types_of_the_output() -> None:
    graph = GraphBuilder()
    orders, people = graph.input("orders", SHOP), graph.input("people", (TEXT, TEXT))
    joined = graph.join(orders, people, (1,), (0,))
    assert joined.types == (*SHOP, TEXT, TEXT)
    totals = graph.reduce(joined, (4,), [Aggregate("sum", 2, BIGINT), Aggregate("avg", 2, NUMERIC)], False)
    assert totals.types == (TEXT, BIGINT, NUMERIC)
    assert graph.upsert(people, (0,)).types == people.types


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (
            lambda g, a, b: g.input("a", (TEXT,)),
            r"input a has the types \(bigint, text\), and cannot also have \(text\)",
        ),
        (lambda g, a, b: g.join(a, b, (0,), (0,)), r"types \(int64\) and \(large_string\); cast one side"),
        (lambda g, a, b: g.join(a, b, (2,), (0,)), "left join key #2 is not one of the 2 columns of input a"),
        (lambda g, a, b: g.union([a, b]), r"union of \(bigint, text\) with \(text\)"),
        (lambda g, a, b: g.union([]), "a union needs an input"),
        (lambda g, a, b: g.linear(a, (), (5,), (TEXT,)), "output #5"),
        (lambda g, a, b: g.linear(a, (), (0,), (TEXT,)), "output #0 is bigint, and cannot be passed on as text"),
        (lambda g, a, b: g.linear(a, (), (0, 1), (BIGINT,)), "2 outputs, but 1 types"),
        (lambda g, a, b: g.upsert(a, (-1,)), "upsert key #-1"),
        (lambda g, a, b: g.reduce(a, (0,), (), True), "a default row has no value"),
        (
            lambda g, a, b: g.reduce(a, (), [Aggregate("sum", 1, TEXT)], True),
            "sum.* over text cannot have the type text",
        ),
        (lambda g, a, b: g.reduce(a, (), [Aggregate("avg", 0, DOUBLE)], True), "cannot have the type double precision"),
        (lambda g, a, b: g.reduce(a, (), [Aggregate("count", None, BIGINT)], True), "count takes a column"),
        (lambda g, a, b: g.reduce(a, (), [Aggregate("count_star", 0, BIGINT)], True), "count_star takes no column"),
        (lambda g, a, b: g.reduce(a, (), [Aggregate("min", 0, INTEGER)], True), "cannot have the type integer"),
        (lambda g, a, b: g.export("v", a, (Column("x", TEXT),), ()), "view v has the columns"),
        (lambda g, a, b: g.constant((pa.array([1]),), np.array([1]), (TEXT,)), "a constant of"),
        (lambda g, a, b: g.constant((pa.array([1]),), np.array([1, 1]), (BIGINT,)), "a constant of"),
    ],
)
def test_mistakes_are_refused_when_the_graph_is_made(mistake, message) -> None:
    graph = GraphBuilder()
    a, b = graph.input("a", (BIGINT, TEXT)), graph.input("b", (TEXT,))
    with pytest.raises(ValueError, match=message):
        mistake(graph, a, b)


def test_a_view_name_is_taken_once() -> None:
    graph = GraphBuilder()
    a = graph.input("a", (BIGINT,))
    graph.export("v", a, _schema(a), ())
    with pytest.raises(ValueError, match="view v is exported twice"):
        graph.export("v", a, _schema(a), ())


def test_explain_is_a_tree_for_each_view() -> None:
    graph = GraphBuilder()
    orders = graph.upsert(graph.input("orders", SHOP), (0,))
    large = graph.linear(orders, [functions.above(2, 10)], (1, 2), (TEXT, INTEGER))
    totals = graph.reduce(large, (0,), [Aggregate("count_star", None, BIGINT), Aggregate("max", 1, INTEGER)], False)
    graph.export("totals", totals, (Column("customer", TEXT), Column("n", BIGINT), Column("most", INTEGER)), (0,))
    graph.export("everybody", graph.distinct(large), _schema(large), ())
    assert graph.build(lambda: 0.0).explain() == (
        "view totals by (customer)\n"
        "  %5 arrange by (#0)\n"
        "    %4 reduce count(*), max(#1) by (#0)\n"
        "      %2 map #1, #2 where (#2 > 10) (shared with everybody)\n"
        "        %1 upsert by (#0)\n"
        "          %0 input orders\n"
        "      %3 arrange by (#0) ordered by #1 descending\n"
        "        %2 map #1, #2 where (#2 > 10) (see above)\n"
        "view everybody\n"
        "  %8 arrange by ()\n"
        "    %7 distinct\n"
        "      %6 arrange by (#0, #1)\n"
        "        %2 map #1, #2 where (#2 > 10) (see above)"
    )


def test_specs_print_and_compare() -> None:
    graph = GraphBuilder()
    a, b = graph.input("a", (BIGINT, TEXT)), graph.input("b", (BIGINT,))
    constant = graph.constant((pa.array([1, 2]),), np.array([1, 1]), (BIGINT,))
    assert [
        str(node.spec)
        for node in (
            graph.join(a, b, (0,), (0,)),
            graph.join(a, b, (), ()),
            graph.linear(a, (), (), ()),
            graph.reduce(a, (0, 1), (), False),
            graph.negate(a),
            graph.union([b, constant]),
            constant,
        )
    ] == [
        "join on left (#0) = right (#0)",
        "cross join",
        "map nothing",
        "reduce keys by (#0, #1)",
        "negate",
        "union",
        "constant of 2 rows",
    ]


def test_sum_types_follow_postgresql() -> None:
    graph = GraphBuilder()
    money = ColumnType(Kind.NUMERIC, 12, 2)
    node = graph.input("a", (BIGINT, money))
    graph.reduce(node, (), [Aggregate("sum", 0, ColumnType(Kind.NUMERIC, scale=0))], True)
    graph.reduce(node, (), [Aggregate("sum", 1, ColumnType(Kind.NUMERIC, scale=2))], True)
    with pytest.raises(ValueError, match="cannot have the type"):
        graph.reduce(node, (), [Aggregate("sum", 1, ColumnType(Kind.NUMERIC, scale=3))], True)
