"""Sinks whose broker does not answer at the start: views are served, and the topics have everything once it does."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headwater import feed
from headwater.checkpoint import Checkpoints
from tests.headwater.house import House, ListSink, running

VIEWS = ("totals",)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SINK_PATIENCE", 0.05)


@dataclass
class AwaySink(ListSink):
    """Opens when its broker is `back`."""

    back: threading.Event = field(default_factory=threading.Event)

    def open(self) -> int | None:
        assert self.back.wait(30)
        return super().open()


def folded(*sinks: ListSink) -> dict[tuple[Any, ...], int]:
    """What the topic holds that these wrote, one after the other."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for sink in sinks:
        for _, changes in sink.writes:
            rows.update({row[:-1]: row[-1] for row in changes})
    return {row: count for row, count in rows.items() if count}


def _house(folder: Path, before: House | None, checkpoints: bool, sink: ListSink) -> House:
    """A house on the folder with everything that the one before had in its topic."""
    house = House(folder, VIEWS)
    if checkpoints:
        house.checkpoints = Checkpoints(folder / "checkpoints")
    house.sinks["totals_out"] = sink
    if before is not None:
        house.items.push(*before.items.records)
        house.items.appear()
    return house


def _push(house: House, first: int, count: int) -> None:
    """Some ticks, each of one new key and a change of key 0."""
    for n in range(first, first + count):
        house.items.push((n, 1), (0, 1))
        house.until(lambda n=n: len(house.rows("totals")) == n + 1)


@pytest.fixture(params=[False, True], ids=["from the topics", "from a checkpoint"])
def checkpoints(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_new_sink_that_opens_late_has_the_whole_view(tmp_path: Path, checkpoints: bool) -> None:
    sink = AwaySink()
    with running(_house(tmp_path, None, checkpoints, sink)) as house:
        _push(house, 0, 3)
        assert sink.writes == []
        sink.back.set()
        _push(house, 3, 2)
        house.until(lambda: folded(sink) == dict.fromkeys(house.rows("totals"), 1))


@pytest.mark.parametrize("written", [1, 2, 3, 4])
@pytest.mark.parametrize("kept", [1_000_000, 4])
def test_a_sink_that_opens_late_goes_on_where_it_was(
    tmp_path: Path, checkpoints: bool, written: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant: whatever it had made durable before the crash, the topic folds to the view; nothing is in it twice."""
    first = ListSink()
    with running(_house(tmp_path, None, checkpoints, first)) as house:
        _push(house, 0, 2)
        if checkpoints:
            house.until(lambda: bool(house.checkpoints and house.checkpoints.candidates))
        first.prompt = False  # no checkpoint after this knows what was durable
        _push(house, 2, 3)
    durable = first.writes[: max(written, 2 if checkpoints else 0)]
    first.writes = durable
    again = AwaySink(durable=durable[-1][0] + 1)
    monkeypatch.setattr(feed, "LATE_ROWS", kept)
    second = _house(tmp_path, house, checkpoints, again)
    if kept == 4:  # less than what is replayed: the start waits until it is back
        threading.Timer(0.3, again.back.set).start()
    with running(second):
        second.until(lambda: len(second.rows("totals")) == 5)
        assert again.back.is_set() or again.writes == []
        _push(second, 5, 2)
        again.back.set()
        _push(second, 7, 2)
        second.until(lambda: folded(first, again) == dict.fromkeys(second.rows("totals"), 1))


def test_more_than_is_kept_of_new_changes_comes_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LATE_ROWS", 6)
    sink = AwaySink()
    with running(_house(tmp_path, None, False, sink)) as house:
        _push(house, 0, 12)
        sink.back.set()
        house.until(lambda: folded(sink) == dict.fromkeys(house.rows("totals"), 1))
        assert len(sink.writes) < 8


def test_a_late_sink_that_the_checkpoint_does_not_serve_halts(tmp_path: Path) -> None:
    with running(_house(tmp_path, None, True, ListSink())) as house:
        _push(house, 0, 3)
        assert house.checkpoints is not None
        house.until(lambda: bool(house.checkpoints and len(house.checkpoints.candidates) == 2))
    again = AwaySink(durable=house.sinks["totals_out"].writes[0][0] + 1)
    with running(_house(tmp_path, house, True, again)) as second:
        second.until(lambda: len(second.rows("totals")) == 3)
        again.back.set()
        second.wake.set()
        second.until(lambda: "restart the service to write it" in again.halted)
