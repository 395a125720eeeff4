"""Rows that go as time passes: without new input, to readers and sinks alike, and across restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.checkpoint import Checkpoints
from tests.headwater.house import NOW, House, running

VIEWS = {
    "fresh": "SELECT k, n FROM items WHERE mz_now() < n",
    "coming": "SELECT k, n FROM items WHERE mz_now() >= n",
}
ROWS = [(1, NOW + 10_000), (2, NOW + 20_000), (3, NOW - 1), (4, NOW + 86_400_000)]


def shows(house: House, now: int) -> None:
    """Both views as of a time."""
    house.shows("fresh", [row for row in ROWS if now < row[1]])
    house.shows("coming", [row for row in ROWS if now >= row[1]])


def test_rows_come_and_go_without_new_input(tmp_path: Path) -> None:
    with running(House(tmp_path, VIEWS)) as house:
        house.items.push(*ROWS)
        shows(house, NOW)
        house.clock.wall = NOW + 10_000
        shows(house, NOW + 10_000)
        house.clock.wall = NOW + 30_000
        shows(house, NOW + 30_000)
        house.until(lambda: len(house.sinks["fresh_out"].writes) == 3)
        assert [changes for _, changes in house.sinks["fresh_out"].writes[1:]] == [
            [(1, NOW + 10_000, -1)],
            [(2, NOW + 20_000, -1)],
        ]
        house.clock.wall = NOW + 90_000_000
        shows(house, NOW + 90_000_000)
        (waiting, _) = [s for s in house.dataflow.statistics() if s.operator.startswith("rows while")]
        assert waiting.state_rows == 0
    assert len({binding.time for binding in house.bindings}) == len(house.bindings)


@pytest.mark.parametrize("checkpoints", [False, True])
def test_time_goes_on_after_a_restart(tmp_path: Path, checkpoints: bool) -> None:
    first = House(tmp_path, VIEWS)
    first.checkpoints = Checkpoints(tmp_path / "checkpoints") if checkpoints else None
    with running(first) as house:
        house.items.push(*ROWS)
        shows(house, NOW)
        house.clock.wall = NOW + 10_000
        shows(house, NOW + 10_000)
        if checkpoints:
            made = house.checkpoints
            assert made is not None
            house.until(lambda: made.last is not None and made.last.positions == house.loop._ends and not made.busy)
    again = House(tmp_path, VIEWS)
    again.checkpoints = Checkpoints(tmp_path / "checkpoints") if checkpoints else None
    again.clock.wall = NOW + 25_000
    again.items.push(*ROWS)
    again.items.appear()
    with running(again):
        shows(again, NOW + 25_000)
        again.clock.wall = NOW + 90_000_000
        shows(again, NOW + 90_000_000)
