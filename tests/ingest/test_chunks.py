"""The read-ahead: every record once and in order, cuts exact, whatever the batches and the sizes of the takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import BIGINT, Column
from ingest.chunks import FEW_RUNS, Chunk, ReadAhead, Taken, make_chunk
from ingest.decode import Decoded
from ingest.messages import Messages

SCHEMA = (Column("offset", BIGINT),)
PARTITIONS = 3


def _digest(partition: int, offset: int) -> int:
    return (partition * 0x9E3779B97F4A7C15 + offset * 0xC2B2AE3D27D4EB4F) % 2**64


def _bad(offset: int) -> bool:
    return offset % 7 == 3


def _chunk(records: list[tuple[int, int]], ends: Mapping[int, int]) -> Chunk:
    good = [row for row, (_, offset) in enumerate(records) if not _bad(offset)]
    return Chunk(
        np.array([p for p, _ in records], np.int32),
        np.array([o for _, o in records], np.int64),
        np.array([_digest(p, o) for p, o in records], np.uint64),
        np.full(len(records), 10, np.int64),
        (pa.array([records[row][1] for row in good], pa.int64()),),
        np.ones(len(good), np.int64),
        np.array(good, np.int64),
        tuple((row, f"{p}@{o}") for row, (p, o) in enumerate(records) if _bad(o)),
        ends,
    )


@dataclass
class Log:
    """What a topic holds: offsets of visible records and of invisible ones, and what was taken of it so far."""

    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    records: list[tuple[int, int]] = field(default_factory=list)
    bound: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    rows: int = 0
    errors: int = 0

    def chunk(self, steps: list[tuple[int, bool]]) -> Chunk:
        """Append records (True) or invisible offsets (False) to partitions, as one batch."""
        added, moved = [], {}
        for partition, visible in steps:
            if visible:
                added.append((partition, self.ends[partition]))
            self.ends[partition] += 1
            moved[partition] = self.ends[partition]
        self.records += added
        return _chunk(added, moved)

    def check(self, taken: Taken, until: Mapping[int, int] | None) -> None:
        """The ranges follow the ones before, hold what lies in them, and nothing beyond the cut."""
        inside = []
        for piece in taken.ranges:
            assert piece.start == self.bound[piece.partition]
            assert piece.end > piece.start
            if until is not None:
                assert piece.end <= until[piece.partition]
            mine = [(p, o) for p, o in self.records if p == piece.partition and piece.start <= o < piece.end]
            assert piece.count == len(mine)
            assert piece.digest == sum(_digest(*record) for record in mine) % 2**64
            inside += mine
            self.bound[piece.partition] = piece.end
        assert taken.records == len(inside)
        assert taken.bytes == 10 * len(inside)
        assert sorted(taken.delta.columns[0].to_pylist()) == sorted(o for _, o in inside if not _bad(o))
        assert sorted(taken.errors.columns[0].to_pylist()) == sorted(f"{p}@{o}" for p, o in inside if _bad(o))
        assert len(taken.delta) + len(taken.errors) == len(inside)


_STEPS = st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.booleans()), max_size=12)
_ADD = st.tuples(st.just("add"), _STEPS)
_TAKE = st.tuples(st.just("take"), st.integers(1, 8))
_CUT = st.tuples(
    st.just("cut"), st.integers(1, 8), st.dictionaries(st.integers(0, PARTITIONS - 1), st.integers(0, 30), max_size=3)
)


@settings(max_examples=300)
@given(st.lists(st.one_of(_ADD, _TAKE, _CUT), max_size=20))
def test_every_record_once_and_cuts_exact(actions: list[tuple[object, ...]]) -> None:
    log, ahead = Log(), ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open(log.bound)
    for action in actions:
        match action:
            case ("add", list() as steps):
                ahead.add(log.chunk(steps))
            case ("take", int(limit)):
                taken = ahead.take(limit, None)
                if taken is not None:
                    assert 0 < taken.records <= limit
                    log.check(taken, None)
            case ("cut", int(limit), dict() as cut):
                # A cut never lies before what was bound already.
                until = {partition: max(end, log.bound[partition]) for partition, end in cut.items()}
                taken = ahead.take(limit, until)
                if taken is not None:
                    assert taken.records <= limit
                    log.check(taken, until)
                elif all(end <= log.ends[partition] for partition, end in until.items()):
                    assert all(ahead.reached[partition] >= end for partition, end in until.items())
        assert all(ahead.reached[partition] >= end for partition, end in log.bound.items())
        assert ahead.bound == log.bound
    while (taken := ahead.take(5, None)) is not None:
        log.check(taken, None)
    assert ahead.reached == log.ends
    assert ahead.take(1, None) is None
    assert not ahead.full


def test_order_within_a_partition_is_kept() -> None:
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open({0: 0, 1: 0})
    ahead.add(_chunk([(0, 1), (1, 0), (0, 2), (1, 1)], {0: 3, 1: 2}))
    ahead.add(_chunk([(1, 2), (0, 4)], {0: 5, 1: 3}))
    first = ahead.take(10, {0: 2, 1: 2})
    rest = ahead.take(10, None)
    assert first is not None
    assert rest is not None
    assert first.delta.columns[0].to_pylist() == [1, 0, 1]
    assert rest.delta.columns[0].to_pylist() == [2, 2, 4]


def test_nothing_is_given_out_of_a_topic_that_is_another() -> None:
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open({0: 0})
    ahead.add(_chunk([(0, 0), (0, 1)], {0: 2}))
    ahead.close()
    ahead.add(_chunk([(0, 2)], {0: 3}))
    assert ahead.take(10, None) is None
    assert ahead.take(10, {0: 3}) is None
    assert ahead.reached == {0: 0}


def test_offsets_without_records_complete_a_cut() -> None:
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open({0: 0})
    ahead.add(_chunk([(0, 0), (0, 1)], {0: 2}))
    assert ahead.take(10, {0: 5}) is not None
    assert ahead.reached == {0: 2}
    ahead.add(_chunk([], {0: 5}))
    assert ahead.reached == {0: 5}
    taken = ahead.take(10, {0: 5})
    assert taken is not None
    assert [(r.start, r.end, r.count, r.digest) for r in taken.ranges] == [(2, 5, 0, 0)]


def test_ranges_go_on_where_the_earlier_run_ended() -> None:
    for records in ([(0, 0), (0, 1)], []):
        ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
        ahead.resume({0: 5, 9: 3})
        ahead.open({0: 0})
        ahead.add(_chunk(list(records), {0: len(records)}))
        ahead.take(10, {0: 5})
        ahead.add(_chunk([], {0: 7}))  # the rest of the earlier run's range held no records
        assert ahead.reached == {0: 7}
        ahead.add(_chunk([(0, 8)], {0: 9}))
        taken = ahead.take(10, None)
        assert taken is not None
        assert [(r.start, r.end, r.count) for r in taken.ranges] == [(5, 9, 1)]


def test_ranges_before_the_floor_have_no_gaps() -> None:
    """An offset without a record between two takes of a replay."""
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.resume({0: 9})
    ahead.open({0: 0})
    ahead.add(_chunk([(0, offset) for offset in range(5)], {0: 5}))
    first = ahead.take(100, {0: 9})
    ahead.add(_chunk([], {0: 6}))
    ahead.add(_chunk([(0, offset) for offset in range(6, 9)], {0: 9}))
    second = ahead.take(100, {0: 9})
    assert first is not None
    assert second is not None
    assert first.ranges[0].extended(second.ranges[0]).end == 9


@pytest.mark.parametrize(("rows", "size"), [(4, 1 << 20), (1000, 200)])
def test_full_beyond_either_limit(rows: int, size: int) -> None:
    ahead = ReadAhead(SCHEMA, rows, size)
    ahead.open({0: 0})
    assert not ahead.full
    ahead.add(_chunk([(0, n) for n in range(5)], {0: 5}))
    assert ahead.full
    ahead.take(3, None)
    assert not ahead.full


def test_whole_batches_are_taken_as_they_are() -> None:
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open({0: 0})
    ahead.add(_chunk([(0, offset) for offset in range(3)], {0: 3}))
    ahead.add(_chunk([(0, offset) for offset in range(4, 7)], {0: 7}))
    ahead.add(_chunk([(0, offset) for offset in range(8, 11)], {0: 11}))
    sizes = []
    while taken := ahead.take(7, None):
        sizes.append(taken.records)
    assert sizes == [6, 3]
    ahead.add(_chunk([(0, offset) for offset in range(11, 20)], {0: 20}))
    first = ahead.take(7, None)
    assert first is not None
    assert first.records == 7


def test_a_large_batch_behind_one_beyond_the_cut_is_reached() -> None:
    ahead = ReadAhead(SCHEMA, 1000, 1 << 20)
    ahead.open({0: 0, 1: 0})
    ahead.add(_chunk([(0, offset) for offset in range(5)], {0: 5}))
    ahead.add(_chunk([(1, offset) for offset in range(20)], {1: 20}))
    taken = ahead.take(10, {0: 0, 1: 20})
    assert taken is not None
    assert taken.records == 10


def test_a_cut_is_reached_when_others_fill_the_queue() -> None:
    """What lies beyond the cut must not keep the reader from what the cut waits for."""
    ahead = ReadAhead(SCHEMA, 4, 1 << 30)
    ahead.open({0: 0, 1: 0})
    ahead.add(_chunk([(0, offset) for offset in range(5)], {0: 5}))
    assert ahead.full
    cut = {0: 0, 1: 1}
    assert ahead.take(100, cut) is None
    assert not ahead.full
    ahead.add(_chunk([(1, 0)], {1: 1}))
    taken = ahead.take(100, cut)
    assert taken is not None
    assert [piece.end for piece in taken.ranges] == [1]
    assert ahead.full


@pytest.mark.parametrize("runs", [1, FEW_RUNS, FEW_RUNS + 1, 4 * FEW_RUNS])
def test_ranges_add_up_however_partitions_alternate(runs: int) -> None:
    ahead = ReadAhead(SCHEMA, 10_000, 1 << 20)
    ahead.open({0: 0, 1: 0})
    records = [(run % 2, 3 * (run // 2) + place) for run in range(runs) for place in range(3)]
    ends = {partition: 1 + max(o for p, o in records if p == partition) for partition in {p for p, _ in records}}
    ahead.add(_chunk(records, ends))
    taken = ahead.take(10_000, None)
    assert taken is not None
    for piece in taken.ranges:
        mine = [_digest(p, o) for p, o in records if p == piece.partition]
        assert (piece.count, piece.digest, piece.end) == (len(mine), sum(mine) % 2**64, ends[piece.partition])
    assert {piece.partition for piece in taken.ranges} == set(ends)


def test_sizes_are_those_of_keys_and_values() -> None:
    values = pa.array([b"cut off", b"one", None, b"", b"three"], pa.large_binary()).slice(1)
    keys = pa.array([None, b"k", None, b"kk"], pa.large_binary())
    count = len(values)
    zeros = np.zeros(count, np.int64)
    messages = Messages(values, keys, zeros, zeros.astype(np.int32), zeros, zeros.astype(np.uint64))
    decoded = Decoded((pa.array(zeros),), np.ones(count, np.int64), np.arange(count), [])
    assert make_chunk("t", messages, decoded, {}).sizes.tolist() == [3, 1, 0, 7]
    bare = Messages(
        values, pa.nulls(count, pa.large_binary()), zeros, zeros.astype(np.int32), zeros, zeros.astype(np.uint64)
    )
    assert make_chunk("t", bare, decoded, {}).sizes.tolist() == [3, 0, 0, 5]
