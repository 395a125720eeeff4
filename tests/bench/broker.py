"""From a broker: our consumer beside `consume(500)` on a filled queue, and topic to view for W1 with JSON and Avro.

Always true: a queue is filled before its draining is timed, each way in a process of its own on one core, in turns; a view's
answer is compared with Arrow's own before its rate is printed. Broker and service share the machine's cores.
`python -m tests.bench.broker [drain] [json] [avro]`; with nothing named, all of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer as PythonConsumer
from confluent_kafka import TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from ingest.kernels._consumer import Consumer
from ingest.librdkafka import consumer_properties, library_path
from tests.bench import decoders, nexmark
from tests.bench.end_to_end import broker, hydration_seconds
from tests.bench.pinned import pinned
from tests.bench.threads import operator_seconds, thread_seconds
from tests.bench.workloads import WORKLOADS
from tests.e2e.service import Headwater, produce
from tests.servers.kafka import KafkaServer
from tests.servers.registry import running_registry

QUEUED = 500_000
PARTITIONS = 4
BIDS = 1_000_000
COPIES = 3
"""How often the bids are in the topic: encoding them takes longer than reading them."""

RUNS = 3
SERVICE_RUNS = 3
_DEEP = {"queued.min.messages": "10000000", "queued.max.messages.kbytes": "2097151"}


def drain_native(bootstrap: str, topic: str) -> float:
    """Messages a second out of a filled queue of ours: value, key, offset, partition, timestamp and digest as columns."""
    consumer = Consumer(library_path(), consumer_properties({"bootstrap.servers": bootstrap, **_DEEP}, "bench"), topic)
    consumer.assign(dict.fromkeys(range(PARTITIONS), -2))
    _wait_filled()
    count, began = 0, time.perf_counter()
    while count < QUEUED:
        count += len(consumer.drain(8192, 8 << 20, 100)[2])
    seconds = time.perf_counter() - began
    consumer.close()
    return count / seconds


def drain_python(bootstrap: str, topic: str) -> float:
    """Messages a second out of a filled queue by `consume(500)`: value, key, offset and partition as Python objects."""
    consumer = PythonConsumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False, **_DEEP}
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    consumer.consume(1, 10)
    _wait_filled()
    count, began = 1, time.perf_counter()
    while count < QUEUED:
        messages = consumer.consume(500, 1)
        rows = [(m.value(), m.key(), m.offset(), m.partition()) for m in messages]
        count += len(rows)
    seconds = time.perf_counter() - began
    consumer.close()
    return count / seconds


DRAINS = {"native": drain_native, "consume(500)": drain_python}


def _wait_filled() -> None:
    """Until this process has nothing more to do: librdkafka's threads are done fetching."""
    before, idle = time.process_time(), 0
    while idle < 10:
        time.sleep(0.1)
        now = time.process_time()
        idle = idle + 1 if now - before < 0.005 else 0
        before = now


def drain(kafka: KafkaServer) -> dict[str, float]:
    """Both ways over the same topic of 200-byte values."""
    kafka.create_topic("bench_queue", PARTITIONS)
    produce(kafka.bootstrap, "bench_queue", ((b"%012d" % n, b"%0200d" % n) for n in range(QUEUED)))
    rates: dict[str, list[float]] = {name: [] for name in DRAINS}
    for _ in range(RUNS):
        for name in DRAINS:
            command = pinned(
                [sys.executable, "-m", "tests.bench.broker", "--one", name, kafka.bootstrap, "bench_queue"]
            )
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rates[name].append(float(done.stdout))
    medians = {f"{name}, messages/s": statistics.median(found) for name, found in rates.items()}
    native, python = medians.values()
    return {**medians, "ratio": native / python}


def topic_to_view(kafka: KafkaServer, kind: str) -> dict[str, Any]:
    """Rows a second from a full topic to W1's view, by a service in its own process; its threads' seconds of processor."""
    table = decoders.bids(BIDS)
    topic = f"bench_bids_{kind}"
    kafka.create_topic(topic, PARTITIONS)
    connection = {"bootstrap.servers": kafka.bootstrap}
    columns = {column.name: f"{column.type} not null" for column in nexmark.BIDS}
    with running_registry() as registry:
        if kind == "avro":
            connection["schema.registry.url"] = registry.url
            with SchemaRegistryClient({"url": registry.url}) as client:
                number = client.register_schema(f"{topic}-value", Schema(json.dumps(decoders.AVRO), "AVRO"))
            values = decoders.as_avro(table, number)
        else:
            values = decoders.as_json(table)
        for _ in range(COPIES):
            produce(kafka.bootstrap, topic, ((None, value) for value in values))
        config = {
            "name": "bench",
            "kafka": {"main": connection},
            "sources": {"bids": {"kafka": "main", "topic": topic, "format": kind, "columns": columns}},
            "views": {"answer": {"sql": WORKLOADS["W1"].sql, "key": ["auction"]}},
        }
        found = [_serve(config, _expected(table)) for _ in range(SERVICE_RUNS)]
    kafka.delete_topic(topic)
    found.sort(key=lambda run: run["hydration, s"])
    rows = len(values) * COPIES
    middle = found[len(found) // 2]
    return {
        "rows": rows,
        "bytes of a value": sum(map(len, values)) / len(values),
        "rows/s": rows / middle["hydration, s"],
        **middle,
    }


def _expected(table: pa.Table) -> dict[int, tuple[int, int]]:
    groups = table.group_by("auction").aggregate([("price", "count"), ("price", "sum")])
    return {row["auction"]: (row["price_count"] * COPIES, row["price_sum"] * COPIES) for row in groups.to_pylist()}


def _serve(config: Mapping[str, Any], expected: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        service = Headwater(Path(folder), config).start(300)
        assert service.process is not None
        threads = thread_seconds(service.process.pid)
        seconds = hydration_seconds(service)
        operators = operator_seconds(str(service.get("/metrics")[1]))
        got = {row["auction"]: (row["bids"], int(row["total"])) for row in service.rows("answer")}
        service.stop()
    if got != expected:
        raise ValueError("the view differs from Arrow's own answer")
    return {"hydration, s": seconds, "operators, s": operators, "threads, s": threads}


def main(which: Iterable[str] = ()) -> dict[str, Any]:
    """Run the named parts, print a table and a line of JSON."""
    wanted = set(which) or {"drain", "json", "avro"}
    results: dict[str, Any] = {}
    with broker() as kafka:
        if "drain" in wanted:
            results["drain"] = drain(kafka)
        for kind in ("json", "avro"):
            if kind in wanted:
                results[f"topic to view, {kind}"] = topic_to_view(kafka, kind)
    for name, found in results.items():
        print(f"\n{name}")
        for key, value in found.items():
            print(f"  {key:32s} {value}" if isinstance(value, dict) else f"  {key:32s} {value:>14,.2f}")
    print(json.dumps({"broker": results}))
    return results


def _main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["--one"]:
        print(DRAINS[arguments[1]](arguments[2], arguments[3]))
    else:
        main(arguments)


if __name__ == "__main__":
    _main(sys.argv[1:])
