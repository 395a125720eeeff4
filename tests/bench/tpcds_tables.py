"""Tables for TPC-DS's queries: its schema and sizes, values to the queries' taste; not dsdgen's own values.

Always true: the same scale and queries give the same rows everywhere. A column that queries compare with constants has mostly
these constants as values, so that every query finds rows in small tables; returns are of sales that are there, and some of what is
returned to a store is bought again from the catalogue. Calendars are real. Deliberately left out: what no query reads says nothing.
"""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlglot
from sqlglot import exp

from dataflow.types import ColumnType, Kind
from tests.bench.tpcds import SCHEMAS

Numbers = npt.NDArray[np.int64]
Pools = Mapping[str, list[str]]

SEED = 20_030_101
POOL = 12
"""Constants of a column that are used: few enough that conditions on several columns meet."""
FIRST, LAST = datetime.date(1998, 1, 1), datetime.date(2003, 12, 31)
_EPOCH = datetime.date(1970, 1, 1)
_JULIAN = 2_440_588
"""The key of 1970-01-01 in date_dim."""

FACTS = {"store_sales": 2_880_000, "catalog_sales": 1_440_000, "web_sales": 720_000, "inventory": 1_200_000}
"""Rows at scale 1; of sales a tenth comes back."""
RETURNS = {"store_returns": "store_sales", "catalog_returns": "catalog_sales", "web_returns": "web_sales"}
_GROWING = {"customer": 100_000, "customer_address": 50_000, "item": 18_000}
_SIZES = {
    "store": 4, "call_center": 3, "catalog_page": 100, "web_site": 4, "web_page": 20, "warehouse": 3,
    "customer_demographics": 400, "household_demographics": 360, "income_band": 20, "promotion": 10, "reason": 40,
    "ship_mode": 20, "time_dim": 1_440, "date_dim": (LAST - FIRST).days + 1,
}  # fmt: skip

_FOREIGN = (
    ("date_sk", "date_dim"), ("time_sk", "time_dim"), ("item_sk", "item"), ("customer_sk", "customer"),
    ("cdemo_sk", "customer_demographics"), ("hdemo_sk", "household_demographics"), ("addr_sk", "customer_address"),
    ("store_sk", "store"), ("promo_sk", "promotion"), ("call_center_sk", "call_center"),
    ("catalog_page_sk", "catalog_page"), ("ship_mode_sk", "ship_mode"), ("warehouse_sk", "warehouse"),
    ("reason_sk", "reason"), ("web_page_sk", "web_page"), ("web_site_sk", "web_site"),
    ("income_band_sk", "income_band"),
)  # fmt: skip


