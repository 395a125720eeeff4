"""What the feed says of sinks while their own threads go on."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from headwater.feed import SinkFeed
from headwater.rooms import Rooms


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
