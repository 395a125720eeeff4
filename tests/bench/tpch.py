"""TPC-H-like tables: the columns that its queries read, its sizes and distributions; not dbgen's own values.

Orders and their line items stream in by order; an event is one row of either, so a scale factor of 1 is 7.5 million events.
The other tables are there before (event -1). Always true: the same number of events gives the same rows everywhere, and
each line item arrives at or after its order. What the queries of `tpch.sql` ask for is in tables of 5,000 events already: a few
dozen rows (`FAVOURED`) are made to their taste, which large tables do not notice.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.types import Column, ColumnType, Schema

Numbers = npt.NDArray[np.int64]

SEED = 19_920_101

FAVOURED = 40
"""Parts, and orders, that are as some query wants them; never more than a fifth."""


def schema(**columns: str) -> Schema:
    """A schema from names and SQL types, none of them nullable."""
    return tuple(Column(name, ColumnType.parse(text), False) for name, text in columns.items())


def _party(letter: str) -> dict[str, str]:
    """What is known of suppliers and customers alike."""
    columns = {"name": "text", "address": "text", "nationkey": "bigint", "phone": "text", "acctbal": "numeric(15,2)"}
    return {f"{letter}_{name}": kind for name, kind in columns.items()}


SCHEMAS: dict[str, Schema] = {
    "region": schema(r_regionkey="bigint", r_name="text"),
    "nation": schema(n_nationkey="bigint", n_name="text", n_regionkey="bigint"),
    "supplier": schema(s_suppkey="bigint", **_party("s"), s_comment="text"),
    "customer": schema(c_custkey="bigint", **_party("c"), c_mktsegment="text", c_comment="text"),
    "part": schema(
        p_partkey="bigint",
        p_name="text",
        p_mfgr="text",
        p_brand="text",
        p_type="text",
        p_size="integer",
        p_container="text",
    ),
    "partsupp": schema(ps_partkey="bigint", ps_suppkey="bigint", ps_availqty="integer", ps_supplycost="numeric(15,2)"),
    "orders": schema(
        o_orderkey="bigint",
        o_custkey="bigint",
        o_orderstatus="text",
        o_totalprice="numeric(15,2)",
        o_orderdate="date",
        o_orderpriority="text",
        o_shippriority="bigint",
        o_comment="text",
    ),
    "lineitem": schema(
        l_orderkey="bigint",
        l_linenumber="bigint",
        l_partkey="bigint",
        l_suppkey="bigint",
        l_quantity="numeric(15,2)",
        l_extendedprice="numeric(15,2)",
        l_discount="numeric(15,2)",
        l_tax="numeric(15,2)",
        l_returnflag="text",
        l_linestatus="text",
        l_shipdate="date",
        l_commitdate="date",
        l_receiptdate="date",
        l_shipinstruct="text",
        l_shipmode="text",
    ),
}

KEYS: dict[str, int] = dict.fromkeys(SCHEMAS, 1) | {"partsupp": 2, "lineitem": 2}
"""How many of a table's first columns are its key."""


def queries() -> dict[str, str]:
    """The 22 queries of `tpch.sql` by name: Q1 to Q22."""
    blocks = (Path(__file__).parent / "tpch.sql").read_text().split("\n\n-- ")[1:]
    return {name: sql.strip() for name, _, sql in (block.partition("\n") for block in blocks)}


_REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
_NATIONS = """
ALGERIA 0, ARGENTINA 1, BRAZIL 1, CANADA 1, EGYPT 4, ETHIOPIA 0, FRANCE 3, GERMANY 3, INDIA 2, INDONESIA 2, IRAN 4, IRAQ 4,
JAPAN 2, JORDAN 4, KENYA 0, MOROCCO 0, MOZAMBIQUE 0, PERU 1, CHINA 2, ROMANIA 3, SAUDI ARABIA 4, VIETNAM 2, RUSSIA 3,
UNITED KINGDOM 3, UNITED STATES 1
"""
_SEGMENTS = ["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"]
_PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]
_MODES = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]
_INSTRUCTIONS = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]
_TYPES = [
    f"{first} {second} {third}"
    for first in ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO")
    for second in ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED")
    for third in ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")
]
_CONTAINERS = [
    f"{size} {kind}"
    for size in ("SM", "MED", "LG", "JUMBO", "WRAP")
    for kind in ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM")
]
_BRANDS = [f"Brand#{maker}{brand}" for maker in range(1, 6) for brand in range(1, 6)]
_COLOUR_NAMES = """
amber aqua azure beige black blue bronze brown coral cream cyan ebony emerald forest fawn gold green grey indigo ivory jade
khaki lemon lilac lime maroon mauve mint navy ochre olive orange pink plum purple red rose ruby rust sand silver
"""
_COLOURS = _COLOUR_NAMES.split()
_WORD_LIST = """
accounts after among asymptotes bold carefully deposits express final fluffily furiously haggle ideas ironic packages
pending quickly quietly regular requests silent sleep slyly special theodolites unusual wake
"""
_WORDS = _WORD_LIST.split()
_FIRST_DAY = (datetime.date(1992, 1, 1) - datetime.date(1970, 1, 1)).days
_TODAY = (datetime.date(1995, 6, 17) - datetime.date(1970, 1, 1)).days
_ORDER_DAYS = (datetime.date(1998, 8, 2) - datetime.date(1992, 1, 1)).days + 1


def generate(events: int) -> dict[str, pa.Table]:
    """Every table, for as many orders and line items as there are events (the last order may miss some of its items)."""
    scale = events / 7_500_000
    parts, suppliers, customers = (
        max(least, int(scale * rows)) for least, rows in ((100, 200_000), (50, 10_000), (150, 150_000))
    )
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


def _pick(texts: Sequence[str], which: Numbers) -> pa.Array:
    return pa.array(texts, pa.large_string()).take(pa.array(which))


def _comments(chance: np.random.Generator, rows: int) -> pa.Array:
    """Some words each, the same in one of a thousand."""
    words = np.array(_WORDS)[chance.integers(0, len(_WORDS), (1_000, 7))]
    return _pick([" ".join(line) for line in words.tolist()], chance.integers(0, 1_000, rows))


def _people(
    chance: np.random.Generator, title: str, nation: Numbers
) -> tuple[list[str], list[str], list[str], Numbers]:
    """Names, addresses, phone numbers (their first two digits say the nation) and balances."""
    rows = len(nation)
    digits = chance.integers(100, 1000, (rows, 3)).tolist()
    return (
        [f"{title}#{n:09d}" for n in range(1, rows + 1)],
        [f"{a} {b} street {c}" for a, b, c in digits],
        [f"{10 + n}-{a}-{b}-{c}{a % 10}" for n, (a, b, c) in zip(nation.tolist(), digits, strict=True)],
        chance.integers(-99_999, 1_000_000, rows),
    )