def pools(queries: Iterable[str]) -> Pools:
    """By column, the constants that queries compare it with, as text, in order."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for query in queries:
        tree = sqlglot.parse_one(query, dialect="postgres")
        for node in tree.find_all(exp.EQ, exp.In, exp.Between, exp.GT, exp.GTE, exp.LT, exp.LTE):
            columns = {column.name.lower() for column in node.find_all(exp.Column)}
            if len(columns) == 1 and not node.find(exp.Select, exp.Substring, exp.Add, exp.Sub, exp.Div):
                for literal in node.find_all(exp.Literal):
                    sign = "-" if isinstance(literal.parent, exp.Neg) else ""
                    found[next(iter(columns))].add(sign + literal.name)
        # Postal codes are compared in part; a few are enough to meet.
        for part in tree.find_all(exp.In):
            if part.find(exp.Substring) and (column := part.find(exp.Column)) is not None:
                found[column.name.lower()] |= {literal.name for literal in part.expressions}
    return {column: sorted(values)[:POOL] for column, values in found.items()}


class Tables:
    """Makes the tables, each column by its type, its name, and what the queries look for."""

    def __init__(self, scale: float, pools: Pools) -> None:
        self._pools = pools
        self._chance = np.random.default_rng(SEED)
        sizes = {name: max(60, int(rows * scale)) for name, rows in {**FACTS, **_GROWING}.items()}
        self._rows = {**_SIZES, **sizes, **{name: sizes[of] // 10 for name, of in RETURNS.items()}}

    def all(self) -> dict[str, pa.Table]:
        """Every table, with the columns `event` (sales, returns and stock stream in: their number; -1 for the rest) and `diff`."""
        made = {"date_dim": self._dates()}
        made |= {name: self._table(name) for name in SCHEMAS if name not in made and name not in RETURNS}
        made |= {name: self._returned(name, made[of]) for name, of in RETURNS.items()}
        made["catalog_sales"] = self._again(made["catalog_sales"], made["store_returns"])
        return {name: _counted(name, made[name]) for name in SCHEMAS}

    def _table(self, name: str) -> pa.Table:
        rows = self._rows[name]
        columns = {}
        for column in SCHEMAS[name]:
            columns[column.name] = self._column(name, column.name, column.type, rows)
        table = pa.table(columns)
        match name:
            case "inventory":
                return self._stock(table)
            case "time_dim":
                return self._times(table)
            case "income_band":
                lower = np.arange(rows) * 10_000
                table = _put(table, "ib_lower_bound", pa.array(lower))
                return _put(table, "ib_upper_bound", pa.array(lower + 10_000))
        return table

    def _column(self, table: str, name: str, type_: ColumnType, rows: int) -> pa.Array:
        chance = self._chance
        suffix = name.partition("_")[2]
        if name == SCHEMAS[table][0].name and table not in FACTS:
            return pa.array(1 + np.arange(rows))
        if suffix in ("ticket_number", "order_number"):
            # A basket has three lines on average.
            return pa.array(1 + np.arange(rows) // 3)
        target = next((to for end, to in _FOREIGN if name.endswith(end)), None)
        if target is not None:
            return self._foreign(name, target, rows, table in FACTS)
        match type_.kind:
            case Kind.TEXT:
                if name.endswith("_id"):
                    # Two versions of the same thing share what people call it.
                    return pa.array([f"AAAAAAAA{n // 2:08d}" for n in range(rows)])
                own = [f"{suffix} {n}" for n in range(20)]
            case Kind.DATE:
                return self._chosen([FIRST + datetime.timedelta(days=n) for n in range(0, 700, 7)], rows, type_)
            case Kind.NUMERIC:
                if "gmt_offset" not in name:
                    return self._amounts(name, rows, type_)
                own = ["-5", "-6"]
            case _:
                own = [str(n) for n in range(1, 101 if "quantity" in name else 13)]
        values = self._pools.get("ca_zip" if name == "s_zip" else name, [])
        mixed = own if not values or "quantity" in name else [*values * (1 + 2 * len(own) // len(values)), *own]
        found = pa.array(mixed).take(pa.array(chance.integers(0, len(mixed), rows)))
        return found if type_.kind is Kind.TEXT else found.cast(pa.float64()).cast(type_.arrow, safe=False)

    def _chosen(self, values: list[datetime.date], rows: int, type_: ColumnType) -> pa.Array:
        """One of these, or NULL."""
        which = self._chance.integers(0, len(values), rows)
        return pa.array(values, type_.arrow).take(pa.array(which, mask=self._chance.random(rows) < 0.3))

    def _amounts(self, name: str, rows: int, type_: ColumnType) -> pa.Array:
        low, high = (-20_000, 40_000) if "profit" in name or "loss" in name else (0, 25_000)
        if name == "i_current_price":
            low, high = 50, 10_000
        return _numeric(self._chance.integers(low, high, rows), type_)

    def _foreign(self, name: str, target: str, rows: int, fact: bool) -> pa.Array:
        chance, size = self._chance, self._rows[target]
        if target == "date_dim":
            day = chance.integers(0, size, rows)
            # Many things happen about the days that queries look at.
            wanted = [d for d in map(_day, self._pools.get("d_date", [])) if d is not None and 0 <= d < size]
            near = np.array(wanted or [0])[chance.integers(0, len(wanted) or 1, rows)] + chance.integers(-9, 60, rows)
            day = np.where(chance.random(rows) < 0.4, np.clip(near, 0, size - 1), day)
            which = day + _JULIAN + (FIRST - _EPOCH).days
        else:
            which = chance.integers(0, size, rows) + 1
        absent = chance.random(rows) < (0.02 if fact and target not in ("item", "date_dim") else 0.0)
        return pa.array(which, pa.int64(), mask=absent)

    def _dates(self) -> pa.Table:
        days = [FIRST + datetime.timedelta(days=n) for n in range(self._rows["date_dim"])]
        key = np.array([(day - _EPOCH).days + _JULIAN for day in days])
        quarter = [(day.year, (day.month + 2) // 3) for day in days]
        week = (key - key[0] + days[0].isoweekday() % 7) // 7 + 5_114
        found: dict[str, object] = {
            "d_date_sk": key,
            "d_date": days,
            "d_date_id": [f"AAAAAAAA{k:08d}" for k in key],
            "d_month_seq": [(day.year - 1900) * 12 + day.month - 1 for day in days],
            "d_week_seq": week,
            "d_fy_week_seq": week,
            "d_quarter_seq": [(year - 1900) * 4 + q for year, q in quarter],
            "d_fy_quarter_seq": [(year - 1900) * 4 + q for year, q in quarter],
            "d_year": [day.year for day in days],
            "d_fy_year": [day.year for day in days],
            "d_dow": [day.isoweekday() % 7 for day in days],
            "d_moy": [day.month for day in days],
            "d_dom": [day.day for day in days],
            "d_qoy": [q for _, q in quarter],
            "d_day_name": [day.strftime("%A") for day in days],
            "d_quarter_name": [f"{year}Q{q}" for year, q in quarter],
            "d_weekend": ["NY"[day.isoweekday() > 5] for day in days],
            "d_first_dom": key - [day.day - 1 for day in days],
            "d_last_dom": key,
            "d_same_day_ly": key - 365,
            "d_same_day_lq": key - 91,
        }
        columns = [(c.name, found.get(c.name, ["N"] * len(days)), c.type.arrow) for c in SCHEMAS["date_dim"]]
        return pa.table({name: pa.array(values).cast(type_) for name, values, type_ in columns})

    def _times(self, table: pa.Table) -> pa.Table:
        """A row for each minute of a day."""
        second = np.arange(len(table)) * 60
        hour = second // 3600
        meals = np.select([(hour > 5) & (hour < 9), (hour > 16) & (hour < 21)], ["breakfast", "dinner"], "")
        for name, values in (("t_time", second), ("t_hour", hour), ("t_minute", second // 60 % 60)):
            table = _put(table, name, pa.array(values))
        return _put(table, "t_meal_time", pa.array(meals.tolist()))

    def _stock(self, table: pa.Table) -> pa.Table:
        """What is there of each item in each warehouse, from time to time; one row for each key."""
        keys = np.stack([table[c].to_numpy() for c in ("inv_date_sk", "inv_item_sk", "inv_warehouse_sk")])
        _, first = np.unique(keys, axis=1, return_index=True)
        return table.take(pa.array(np.sort(first)))

    def _returned(self, name: str, sales: pa.Table) -> pa.Table:
        """Some of the sales, sent back within 60 days, by whoever bought them."""
        rows = self._rows[name]
        of = sales.take(pa.array(np.sort(self._chance.choice(len(sales), rows, replace=False))))
        table = self._table(name)
        own, theirs = SCHEMAS[name][0].name.partition("_")[0], SCHEMAS[RETURNS[name]][0].name.partition("_")[0]
        for column in table.column_names:
            suffix = column.partition("_")[2]
            for sold in (suffix, suffix.replace("returning_", "bill_"), suffix.replace("refunded_", "bill_")):
                if f"{theirs}_{sold}" in of.column_names and suffix not in ("store_credit",):
                    table = _put(table, column, of[f"{theirs}_{sold}"].combine_chunks())
                    break
        sold = of[f"{theirs}_sold_date_sk"].to_numpy(zero_copy_only=False)
        last = _JULIAN + (LAST - _EPOCH).days
        when = np.minimum(np.nan_to_num(sold, nan=last).astype(np.int64) + self._chance.integers(1, 60, rows), last)
        return _put(table, f"{own}_returned_date_sk", pa.array(when))

    def _again(self, sales: pa.Table, returns: pa.Table) -> pa.Table:
        """Every fifth sale is of an item to the customer who sent it back to a store, some days later."""
        again = np.arange(0, len(sales), 5)
        of = returns.take(pa.array(self._chance.integers(0, len(returns), len(again))))
        last = _JULIAN + (LAST - _EPOCH).days
        when = np.minimum(of["sr_returned_date_sk"].to_numpy() + self._chance.integers(1, 60, len(again)), last)
        changed = {
            "cs_item_sk": of["sr_item_sk"],
            "cs_bill_customer_sk": of["sr_customer_sk"],
            "cs_sold_date_sk": pa.chunked_array([pa.array(when)]),
        }
        for name, values in changed.items():
            column = sales[name].to_pylist()
            for place, value in zip(again.tolist(), values.to_pylist(), strict=True):
                column[place] = value
            sales = _put(sales, name, pa.array(column, pa.int64()))
        return sales


def generate(scale: float, pools: Pools) -> dict[str, pa.Table]:
    """Every table. scale: 1 is 2.88 million sales in stores."""
    return Tables(scale, pools).all()


def _day(text: str) -> int | None:
    """The number of a day since the first one; None for anything else."""
    if not re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text):
        return None
    return (datetime.date(*map(int, text.split("-"))) - FIRST).days


def _put(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, name, values.cast(table.schema.field(name).type))


def _numeric(cents: Numbers, type_: ColumnType) -> pa.Array:
    """Decimals from units of their last digit."""
    words = np.stack([cents, cents >> 63], axis=1)
    return pa.Array.from_buffers(type_.arrow, len(cents), [None, pa.py_buffer(words.tobytes())])


def _counted(name: str, table: pa.Table) -> pa.Table:
    rows = len(table)
    streams = name in FACTS or name in RETURNS
    typed = [table[column.name].combine_chunks().cast(column.type.arrow) for column in SCHEMAS[name]]
    when = np.arange(rows) if streams else np.full(rows, -1)
    names = ["event", "diff", *(column.name for column in SCHEMAS[name])]
    return pa.table([pa.array(when), pa.array(np.ones(rows, np.int64)), *typed], names)
