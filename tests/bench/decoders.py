"""The decoders alone, on one core: JSON beside msgspec, Avro beside fastavro, on the same bids in the same run.

Always true: every way gives the same columns, compared before anything is timed. A peer is timed twice: to its own objects,
and on to Arrow columns, which is where the engine begins; ours always makes columns. `python -m tests.bench.decoders [rows]`.
"""

from __future__ import annotations

import gc
import io
import json
import statistics
import struct
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import fastavro
import msgspec
import pyarrow as pa

from config.settings import Source
from dataflow.json import encode_rows
from ingest.decode import make_decoder
from ingest.messages import Messages
from tests.bench import store
from tests.bench.nexmark import BIDS
from tests.bench.workloads import WORKLOADS

RUNS = 5
BATCH = 4096
"""Messages decoded at a time, by every way: about what the reader drains at once."""

SCHEMA_ID = 7
AVRO: dict[str, Any] = {
    "type": "record",
    "name": "bid",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "auction", "type": "long"},
        {"name": "bidder", "type": "long"},
        {"name": "price", "type": "long"},
        {"name": "channel", "type": "string"},
        {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
    ],
}
_PARSED = fastavro.parse_schema(AVRO)


class Bid(msgspec.Struct):
    """One bid as msgspec reads it."""

    id: int
    auction: int
    bidder: int
    price: int
    channel: str
    ts: datetime


class OneSchema:
    """A registry that knows one schema."""

    def by_id(self, schema_id: int) -> Any:
        """The schema of this id."""
        return AVRO

    def latest(self, subject: str) -> Any:
        """The newest schema of a subject."""
        return AVRO


def bids(rows: int) -> pa.Table:
    """The first `rows` bids of the workloads."""
    workload = WORKLOADS["W1"]
    events = 100_000
    while events * 46 // 50 < rows:
        events *= 10
    table = store.load(workload, events)["bids"].slice(0, rows).combine_chunks()
    return table.select([column.name for column in BIDS])


def as_json(table: pa.Table) -> list[bytes]:
    """Each row as a JSON object."""
    values: list[bytes] = encode_rows(tuple(table[column.name].chunk(0) for column in BIDS), BIDS).to_pylist()
    return values


def as_avro(table: pa.Table, schema_id: int = SCHEMA_ID) -> list[bytes]:
    """Each row in Confluent's wire format: a zero, the schema's id, the record."""
    head = struct.pack(">bI", 0, schema_id)
    encoded = []
    for row in table.set_column(5, "ts", table["ts"].cast(pa.int64())).to_pylist():
        out = io.BytesIO()
        out.write(head)
        fastavro.schemaless_writer(out, _PARSED, row)
        encoded.append(out.getvalue())
    return encoded


def batches(values: Sequence[bytes]) -> list[Messages]:
    """The values as the consumer hands them over; what decoders do not look at is left empty."""
    found = []
    none = pa.array([], pa.large_binary())
    for at in range(0, len(values), BATCH):
        column = pa.array(values[at : at + BATCH], pa.large_binary())
        empty = pa.array([], pa.int64()).to_numpy()
        found.append(Messages(column, none, empty, empty, empty, empty))
    return found


def ours(kind: str, values: Sequence[bytes]) -> Callable[[], list[tuple[pa.Array, ...]]]:
    """The service's decoder of this format over all values."""
    settings = Source.model_validate({"kafka": "main", "topic": "bids", "format": kind})
    registry: Any = OneSchema() if kind == "avro" else None
    decoder = make_decoder(settings, BIDS, registry)
    messages = batches(values)
    return lambda: [decoder.decode(batch).columns for batch in messages]


def _objects(values: Sequence[bytes], read: Callable[[bytes], Any]) -> Callable[[], list[Any]]:
    parts = [values[at : at + BATCH] for at in range(0, len(values), BATCH)]
    return lambda: [[read(value) for value in part] for part in parts]


def _columns(
    values: Sequence[bytes], read: Callable[[bytes], Any], pick: Callable[[Any, str], Any]
) -> Callable[[], Any]:
    objects = _objects(values, read)

    def run() -> list[tuple[pa.Array, ...]]:
        return [
            tuple(pa.array([pick(row, column.name) for row in rows], column.type.arrow) for column in BIDS)
            for rows in objects()
        ]

    return run


def _read_avro(value: bytes) -> Any:
    stream = io.BytesIO(value)
    stream.seek(5)
    return fastavro.schemaless_reader(stream, _PARSED, None)


def measure(rows: int) -> dict[str, float]:
    """Messages a second of each way, medians of `RUNS` runs that take turns, and ours as a multiple of each peer's."""
    table = bids(rows)
    texts, records = as_json(table), as_avro(table)
    read_json = msgspec.json.Decoder(Bid).decode
    ways: dict[str, Callable[[], Any]] = {
        "json": ours("json", texts),
        "msgspec, to structs": _objects(texts, read_json),
        "msgspec, to columns": _columns(texts, read_json, getattr),
        "avro": ours("avro", records),
        "fastavro, to dicts": _objects(records, _read_avro),
        "fastavro, to columns": _columns(records, _read_avro, dict.__getitem__),
    }
    want = [
        tuple(table.slice(at, BATCH)[column.name].combine_chunks() for column in BIDS) for at in range(0, rows, BATCH)
    ]
    for name in ("json", "msgspec, to columns", "avro", "fastavro, to columns"):
        if not all(
            got.equals(of)
            for gots, ofs in zip(ways[name](), want, strict=True)
            for got, of in zip(gots, ofs, strict=True)
        ):
            raise ValueError(f"{name} gives other columns")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            gc.collect()
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    rates = {name: rows / statistics.median(found) for name, found in seconds.items()}
    ratios = {
        f"{mine} / {peer}": rates[mine] / rates[peer]
        for mine, library in (("json", "msgspec"), ("avro", "fastavro"))
        for peer in rates
        if peer.startswith(library)
    }
    return {"rows": float(rows), **rates, **ratios}


def main(rows: int = 200_000) -> dict[str, float]:
    """Measure, print a table and a line of JSON."""
    found = measure(rows)
    print("\ndecoders, messages/s on one core")
    for name, value in found.items():
        print(f"  {name:32s} {value:>14,.2f}")
    print(json.dumps({"decoders": found}))
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
