"""The workloads: each is some tables, the SQL that the engine maintains, and the SQL that DuckDB answers from scratch.

Always true: both queries have the same output columns in the same order, and `check` compares them as multisets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from dataflow.types import Schema
from tests.bench import nexmark, tpch


@dataclass(frozen=True, slots=True)
class Workload:
    """One query.

    tables: name in the SQL to the generated table. data: the name of the generated data. oracle: DuckDB's query, where the
    dialects differ.
    """

    name: str
    title: str
    tables: Mapping[str, str]
    sql: str
    generate: Callable[[int], dict[str, pa.Table]]
    schemas: Mapping[str, Schema]
    data: str
    oracle: str = ""

    @property
    def append_only(self) -> frozenset[str]:
        """The tables of which no row is ever taken away, as sources without an envelope."""
        return frozenset(name for name, stored in self.tables.items() if stored not in nexmark.DELETING)

    @property
    def reference(self) -> str:
        """DuckDB's query."""
        return self.oracle or self.sql


def _nexmark(name: str, title: str, tables: Mapping[str, str], sql: str, oracle: str = "") -> Workload:
    return Workload(name, title, tables, sql, nexmark.generate, nexmark.SCHEMAS, "nexmark", oracle)


_Q4 = """
SELECT q.category, avg(q.final) AS price FROM (
  SELECT a.id, a.category, max(b.price) AS final
  FROM auctions a JOIN bids b ON b.auction = a.id
  WHERE b.ts BETWEEN a.ts AND a.expires
  GROUP BY a.id, a.category
) q GROUP BY q.category
"""

_W5 = """
WITH counts AS (
  SELECT {window} AS seconds, auction, count(*) AS bids FROM bids GROUP BY {window}, auction
), most AS (SELECT seconds, max(bids) AS bids FROM counts GROUP BY seconds)
SELECT c.seconds, c.auction, c.bids FROM counts c JOIN most m ON m.seconds = c.seconds AND m.bids = c.bids
"""

NEXMARK = (
    _nexmark(
        "W1",
        "count and sum(price) per auction",
        {"bids": "bids"},
        "SELECT auction, count(*) AS bids, sum(price) AS total FROM bids GROUP BY auction",
    ),
    _nexmark(
        "W2",
        "Nexmark Q3: sellers of three states in one category",
        {"persons": "persons", "auctions": "auctions"},
        "SELECT p.name, p.city, p.state, a.id FROM auctions a JOIN persons p ON a.seller = p.id "
        "WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
    ),
    _nexmark("W3", "Nexmark Q4: average winning bid per category", {"auctions": "auctions", "bids": "bids"}, _Q4),
    _nexmark(
        "W4",
        "max(price) per auction, a tenth of the bids deleted",
        {"bids": "bid_changes"},
        "SELECT auction, max(price) AS price FROM bids GROUP BY auction",
    ),
    _nexmark(
        "W5",
        "auctions with the most bids per 10 s window",
        {"bids": "bids"},
        _W5.format(window="floor(extract(epoch FROM ts) / 10)::bigint"),
        oracle=_W5.format(window="epoch_us(ts) // 10000000"),
    ),
    _nexmark(
        "W7",
        "top 3 bids per auction",
        {"bids": "bids"},
        "SELECT auction, place, id, bidder, price FROM (SELECT auction, id, bidder, price, "
        "row_number() OVER (PARTITION BY auction ORDER BY price DESC, id) AS place FROM bids) AS placed WHERE place <= 3",
    ),
)


def _tpch(name: str, title: str, tables: str, sql: str) -> Workload:
    return Workload(name, title, {t: t for t in tables.split()}, sql, tpch.generate, tpch.SCHEMAS, "tpch")


_REVENUE = "sum(l_extendedprice * (1 - l_discount)) AS revenue"

# ORDER BY with LIMIT is left out: the whole answer is maintained.
TPCH = (
    _tpch(
        "W6-Q3",
        "TPC-H Q3: unshipped orders by revenue",
        "customer orders lineitem",
        f"""SELECT l_orderkey, {_REVENUE}, o_orderdate, o_shippriority
        FROM customer, orders, lineitem
        WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
          AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority""",
    ),
    _tpch(
        "W6-Q5",
        "TPC-H Q5: revenue of local suppliers",
        "region nation supplier customer orders lineitem",
        f"""SELECT n_name, {_REVENUE}
        FROM customer, orders, lineitem, supplier, nation, region
        WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
          AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA'
          AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
        GROUP BY n_name""",
    ),
    _tpch(
        "W6-Q9",
        "TPC-H Q9: profit by nation and year",
        "nation supplier part partsupp orders lineitem",
        """SELECT nation, o_year, sum(amount) AS profit FROM (
          SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year,
            l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
          FROM part, supplier, lineitem, partsupp, orders, nation
          WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey AND p_partkey = l_partkey
            AND o_orderkey = l_orderkey AND s_nationkey = n_nationkey AND p_name LIKE '%green%'
        ) AS profit GROUP BY nation, o_year""",
    ),
    _tpch(
        "W6-Q18",
        "TPC-H Q18: customers with large orders",
        "customer orders lineitem",
        """SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
        FROM customer, orders, lineitem
        WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300)
          AND c_custkey = o_custkey AND o_orderkey = l_orderkey
        GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice""",
    ),
)

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (*NEXMARK, *TPCH)}
