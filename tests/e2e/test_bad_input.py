"""What bad input gets: poison, null keys, division by zero, a missing topic, a broker that goes away: the rest goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import RUN, Headwater, produce, record, running
from tests.servers.kafka import KafkaServer


def settings(bootstrap: str, prefix: str) -> dict[str, Any]:
    return {
        "name": prefix,
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "items": {
                "kafka": "main",
                "topic": f"{prefix}_items",
                "format": "json",
                "envelope": "upsert",
                "key": ["id"],
                "columns": {"id": "bigint", "amount": "integer", "parts": "integer"},
            },
            "late": {
                "kafka": "main",
                "topic": f"{prefix}_late",
                "format": "json",
                "columns": {"id": "bigint", "note": "text"},
            },
        },
        "views": {
            "share": {"sql": "SELECT id, amount / parts AS each FROM items", "key": ["id"]},
            "notes": {"sql": "SELECT note, count(*) AS n FROM late GROUP BY note", "key": ["note"]},
        },
    }


def _metric(service: Headwater, name: str, **labels: str) -> float:
    _, text = service.get("/metrics")
    for line in text.splitlines():
        if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name} with {labels} in\n{text}")


@pytest.mark.kafka
def test_poison_and_division_by_zero_stop_nothing(kafka: KafkaServer, tmp_path: Path) -> None:
    kafka.create_topic(f"bad_{RUN}_items", 1)
    kafka.create_topic(f"bad_{RUN}_late", 1)
    items = [
        record({"id": 1}, {"id": 1, "amount": 10, "parts": 2}),
        record({"id": 2}, {"id": 2, "amount": 10, "parts": 0}),
    ]
    poison = [
        (b'{"id": 3}', b'{"id": 3, "amount": "sesame"}'),
        (b'{"id": 4}', b"\xff\xfe"),
        (None, b'{"id": 5}'),
        (b"{", b"{}"),
    ]
    produce(
        kafka.bootstrap, f"bad_{RUN}_items", [*items, *poison, record({"id": 6}, {"id": 6, "amount": 9, "parts": 3})]
    )
    with running(tmp_path, settings(kafka.bootstrap, f"bad_{RUN}")) as service:
        assert sorted((row["id"], row["each"]) for row in service.rows("share")) == [(1, 5), (6, 3)]
        assert _metric(service, "headwater_source_errors_total", source="items") == 4
        status, errors = service.get("/views/share/errors")
        assert status == 200
        assert "division by zero" in str(errors)
        produce(kafka.bootstrap, f"bad_{RUN}_items", [record({"id": 2}, {"id": 2, "amount": 10, "parts": 5})])
        service.until(lambda: len(service.rows("share")) == 3, 10, "the corrected row")
        status, errors = service.get("/views/share/errors")
        assert "division by zero" not in str(errors)
        assert "sesame" not in service.log.read_text(), "a row's content was logged"


@pytest.mark.kafka
def test_missing_topic_is_waited_for_and_others_go_on(kafka: KafkaServer, tmp_path: Path) -> None:
    kafka.create_topic(f"wait_{RUN}_items", 1)
    produce(kafka.bootstrap, f"wait_{RUN}_items", [record({"id": 1}, {"id": 1, "amount": 8, "parts": 2})])
    service = Headwater(tmp_path, settings(kafka.bootstrap, f"wait_{RUN}")).start(wait=False)
    service.until(lambda: service.get("/views/share/1")[0] == 200, 30, "the view of the topic that exists")
    status, body = service.get("/views/notes")
    assert (status, f"wait_{RUN}_late" in str(body)) == (503, True), body
    status, body = service.get("/readyz")
    assert f"wait_{RUN}_late" in str(body), body
    kafka.create_topic(f"wait_{RUN}_late", 2)
    produce(kafka.bootstrap, f"wait_{RUN}_late", [(None, b'{"id": 1, "note": "hello"}')] * 5)
    service.until(lambda: service.get("/views/notes/hello")[0] == 200, 30, "the topic that appeared")
    assert service.get("/views/notes/hello")[1]["rows"] == [{"note": "hello", "n": 5}]
    status, seconds = service.stop()
    assert status == 0
    assert seconds < 10


@pytest.mark.kafka
@pytest.mark.slow
def test_broker_gone_and_back(tmp_path: Path, own_kafka: KafkaServer) -> None:
    own_kafka.create_topic(f"gone_{RUN}_items", 1)
    own_kafka.create_topic(f"gone_{RUN}_late", 1)
    produce(own_kafka.bootstrap, f"gone_{RUN}_items", [record({"id": 1}, {"id": 1, "amount": 8, "parts": 2})])
    with running(tmp_path, settings(own_kafka.bootstrap, f"gone_{RUN}")) as service:
        own_kafka.kill()
        for _ in range(20):
            assert service.get("/views/share/1")[1]["rows"] == [{"id": 1, "each": 4}]
            time.sleep(0.1)
        own_kafka.restart()
        produce(own_kafka.bootstrap, f"gone_{RUN}_items", [record({"id": 2}, {"id": 2, "amount": 9, "parts": 3})])
        service.until(
            lambda: service.get("/views/share/2")[0] == 200, 60, "the record written after the broker came back"
        )
