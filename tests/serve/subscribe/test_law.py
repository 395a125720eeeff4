"""The law of subscriptions: what a reader got up to a progress adds up to the query's rows at that time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.reads import pieces
from serve.sql.errors import QueryError
from serve.subscribe import stream
from serve.subscribe.options import Options
from serve.subscribe.stream import Part, Reader
from tests.examples import examples
from tests.serve.subscribe.ticking import Row, Ticking, as_rows

Query = Callable[[Counter[Row]], Counter[Row]]


def _sums(rows: Counter[Row]) -> Counter[Row]:
    groups: dict[str, list[int]] = {}
    for (k, v), count in rows.items():
        groups.setdefault(k, []).extend([v] * count)
    return Counter({(k, len(values), sum(values)): 1 for k, values in groups.items()})


QUERIES: dict[str, Query] = {
    "SELECT * FROM pairs": lambda rows: rows,
    "SELECT v + 1 FROM pairs WHERE k <> 'b'": lambda rows: Counter(
        [(v + 1,) for (k, v), count in rows.items() if k != "b" for _ in range(count)]
    ),
    "SELECT k, count(*), sum(v)::bigint FROM pairs GROUP BY k": _sums,
    "SELECT a.k, b.v FROM pairs a JOIN pairs b ON a.v = b.v": lambda rows: Counter(
        {
            (a, w): sum(n * rows[(c, w)] for (x, u), n in rows.items() if x == a and u == w for c, z in rows if z == w)
            for a, w in rows
        }
    ),
}


class Folded:
    """A reader that takes when it is told to, and adds up what it got."""

    def __init__(self, ticking: Ticking, sql: str, reader: Reader) -> None:
        self.ticking, self.query, self.reader = ticking, QUERIES[sql], reader
        self.rows: Counter[Row] = Counter()
        self.upper = 0
        self.time = 0

    def take(self) -> bool:
        part = self.reader.take()
        if part is None:
            return False
        self._fold(part)
        return True

    def _fold(self, part: Part) -> None:
        if part.snapshot is not None:
            assert part.start is not None
            for piece in pieces(part.snapshot):
                self.rows.update(dict(as_rows(piece)))
            self.time = part.start
        for entry in part.entries:
            assert entry.time > self.time
            assert entry.time < part.upper
            self.time = entry.time
            for row, diff in as_rows(entry.delta):
                self.rows[row] += diff
        assert part.upper > self.upper
        self.upper = part.upper
        expected = self.query(self.ticking.at[part.upper - 1])
        assert {row: n for row, n in self.rows.items() if n} == dict(+expected)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def settle(ticking: Ticking, loop: asyncio.AbstractEventLoop, *readers: Reader) -> None:
    """Until the hub has done with the last tick for these readers."""

    async def follow() -> None:
        for reader in readers:
            while reader.stream is None or reader.stream.upper <= ticking.time:
                if reader.stream is not None and reader.stream.ended is not None:
                    return
                await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(follow(), 60))


CHANGES = st.lists(
    st.tuples(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), st.sampled_from([1, 1, -1])), max_size=5
)


@settings(max_examples=examples(15))
@given(
    st.sampled_from(list(QUERIES)),
    st.lists(st.tuples(CHANGES, st.booleans(), st.booleans()), min_size=1, max_size=12),
)
def test_what_is_read_up_to_a_progress_is_the_query_then(
    sql: str, ticks: list[tuple[list[tuple[Row, int]], bool, bool]]
) -> None:
    """Two readers that take at times of their own, one of them late, with everything between them added up at once."""
    loop, ticking = asyncio.new_event_loop(), Ticking()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "LOOSE_ENTRIES", 1)
        try:
            folded = [Folded(ticking, sql, ticking.subscribe(sql, Options(), loop))]
            for number, (changes, first, second) in enumerate(ticks):
                present = Counter(ticking.rows)
                possible = []
                for row, diff in changes:
                    if present[row] + diff >= 0:
                        present[row] += diff
                        possible.append((row, diff))
                ticking.tick(possible)
                if number == len(ticks) // 2:
                    folded.append(Folded(ticking, sql, ticking.subscribe(sql, Options(), loop)))
                for one, takes in zip(folded, (first, second), strict=False):
                    settle(ticking, loop, one.reader)
                    if takes:
                        one.take()
            settle(ticking, loop, *(one.reader for one in folded))
            for one in folded:
                while one.take():
                    pass
                assert {row: n for row, n in one.rows.items() if n} == dict(one.query(ticking.rows))
        finally:
            ticking.hub.stop()
            loop.close()


def test_changes_that_were_lost_are_found_in_the_snapshots(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    sqls = list(QUERIES)[:3]
    folded = [Folded(ticking, sql, ticking.subscribe(sql, Options(), loop)) for sql in sqls]
    ticking.tick([(("a", 1), 1), (("b", 2), 2)])
    settle(ticking, loop, *(one.reader for one in folded))
    monkeypatch.setattr("serve.subscribe.hub.WAITING_BYTES", 0)
    ticking.tick([(("a", 1), -1), (("c", 3), 1)])
    ticking.tick([(("c", 4), 1)])
    settle(ticking, loop, *(one.reader for one in folded))
    for one in folded:
        assert one.take()
        assert {row: n for row, n in one.rows.items() if n} == dict(one.query(ticking.rows))
    ticking.hub.stop()


def test_a_reader_that_is_too_slow_is_ended_and_the_others_go_on(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_WAITING_BYTES", 4096)
    monkeypatch.setattr(stream.Stream.__init__, "__defaults__", (4096,))
    ticking = Ticking()
    cut: list[int] = []
    what = ticking.queries.subscribed("SELECT * FROM pairs")
    stalled = ticking.hub.subscribe(what, Options(), loop, lambda: cut.append(1))
    reading = Folded(ticking, "SELECT * FROM pairs", ticking.subscribe("SELECT * FROM pairs", Options(), loop))
    for number in range(300):
        ticking.tick([(("a", number), 1)])
        settle(ticking, loop, reading.reader)
        reading.take()
        assert ticking.hub.waiting_bytes <= 4096 + 200
    assert reading.rows == ticking.rows
    with pytest.raises(QueryError, match="too many changes waited"):
        stalled.take()
    loop.run_until_complete(asyncio.sleep(0))
    assert cut == [1]
    ticking.hub.stop()


def test_a_slow_reader_of_rows_that_come_and_go_waits_for_nothing(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes that cancel each other cost a stalled reader nothing, however many they are."""
    monkeypatch.setattr(stream.Stream.__init__, "__defaults__", (8192,))
    ticking = Ticking()
    stalled = Folded(ticking, "SELECT * FROM pairs", ticking.subscribe("SELECT * FROM pairs", Options(), loop))
    ticking.tick([])
    settle(ticking, loop, stalled.reader)
    stalled.take()
    for number in range(300):
        ticking.tick([(("a", number), 1), *([(("a", number - 1), -1)] if number else [])])
        settle(ticking, loop, stalled.reader)
    assert stalled.take()
    assert stalled.rows == Counter({("a", 299): 1})
    ticking.hub.stop()


