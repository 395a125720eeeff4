"""Avro from a topic and a schema registry, columns taken from the schema, to a view over HTTP."""

from __future__ import annotations

import io
import json
import struct
from decimal import Decimal
from pathlib import Path

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.e2e.service import RUN, produce, running
from tests.servers.kafka import KafkaServer
from tests.servers.registry import running_registry

SCHEMA = {
    "type": "record",
    "name": "sale",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "shop", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    ],
}


def encode(schema_id: int, row: dict[str, object]) -> bytes:
    """Confluent's wire format: a zero, the schema's id, the row."""
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), row)
    return out.getvalue()


@pytest.mark.kafka
def test_columns_come_from_the_registry(kafka: KafkaServer, tmp_path: Path) -> None:
    topic = f"avro_{RUN}_sales"
    kafka.create_topic(topic, 2)
    with running_registry() as registry:
        with SchemaRegistryClient({"url": registry.url}) as client:
            schema_id = client.register_schema(f"{topic}-value", Schema(json.dumps(SCHEMA), "AVRO"))
        rows = [{"id": n, "shop": None if n % 5 == 0 else f"s{n % 2}", "price": Decimal(n) / 4} for n in range(100)]
        rows = [{**row, "price": Decimal(row["price"]).quantize(Decimal("0.01"))} for row in rows]
        produce(kafka.bootstrap, topic, ((None, encode(schema_id, row)) for row in rows))
        settings = {
            "name": f"avro_{RUN}",
            "kafka": {"main": {"bootstrap.servers": kafka.bootstrap, "schema.registry.url": registry.url}},
            "sources": {"sales": {"kafka": "main", "topic": topic, "format": "avro"}},
            "views": {
                "by_shop": {
                    "sql": "SELECT shop, count(*) AS n, sum(price) AS paid FROM sales GROUP BY shop",
                    "key": ["shop"],
                }
            },
        }
        with running(tmp_path, settings) as service:
            got = {row["shop"]: (row["n"], Decimal(row["paid"])) for row in service.rows("by_shop")}
    want: dict[object, tuple[int, Decimal]] = {}
    for row in rows:
        count, paid = want.get(row["shop"], (0, Decimal(0)))
        want[row["shop"]] = (count + 1, paid + Decimal(row["price"]))
    assert got == want
