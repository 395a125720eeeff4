"""A start while the sink's cluster is away: the views answer; the topic has everything once it is back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.feed import SINK_PATIENCE
from tests.e2e.service import RUN, fold, produce, record, running
from tests.servers.kafka import KafkaServer


def settings(source: str, sink: str) -> dict[str, Any]:
    columns = {"k": "integer", "n": "integer"}
    return {
        "name": f"late_{RUN}",
        "checkpoint": {"interval": "300ms"},
        "kafka": {"main": {"bootstrap.servers": source}, "far": {"bootstrap.servers": sink}},
        "sources": {"items": {"kafka": "main", "topic": f"{RUN}_late_items", "format": "json", "columns": columns}},
        "views": {"sums": {"sql": "SELECT k, sum(n) AS n FROM items GROUP BY k", "key": ["k"]}},
        "sinks": {"sums_out": {"view": "sums", "kafka": "far", "topic": "sums", "key": ["k"], "partitions": 1}},
    }


@pytest.mark.kafka
@pytest.mark.slow
def test_views_are_served_while_the_sinks_broker_is_away(
    kafka: KafkaServer, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    """Invariant: no view waits for a sink's broker, and the topic folded is the view once the broker is back."""
    topic = kafka.create_topic(f"{RUN}_late_items", 2)
    file = settings(kafka.bootstrap, own_kafka.bootstrap)

    def push(first: int, count: int) -> None:
        produce(
            kafka.bootstrap, topic, [(None, record({}, {"k": n % 50, "n": n})[1]) for n in range(first, first + count)]
        )

    def shown() -> dict[int, int]:
        return {row["k"]: int(row["n"]) for row in service.rows("sums")}

    def sums(count: int) -> dict[int, int]:
        return {k: sum(range(k, count, 50)) for k in range(min(50, count))}

    push(0, 500)
    with running(tmp_path, file) as service:
        service.until(lambda: shown() == sums(500), 60, "the first rows")
        service.until(lambda: any((tmp_path / "state" / "checkpoints").glob("*.manifest")), 60, "a checkpoint")
        own_kafka.kill()
        push(500, 500)
        service.until(lambda: shown() == sums(1000), 60, "rows while the sink's broker is away")
        service.kill()
        push(1000, 500)
        service.start(60 + SINK_PATIENCE)
        service.until(lambda: shown() == sums(1500), 60, "rows after a start without the sink's broker")
        assert service.get("/readyz")[1]["sinks"]["sums_out"]["state"] == "connecting"
        own_kafka.restart()
        push(1500, 500)

        def folded() -> dict[int, int]:
            return {row["k"]: int(row["n"]) for row in fold(own_kafka.bootstrap, "sums", 1).values()}

        service.until(lambda: folded() == sums(2000), 60, "the sink to catch up")
