"""Avro from a topic and a schema registry, columns taken from the schema, to a view over HTTP."""

from __future__ import annotations

import io
import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.e2e.books import Client
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
        settings: dict[str, Any] = {
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
        settings["serve"] = {"postgres": "127.0.0.1:0"}
        with running(tmp_path, settings) as service:
            by_sql = made_by_sql(Client(service), kafka.bootstrap, registry.url, topic)
            got = {row["shop"]: (row["n"], Decimal(row["paid"])) for row in service.rows("by_shop")}
    want: dict[object, tuple[int, Decimal]] = {}
    for row in rows:
        count, paid = want.get(row["shop"], (0, Decimal(0)))
        want[row["shop"]] = (count + 1, paid + Decimal(row["price"]))
    assert got == by_sql == want


def made_by_sql(client: Client, broker: str, registry: str, topic: str) -> dict[object, tuple[int, Decimal]]:
    """The same view over the same topic, of connections, a source and columns that SQL makes."""
    client.run(f"CREATE CONNECTION schemas TO CONFLUENT SCHEMA REGISTRY (URL '{registry}')")
    client.run(f"CREATE CONNECTION plain TO KAFKA (BROKER '{broker}')")
    from_ = f"FROM KAFKA CONNECTION plain (TOPIC '{topic}')"
    assert client.state(f"CREATE SOURCE bought {from_} FORMAT AVRO") == "22023"
    client.run(f"CREATE SOURCE bought {from_} FORMAT AVRO USING CONFLUENT SCHEMA REGISTRY CONNECTION schemas")
    assert [row[:3] for row in client.rows("SHOW COLUMNS FROM bought")] == [
        ("id", False, "bigint"), ("price", False, "numeric(10,2)"), ("shop", True, "text"),
    ]  # fmt: skip
    client.run(
        "CREATE MATERIALIZED VIEW shops AS SELECT shop, count(*) AS n, sum(price) AS paid FROM bought GROUP BY shop"
    )
    assert client.state("DROP CONNECTION schemas") == "2BP01"
    found = client.connection.execute("SELECT * FROM shops").fetchall()
    client.run("DROP CONNECTION schemas CASCADE")
    assert client.state("TABLE shops") == "42P01"
    client.connection.close()
    return {shop: (n, paid) for shop, n, paid in found}
