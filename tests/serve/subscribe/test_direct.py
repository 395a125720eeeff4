"""What readers are given at once while they wait is what they would have taken, and adds up at each progress."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.snapshot import Snapshot
from dataflow.types import BIGINT
from serve.subscribe import stream
from serve.subscribe.direct import Direct, Written, give
from serve.subscribe.options import Options
from serve.subscribe.stream import Reader, Stream
from tests.examples import examples
from tests.serve.pg.door import Door, Wire
from tests.serve.subscribe.ticking import Row, Ticking

EMPTY = Snapshot(Layout((BIGINT,), ()), ())


def delta(changes: list[int]) -> Delta:
    """+1 for each number, -1 for each negative one."""
    found = Counter[int]()
    for number in changes:
        found[abs(number)] += 1 if number > 0 else -1
    found = Counter({number: diff for number, diff in found.items() if diff})
    return Delta((pa.array(list(found), pa.int64()),), np.array(list(found.values()), np.int64))


def lines(time: int, changes: Delta) -> Written:
    rows = zip(changes.columns[0].to_pylist(), changes.diffs.tolist(), strict=True)
    return b"".join(json.dumps([time, *row]).encode() + b"\n" for row in rows), len(changes)


class Folded:
    """A reader that begins at time 1, where nothing is there, and adds up what it is given or takes."""

    def __init__(
        self, followed: Stream, progress: bool, at: dict[int, Counter[int]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.reader = Reader(Options(progress=progress), loop, lambda: None)
        followed.join(self.reader, 1, EMPTY)
        self.reader.first()
        self.reader.told = followed.upper
        self.rows, self.upper, self.count, self.ready, self._at = Counter[int](), 2, 0, True, at

    def wait(self) -> None:
        """As between two steps of a coroutine that waits."""
        told = lambda time: (json.dumps([time]).encode() + b"\n", 1)  # noqa: E731
        self.reader._waiter = self.reader.loop.create_future()
        self.reader.direct = Direct("lines", lines, told, lambda: self.ready, self.accept)

    def accept(self, data: bytes, rows: int) -> None:
        self.count += rows
        for line in data.splitlines():
            time, *row = json.loads(line)
            self.count -= 1
            if row:
                assert time >= self.upper - 1
                self.rows[row[0]] += row[1]
            else:
                assert time > self.upper
                self.upper = time
                self.check(time)
        assert self.count == 0

    def take(self) -> None:
        part = self.reader.take()
        if part is not None:
            for entry in part.entries:
                self.accept(*lines(entry.time, entry.delta))
            self.check(part.upper)

    def check(self, upper: int) -> None:
        assert {n: c for n, c in self.rows.items() if c} == {n: c for n, c in self._at[upper - 1].items() if c}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.lists(st.integers(-4, 4).filter(bool), max_size=5)),
        st.tuples(st.just("tidy"), st.none()),
        st.tuples(st.sampled_from(["give", "take", "full"]), st.sets(st.integers(0, 5))),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One that never runs: readers want it to make futures."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@settings(max_examples=examples(60))
@given(STEPS)
def test_what_is_given_adds_up_at_every_progress(
    loop: asyncio.AbstractEventLoop, steps: list[tuple[str, list[int] | set[int] | None]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "LOOSE_ENTRIES", 1)
        patch.setattr(stream, "TAKE_BYTES", 40)
        followed, time = Stream(), 1
        followed.upper = 2
        at = {1: Counter[int]()}
        readers = [Folded(followed, number % 3 > 0, at, loop) for number in range(6)]
        for what, given_ in steps:
            if what == "tick":
                assert isinstance(given_, list)
                time += 1
                changes = delta(given_)
                at[time] = Counter(at[time - 1])
                for number, diff in zip(changes.columns[0].to_pylist(), changes.diffs.tolist(), strict=True):
                    at[time][number] += diff
                followed.add(time, changes)
            elif what == "tidy":
                followed.tidy()
            elif what == "full":
                for one in readers:
                    one.ready = not one.ready
            else:
                assert isinstance(given_, set)
                chosen = [readers[number] for number in sorted(given_)]
                if what == "give":
                    for one in chosen:
                        one.wait()
                    woken = give(one.reader for one in chosen)
                    assert all(one.reader in woken or one.ready for one in chosen)
                    assert all(one.reader in woken or not one.reader.hungry for one in chosen)
                else:
                    for one in chosen:
                        one.take()
        for one in readers:
            while one.reader.place < followed.newest:
                one.take()
            one.check(time + 1)


def test_a_reader_for_whom_anything_is_special_is_woken(loop: asyncio.AbstractEventLoop) -> None:
    followed, at = Stream(), {1: Counter[int]()}
    usual, left, full, new = (Folded(followed, True, at, loop) for _ in range(4))
    for one in (usual, left, full, new):
        one.wait()
    left.reader.cancelled = True
    full.ready = False
    followed.join(new.reader, 1, EMPTY)
    at[2] = Counter({3: 1})
    followed.add(2, delta([3]))
    assert give([usual.reader, left.reader, full.reader, new.reader]) == [left.reader, full.reader, new.reader]
    assert usual.rows == {3: 1}
    usual.wait()
    at[3] = at[2] + Counter(range(10, 10 + 5000))
    followed.add(3, delta(list(range(10, 10 + 5000))))
    assert give([usual.reader]) == [usual.reader]  # so many are not written in passing
    usual.take()
    followed.complete = True
    assert give([usual.reader]) == [usual.reader]


@pytest.fixture
def ticking() -> Iterator[Ticking]:
    made = Ticking()
    made.tick([(("a", 1), 1)], 10)
    yield made
    made.hub.stop()


def test_many_clients_some_of_which_stand_still(ticking: Ticking) -> None:
    """Each folds what it reads, and at each progress has the view's rows then."""
    door = Door(ticking.house, hub=ticking.hub)
    ticking.hub._wake = lambda: ticking.tick([])
    try:
        wires = [door.raw() for _ in range(8)]
        for number, wire in enumerate(wires):
            if number >= 5:  # 10 MB are more than what lies between it and the hub
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
            wire.send((b"Q", b"COPY (SUBSCRIBE pairs WITH (PROGRESS)) TO STDOUT\0"))
            assert wire.next()[0] == b"H"
        for number in range(60):
            rows = [[((f"k{n % 7}" + "x" * 4000, n + i), 1) for i in range(20)] for n in (number, number - 1)]
            gone = [(row, -1) for row, _ in rows[1]] if number else []
            ticking.tick([*rows[0], *gone])
            for wire in wires[:5]:
                fold(wire, ticking, ticking.time)
        assert ticking.hub.waiting_bytes > 0
        for wire in wires:
            fold(wire, ticking, ticking.time)
    finally:
        door.stop()


def fold(wire: Wire, ticking: Ticking, until: int) -> None:
    """Read up to a progress past a time; what was read adds up at each."""
    rows: Counter[Row] = vars(wire).setdefault("rows", Counter())
    upper = vars(wire).get("upper", 0)
    while upper <= until:
        kind, body = wire.next()
        assert kind == b"d", (kind, body)
        for line in body.decode().splitlines():
            time, progressed, diff, k, v = line.split("\t")
            assert int(time) >= upper
            if progressed == "t":
                begun, upper = upper > 0, int(time)
                if begun:  # the first one is told before the rows of its time
                    assert {row: n for row, n in rows.items() if n} == dict(ticking.at[upper - 1])
            else:
                rows[k, int(v)] += int(diff)
    vars(wire)["upper"] = upper
