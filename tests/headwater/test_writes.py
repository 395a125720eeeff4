"""Writes that come together are as if they had come one after the other, in an order in which each client's own stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.spine import Spine
from dataflow.types import BIGINT, DOUBLE, TEXT, Column
from headwater.calls import Calls
from headwater.keys import Key
from headwater.writes import Table, Writes
from ingest.table_log import PREFIX, TableLog
from ingest.tables import TableSource
from serve.sql.changes import Transaction, Write, Written
from serve.sql.errors import QueryError
from tests.examples import examples

SCHEMA = (Column("id", BIGINT, nullable=False), Column("word", TEXT))
TYPES = tuple(column.type for column in SCHEMA)
Row = tuple[int, str | None]


def delta(rows: Sequence[Row], diffs: Sequence[int]) -> Delta:
    columns = tuple(pa.array([row[i] for row in rows], type_.arrow) for i, type_ in enumerate(TYPES))
    return Delta(columns, np.array(diffs, np.int64))


class Loop:
    """Tables with a key, with two and with none, and ticks that a test makes."""

    def __init__(self, folder: Path) -> None:
        self.calls, self.time = Calls(lambda: None), 0
        self._log = TableLog(folder, {})
        self.spines = {name: Spine(Layout(TYPES, (0,))) for name in ("keyed", "twice")}
        self.spines["free"] = Spine(Layout(TYPES, ()))
        self._words = Spine(Layout(TYPES, (1,)))
        self._sources = {name: TableSource(PREFIX + name, name, SCHEMA, self._log) for name in self.spines}
        self.writes = Writes(self.calls, lambda: self.time, self._table)

    def _table(self, name: str) -> Table | None:
        if name not in self.spines:
            return None
        keys = []
        if name != "free":
            keys.append(Key(1 + (name == "twice"), "pkey", (0,), self.spines[name].snapshot))
        if name == "twice":
            keys.append(Key(3, "word", (1,), self._words.snapshot))
        return Table(1, SCHEMA, tuple(keys), self._sources[name])

    def tick(self) -> None:
        self.calls.run()
        for name, source in self._sources.items():
            if (taken := source.take(1 << 20)) is not None:
                self.spines[name].insert(taken.delta)
                if name == "twice":
                    self._words.insert(taken.delta)
        self._log.append(self._log.staged())
        self.time += 1
        self.calls.published(self.time)

    def rows(self, name: str) -> Counter[Row]:
        found = self.spines[name].snapshot().rows()
        return Counter(
            dict(zip(zip(*(c.to_pylist() for c in found.columns), strict=True), found.diffs.tolist(), strict=True))
        )

    def close(self) -> None:
        self._log.close()


Rows = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=3)
WRITES = st.builds(
    lambda table, rows, ignore: Write(table, 1, delta(rows, [1] * len(rows)), ignore),
    st.sampled_from(["keyed", "keyed", "twice", "twice", "free", "none"]),
    Rows,
    st.sampled_from(list(map(frozenset, ([], [], [], ["pkey"], ["word"], ["pkey", "word"])))),
)
APART = st.builds(
    lambda table, rows: Transaction((Write(table, 1, delta(rows, [1] * len(rows))),), apart=True),
    st.sampled_from(["keyed", "keyed", "free", "none"]),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b"])), min_size=1, max_size=5),
)
TRANSACTIONS = st.one_of(st.lists(WRITES, min_size=1, max_size=2).map(lambda w: Transaction(tuple(w))), APART)
TICKS = st.lists(st.lists(TRANSACTIONS, max_size=8), min_size=1, max_size=4)


@settings(max_examples=examples(60), deadline=None)
@given(TICKS)
def test_a_batch_is_as_good_as_one_after_the_other(ticks: list[list[Transaction]]) -> None:
    with TemporaryDirectory() as together, TemporaryDirectory() as alone:
        batch, single = Loop(Path(together)), Loop(Path(alone))
        for tick in ticks:
            asked = [(transaction, batch.writes.write(transaction)) for transaction in tick]
            batch.tick()
            found = [pair for transaction, future in asked for pair in outcomes(transaction, future)]
            transactions, told = [one for one, _ in found], [what for _, what in found]
            # What was taken is taken one by one too, in the order in which it was asked, and nothing else would be.
            for transaction, found in zip(transactions, told, strict=True):
                if not isinstance(found, str):
                    future = single.writes.write(transaction)
                    single.tick()
                    assert outcome(future) == found
            for transaction, found in zip(transactions, told, strict=True):
                ignores = any(write.ignore for write in transaction.writes)  # what is left out depends on what is there
                if isinstance(found, str) and not ignores:
                    future = single.writes.write(transaction)
                    single.tick()
                    assert isinstance(outcome(future), str)  # of two mistakes the other one may be told
            for name in ("keyed", "twice", "free"):
                assert batch.rows(name) == single.rows(name)
            for name, place in (("keyed", 0), ("twice", 0), ("twice", 1)):
                keys = Counter[object]()
                for row, count in batch.rows(name).items():
                    keys[row[place]] += count
                assert all(count == 1 for key, count in keys.items() if key is not None)
        batch.close()
        single.close()


def outcomes(transaction: Transaction, future: Future[Written]) -> list[tuple[Transaction, tuple[int, ...] | str]]:
    """What became of a transaction; of one whose rows are apart, of each row as one of its own."""
    whole = outcome(future)
    if not transaction.apart:
        return [(transaction, whole)]
    (write,) = transaction.writes
    refused = {} if isinstance(whole, str) else future.result().refused
    assert isinstance(whole, str) or whole == (len(write.delta) - len(refused),)
    alone = [
        Transaction(
            (
                Write(
                    write.table,
                    write.oid,
                    Delta(tuple(c.slice(i, 1) for c in write.delta.columns), np.ones(1, np.int64)),
                ),
            )
        )
        for i in range(len(write.delta))
    ]
    return [
        (one, whole if isinstance(whole, str) else refused[i].code if i in refused else (1,))
        for i, one in enumerate(alone)
    ]


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(Rows, st.sampled_from([("pkey",), ("word",), ("pkey", "word")])), max_size=6))
def test_what_is_ignored_is_what_row_after_row_would_be(inserts: list[tuple[list[Row], tuple[str, ...]]]) -> None:
    with TemporaryDirectory() as folder:
        loop, there = Loop(Path(folder)), list[Row]()
        for rows, ignore in inserts:
            before, wrong = list(there), False
            for row in rows:
                same = {
                    "pkey": row[0] in [k for k, _ in there],
                    "word": row[1] in [w for _, w in there if w is not None],
                }
                if not any(same[name] for name in ignore):
                    wrong |= any(same.values())
                    there.append(row)
            there = before if wrong else there
            future = loop.writes.write(
                Transaction((Write("twice", 1, delta(rows, [1] * len(rows)), frozenset(ignore)),))
            )
            loop.tick()
            assert outcome(future) == ("23505" if wrong else (len(there) - len(before),))
            assert loop.rows("twice") == Counter(there)
        loop.close()


def outcome(future: Future[Written]) -> tuple[int, ...] | str:
    """The counts of a transaction, or the code of what was wrong with it."""
    error = future.exception(timeout=0)
    if error is None:
        return future.result().counts
    assert isinstance(error, QueryError)
    return error.code


def test_one_of_many_shares_a_key(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    keys = [1, 2, 3, 2, 4, 5]
    asked = [loop.writes.write(Transaction((Write("keyed", 1, delta([(key, "a")], [1])),))) for key in keys]
    loop.tick()
    assert [outcome(future) for future in asked] == [(1,), (1,), (1,), "23505", (1,), (1,)]
    again = loop.writes.write(Transaction((Write("keyed", 1, delta([(5, "b")], [1])),)))
    loop.tick()
    assert outcome(again) == "23505"
    assert sorted(loop.rows("keyed")) == [(key, "a") for key in (1, 2, 3, 4, 5)]
    loop.close()


def test_every_nan_is_one_key(tmp_path: Path) -> None:
    """Invariant: keys are equal where they are in SQL, also those of one tick."""
    schema = (Column("x", DOUBLE, nullable=False),)
    log, calls, nan = TableLog(tmp_path, {}), Calls(lambda: None), float("nan")
    spine, source = Spine(Layout((DOUBLE,), (0,))), TableSource(PREFIX + "x", "x", schema, log)
    writes = Writes(calls, lambda: 0, lambda _: Table(1, schema, (Key(1, "pkey", (0,), spine.snapshot),), source))

    def insert(value: float) -> Future[Written]:
        row = Delta((pa.array([value], pa.float64()),), np.array([1], np.int64))
        return writes.write(Transaction((Write("x", 1, row, False),)))

    together = [insert(value) for value in (nan, 1.0, float("nan"))]
    calls.run()
    alone = insert(nan)
    calls.run()
    zero = [insert(0.0), insert(-0.0)]
    calls.run()
    calls.published(1)
    assert [outcome(future) for future in together] == [(1,), (1,), "23505"]
    assert outcome(alone) == "23505"
    assert [outcome(future) for future in zero] == [(1,), "23505"]
    log.close()


def test_who_waits_while_the_loop_ends_is_told(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    one: Any = Transaction((Write("free", 1, delta([(1, "a")], [1])),))
    waiting = [loop.writes.write(one) for _ in range(3)]
    loop.calls.close()
    late = loop.writes.write(one)
    for future in (*waiting, late):
        with pytest.raises(QueryError, match="stopping"):
            future.result(timeout=0)
    loop.close()


def test_a_table_that_is_not_there_yet_fails_its_own_writes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant: who is told that nothing was written finds nothing of it, whatever else came with it."""
    loop = Loop(tmp_path)
    there = loop._table

    def table(name: str) -> Table | None:
        if name == "filling":
            raise QueryError("57P03", "table filling is being filled")
        return there(name)

    monkeypatch.setattr(loop.writes, "_tables", table)
    names = ["free", "free", "filling", "filling"]
    asked = [loop.writes.write(Transaction((Write(name, 1, delta([(1, "a")], [1])),))) for name in names]
    loop.tick()
    assert [outcome(future) for future in asked] == [(1,), (1,), "57P03", "57P03"]
    assert loop.rows("free") == Counter({(1, "a"): 2})
    loop.close()
