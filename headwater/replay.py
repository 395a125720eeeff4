"""What a restart replays: the remap log's bindings, folded into as few ticks as the sinks allow.

Always true: a fold never crosses the durable frontier of a sink, so that a sink skips or takes each folded tick whole; the
ranges of a fold are the sums of its bindings' ranges, which start where the last fold ended.
Deliberately unknown: how ranges are read again. `headwater.ticks` does that and compares count and digest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ingest.ranges import Range, join
from ingest.remap import Binding


@dataclass(frozen=True, slots=True)
class Fold:
    """Consecutive bindings replayed as one tick at the last one's time.

    ranges: for each source, partition to the one range that covers all its bindings. until: the last one's.
    """

    time: int
    ranges: Mapping[str, Mapping[int, Range]]
    until: int


def fold(bindings: Iterable[Binding], frontiers: Iterable[int]) -> list[Fold]:
    """Fold bindings at the given frontiers (exclusive times that sinks have made durable).

    ValueError when ranges of one partition are not adjacent.
    """
    cuts = sorted(set(frontiers))
    folds: list[Fold] = []
    current: dict[str, dict[int, Range]] = {}
    last: Binding | None = None
    for binding in bindings:
        if last is not None and bisect_right(cuts, last.time) < bisect_right(cuts, binding.time):
            folds.append(Fold(last.time, current, last.until))
            current = {}
        for source, ranges in binding.ranges.items():
            join(current.setdefault(source, {}), ranges)
        last = binding
    if last is not None:
        folds.append(Fold(last.time, current, last.until))
    return folds


def positions(bindings: Iterable[Binding]) -> dict[str, dict[int, int]]:
    """For each source that ever was bound, partition to the exclusive end offset of its last range."""
    ends: dict[str, dict[int, int]] = {}
    for binding in bindings:
        for source, ranges in binding.ranges.items():
            ends.setdefault(source, {}).update({piece.partition: piece.end for piece in ranges})
    return ends
