"""Rows of topics that the broker does not keep: a replay takes what was taken of the topic, with the same ranges, folded or not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from config.settings import Source as Settings
from dataflow.delta import Delta
from dataflow.types import BIGINT, TEXT, Column
from ingest.chunks import Taken
from ingest.frames import Staged
from ingest.kept import NO_ERRORS, Keeping
from ingest.ranges import FRAMES, Range, compare, join
from ingest.remap import RemapError
from ingest.table_log import FILE, PREFIX, TableLog

SCHEMA = (Column("id", BIGINT), Column("word", TEXT))
UPSERT = Settings(kafka="main", topic="t", format="json", envelope="upsert", key=("id",), keep_rows="always")
APPEND = Settings(kafka="main", topic="t", format="json", keep_rows="always")
TABLE = f"{PREFIX}1"

Row = tuple[int, str | None]


def taken(rows: Sequence[Row], start: int, digest: int) -> Taken:
    columns = tuple(pa.array([row[i] for row in rows], c.type.arrow) for i, c in enumerate(SCHEMA))
    diffs = np.array([1 if word is not None else -1 for _, word in rows], np.int64)
    piece = Range(0, start, start + len(rows), len(rows), digest)
    return Taken(Delta(columns, diffs), NO_ERRORS, (piece,), len(rows), 10 * len(rows))


def listed(delta: Delta) -> list[Row]:
    ids, words = (column.to_pylist() for column in delta.columns)
    rows = zip(ids, words, delta.diffs.tolist(), strict=True)
    return [(key, word if diff > 0 else None) for key, word, diff in rows for _ in range(abs(diff))]


def last(rows: Sequence[Row]) -> dict[int, str]:
    return {key: word for key, word in dict(rows).items() if word is not None}


def replay(keeping: Keeping, until: int | None = None, limit: int = 1 << 20) -> tuple[list[Row], dict[int, Range]]:
    rows: list[Row] = []
    ranges: dict[int, Range] = {}
    while (part := keeping.replay(limit, {FRAMES: until} if until is not None else None)) is not None:
        assert isinstance(part, Taken), part
        rows += listed(part.delta)
        join(ranges, part.ranges)
    return rows, ranges


def ends(bound: dict[int, Range]) -> dict[int, int]:
    return {partition: piece.end for partition, piece in bound.items()}


@pytest.mark.parametrize("settings", [UPSERT, APPEND])
def test_a_replay_is_what_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("ingest.frames.PIECE_BYTES", 200)
    monkeypatch.setattr("ingest.frames.SUM_ROWS", 20)
    chance = random.Random(3)
    log = TableLog(tmp_path, {})
    keeping = Keeping("s", settings, SCHEMA, log, {})
    assert keeping.kept
    bound: dict[int, Range] = {}
    rows: list[Row] = []
    sizes: list[int] = []
    for tick in range(60):
        cut = [
            (chance.randrange(8), chance.choice(("a", "b", None if settings is UPSERT else "c")))
            for _ in range(tick % 4)
        ]
        made = keeping.keep(taken(cut, len(rows), chance.getrandbits(64)))
        join(bound, made.ranges)
        rows += cut
        sizes.append(len(rows))
        frames = keeping.staged()
        log.append([*frames, Staged(TABLE, log.count(TABLE), taken([(1, "x")], 0, 0).delta)])
        if tick % 20 == 19:
            log.put(log.fold({"s": tick - 5}, tick))
    log.close()

    log = TableLog(tmp_path, {"s": ends(bound), TABLE: {0: 60}})
    for limit in (1, 7, 1 << 20):
        again = Keeping("s", settings, SCHEMA, log, ends(bound))
        again.start({})
        found, ranges = replay(again, limit=limit)
        assert again.replayed
        compare("t", bound, ranges)
        if settings is UPSERT:
            assert last(found) == last(rows)
            assert len(found) < len(rows)
        else:
            assert sorted(found) == sorted(rows)
    again.start({FRAMES: 55})
    with pytest.raises(RemapError, match="folded into a later time"):
        again.start({FRAMES: 50})
    again.start({FRAMES: 55})
    assert replay(again, 57)[0] == rows[sizes[54] : sizes[56]]
    assert again.reached({FRAMES: 57, 0: 1 << 40})
    assert not again.reached({FRAMES: 58})
    log.close()


def test_what_was_not_bound_is_gone_and_what_was_has_to_be_there(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    keeping = Keeping("s", UPSERT, SCHEMA, log, {})
    for tick in range(3):
        keeping.keep(taken([(tick, "a")], tick, tick))
    log.append(keeping.staged())
    log.close()
    log = TableLog(tmp_path, {"s": {0: 2, FRAMES: 2}})
    again = Keeping("s", UPSERT, SCHEMA, log, {0: 2, FRAMES: 2})
    again.start({})
    assert again.ends == {0: 2}
    assert replay(again)[0] == [(0, "a"), (1, "a")]
    made = again.keep(taken([(7, "b")], 2, 9))
    assert made.ranges[0] == Range(FRAMES, 2, 3, 1, 0)
    log.close()
    with pytest.raises(RemapError, match="damaged"):
        TableLog(tmp_path, {"s": {0: 3, FRAMES: 3}})


def test_a_source_is_kept_from_its_first_record_on_or_never(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    auto, never = (UPSERT.model_copy(update={"keep_rows": keep}) for keep in ("auto", "never"))
    assert Keeping("s", auto, SCHEMA, log, {}).kept is None
    assert Keeping("s", never, SCHEMA, log, {}).kept is False
    assert Keeping("s", UPSERT, SCHEMA, log, {0: 5}).kept is False
    assert Keeping("s", never, SCHEMA, log, {0: 5, FRAMES: 2}).kept is True
    log.close()


def test_rows_of_other_columns_are_not_given_out(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    keeping = Keeping("s", UPSERT, SCHEMA, log, {})
    keeping.keep(taken([(1, "a")], 0, 1))
    log.append(keeping.staged())
    renamed = (SCHEMA[0], Column("text", TEXT))
    for settings, schema in ((UPSERT, renamed), (APPEND, SCHEMA)):
        again = Keeping("s", settings, schema, log, {0: 1, FRAMES: 1})
        again.start({})
        assert "not those with which its rows were kept" in str(again.replay(10, None))
    log.close()


def test_rows_of_a_dropped_source_go_and_those_of_the_files_stay(tmp_path: Path) -> None:
    log = TableLog(tmp_path, {})
    for name in ("dropped.4", "there.5", "of_the_file"):
        keeping = Keeping(name, UPSERT, SCHEMA, log, {})
        for tick in range(20):
            keeping.keep(taken([(tick, "a" * 50)], tick, tick))
        log.append(keeping.staged())
    log.keep(["there.5"])
    log.put(log.fold(dict.fromkeys(("dropped.4", "there.5", "of_the_file"), 20), 1))
    rows = {name: sum(map(len, log.frames(name, 20))) for name in ("dropped.4", "there.5", "of_the_file")}
    assert rows == {"dropped.4": 0, "there.5": 20, "of_the_file": 20}
    assert (tmp_path / FILE).stat().st_size == log.nbytes
    log.close()
