"""Changes of the catalog while the service starts."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.app import Service
from headwater.changes import Changes
from headwater.check import check
from headwater.ticks import RUNNING
from serve.sql.changes import Drop


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    """A service without topics, whose state is in the folder."""
    file = folder / "headwater.yaml"
    file.write_text(
        json.dumps(
            {
                "name": "changes",
                "state": str(folder / "state"),
                "checkpoint": {"interval": "50ms"},
                "kafka": {},
                "sources": {},
                "views": {},
                "serve": {"http": "127.0.0.1:0"},
            }
        )
    )
    service = Service(check(file, os.environ))
    service.start()
    try:
        wait_until(lambda: service.phase == RUNNING)
        yield service
    finally:
        service.stop()
        assert service.left_behind == []
        assert service.failure is None


def sql(service: Service, text: str) -> Any:
    assert service.address is not None
    connection = http.client.HTTPConnection(*service.address)
    connection.request("POST", "/api/sql", json.dumps({"query": text}), {"content-type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["results"][-1]


def test_what_is_dropped_before_it_was_filled_again_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: nothing is computed for an object that there is not, also where it went while the service started."""
    checkpoints = tmp_path / "state" / "checkpoints"
    with running(tmp_path) as service:
        assert "error" not in sql(service, "CREATE TABLE t (k bigint PRIMARY KEY, n bigint)")
        for row in ("(1, 2)", "(2, 3)"):
            manifests = set(checkpoints.glob("*.manifest"))
            assert "error" not in sql(service, f"INSERT INTO t VALUES {row}")
            wait_until(lambda: bool(set(checkpoints.glob("*.manifest")) - manifests))  # noqa: B023 (it is called here)
    before = tmp_path / "before"
    shutil.copytree(checkpoints, before)
    with running(tmp_path) as service:
        for text in ("CREATE INDEX by_n ON t (n)", "CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS n FROM t"):
            assert "error" not in sql(service, text)
    shutil.rmtree(checkpoints)  # as if the service had died before the next one
    before.rename(checkpoints)
    restored: Callable[[Changes], None] = Changes._restored
    dropped = []

    def drop_first(self: Changes) -> None:
        dropped.append(self.change([Drop("index", ("by_n",), False, False)], lambda: None, False))
        restored(self)

    monkeypatch.setattr(Changes, "_restored", drop_first)
    with running(tmp_path) as service:
        dropped[0].result(20)
        wait_until(lambda: sql(service, "SELECT n FROM v").get("rows") == [["5"]])
        assert service._changes is not None
        wanted = {str(item.id) for item in service._changes._world.layer_items()}
        assert {layer.name for layer in service._changes._stack.layers} == wanted
        assert len(wanted) == 2
