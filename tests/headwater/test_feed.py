"""What the feed says of sinks while their own threads go on."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from headwater.feed import SinkFeed
from headwater.rooms import Pending, Rooms


@dataclass
class Committing:
    """A sink whose thread commits time 7 between two questions of the tick thread."""

    frontier: int = 5

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(state="running", durable=self.frontier)

    def settled(self, time: int) -> bool:
        self.frontier = 8
        return self.frontier > time


def test_a_frontier_that_is_recorded_for_a_checkpoint_is_one_that_holds_its_time() -> None:
    feed = SinkFeed(cast(Rooms, SimpleNamespace(sinks={"out": Committing()})))
    assert feed.durable(7) == {"out": 8}


def test_a_sink_that_is_not_as_far_holds_the_checkpoint_back() -> None:
    feed = SinkFeed(cast(Rooms, SimpleNamespace(sinks={"out": Committing()})))
    assert feed.durable(8) is None


class Full:
    """A sink without room, then with: what it is given while it had none waits under the time that it is given for."""

    def __init__(self) -> None:
        self.full, self.queue = False, [390]

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(state="running", durable=None if self.queue else 404)

    def write(self, time: int, delta: Delta) -> None:
        self.queue.append(time)

    def settled(self, time: int) -> bool:
        return not self.queue or self.queue[0] > time


def test_what_a_full_sink_missed_is_not_durable_before_it_was_written() -> None:
    sink, rows = Full(), Delta((pa.array([1]),), np.ones(1, np.int64))
    view = SimpleNamespace(snapshot=lambda: SimpleNamespace(since=lambda _: rows))
    rooms = SimpleNamespace(
        sinks={"out": sink},
        sink_views={"out": "view"},
        dependencies={"view": frozenset()},
        dataflow=SimpleNamespace(view=lambda _: view, views={"view"}),
    )
    feed, changes = SinkFeed(cast(Rooms, rooms)), Pending({"view": [rows]})
    sink.full = True
    feed.hand_over(390, changes, set(), set())
    feed.hand_over(395, changes, set(), set())
    assert feed.durable(395) is None
    sink.full = False
    feed.hand_over(403, changes, set(), set())
    sink.queue.remove(390)
    assert feed.durable(395) is None  # 403 holds what changed at 395
    sink.queue.clear()
    assert feed.durable(395) == {"out": 404}
