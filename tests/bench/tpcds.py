"""TPC-DS: the columns of its 24 tables, and its 99 queries, which are not ours to keep.

Always true: the queries are those of sqlglot's source package of the version that the project uses (MIT), fetched from the package
index once and kept in `.cache/`; what they leave open or no view can say is settled by `_settled`, the same way for every reader.
Deliberately left out: c_last_review_date_sk and the like, which no query reads; char(n), which is text here.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import sqlglot
from sqlglot import exp

from dataflow.types import Column, ColumnType, Schema

CACHE = Path(__file__).parents[2] / ".cache" / "tpcds"
_FIXTURE = "tests/fixtures/optimizer/tpc-ds/tpc-ds.sql"

_TABLES = """
store_sales ss 2: bigint: item_sk ticket_number sold_date_sk sold_time_sk customer_sk cdemo_sk hdemo_sk addr_sk
  store_sk promo_sk quantity; numeric(7,2): wholesale_cost list_price sales_price ext_discount_amt ext_sales_price
  ext_wholesale_cost ext_list_price ext_tax coupon_amt net_paid net_paid_inc_tax net_profit
store_returns sr 2: bigint: item_sk ticket_number returned_date_sk return_time_sk customer_sk cdemo_sk hdemo_sk
  addr_sk store_sk reason_sk return_quantity; numeric(7,2): return_amt return_tax return_amt_inc_tax fee
  return_ship_cost refunded_cash reversed_charge store_credit net_loss
catalog_sales cs 2: bigint: item_sk order_number sold_date_sk sold_time_sk ship_date_sk bill_customer_sk bill_cdemo_sk
  bill_hdemo_sk bill_addr_sk ship_customer_sk ship_cdemo_sk ship_hdemo_sk ship_addr_sk call_center_sk catalog_page_sk
  ship_mode_sk warehouse_sk promo_sk quantity; numeric(7,2): wholesale_cost list_price sales_price ext_discount_amt
  ext_sales_price ext_wholesale_cost ext_list_price ext_tax coupon_amt ext_ship_cost net_paid net_paid_inc_tax
  net_paid_inc_ship net_paid_inc_ship_tax net_profit
catalog_returns cr 2: bigint: item_sk order_number returned_date_sk returned_time_sk refunded_customer_sk
  refunded_cdemo_sk refunded_hdemo_sk refunded_addr_sk returning_customer_sk returning_cdemo_sk returning_hdemo_sk
  returning_addr_sk call_center_sk catalog_page_sk ship_mode_sk warehouse_sk reason_sk return_quantity; numeric(7,2):
  return_amount return_tax return_amt_inc_tax fee return_ship_cost refunded_cash reversed_charge store_credit net_loss
web_sales ws 2: bigint: item_sk order_number sold_date_sk sold_time_sk ship_date_sk bill_customer_sk bill_cdemo_sk
  bill_hdemo_sk bill_addr_sk ship_customer_sk ship_cdemo_sk ship_hdemo_sk ship_addr_sk web_page_sk web_site_sk
  ship_mode_sk warehouse_sk promo_sk quantity; numeric(7,2): wholesale_cost list_price sales_price ext_discount_amt
  ext_sales_price ext_wholesale_cost ext_list_price ext_tax coupon_amt ext_ship_cost net_paid net_paid_inc_tax
  net_paid_inc_ship net_paid_inc_ship_tax net_profit
web_returns wr 2: bigint: item_sk order_number returned_date_sk returned_time_sk refunded_customer_sk
  refunded_cdemo_sk refunded_hdemo_sk refunded_addr_sk returning_customer_sk returning_cdemo_sk returning_hdemo_sk
  returning_addr_sk web_page_sk reason_sk return_quantity; numeric(7,2): return_amt return_tax return_amt_inc_tax fee
  return_ship_cost refunded_cash reversed_charge account_credit net_loss
inventory inv 3: bigint: date_sk item_sk warehouse_sk quantity_on_hand
store s 1: bigint: store_sk closed_date_sk number_employees floor_space market_id division_id company_id;
  numeric(7,2): gmt_offset tax_precentage; date: rec_start_date rec_end_date; text: store_id store_name hours manager
  geography_class market_desc market_manager division_name company_name street_number street_name street_type
  suite_number city county state zip country
call_center cc 1: bigint: call_center_sk closed_date_sk open_date_sk employees sq_ft mkt_id division company;
  numeric(7,2): gmt_offset tax_percentage; date: rec_start_date rec_end_date; text: call_center_id name class hours
  manager mkt_class mkt_desc market_manager division_name company_name street_number street_name street_type
  suite_number city county state zip country
catalog_page cp 1: bigint: catalog_page_sk start_date_sk end_date_sk catalog_number catalog_page_number; text:
  catalog_page_id department description type
web_site web 1: bigint: site_sk open_date_sk close_date_sk mkt_id company_id; numeric(7,2): gmt_offset tax_percentage;
  date: rec_start_date rec_end_date; text: site_id name class manager mkt_class mkt_desc market_manager company_name
  street_number street_name street_type suite_number city county state zip country
web_page wp 1: bigint: web_page_sk creation_date_sk access_date_sk customer_sk char_count link_count image_count
  max_ad_count; date: rec_start_date rec_end_date; text: web_page_id autogen_flag url type
