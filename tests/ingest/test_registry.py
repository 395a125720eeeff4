"""The registry client: what it gives, and which of its two errors it gives otherwise."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from ingest.registry import Registry, RegistryUnavailable, UnknownSchemaError, make_registry
from tests.servers.registry import TestRegistry, running_registry

RECORD = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}


@pytest.fixture
def server() -> Iterator[TestRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture
def registry(server: TestRegistry) -> Iterator[Registry]:
    registry = Registry(server.url)
    yield registry
    registry.close()


def register(
    server: TestRegistry, subject: str, schema: object, references: list[SchemaReference] | None = None
) -> int:
    """Register through the real client."""
    with SchemaRegistryClient({"url": server.url}) as client:
        return int(client.register_schema(subject, Schema(json.dumps(schema), "AVRO", references or [])))


def test_by_id_asks_once(server: TestRegistry, registry: Registry) -> None:
    number = register(server, "orders-value", RECORD)
    assert registry.by_id(number)["name"] == "Order"
    asked = len(server.requests)
    assert registry.by_id(number)["name"] == "Order"
    assert len(server.requests) == asked


def test_latest(server: TestRegistry, registry: Registry) -> None:
    register(server, "orders-value", RECORD)
    newer = {**RECORD, "fields": [*RECORD["fields"], {"name": "note", "type": "string"}]}
    register(server, "orders-value", newer)
    assert [field["name"] for field in registry.latest("orders-value")["fields"]] == ["id", "note"]


def test_references_are_resolved(server: TestRegistry, registry: Registry) -> None:
    register(server, "money", {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]})
    paid = {"type": "record", "name": "shop.Paid", "fields": [{"name": "sum", "type": "shop.Money"}]}
    number = register(server, "paid-value", paid, [SchemaReference("shop.Money", "money", 1)])
    assert registry.by_id(number)["name"] == "shop.Paid"


def test_unknown_id_and_subject(registry: Registry) -> None:
    with pytest.raises(UnknownSchemaError, match=r"has no schema 99: Schema 99 not found"):
        registry.by_id(99)
    with pytest.raises(UnknownSchemaError, match=r"has no subject 'nothing-value'"):
        registry.latest("nothing-value")


def test_text_that_is_no_avro(server: TestRegistry, registry: Registry) -> None:
    with pytest.raises(UnknownSchemaError, match=r"schema 1 .* is no Avro schema"):
        registry.by_id(register(server, "bad-value", {"type": "recrod", "name": "x"}))
    with SchemaRegistryClient({"url": server.url}) as client:
        number = client.register_schema("p-value", Schema('syntax = "proto3";', "PROTOBUF"))
    with pytest.raises(UnknownSchemaError, match=r"is PROTOBUF, not AVRO"):
        registry.by_id(number)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_is_unavailable_and_passes(server: TestRegistry, registry: Registry, status: int) -> None:
    number = register(server, "orders-value", RECORD)
    server.fail_with = status
    with pytest.raises(RegistryUnavailable, match=rf"fails on schema 1 \(HTTP {status}: told to fail\)"):
        registry.by_id(number)
    server.fail_with = None
    assert registry.by_id(number)["name"] == "Order"


def test_refused_credentials_are_named(server: TestRegistry, registry: Registry) -> None:
    server.fail_with = 401
    with pytest.raises(
        RegistryUnavailable, match=r"refuses schema 1 .*check schema\.registry\.basic\.auth\.user\.info"
    ):
        registry.by_id(1)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        registry = Registry(f"http://user:s3cret@127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(RegistryUnavailable, match=r"http://127.0.0.1:\d+ gives no answer on schema 1") as caught:
            registry.by_id(1)
        assert "s3cret" not in str(caught.value)
        registry.close()


def test_make_registry() -> None:
    assert make_registry({"bootstrap.servers": "x:1"}) is None
    made = make_registry({"schema.registry.url": "http://127.0.0.1:1", "schema.registry.timeout": "2"})
    assert made is not None
    made.close()
    with pytest.raises(ValueError, match=r"schema\.registry\.url is missing beside schema\.registry\.timeout"):
        make_registry({"schema.registry.timeout": "2"})
    with pytest.raises(ValueError, match=r"timeout is a number, not 'soon'"):
        make_registry({"schema.registry.url": "http://x", "schema.registry.timeout": "soon"})
    with pytest.raises(ValueError, match=r"Unrecognized properties: nonsense"):
        make_registry({"schema.registry.url": "http://x", "schema.registry.nonsense": "1"})
