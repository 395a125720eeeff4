"""The past of views: at every time that is kept, a read is what a read at that time was."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.spine import Spine
from dataflow.types import BIGINT, TEXT
from headwater import history
from headwater.checkpoint import Checkpoints
from headwater.reserving import RESERVED
from serve.past import NotKeptError
from serve.reads import Published, PublishedView, lookup
from tests.headwater.house import NOW, House, running

VIEWS = {
    "totals": "SELECT k, sum(n) AS n FROM items GROUP BY k",
    "ratios": "SELECT k, 60 / sum(n) AS share FROM items GROUP BY k",
    "both": "SELECT items.k, late.n FROM items JOIN late ON items.k = late.k",
}


def bag(rows: Delta) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row, diff in zip(zip(*(c.to_pylist() for c in rows.columns), strict=True), rows.diffs.tolist(), strict=True):
        found[row] += diff
    return Counter({row: count for row, count in found.items() if count})


def all_of(view: PublishedView) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
    return bag(view.rows.rows()), bag(view.errors.rows())


def now(house: House) -> Published:
    published = house.publication.current()
    assert published is not None
    return published


def tick(house: House, *records: tuple[int, int]) -> Published:
    """A tick of these records, a millisecond or more after the last."""
    end = len(house.items.records) + len(records)
    house.clock.wall += 1
    house.items.push(*records)
    house.until(lambda: now(house).ends.get("items", {}).get(0) == end)
    return now(house)


def house_with(folder: Path, milliseconds: int) -> House:
    made = House(folder, VIEWS, sinks=False)
    made.history = milliseconds
    made.late.push(*((k, 10 * k) for k in range(4)))
    made.late.appear()
    return made


@pytest.mark.parametrize("seed", range(3))
def test_every_time_that_is_kept_reads_as_it_did(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: at each retained time each view and its errors are what the query gave at that time; older times are refused."""
    monkeypatch.setattr(history, "PIECE_CHANGES", 4)
    drawn = random.Random(seed)
    house = house_with(tmp_path, 40)
    then: dict[int, dict[str, Any]] = {}
    with running(house):
        for _ in range(120):
            k = drawn.randrange(5)
            published = tick(house, *((k, drawn.choice((1, 2, -1, -2))) for _ in range(drawn.randint(1, 3))))
            then[published.time] = {name: all_of(view) for name, view in published.views.items()}
        newest = now(house)
        past = newest.views["totals"].past
        assert past is not None
        since = past.since(newest.time)
        assert newest.time - 40 == since
        for time, shown in then.items():
            for name, view in newest.as_of(time).views.items() if time >= since else ():
                assert all_of(view) == shown[name], (name, time)
            if time < since:
                with pytest.raises(NotKeptError, match=f"totals cannot be read as of time {time}: .* from {since} to"):
                    newest.as_of(time).views["totals"]
        assert sum(time >= since for time in then) > 10
        assert any(errors for shown in then.values() for _, errors in shown.values())
        key = next(iter(then[since]["totals"][0])) if since in then else None
        if key is not None:
            found = lookup(newest.as_of(since).views["totals"], [pa.array([key[0]], pa.int64())])
            assert bag(found) == Counter({key: 1})


def test_what_is_too_old_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: the changes that are held are those of the time that is kept, also of a view that changes no more."""
    monkeypatch.setattr(history, "PIECE_CHANGES", 4)
    house = house_with(tmp_path, 20)
    with running(house):
        for n in range(100):
            published = tick(house, (1, 1 + n % 2))
            past = published.views["totals"].past
            assert past is not None
            assert len(past.pieces) * 4 + past.count <= 20 + 2 * 4
        house.clock.wall += 1000
        time = now(house).time

        def later() -> bool:
            house.wake.set()
            return now(house).time > time

        house.until(later)
        past = now(house).views["totals"].past
        assert past is not None
        assert (past.pieces, past.count) == ((), 0)
        assert past.since(now(house).time) == now(house).time - 20


def test_nothing_is_known_of_before_the_start(tmp_path: Path) -> None:
    """Invariant: after a restart the past begins with the last time that was bound, and what was shown of it since can be read."""
    first = house_with(tmp_path, 10_000)
    first.checkpoints = Checkpoints(tmp_path / "checkpoints")
    with running(first):
        for _ in range(5):
            tick(first, (1, 1))
    bound = first.bindings[-1].time
    second = house_with(tmp_path, 10_000)
    second.checkpoints = Checkpoints(tmp_path / "checkpoints")
    second.items.push(*first.items.records)
    second.items.appear()
    second.clock.wall = NOW + 1000
    with running(second):
        published = tick(second, (1, 1))
        with pytest.raises(NotKeptError):
            published.as_of(bound - 1).views["totals"]
        assert published.time > bound + RESERVED
        for time in (bound, bound + 1, bound + RESERVED):
            assert bag(published.as_of(time).views["totals"].rows.rows()) == Counter({(1, 5): 1})


def test_a_view_without_history_reads_its_newest_time_only(tmp_path: Path) -> None:
    house = house_with(tmp_path, 0)
    with running(house):
        published = tick(house, (1, 1))
        assert published.as_of(published.time) is published
        for time in (published.time - 1, published.time + 1):
            with pytest.raises(NotKeptError, match=f"it is readable as of its newest time {published.time} only"):
                published.as_of(time).views["totals"]


def test_what_went_does_not_come_back_when_more_is_kept(tmp_path: Path) -> None:
    """Invariant: with a longer history from now on, times whose changes are gone stay refused."""
    spine = Spine(Layout((BIGINT,), ()))
    errors = Spine(Layout((TEXT,), (0,))).snapshot()
    kept = history.History(1)
    kept.length = 10
    for time in range(100):
        spine.insert(Delta((pa.array([time], pa.int64()),), np.array([1], np.int64)))
        past = kept.record(time, Delta((pa.array([time], pa.int64()),), np.array([1], np.int64)), errors)
    past = kept.record(1000, None, errors)
    assert past.since(1000) == 990
    kept.length = 10_000
    past = kept.record(1001, None, errors)
    assert past.since(1001) == 99
    assert sum(bag(past.rows(99, spine.snapshot()).rows()).values()) == 100
