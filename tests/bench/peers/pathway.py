"""Pathway: its Table API over CSV files (catch-up, parsing included: it has no push of columns), and its Python connector (ticks).

Runs in the peer's own environment: `pathway.py WORKLOAD FOLDER EVENTS TICK MODE ANSWER`; mode `answer` writes the result and
is not timed. W4 is emulated: a CSV file has no deletes, so changes are summed by bid. Ticks: W1 only, from an empty state, because
rows go in one Python call each; the other queries do not show from outside when a tick is complete.
"""

import csv
import json
import os
import sys
import threading
import time
from typing import Any

import pathway as pw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter

MEASURED_TICKS = 100

# `id` and `diff` mean something else to Pathway; only columns that the query reads are parsed.
TABLES = {
    "W1": {"bids": ("auction", "price")},
    "W2": {"persons": ("pid", "name", "city", "state"), "auctions": ("aid", "category", "seller")},
    "W3": {"auctions": ("aid", "category", "ats", "expires"), "bids": ("auction", "price", "ts")},
    "W4": {"bid_changes": ("bid", "auction", "price", "change")},
    "W5": {"bids": ("auction", "ts")},
}
STORED = {"pid": "id", "aid": "id", "bid": "id", "ats": "ts", "change": "diff"}
TEXTS = {"name", "city", "state"}
ANSWERS = {
    "W1": ("auction", "bids", "total"),
    "W2": ("name", "city", "state", "aid"),
    "W3": ("category", "price"),
    "W4": ("auction", "price"),
    "W5": ("seconds", "auction", "bids"),
}


def files(workload: str, folder: str) -> dict[str, str]:
    """The CSV file of each table, written once."""
    found = {}
    for table, columns in TABLES[workload].items():
        path = found[table] = f"{folder}/{workload}-{table}.csv"
        if not os.path.exists(path):
            stored = pa.ipc.open_file(pa.memory_map(f"{folder}/{table}.arrow")).read_all()
            arrays = [stored[STORED.get(column, column)] for column in columns]
            plain = [pc.cast(a, pa.int64()) if pa.types.is_timestamp(a.type) else a for a in arrays]
            pc_csv.write_csv(
                pa.table(plain, names=list(columns)), f"{path}.part", pc_csv.WriteOptions(quoting_style="none")
            )
            os.rename(f"{path}.part", path)
    return found


def schema(columns: tuple[str, ...]) -> Any:
    return pw.schema_from_types(**{column: str if column in TEXTS else int for column in columns})


def query(workload: str, tables: dict[str, Any]) -> Any:
    """The workload's query over Pathway's tables."""
    match workload:
        case "W1":
            bids = tables["bids"]
            return bids.groupby(bids.auction).reduce(
                bids.auction, bids=pw.reducers.count(), total=pw.reducers.sum(bids.price)
            )
        case "W2":
            a = tables["auctions"].filter(pw.this.category == 10)
            p = tables["persons"].filter((pw.this.state == "OR") | (pw.this.state == "ID") | (pw.this.state == "CA"))
            return a.join(p, a.seller == p.pid).select(p.name, p.city, p.state, a.aid)
        case "W3":
            a, b = tables["auctions"], tables["bids"]
            pairs = a.join(b, a.aid == b.auction).select(a.aid, a.category, a.ats, a.expires, b.price, b.ts)
            live = pairs.filter((pw.this.ts >= pw.this.ats) & (pw.this.ts <= pw.this.expires))
            won = live.groupby(live.aid, live.category).reduce(live.category, final=pw.reducers.max(live.price))
            return won.groupby(won.category).reduce(won.category, price=pw.reducers.avg(won.final))
        case "W4":
            c = tables["bid_changes"]
            bids = c.groupby(c.bid, c.auction, c.price).reduce(c.auction, c.price, remaining=pw.reducers.sum(c.change))
            kept = bids.filter(bids.remaining > 0)
            return kept.groupby(kept.auction).reduce(kept.auction, price=pw.reducers.max(kept.price))
        case _:
            bids = tables["bids"].select(pw.this.auction, seconds=pw.this.ts // 10_000_000)
            counts = bids.groupby(bids.seconds, bids.auction).reduce(
                bids.seconds, bids.auction, bids=pw.reducers.count()
            )
            most = counts.groupby(counts.seconds).reduce(counts.seconds, bids=pw.reducers.max(counts.bids))
            joined = counts.join(most, counts.seconds == most.seconds, counts.bids == most.bids)
            return joined.select(counts.seconds, counts.auction, counts.bids)


class Ticks(pw.io.python.ConnectorSubject):  # type: ignore[misc]
    """One commit for each tick, and the next only when the counts in the answer have reached the rows sent."""

    def __init__(self, ticks: list[list[tuple[int, int]]]) -> None:
        super().__init__()
        self.ticks = ticks
        self.seconds: list[float] = []
        self.sent = self.counted = 0
        self.reached = threading.Event()

    def run(self) -> None:
        for tick in self.ticks:
            began = now()
            self.reached.clear()
            self.sent += len(tick)
            for auction, price in tick:
                self.next(auction=auction, price=price)
            self.commit()
            if not self.reached.wait(60):
                raise TimeoutError("no answer for a tick within 60 s")
            self.seconds.append(now() - began)

    def change(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        self.counted += row["bids"] if is_addition else -row["bids"]

    def time_end(self, time: int) -> None:
        if self.counted == self.sent:
            self.reached.set()


def ticks(folder: str, size: int) -> list[float]:
    stored = pa.ipc.open_file(pa.memory_map(f"{folder}/bids.arrow")).read_all()
    stored = stored.filter(pc.field("event") < MEASURED_TICKS * size)
    parts: list[list[tuple[int, int]]] = [[] for _ in range(MEASURED_TICKS)]
    for event, auction, price in zip(
        *(stored[name].to_pylist() for name in ("event", "auction", "price")), strict=True
    ):
        parts[event // size].append((auction, price))
    subject = Ticks([part for part in parts if part])
    rows = pw.io.python.read(subject, schema=schema(("auction", "price")), autocommit_duration_ms=None)
    pw.io.subscribe(query("W1", {"bids": rows}), on_change=subject.change, on_time_end=subject.time_end)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return subject.seconds


def accumulated(path: str, columns: tuple[str, ...]) -> pa.Table:
    """The rows that are left of the changes that Pathway wrote."""
    with open(path) as source:
        changes = list(csv.DictReader(source))
    live: dict[tuple[Any, ...], int] = {}
    for change in changes:
        row = tuple(change[column] for column in columns)
        live[row] = live.get(row, 0) + int(change["diff"])
    rows = [row for row, count in live.items() for _ in range(count)]
    found = dict(zip(columns, zip(*rows, strict=True), strict=True))
    return pa.table({name: pa.array(values, pa.string()) for name, values in found.items()})


def main() -> None:
    workload, folder, _, tick, mode, answer = sys.argv[1:]
    if mode == "ticks":
        print(json.dumps({"ticks": ticks(folder, int(tick))}))
        return
    paths = files(workload, folder)
    tables = {n: pw.io.csv.read(p, schema=schema(TABLES[workload][n]), mode="static") for n, p in paths.items()}
    result = query(workload, tables)
    written = f"{answer}.csv"
    if mode == "answer":
        pw.io.csv.write(result, written)
    else:
        pw.io.null.write(result)
    began = now()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    print(json.dumps({"seconds": now() - began}))
    if mode == "answer":
        rows = accumulated(written, ANSWERS[workload])
        with pa.ipc.new_stream(answer, rows.schema) as writer:
            writer.write_table(rows)


if __name__ == "__main__":
    main()
