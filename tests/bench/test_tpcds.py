"""TPC-DS: every query has a plan, and is as a maintained view what DuckDB answers, while all 24 tables stream in and change."""

from __future__ import annotations

import pytest

from tests.bench import tpcds
from tests.bench.tpcds_tables import generate, pools
from tests.bench.tpcds_views import generated, run


@pytest.mark.slow
def test_every_query_equals_duckdb_at_random_ticks() -> None:
    found = run(generated(0.001), 8, 2, 1)
    assert found.unlike == {}
    assert found.refused == {}
    assert len(found.equal) == 99
    # Small as the tables are, most queries have rows.
    assert sum(count > 0 for count in found.rows.values()) >= 50


def test_tables_are_made_to_the_queries_taste_and_the_same_each_time() -> None:
    wanted = pools(tpcds.queries().values())
    first, second = generate(0.001, wanted), generate(0.001, wanted)
    assert all(first[name].equals(second[name]) for name in tpcds.SCHEMAS)
    assert set(first["item"]["i_category"].to_pylist()) >= {"Books", "Music", "Women"}
    sold = {(row["ss_item_sk"], row["ss_ticket_number"]) for row in first["store_sales"].to_pylist()}
    assert {(row["sr_item_sk"], row["sr_ticket_number"]) for row in first["store_returns"].to_pylist()} <= sold
