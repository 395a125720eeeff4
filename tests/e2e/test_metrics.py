"""Every metric that the dashboard and the alerts use exists in a running service's /metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.names import exposed_metrics, used_metrics
from tests.e2e.service import RUN, produce, record, running
from tests.servers.kafka import KafkaServer


def settings(bootstrap: str) -> dict[str, Any]:
    return {
        "name": f"metrics_{RUN}",
        "threads": 3,
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "items": {
                "kafka": "main",
                "topic": f"metrics_{RUN}_items",
                "format": "json",
                "envelope": "upsert",
                "key": ["id"],
                "columns": {"id": "bigint", "amount": "integer"},
            }
        },
        "views": {
            "total": {"sql": "SELECT id % 2 AS odd, sum(amount) AS total FROM items GROUP BY id % 2", "key": ["odd"]}
        },
        "sinks": {"out": {"view": "total", "kafka": "main", "topic": f"metrics_{RUN}_out", "key": ["odd"]}},
    }


@pytest.mark.kafka
def test_a_running_service_exposes_what_dashboard_and_alerts_use(kafka: KafkaServer, tmp_path: Path) -> None:
    kafka.create_topic(f"metrics_{RUN}_items", 2)
    produce(kafka.bootstrap, f"metrics_{RUN}_items", [record({"id": n}, {"id": n, "amount": n}) for n in range(10)])
    with running(tmp_path, settings(kafka.bootstrap)) as service:
        assert sorted((row["odd"], row["total"]) for row in service.rows("total")) == [(0, 20), (1, 25)]
        status, text = service.get("/metrics")
        assert status == 200
        missing = used_metrics() - exposed_metrics(text)
        assert service.process is not None
        tasks = Path(f"/proc/{service.process.pid}/task").iterdir()
        assert [(task / "comm").read_text() for task in tasks].count("kernels\n") == 2, (
            "the setting counts the tick thread"
        )
        assert not missing, f"used by the dashboard or the alerts, but not exposed: {sorted(missing)}"