warehouse w 1: bigint: warehouse_sk warehouse_sq_ft; numeric(7,2): gmt_offset; text: warehouse_id warehouse_name
  street_number street_name street_type suite_number city county state zip country
customer c 1: bigint: customer_sk current_cdemo_sk current_hdemo_sk current_addr_sk first_shipto_date_sk
  first_sales_date_sk birth_day birth_month birth_year; text: customer_id salutation first_name last_name
  preferred_cust_flag birth_country login email_address last_review_date
customer_address ca 1: bigint: address_sk; numeric(7,2): gmt_offset; text: address_id street_number street_name
  street_type suite_number city county state zip country location_type
customer_demographics cd 1: bigint: demo_sk purchase_estimate dep_count dep_employed_count dep_college_count; text:
  gender marital_status education_status credit_rating
date_dim d 1: bigint: date_sk month_seq week_seq quarter_seq year dow moy dom qoy fy_year fy_quarter_seq fy_week_seq
  first_dom last_dom same_day_ly same_day_lq; date: date; text: date_id day_name quarter_name holiday weekend
  following_holiday current_day current_week current_month current_quarter current_year
household_demographics hd 1: bigint: demo_sk income_band_sk dep_count vehicle_count; text: buy_potential
item i 1: bigint: item_sk brand_id class_id category_id manufact_id manager_id; numeric(7,2): current_price
  wholesale_cost; date: rec_start_date rec_end_date; text: item_id item_desc brand class category manufact size
  formulation color units container product_name
income_band ib 1: bigint: income_band_sk lower_bound upper_bound
promotion p 1: bigint: promo_sk start_date_sk end_date_sk item_sk response_target; numeric(7,2): cost; text: promo_id
  promo_name channel_dmail channel_email channel_catalog channel_tv channel_radio channel_press channel_event
  channel_demo channel_details purpose discount_active
reason r 1: bigint: reason_sk; text: reason_id reason_desc
ship_mode sm 1: bigint: ship_mode_sk; text: ship_mode_id type code carrier contract
time_dim t 1: bigint: time_sk time hour minute second; text: time_id am_pm shift sub_shift meal_time
"""
"""By table: its columns' prefix, how many of the first columns are its key, and the columns by type."""


def _parsed() -> tuple[dict[str, Schema], dict[str, int]]:
    schemas, keys = {}, {}
    for entry in _TABLES.replace("\n  ", " ").strip().splitlines():
        head, _, groups = entry.partition(": ")
        table, prefix, key = head.split()
        schemas[table] = tuple(
            Column(f"{prefix}_{name}", ColumnType.parse(type_), True)
            for type_, _, names in (group.strip().partition(": ") for group in groups.split(";"))
            for name in names.split()
        )
        keys[table] = int(key)
    return schemas, keys


SCHEMAS, KEYS = _parsed()


def fetched() -> Path:
    """The file of the queries, from the package index where it is not here yet. CalledProcessError when that cannot be."""
    release = version("sqlglot")
    place = CACHE / f"queries-{release}.sql"
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "sqlglot"]
        subprocess.run([*pip, "--dest", str(CACHE), f"sqlglot=={release}"], check=True)
        with tarfile.open(CACHE / f"sqlglot-{release}.tar.gz") as package:
            member = package.extractfile(f"sqlglot-{release}/{_FIXTURE}")
            assert member is not None
            half = place.with_suffix(".part")
            half.write_bytes(member.read())
            half.replace(place)
    return place


def queries() -> dict[str, str]:
    """The 99 queries by name, q1 to q99."""
    lines = [line for line in fetched().read_text().splitlines() if line and not line.startswith(("--", "#"))]
    # Each query is followed by what sqlglot makes of it.
    statements = [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()][::2]
    return {f"q{number}": _settled(statement) for number, statement in enumerate(statements, 1)}


def _settled(sql: str) -> str:
    """A query whose answer is one, and that a view can be: columns of one name get two, and LIMIT has a total order.

    Division by zero is NULL: to PostgreSQL and us it is an error, to DuckDB infinity. Of two columns it has
    a fraction, as in DuckDB.
    """
    tree = sqlglot.parse_one(sql, dialect="postgres")
    for division in list(tree.find_all(exp.Div)):
        if isinstance(division.this, exp.Column) and isinstance(division.expression, exp.Column):
            division.set("this", exp.cast(division.this.copy(), "decimal(15, 4)"))
        if not isinstance(division.expression, exp.Literal):
            division.set("expression", exp.Nullif(this=division.expression.copy(), expression=exp.Literal.number(0)))
    if isinstance(tree, exp.Select):
        seen: set[str] = set()
        for place, item in enumerate(tree.expressions):
            name = item.output_name.lower()
            if name in seen:
                item.replace(exp.alias_(item.unalias().copy(), f"{name or 'column'}_{place + 1}"))
            seen.add(name)
    order = tree.args.get("order")
    if order is not None and tree.args.get("limit") is not None:
        for place in range(1, len(tree.selects) + 1):
            order.append("expressions", exp.Ordered(this=exp.Literal.number(place), nulls_first=False))
    return tree.sql(dialect="postgres")
