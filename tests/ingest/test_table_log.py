"""The log of tables: what is read from it is what was written, folded or not, and a crash leaves the one or the other."""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataflow.delta import Delta
from dataflow.types import BIGINT, TEXT, Column
from ingest import table_log
from ingest.frames import Staged
from ingest.remap import RemapError
from ingest.table_log import FILE, PREFIX, TableLog
from ingest.tables import TableSource

A, B = f"{PREFIX}1", f"{PREFIX}2"
SCHEMA = (Column("id", BIGINT), Column("word", TEXT))
Bag = Counter[tuple[Any, ...]]


def delta(rows: Bag) -> Delta:
    listed = sorted(rows.items())
    columns = tuple(pa.array([row[i] for row, _ in listed], c.type.arrow) for i, c in enumerate(SCHEMA))
    return Delta(columns, np.array([diff for _, diff in listed], np.int64))


def bag(*deltas: Delta) -> Bag:
    found = Bag()
    for one in deltas:
        rows = zip(*(column.to_pylist() for column in one.columns), strict=True)
        for row, diff in zip(rows, one.diffs.tolist(), strict=True):
            found[row] += diff
    return Bag({row: count for row, count in found.items() if count})


def write(log: TableLog, *changes: tuple[str, Bag]) -> None:
    """One tick's frames."""
    log.append([Staged(table, log.count(table), delta(rows)) for table, rows in changes])


def bound(log: TableLog) -> dict[str, dict[int, int]]:
    return {table: {0: log.count(table)} for table in (A, B) if log.count(table)}


def taken(log: TableLog, table: str, start: int, limit: int = 1 << 20) -> Bag:
    """What a source that starts at a frame takes, with the ranges it must say."""
    source = TableSource(table, "t", SCHEMA, log)
    source.start({0: start})
    found, at = [], start
    while (one := source.take(limit)) is not None:
        (piece,) = one.ranges
        assert (piece.start, piece.count) == (at, piece.end - at)
        found.append(one.delta)
        at = piece.end
    assert source.hydrated
    assert at == log.count(table)
    return bag(*found)