def test_up_to_ends_and_as_of_begins_where_they_say(loop: asyncio.AbstractEventLoop) -> None:
    ticking = Ticking()
    sql = "SELECT * FROM pairs"
    later = Folded(ticking, sql, ticking.subscribe(sql, Options(as_of=15, up_to=25), loop))
    least = ticking.subscribe(sql, Options(as_of=12, at_least=True), loop)
    ticking.tick([(("a", 1), 1)], 10)
    ticking.tick([(("b", 1), 1)], 20)
    early = ticking.subscribe(sql, Options(as_of=5), loop)
    ticking.tick([(("c", 1), 1)], 24)
    ticking.tick([(("d", 1), 1)], 30)
    settle(ticking, loop, later.reader, least)
    ticking.at |= {15: ticking.at[10], 29: ticking.at[24]}
    part = later.reader.take()
    assert part is not None
    assert (part.start, part.upper, part.last) == (15, 25, True)
    assert [entry.time for entry in part.entries] == [20, 24]
    assert part.snapshot is not None
    assert part.snapshot.total == 1
    found = least.take()
    assert found is not None
    assert found.start == 20
    with pytest.raises(QueryError, match="time 5 is not kept any more"):
        early.take()
    ticking.hub.stop()


def test_a_reader_that_leaves_just_before_it_begins_is_kept_by_nobody(loop: asyncio.AbstractEventLoop) -> None:
    ticking, followed = Ticking(), stream.Stream()
    reader = Reader(Options(), loop, lambda: None)
    ticking.hub.leave(reader)
    published = ticking.publication.current()
    assert published is not None
    followed.join(reader, 1, published.views["pairs"].rows)
    assert not followed.readers
    ticking.hub.stop()
