"""The state in a bucket: kill -9, all files of the machine gone, and a service that starts while the one before still runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import RUN, Headwater, fold, produce
from tests.servers.kafka import KafkaServer
from tests.servers.s3 import Bucket

TOPIC, OUT = f"{RUN}_bucket_items", f"{RUN}_bucket_totals"


def settings(bootstrap: str, bucket: Bucket) -> dict[str, Any]:
    return {
        "name": f"bucket_{RUN}",
        "state": bucket.url,
        "s3": bucket.properties,
        "checkpoint": {"interval": "100ms"},
        "kafka": {"main": {"bootstrap.servers": bootstrap}},
        "sources": {
            "items": {
                "kafka": "main",
                "topic": TOPIC,
                "format": "json",
                "columns": {"k": "bigint", "n": "bigint"},
            }
        },
        "views": {"totals": {"key": ["k"], "sql": "SELECT k, sum(n) AS n FROM items GROUP BY k"}},
        "sinks": {"totals_out": {"view": "totals", "kafka": "main", "topic": OUT, "key": ["k"]}},
    }


def write(kafka: KafkaServer, rows: list[tuple[int, int]]) -> None:
    produce(kafka.bootstrap, TOPIC, [(None, json.dumps({"k": k, "n": n}).encode()) for k, n in rows])


def shows(service: Headwater, wanted: dict[int, int]) -> None:
    rows = {k: str(n) for k, n in wanted.items()}
    service.until(lambda: {row["k"]: str(row["n"]) for row in service.rows("totals")} == rows, what=f"view is {rows}")


@pytest.mark.kafka
def test_another_machine_takes_over(kafka: KafkaServer, bucket: Bucket, tmp_path: Path) -> None:
    kafka.create_topic(TOPIC, 2)
    services = []
    wanted = dict.fromkeys(range(10), 0)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        service = Headwater(tmp_path / str(number), settings(kafka.bootstrap, bucket))
        services.append(service)
        rows = [(i % 10, i) for i in range(1_000)]
        write(kafka, rows)
        for k, n in rows:
            wanted[k] += n
        service.start()
        shows(service, wanted)
        if number == 0:
            service.kill()  # and its machine is gone; the next one runs on while the last one takes over
    replaced, last = services[1], services[2]
    replaced.until(lambda: replaced.process is not None and replaced.process.poll() is not None, what="it ended")
    assert replaced.process is not None
    assert replaced.process.returncode == 1
    assert "another service has taken over the state in s3://" in replaced.tail()
    last.until(
        lambda: {int(row["k"]): int(row["n"]) for row in fold(kafka.bootstrap, OUT, 4).values()} == wanted,
        what="the topic is the view",
    )
    assert last.stop()[0] == 0
