"""Folding the remap log: sums of ranges are kept, and no fold crosses a sink's frontier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.replay import fold, positions
from ingest.remap import Binding
from ingest.source import Range

DIGEST = 2**64


def bindings_of(steps: list[list[tuple[int, int, int]]]) -> list[Binding]:
    """Each step: (partition, offsets passed, digest) of the one source `s`, at times 10, 20, 30, ..."""
    at: dict[int, int] = {}
    made = []
    for number, step in enumerate(steps, 1):
        ranges = []
        for partition, length, digest in {
            partition: (partition, length, digest) for partition, length, digest in step
        }.values():
            start = at.get(partition, 0)
            at[partition] = start + length
            ranges.append(Range(partition, start, start + length, length, digest))
        made.append(Binding(time=number * 10, ranges={"s": tuple(ranges)}, topic_ids={}, catalog="", epoch=1))
    return made


STEP = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, DIGEST - 1)), max_size=3)


@given(st.lists(STEP, max_size=12), st.lists(st.integers(0, 140), max_size=3))
def test_folds_add_up_and_stop_at_frontiers(steps: list[list[tuple[int, int, int]]], frontiers: list[int]) -> None:
    bindings = bindings_of(steps)
    folds = fold(bindings, frontiers)
    for attribute in ("count", "digest"):
        whole: dict[int, int] = {}
        for binding in bindings:
            for piece in binding.ranges["s"]:
                whole[piece.partition] = (whole.get(piece.partition, 0) + getattr(piece, attribute)) % DIGEST
        folded: dict[int, int] = {}
        for part in folds:
            for partition, piece in part.ranges.get("s", {}).items():
                folded[partition] = (folded.get(partition, 0) + getattr(piece, attribute)) % DIGEST
        assert folded == whole
    times = [part.time for part in folds]
    assert times == sorted(times)
    assert times[-1:] == [binding.time for binding in bindings][-1:]
    for frontier in frontiers:
        below = [binding.time for binding in bindings if binding.time < frontier]
        above = [binding.time for binding in bindings if binding.time >= frontier]
        if below and above:
            assert below[-1] in times, "a fold crosses the frontier"


def test_a_hole_is_refused() -> None:
    first, second = bindings_of([[(0, 3, 1)], [(0, 2, 1)]])
    hole = Binding(second.time, {"s": (Range(0, 4, 6, 2, 1),)}, {}, "", 1)
    with pytest.raises(ValueError, match="range 4 to 6 of partition 0 does not follow 0 to 3"):
        fold([first, hole], [])


def test_positions_are_the_last_ends() -> None:
    bindings = bindings_of([[(0, 3, 1), (1, 1, 1)], [(0, 2, 1)]])
    assert positions(bindings) == {"s": {0: 5, 1: 1}}