@pytest.mark.parametrize("seed", range(8))
def test_a_folded_log_is_what_was_written(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: whatever was folded when, from the beginning and from each frame behind the folds the same rows come, also again."""
    monkeypatch.setattr("ingest.frames.PIECE_BYTES", 200)
    monkeypatch.setattr("ingest.frames.SUM_ROWS", 20)
    drawn = random.Random(seed)
    log = TableLog(tmp_path, {})
    wrote: dict[str, list[Bag]] = {A: [], B: []}

    def some(count: int) -> None:
        for _ in range(count):
            changes = []
            for table in drawn.sample((A, B), drawn.randint(1, 2)):
                there = sum(wrote[table], Bag())
                rows = Bag({(drawn.randrange(50), drawn.choice("ab")): drawn.randint(1, 2) for _ in range(3)})
                if there and drawn.random() < 0.5:
                    rows = Bag({row: -count for row, count in drawn.sample(sorted(there.items()), 1)})
                wrote[table].append(rows)
                wrote[table][-1] = bag(delta(rows))
                changes.append((table, rows))
            write(log, *changes)

    def check() -> None:
        for table, frames in wrote.items():
            for start in range(len(frames) + 1):
                if log.begins_at(table, start):
                    expected = _sum(frames[start:])
                    assert taken(log, table, start, drawn.choice((1, 1 << 20))) == expected, (table, start)
            assert bag(*log.frames(table, len(frames))) == _sum(frames)

    for time in range(1, 6):
        some(drawn.randint(0, 30))
        ends = {table: drawn.randint(log.count(table) // 2, log.count(table)) for table in (A, B)}
        folds = all(log.begins_at(table, end) for table, end in ends.items())
        folded = log.fold(ends, time) if folds else None
        some(drawn.randint(0, 5))  # meanwhile
        if folded is not None:
            log.put(folded)
            assert log.folded_to == time
        check()
        ends_now, size, since = bound(log), log.nbytes, log.folded_to
        log.close()
        log = TableLog(tmp_path, ends_now)
        assert (log.nbytes, log.folded_to) == (size, since)
        check()
    log.close()


def _sum(frames: list[Bag]) -> Bag:
    found = Bag()
    for frame in frames:
        for row, diff in frame.items():
            found[row] += diff
    return Bag({row: count for row, count in found.items() if count})


def test_what_was_updated_for_ever_is_small(tmp_path: Path) -> None:
    """Invariant: the log has the size of its tables, and a table that is gone leaves nothing but its number of frames."""
    log = TableLog(tmp_path, {})
    write(log, (A, Bag({(0, "a"): 1})), (B, Bag({(n, "b"): 1 for n in range(1000)})))
    for n in range(300):
        write(log, (A, Bag({(n, "a"): -1, (n + 1, "a"): 1})))
    log.keep([A])
    log.put(log.fold({A: 301, B: 1}, 7))
    assert log.nbytes < 2000
    assert taken(log, A, 0) == Bag({(300, "a"): 1})
    assert log.count(B) == 1
    ends = bound(log)
    log.close()
    log = TableLog(tmp_path, ends)
    write(log, (A, Bag({(300, "a"): -1})))
    log.put(log.fold({A: 302, B: 1}, 8))
    assert taken(log, A, 0) == Bag()
    write(log, (A, Bag({(1, "z"): 1})))
    assert taken(log, A, 0) == Bag({(1, "z"): 1})
    log.close()


def test_a_time_that_is_folded_over_is_refused(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    for n in range(5):
        write(log, (A, Bag({(n, "a"): 1})))
    log.put(log.fold({A: 4}, 3))
    assert [log.begins_at(A, n) for n in range(6)] == [True, False, False, False, True, True]
    source = TableSource(A, "t", SCHEMA, log)
    source.start({})
    with pytest.raises(RemapError, match="is folded into a later time"):
        source.take(100, {0: 2})
    with pytest.raises(RemapError, match="is folded into a later time"):
        source.start({0: 2})
    log.close()


def test_who_reads_while_it_is_folded_reads_on(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    for n in range(5):
        write(log, (A, Bag({(n, "a"): 1})))
    reading = log.frames(A, 5)
    first = next(reading)
    log.put(log.fold({A: 5}, 3))
    assert bag(first, *reading) == Bag({(n, "a"): 1 for n in range(5)})
    log.close()


@pytest.mark.parametrize("failing", ["write", "rename", "sync_folder"])
def test_a_disk_that_refuses(tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: the log is as it was; where nobody knows which of the two is there, nothing more is written."""
    log = TableLog(tmp_path, {})
    for n in range(5):
        write(log, (A, Bag({(n, "a"): 1})))
    before = (tmp_path / FILE).read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(OSError, match="Input/output"):
                log.fold({A: 5}, 3)
        else:
            folded = log.fold({A: 5}, 3)
            patch.setattr(*((Path, "rename") if failing == "rename" else (table_log, "sync_folder")), refuse)
            with pytest.raises(OSError, match="Input/output"):
                log.put(folded)
    if failing == "sync_folder":
        with pytest.raises(RemapError, match="restart the service"):
            write(log, (A, Bag({(9, "a"): 1})))
        log.close()
        log = TableLog(tmp_path, {A: {0: 5}})
    else:
        assert (tmp_path / FILE).read_bytes() == before
        assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]
        write(log, (A, Bag({(5, "a"): 1})))
    assert taken(log, A, 0) == Bag({(n, "a"): 1 for n in range(log.count(A))})
    log.close()


@pytest.mark.parametrize("before", [b"log 1", b"log 2"])
def test_a_log_of_a_version_before_is_read_and_of_another_refused(tmp_path: Path, before: bytes) -> None:
    log = TableLog(tmp_path, {})
    write(log, (A, Bag({(1, "a"): 1})))
    log.close()
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"log 3", before, 1))
    log = TableLog(tmp_path, {A: {0: 1}})
    assert taken(log, A, 0) == Bag({(1, "a"): 1})
    assert path.read_bytes().startswith(table_log.HEADER)  # an earlier version would misread what comes now
    log.close()
    path.write_bytes(whole.replace(b"log 3", b"log 4", 1))
    with pytest.raises(RemapError, match="not a log of this version"):
        TableLog(tmp_path, {A: {0: 1}})


@pytest.mark.parametrize("place", [30, -3])
def test_damage_is_said(tmp_path: Path, place: int) -> None:
    log = TableLog(tmp_path, {})
    write(log, (A, Bag({(1, "a"): 1})))
    log.put(log.fold({A: 1}, 1))
    log.close()
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(RemapError, match="is damaged at offset"):
        TableLog(tmp_path, {A: {0: 1}})
