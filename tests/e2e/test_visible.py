"""The short form of `python -m tests.e2e.visible`."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.service import running
from tests.e2e.visible import Rounds, settings


def test_what_was_acknowledged_is_read_on_another_connection(tmp_path: Path) -> None:
    with running(tmp_path, settings()) as service:
        rounds = Rounds(service, 600)
        rounds.run()
    assert rounds.missed == []
    assert rounds.done == 600
