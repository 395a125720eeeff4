"""TPC-H-like tables: its columns (those that the queries read), sizes and distributions; not dbgen's own values.

Orders and their line items stream in by order; an event is one row of either, so a scale factor of 1 is 7.5 million events.
The other tables are there before (event -1). Always true: the same number of events gives the same rows everywhere, and
each line item arrives at or after its order.
"""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.types import Column, ColumnType, Schema

Numbers = npt.NDArray[np.int64]

SEED = 19_920_101


def schema(**columns: str) -> Schema:
    """A schema from names and SQL types, none of them nullable."""
    return tuple(Column(name, ColumnType.parse(text), False) for name, text in columns.items())


SCHEMAS: dict[str, Schema] = {
    "region": schema(r_regionkey="bigint", r_name="text"),
    "nation": schema(n_nationkey="bigint", n_name="text", n_regionkey="bigint"),
    "supplier": schema(s_suppkey="bigint", s_nationkey="bigint"),
    "customer": schema(c_custkey="bigint", c_name="text", c_nationkey="bigint", c_mktsegment="text"),
    "part": schema(p_partkey="bigint", p_name="text"),
    "partsupp": schema(ps_partkey="bigint", ps_suppkey="bigint", ps_supplycost="numeric(15,2)"),
    "orders": schema(
        o_orderkey="bigint",
        o_custkey="bigint",
        o_totalprice="numeric(15,2)",
        o_orderdate="date",
        o_shippriority="bigint",
    ),
    "lineitem": schema(
        l_orderkey="bigint",
        l_linenumber="bigint",
        l_partkey="bigint",
        l_suppkey="bigint",
        l_quantity="numeric(15,2)",
        l_extendedprice="numeric(15,2)",
        l_discount="numeric(15,2)",
        l_shipdate="date",
    ),
}

_REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
_SEGMENTS = np.array(["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"])
_COLOUR_NAMES = """
amber aqua azure beige black blue bronze brown coral cream cyan ebony emerald fawn gold green grey indigo ivory jade
khaki lemon lilac lime maroon mauve mint navy ochre olive orange pink plum purple red rose ruby rust sand silver
"""
_COLOURS = np.array(_COLOUR_NAMES.split())
_FIRST_DAY = (datetime.date(1992, 1, 1) - datetime.date(1970, 1, 1)).days
_ORDER_DAYS = (datetime.date(1998, 8, 2) - datetime.date(1992, 1, 1)).days + 1


def generate(events: int) -> dict[str, pa.Table]:
    """Every table, for as many orders and line items as there are events (the last order may miss some of its items)."""
    scale = events / 7_500_000
    parts, suppliers, customers = (max(20, int(scale * rows)) for rows in (200_000, 10_000, 150_000))
    return {**_fixed(parts, suppliers, customers), **_streams(events, parts, suppliers, customers)}


def _chance(stream: int) -> np.random.Generator:
    return np.random.default_rng((SEED, stream))


def _table(name: str, events: Numbers | None, *columns: object) -> pa.Table:
    typed = [_column(values, column.type) for values, column in zip(columns, SCHEMAS[name], strict=True)]
    rows = len(typed[0])
    when = np.full(rows, -1, np.int64) if events is None else events
    names = ["event", "diff", *(column.name for column in SCHEMAS[name])]
    return pa.table([pa.array(when), pa.array(np.ones(rows, np.int64)), *typed], names)


def _column(values: object, type_: ColumnType) -> pa.Array:
    """Numbers for a numeric are in units of its last digit; for a date, days since 1970."""
    if pa.types.is_decimal128(type_.arrow):
        low = np.asarray(values, np.int64)
        words = np.stack([low, low >> 63], axis=1)
        return pa.Array.from_buffers(type_.arrow, len(low), [None, pa.py_buffer(words.tobytes())])
    if pa.types.is_date32(type_.arrow):
        return pa.array(np.asarray(values, np.int32)).cast(type_.arrow)
    return pa.array(values).cast(type_.arrow)


def _fixed(parts: int, suppliers: int, customers: int) -> dict[str, pa.Table]:
    chance = _chance(1)
    nations = np.arange(25)
    part, customer, supplier = (1 + np.arange(rows) for rows in (parts, customers, suppliers))
    words = _COLOURS[chance.integers(0, len(_COLOURS), (parts, 2))]
    names = [f"{first} {second}" for first, second in words.tolist()]
    offered = np.repeat(part, 4)
    return {
        "region": _table("region", None, np.arange(5), _REGIONS),
        "nation": _table("nation", None, nations, [f"NATION {n}" for n in nations.tolist()], nations % 5),
        "supplier": _table("supplier", None, supplier, chance.integers(0, 25, suppliers)),
        "customer": _table(
            "customer",
            None,
            customer,
            [f"Customer#{n:09d}" for n in customer.tolist()],
            chance.integers(0, 25, customers),
            _SEGMENTS[chance.integers(0, 5, customers)].tolist(),
        ),
        "part": _table("part", None, part, names),
        "partsupp": _table(
            "partsupp",
            None,
            offered,
            _supplier(offered, np.tile(np.arange(4), parts), suppliers),
            chance.integers(100, 100_001, len(offered)),
        ),
    }


def _supplier(part: Numbers, which: Numbers, suppliers: int) -> Numbers:
    """One of the four suppliers of a part: different ones, spread over all."""
    return (part + which * (suppliers // 4 + 1)) % suppliers + 1


def _streams(events: int, parts: int, suppliers: int, customers: int) -> dict[str, pa.Table]:
    chance = _chance(2)
    most = events // 2 + 1
    items = chance.integers(1, 8, most)
    placed = np.concatenate([[0], np.cumsum(items + 1)[:-1]])
    orders = int(np.searchsorted(placed, events))
    items, placed = items[:orders], placed[:orders]
    key = 1 + np.arange(orders)
    # As in TPC-H, a third of the customers never orders.
    customer = chance.integers(0, customers * 2 // 3, orders) // 2 * 3 + 1 + chance.integers(0, 2, orders)
    day = _FIRST_DAY + chance.integers(0, _ORDER_DAYS, orders)
    of = np.repeat(np.arange(orders), items)
    number = 1 + np.arange(len(of)) - np.repeat(np.cumsum(items) - items, items)
    when = placed[of] + number
    part = chance.integers(1, parts + 1, len(of))
    quantity = chance.integers(1, 51, len(of))
    price = quantity * (90_000 + part % 200 * 100 + part // 10 % 1_000)
    supplier = _supplier(part, chance.integers(0, 4, len(of)), suppliers)
    discount = chance.integers(0, 11, len(of))
    shipped = day[of] + chance.integers(1, 122, len(of))
    total = np.bincount(of, price, orders).astype(np.int64)
    lines = _table("lineitem", when, key[of], number, part, supplier, quantity * 100, price, discount, shipped).slice(
        0, int(np.searchsorted(when, events))
    )
    return {
        "orders": _table("orders", placed, key, customer, total, day, np.zeros(orders, np.int64)),
        "lineitem": lines,
    }