def _fixed(parts: int, suppliers: int, customers: int) -> dict[str, pa.Table]:
    chance = _chance(1)
    part, customer, supplier = (1 + np.arange(rows) for rows in (parts, customers, suppliers))
    names, regions = zip(*(nation.strip().rsplit(" ", 1) for nation in _NATIONS.split(",")), strict=True)
    # Of each nation there are as many suppliers, so that few are enough for all.
    nation = chance.permutation(np.arange(suppliers) % 25)
    name, address, phone, balance = _people(chance, "Supplier", nation)
    remarks = _comments(chance, suppliers).to_pylist()
    for one in chance.integers(0, suppliers, 1 + suppliers // 2_000).tolist():
        remarks[one] = "carefully Customer slyly Complaints"
    home = chance.integers(0, 25, customers)
    c_name, c_address, c_phone, c_balance = _people(chance, "Customer", home)
    segment = _pick(_SEGMENTS, chance.integers(0, 5, customers))
    offered = np.repeat(part, 4)
    return {
        "region": _table("region", None, np.arange(5), _REGIONS),
        "nation": _table("nation", None, np.arange(25), names, [int(region) for region in regions]),
        "supplier": _table("supplier", None, supplier, name, address, nation, phone, balance, remarks),
        "customer": _table(
            "customer",
            None,
            customer,
            c_name,
            c_address,
            home,
            c_phone,
            c_balance,
            segment,
            _comments(chance, customers),
        ),
        "part": _table("part", None, part, *_parts(chance, parts)),
        "partsupp": _table(
            "partsupp",
            None,
            offered,
            _supplier(offered, np.tile(np.arange(4), parts), suppliers),
            chance.integers(1, 10_000, len(offered)),
            chance.integers(100, 100_001, len(offered)),
        ),
    }


def _parts(chance: np.random.Generator, parts: int) -> tuple[pa.Array, ...]:
    """Names, makers, brands, types, sizes and containers."""
    words = chance.integers(0, len(_COLOURS), (parts, 5))
    brand, kind = chance.integers(0, 25, parts), chance.integers(0, len(_TYPES), parts)
    size, container = chance.integers(1, 51, parts), chance.integers(0, len(_CONTAINERS), parts)
    favoured = chance.permutation(parts)[: min(FAVOURED, parts // 5)]
    brass, anodized, boxed, small, forest = np.array_split(favoured, 5)
    size[brass], kind[brass] = 15, _TYPES.index("STANDARD PLATED BRASS")
    kind[anodized] = _TYPES.index("ECONOMY ANODIZED STEEL")
    brand[boxed], container[boxed] = _BRANDS.index("Brand#23"), _CONTAINERS.index("MED BOX")
    brand[small], container[small], size[small] = _BRANDS.index("Brand#12"), _CONTAINERS.index("SM PKG"), 3
    words[forest, 0] = _COLOURS.index("forest")
    return (
        pa.array([" ".join(name) for name in np.array(_COLOURS)[words].tolist()]),
        _pick([f"Manufacturer#{maker}" for maker in range(1, 6)], brand // 5),
        _pick(_BRANDS, brand),
        _pick(_TYPES, kind),
        pa.array(size),
        _pick(_CONTAINERS, container),
    )


def _supplier(part: Numbers, which: Numbers, suppliers: int) -> Numbers:
    """One of the four suppliers of a part: different ones, spread over all."""
    return (part + which * (suppliers // 4 + 1)) % suppliers + 1


def _streams(events: int, parts: int, suppliers: int, customers: int) -> dict[str, pa.Table]:
    chance = _chance(2)
    most = events // 2 + 1
    items = chance.integers(1, 8, most)
    large = np.zeros(most, bool)
    large[chance.integers(0, max(1, events // 5), min(FAVOURED, events // 50))] = True
    items[large] = 7
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
    quantity = np.where(large[of], chance.integers(43, 51, len(of)), chance.integers(1, 51, len(of)))
    price = quantity * (90_000 + part % 200 * 100 + part // 10 % 1_000)
    supplier = _supplier(part, chance.integers(0, 4, len(of)), suppliers)
    discount, tax = chance.integers(0, 11, len(of)), chance.integers(0, 9, len(of))
    shipped = day[of] + chance.integers(1, 122, len(of))
    received = shipped + chance.integers(1, 31, len(of))
    back = np.where(received <= _TODAY, chance.integers(0, 2, len(of)), 2)
    waits = shipped > _TODAY
    waiting = np.bincount(of, waits, orders)
    total = np.bincount(of, price * (100 - discount) // 100, orders).astype(np.int64)
    lines = _table(
        "lineitem",
        when,
        key[of],
        number,
        part,
        supplier,
        quantity * 100,
        price,
        discount,
        tax,
        _pick(["R", "A", "N"], back),
        _pick(["F", "O"], waits.astype(np.int64)),
        shipped,
        day[of] + chance.integers(30, 91, len(of)),
        received,
        _pick(_INSTRUCTIONS, chance.integers(0, 4, len(of))),
        _pick(_MODES, chance.integers(0, 7, len(of))),
    ).slice(0, int(np.searchsorted(when, events)))
    return {
        "orders": _table(
            "orders",
            placed,
            key,
            customer,
            _pick(["F", "P", "O"], (waiting > 0).astype(np.int64) + (waiting == items)),
            total,
            day,
            _pick(_PRIORITIES, chance.integers(0, 5, orders)),
            np.zeros(orders, np.int64),
            _comments(chance, orders),
        ),
        "lineitem": lines,
    }
