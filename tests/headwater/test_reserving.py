"""Ticks that change nothing write nothing, and no reader's time goes back for it."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from headwater.reserving import RENEWED, RESERVED, Reservation
from tests.headwater.house import NOW, Clock, House, running


class Standing(Clock):
    """Both clocks are what the test says."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def idle(house: House) -> None:
    """One more tick."""
    ticks = house.loop.ticks
    house.until(lambda: (house.wake.set(), house.loop.ticks > ticks)[1])


def test_idle_ticks_are_shown_without_a_binding_and_a_restart_shows_none_before_them(tmp_path: Path) -> None:
    house = House(tmp_path)
    with running(house):
        house.items.push((1, 1))
        house.shows("totals", [(1, 1)])
        before = len(house.bindings)
        for _ in range(20):
            idle(house)
        assert len(house.bindings) == before
        house.items.push((2, 1))
        house.shows("totals", [(1, 1), (2, 1)])
        idle(house)
        assert len(house.bindings) == before + 1
    again = House(tmp_path)
    again.clock.wall = NOW - 86_400_000
    again.items.push(*house.items.records)
    again.items.appear()
    with running(again):
        again.shows("totals", [(1, 1), (2, 1)])
        assert house.times[-1] < again.times[0] == house.bindings[before].until
        again.items.push((3, 1))
        again.shows("totals", [(1, 1), (2, 1), (3, 1)])
    assert again.times == sorted(set(again.times))


def test_a_clock_that_jumps_ahead_is_bound(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        for jump in range(1, 4):
            house.clock.wall = NOW + jump * (RESERVED + 100)
            house.until(lambda: (house.wake.set(), house.times[-1] >= house.clock.wall)[1])
            assert house.bindings[-1].until >= house.times[-1]


def test_a_reservation_ends_by_either_clock_and_is_renewed_before() -> None:
    clock = Standing()
    held = Reservation(clock, 0)
    writes: list[Future[None]] = []

    def write() -> Future[None]:
        writes.append(Future())
        return writes[-1]

    assert not held.holds(1), "what an earlier service reserved is not this one's"
    held.hold(1000)
    assert held.holds(1000 + RESERVED)
    assert not held.holds(1001 + RESERVED)
    clock.seconds = RESERVED / 1000
    assert not held.holds(1001), "wall time stood still for longer"
    clock.seconds = 0.0
    held.renew(1000 + RENEWED - 1, write)
    assert not writes
    held.renew(1000 + RENEWED, write)
    held.renew(1000 + RESERVED, write)
    assert len(writes) == 1, "one at a time"
    assert not held.holds(1001 + RESERVED), "it is not durable yet"
    assert held.bound == 1000
    writes[0].set_result(None)
    assert held.holds(1000 + RENEWED + RESERVED)
    assert held.bound == 1000 + RENEWED
    clock.seconds = RENEWED / 1000
    held.renew(1001 + RENEWED, write)
    writes[1].set_exception(OSError("the disk is full"))
    with pytest.raises(OSError, match="full"):
        held.holds(1002 + RENEWED)
