"""A broker inside the test process, for what needs no real one: librdkafka's mock cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer


@pytest.fixture(scope="session")
def mock_cluster() -> Iterator[dict[str, str]]:
    """Connection properties of a mock cluster: topics appear by producing, transactions are accepted, nothing is durable."""
    owner = Producer({"bootstrap.servers": "", "test.mock.num.brokers": "1", "log_level": 0})
    brokers = owner.list_topics(timeout=10).brokers.values()
    yield {"bootstrap.servers": ",".join(f"{broker.host}:{broker.port}" for broker in brokers)}
    owner.flush(0)
