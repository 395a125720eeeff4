"""A schema registry for the tests of Avro."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.registry import Registry
from tests.servers.registry import TestRegistry, running_registry


@pytest.fixture(scope="module")
def server() -> Iterator[TestRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture(scope="module")
def registry(server: TestRegistry) -> Iterator[Registry]:
    registry = Registry(server.url)
    yield registry
    registry.close()
