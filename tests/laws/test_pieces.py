"""The law where a join's output goes on in pieces, and the memory that a hot key takes."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.graph import Aggregate, GraphBuilder, Link
from dataflow.layout import Order
from dataflow.operators import join
from dataflow.types import BIGINT, TEXT, Column, ColumnType, Kind
from tests.laws import functions, zsets
from tests.laws.law import check
from tests.laws.strategies import additions, histories

INPUTS = {"a": (BIGINT, BIGINT, TEXT), "b": (TEXT, BIGINT)}
TOTALS = [Aggregate("count_star", None, BIGINT), Aggregate("sum", 0, ColumnType(Kind.NUMERIC, scale=0))]
CHANCES = st.randoms(use_true_random=False)


@pytest.fixture(autouse=True, scope="module")
def _small_pieces():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "PIECE_ROWS", 2)
        patch.setattr(join, "STREAM_ROWS", 3)
        patch.setattr(join, "MOST_MATCHES", 4)
        yield


@given(histories(INPUTS, signed=True), st.booleans(), CHANCES)
def test_through_a_map_and_a_union(steps, default: bool, chance: random.Random) -> None:
    """Errors of the map arrive once; a reduction without a key has its row also where no piece comes."""
    key = () if default else (2,)
    kept = functions.ratio_above(0, 1, 0)
    outputs = (0, functions.divide(1, 0), 4)
    types = (BIGINT, BIGINT, BIGINT)

    def build(g, n):
        mapped = g.linear(g.join(n["a"], n["b"], (2,), (0,)), [kept], outputs, types)
        other = g.linear(n["a"], (), (0, 1, 1), types)
        return g.reduce(g.union([g.negate(mapped), other]), key, TOTALS, default)

    def query(a, b):
        joined = zsets.join(a, b, (2,), (0,))
        mapped, errors = zsets.linear(joined, [kept], [lambda r: r[0], functions.divide(1, 0), lambda r: r[4]])
        other = zsets.zset(((row[0], row[1], row[1]), d) for row, d in a.items())
        rows, more = zsets.reduce(zsets.union(zsets.negate(mapped), other), key, TOTALS, default)
        return rows, zsets.union(errors, more)

    check(INPUTS, build, query, steps, chance)


@given(histories(INPUTS, signed=True), CHANCES)
def test_of_a_delta_join(steps, chance: random.Random) -> None:
    links = [Link((0, (2,)), (1, (0,))), Link((2, (0,)), (1, (0,)))]

    def build(g, n):
        return g.reduce(g.delta_join([n["a"], n["b"], n["b"]], links), (2,), TOTALS, False)

    def query(a, b):
        return zsets.reduce(zsets.join(zsets.join(a, b, (2,), (0,)), b, (3,), (0,)), (2,), TOTALS)

    check(INPUTS, build, query, steps, chance)


@given(additions(INPUTS), st.sampled_from(["distinct", "top-k", "max"]), CHANCES)
def test_into_append_only_operators(steps, which: str, chance: random.Random) -> None:
    most = [Aggregate("max", 1, BIGINT), Aggregate("min", 4, BIGINT)]

    def build(g, n):
        joined = g.join(n["a"], n["b"], (2,), (0,))
        if which == "distinct":
            return g.distinct(joined, append_only=True)
        if which == "top-k":
            return g.top_k(joined, (0,), [Order(4)], 2, append_only=True)
        return g.reduce(joined, (2,), most, False, append_only=True)

    def query(a, b):
        joined = zsets.join(a, b, (2,), (0,))
        if which == "distinct":
            return zsets.distinct(joined)
        if which == "top-k":
            return zsets.top_k(joined, (0,), [(4, False, False)], 2, 0, False)
        return zsets.reduce(joined, (2,), most)

    check(INPUTS, build, query, steps, chance)


@given(histories(INPUTS, signed=True), CHANCES)
def test_a_join_that_two_read_stays_whole(steps, chance: random.Random) -> None:
    def build(g, n):
        joined = g.join(n["a"], n["b"], (2,), (0,))
        return g.join(g.reduce(joined, (4,), TOTALS, False), joined, (0,), (4,))

    def query(a, b):
        joined = zsets.join(a, b, (2,), (0,))
        totals, errors = zsets.reduce(joined, (4,), TOTALS)
        return zsets.join(totals, joined, (0,), (4,)), errors

    check(INPUTS, build, query, steps, chance)


def test_statistics_count_what_went_through() -> None:
    graph = GraphBuilder()
    nodes = {name: graph.input(name, types) for name, types in INPUTS.items()}
    joined = graph.linear(graph.join(nodes["a"], nodes["b"], (2,), (0,)), (), (0, 4), (BIGINT, BIGINT))
    graph.export("v", graph.reduce(joined, (), TOTALS, True), (Column("n", BIGINT), Column("s", TOTALS[1].type)), ())
    flow = graph.build(lambda: 0.0)
    result = flow.step(
        {
            "a": zsets.delta_of(INPUTS["a"], [((i, i, "k"), 1) for i in range(5)]),
            "b": zsets.delta_of(INPUTS["b"], [(("k", i), 1) for i in range(7)]),
        }
    )
    assert zsets.rows_of(result.changes["v"]) == [((35, 70), 1)]
    found = {s.operator.split()[0]: (s.rows_in, s.rows_out) for s in flow.statistics() if s.operator[:3] != "arr"}
    assert found == {"input": (7, 7), "join": (12, 35), "map": (35, 35), "reduce": (35, 1)}


HOT = """
import resource
import numpy as np
import pyarrow as pa
from dataflow.delta import Delta
from dataflow.graph import Aggregate, GraphBuilder, Link
from dataflow.types import BIGINT, Column, ColumnType, Kind

rows = 6000
number = np.arange(rows, dtype=np.int64)
key = np.where(number % 2 == 0, 0, number)
graph = GraphBuilder()
sides = [graph.input(name, (BIGINT,) * 4) for name in "ab"]
total = ColumnType(Kind.NUMERIC, scale=0)
sums = [Aggregate("count_star", None, BIGINT), Aggregate("sum", 5, total)]
node = graph.reduce(graph.join(*sides, (0,), (0,)), (0,), sums, False)
graph.export("v", node, (Column("k", BIGINT), Column("n", BIGINT), Column("s", total)), (0,))
flow = graph.build(lambda: 0.0)
delta = Delta(tuple(pa.array(c) for c in (key, number, number, number)), np.ones(rows, np.int64))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
flow.step({"a": delta})
result = flow.step({"b": delta})
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = dict(zip(result.changes["v"].columns[0].to_pylist(), result.changes["v"].columns[1].to_pylist()))
print(found[0], len(found), (after - before) // 1024)
"""


@pytest.mark.unsanitized
def test_a_key_with_half_of_all_rows_takes_little_memory() -> None:
    """9 million pairs of eight columns: 650 MB at once."""
    done = subprocess.run([sys.executable, "-c", HOT], capture_output=True, text=True, check=True, timeout=300)
    pairs, groups, megabytes = map(int, done.stdout.split())
    assert (pairs, groups) == (3000 * 3000, 3001)
    assert megabytes < 250
