"""chdb (ClickHouse in process): views that aggregate on insert, read merged; where its views cannot maintain a query, a recompute.

Runs in the peer's own environment: `chdb.py WORKLOAD FOLDER EVENTS TICK MODE ANSWER`. The rows are in a table of chdb before
the clock starts; the time is that of inserting them into the view's source, and of one read of the answer.
"""

import json
import os
import sys
import time

from chdb.session import Session

now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter

MEASURED_TICKS = 100

COLUMNS = {
    "bids": "id, auction, bidder, price, channel, ts",
    "bid_changes": "id, auction, bidder, price, channel, ts, diff",
    "auctions": "id, item, initial_bid, reserve, category, seller, ts, expires",
    "persons": "id, name, email, city, state, ts",
}

# Target of the view, the view, the query that merges: W1, W4 and W5. W4 keeps how many bids of a price are live.
VIEWS = {
    "W1": (
        "auction Int64, bids SimpleAggregateFunction(sum, UInt64), total SimpleAggregateFunction(sum, Int64)",
        "auction",
        "SELECT auction, count() AS bids, sum(price) AS total FROM bids GROUP BY auction",
        "SELECT auction, sum(bids) AS bids, sum(total) AS total FROM target GROUP BY auction",
    ),
    "W4": (
        "auction Int64, price Int64, live SimpleAggregateFunction(sum, Int64)",
        "(auction, price)",
        "SELECT auction, price, sum(diff) AS live FROM bid_changes GROUP BY auction, price",
        "SELECT auction, max(price) AS price FROM (SELECT auction, price FROM target GROUP BY auction, price "
        "HAVING sum(live) > 0) GROUP BY auction",
    ),
    "W5": (
        "seconds Int64, auction Int64, bids SimpleAggregateFunction(sum, UInt64)",
        "(seconds, auction)",
        "SELECT intDiv(toUnixTimestamp64Micro(ts), 10000000) AS seconds, auction, count() AS bids FROM bids "
        "GROUP BY seconds, auction",
        "WITH c AS (SELECT seconds, auction, sum(bids) AS n FROM target GROUP BY seconds, auction) "
        "SELECT c.seconds AS seconds, c.auction AS auction, c.n AS bids FROM c JOIN "
        "(SELECT seconds, max(n) AS n FROM c GROUP BY seconds) AS m ON m.seconds = c.seconds AND m.n = c.n",
    ),
}

RECOMPUTED = {
    "W2": (
        ("persons", "auctions"),
        "SELECT p.name AS name, p.city AS city, p.state AS state, a.id AS id FROM auctions a JOIN persons p ON a.seller = p.id "
        "WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
    ),
    "W3": (
        ("auctions", "bids"),
        "SELECT category, avg(final) AS price FROM (SELECT a.id AS id, a.category AS category, max(b.price) AS final "
        "FROM bids b JOIN auctions a ON b.auction = a.id WHERE b.ts BETWEEN a.ts AND a.expires GROUP BY id, category) "
        "GROUP BY category",
    ),
    "W7": (
        ("bids",),
        "SELECT auction, row_number() OVER (PARTITION BY auction ORDER BY price DESC, id) AS place, id, bidder, price FROM "
        "(SELECT auction, id, bidder, price FROM bids ORDER BY auction, price DESC, id LIMIT 3 BY auction)",
    ),
}


def main() -> None:
    workload, folder, events, tick, mode, answer = sys.argv[1:]
    session = Session()
    for setting in ("max_threads = 1", "max_insert_threads = 1", "schema_inference_make_columns_nullable = 0"):
        session.query(f"SET {setting}")
    view = VIEWS.get(workload)
    tables = (view[2].split(" FROM ")[1].split()[0],) if view else RECOMPUTED[workload][0]
    for name in tables:
        file = f"file('{folder}/{name}.arrow', 'Arrow')"
        session.query(f"CREATE TABLE waiting_{name} ENGINE = MergeTree ORDER BY event AS SELECT * FROM {file}")
        engine = "Null" if view else "MergeTree ORDER BY id"
        session.query(f"CREATE TABLE {name} ENGINE = {engine} AS SELECT {COLUMNS[name]} FROM waiting_{name} LIMIT 0")
    if view:
        columns, key, select, read = view
        session.query(f"CREATE TABLE target ({columns}) ENGINE = AggregatingMergeTree ORDER BY {key}")
        session.query(f"CREATE MATERIALIZED VIEW v TO target AS {select}")
    else:
        read = RECOMPUTED[workload][1]
    read += " FORMAT ArrowStream"

    def insert(begin: int, end: int) -> None:
        for name in tables:
            where = f"WHERE event >= {begin} AND event < {end}"
            session.query(f"INSERT INTO {name} SELECT {COLUMNS[name]} FROM waiting_{name} {where}")

    last, size = int(events), int(tick)
    if mode == "catch_up":
        began = now()
        insert(0, last)
        rows = session.query(read)
        print(json.dumps({"seconds": now() - began}))
    else:
        start = max(0, last - MEASURED_TICKS * size)
        insert(0, start)
        seconds = []
        for at in range(start, last, size):
            began = now()
            insert(at, min(at + size, last))
            rows = session.query(read)
            seconds.append(now() - began)
        print(json.dumps({"ticks": seconds}))
    with open(answer, "wb") as sink:
        sink.write(rows.bytes())


if __name__ == "__main__":
    main()
