"""State beyond a limit lives in files: answers stay equal, files go when their runs go, and memory is what is accounted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.memory import (
    PATIENCE,
    MemoryLimit,
    MemoryStatus,
    NoRoomError,
    RunColumns,
    StoredRun,
    columns_of,
    open_run,
)
from dataflow.spine import Spine
from dataflow.types import BIGINT, TEXT
from headwater import runfile
from headwater.runs import RunFiles
from tests.dataflow import twins
from tests.dataflow.test_spine import histories
from tests.examples import examples

weak = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(40))

CHILD = Path(__file__).with_name("memory_child.py")


@pytest.fixture
def files(tmp_path: Path) -> Iterator[RunFiles]:
    store = RunFiles(tmp_path / "runs")
    yield store
    store.close()


def text_rows(begin: int, end: int, diff: int = 1) -> Delta:
    """Rows (i, "row <i>"), every tenth text NULL."""
    texts = [f"row {i}" if i % 10 else None for i in range(begin, end)]
    return Delta(
        (pa.array(range(begin, end), pa.int64()), pa.array(texts, pa.large_string())), np.full(end - begin, diff)
    )


def merge_all(spine: Spine) -> None:
    while spine.maintain(1 << 30):
        pass


def names(files: RunFiles) -> set[str]:
    return {path.name for path in files.folder.iterdir()}


@weak
@given(case=histories(ordered=False) | histories(ordered=True), data=st.data())
def test_rows_in_files_equal_a_dictionary(case: tuple, data: st.DataObject) -> None:
    layout, history = case
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(Path(folder) / "runs")
        spine, total = Spine(layout), Counter[twins.Row]()
        limit = MemoryLimit(files, 0, least_bytes=0)
        limit.watch([spine])
        for delta, fuel in history:
            spine.insert(delta)
            if data.draw(st.booleans()):
                limit.settle()
            if fuel >= 0:
                spine.maintain(fuel)
            total.update(twins.bag(delta))
        limit.settle()
        snapshot = spine.snapshot()
        wanted = {row: diff for row, diff in total.items() if diff}
        assert {row: diff for row, diff in twins.bag(snapshot.rows()).items() if diff} == wanted
        if snapshot.count:
            assert snapshot.file_bytes > 0
            whole = snapshot.rows()
            keys = tuple(whole.columns[c] for c in layout.key)
            probe = snapshot.probe(keys, nulls_match=True, rows=len(whole))
            assert {row for row, diff in twins.bag(Delta(probe.columns, probe.diffs)).items() if diff} == wanted.keys()
        merge_all(spine)
        assert {row: diff for row, diff in twins.bag(spine.snapshot().rows()).items() if diff} == wanted
        files.close()


def test_the_largest_runs_move_until_the_rest_fits(files: RunFiles) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    for begin, end in ((0, 40_000), (40_000, 45_000), (45_000, 46_000)):
        spine.insert(text_rows(begin, end))
    sizes = sorted(run.nbytes for run in spine.snapshot().runs)
    limit = MemoryLimit(files, sizes[0] + sizes[1] + 30_000, least_bytes=1)
    limit.watch([spine])
    limit.settle(wait=True)
    assert len(names(files)) == 1
    assert spine.snapshot().file_bytes == pytest.approx(sizes[2], rel=0.05)
    assert limit.memory_bytes <= limit.limit
    assert limit.status == MemoryStatus(limit.limit, limit.memory_bytes)
    limit.settle(wait=True)
    assert len(names(files)) == 1, "nothing more has to move"


def test_files_go_with_their_rows(files: RunFiles) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    limit = MemoryLimit(files, 0, least_bytes=1000)
    limit.watch([spine])
    for diff in (1, -1):
        for begin in range(0, 60_000, 5_000):
            spine.insert(text_rows(begin, begin + 5_000, diff))
            spine.maintain(0)
            limit.settle()
        assert names(files) or diff < 0
    merge_all(spine)
    limit.settle()
    assert spine.nbytes == 0
    assert names(files) == set()


def test_an_old_snapshot_outlives_its_file(files: RunFiles) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    limit = MemoryLimit(files, 0, least_bytes=1)
    limit.watch([spine])
    spine.insert(text_rows(0, 20_000))
    in_memory = spine.snapshot()
    limit.settle()
    in_file = spine.snapshot()
    column = in_file.runs[0].columns[1]
    before = names(files)
    spine.insert(text_rows(5_000, 20_000, -1))
    merge_all(spine)
    limit.settle()
    assert len(spine.snapshot().rows()) == 5_000
    for snapshot in (in_memory, in_file):
        assert len(snapshot.rows()) == 20_000
        assert snapshot.probe((pa.array([7, 9_999]),), nulls_match=False).columns[1].to_pylist() in (
            ["row 7", "row 9999"],
            ["row 9999", "row 7"],
        )
    del snapshot, in_memory, in_file
    assert not before & names(files), "the file went with the last snapshot"
    assert column.null_count == 2_000, "a column that was handed out needs neither"


def test_a_merge_larger_than_memory_is_made_in_a_file(files: RunFiles) -> None:
    asked = []

    class Watched(RunFiles):
        def scratch(self, nbytes: int):  # type: ignore[no-untyped-def]
            asked.append(nbytes)
            return super().scratch(nbytes)

    watched = Watched(files.folder)
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    MemoryLimit(watched, 100_000, least_bytes=1000).watch([spine])
    for begin in range(0, 80_000, 10_000):
        spine.insert(text_rows(begin, begin + 10_000))
    merge_all(spine)
    assert asked
    run = max(spine.snapshot().runs, key=len)
    column = run.columns[1]
    assert len(run) >= 40_000
    rows = spine.snapshot().rows()
    del run, spine
    assert sorted(rows.columns[0].to_pylist()) == list(range(80_000))
    assert column.null_count == len(column) // 10
    watched.close()


def test_a_store_that_fails_costs_memory_and_says_so(files: RunFiles, capsys: pytest.CaptureFixture[str]) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(text_rows(0, 20_000))
    limit = MemoryLimit(files, spine.snapshot().nbytes * 5 // 6, least_bytes=1)
    limit.watch([spine])
    shutil.rmtree(files.folder)
    for _ in range(3):
        limit.settle(wait=True)
    assert spine.snapshot().file_bytes == 0
    assert re.search(
        r"runs cannot take 0\.\d MiB \(free space unknown, No such file or directory\): ", limit.status.trouble
    )
    assert limit.status.state_bytes == spine.nbytes
    assert capsys.readouterr().out.count("cannot take") == 1
    files.folder.mkdir()
    for _ in range(PATIENCE):
        limit.settle()
    limit.settle(wait=True)
    assert spine.snapshot().file_bytes > 0, "it is tried again"
    assert limit.status.trouble == ""
    assert len(spine.snapshot().rows()) == 20_000


def test_far_above_the_limit_a_store_that_fails_is_an_error(files: RunFiles) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    limit = MemoryLimit(files, 2 << 20, least_bytes=1)
    limit.watch([spine])
    shutil.rmtree(files.folder)
    wanted = (
        r"state takes 3 MiB of memory where 2 MiB are allowed, and it cannot be moved to files: .*runs cannot take \d"
    )
    for begin in range(0, 60_000, 10_000):
        spine.insert(text_rows(begin, begin + 10_000))
        limit.settle(wait=True)
    assert limit.status.trouble, "a little above it is none"
    spine.insert(text_rows(60_000, 90_000))
    with pytest.raises(NoRoomError, match=wanted):
        limit.settle()
    assert len(spine.snapshot().rows()) == 90_000, "and the state is whole"
    files.folder.mkdir()
    limit.settle()
    assert not limit.status.trouble
    assert spine.snapshot().file_bytes > 0


def test_a_damaged_file_is_named_and_never_read(files: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    write = runfile.write

    def damage(path: Path, run: RunColumns, durable: bool) -> runfile.Written:
        written = write(path, run, durable)
        with path.open("r+b") as file:
            file.seek(written.bytes // 2)
            byte = file.read(1)[0]
            file.seek(written.bytes // 2)
            file.write(bytes([byte ^ 0x10]))
        return written

    monkeypatch.setattr(runfile, "write", damage)
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(text_rows(0, 20_000))
    limit = MemoryLimit(files, spine.snapshot().nbytes - 1, least_bytes=1)
    limit.watch([spine])
    limit.settle(wait=True)
    assert re.search(r"00000001\.arrow has the checksum \w{8}, and what was written has \w{8}", limit.status.trouble)
    assert (spine.snapshot().file_bytes, names(files)) == (0, set())
    assert len(spine.snapshot().rows()) == 20_000


def test_a_run_that_is_gone_when_its_file_is_there_leaves_no_file(tmp_path: Path) -> None:
    class Slow(RunFiles):
        held: tuple[RunColumns, Future[StoredRun]] | None = None

        def write(self, run: RunColumns) -> Future[StoredRun]:
            self.held = run, Future()
            return self.held[1]

    files = Slow(tmp_path / "runs")
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(text_rows(0, 10_000))
    limit = MemoryLimit(files, spine.snapshot().nbytes - 1, least_bytes=1)
    limit.watch([spine])
    limit.settle()
    assert files.held is not None
    spine.insert(text_rows(0, 10_000, -1))
    merge_all(spine)
    files.held[1].set_result(RunFiles.write(files, files.held[0]).result())
    limit.settle()
    assert (spine.nbytes, names(files)) == (0, set())
    files.close()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "runs"
    left.mkdir()
    (left / "00000001.arrow").write_bytes(b"half a ru")
    files = RunFiles(left)
    assert names(files) == set()
    files.close()


def test_what_is_no_run_of_the_layout_is_refused() -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(text_rows(0, 10))
    (run,) = spine.settled_runs()
    kept = columns_of(run)
    same = open_run(spine.layout, kept)
    assert (same.rows, same.total, same.negatives) == (10, 10, 0)
    with pytest.raises(ValueError, match="columns of other lengths"):
        open_run(spine.layout, replace(kept, columns=tuple(column[:9] for column in kept.columns)))
    with pytest.raises(ValueError, match="of another length or type"):
        open_run(spine.layout, replace(kept, seconds=kept.seconds[:9]))
    with pytest.raises(ValueError, match="hashes that are not in order"):
        open_run(spine.layout, replace(kept, hashes=kept.hashes.take(pa.array(range(9, -1, -1)))))
    with pytest.raises(ValueError, match="hashes of another version"):
        open_run(spine.layout, replace(kept, hashes=pa.array(range(10), pa.uint64())))
    with pytest.raises(ValueError, match="arrow format"):
        open_run(Layout((TEXT, BIGINT), (0,)), kept)


def test_a_negative_limit_is_refused(files: RunFiles) -> None:
    with pytest.raises(ValueError, match="-1 bytes is negative"):
        MemoryLimit(files, -1)


@pytest.mark.unsanitized
@pytest.mark.parametrize("share", ["unlimited", "half"])
def test_memory_is_what_is_accounted_and_comes_back(share: str, tmp_path: Path) -> None:
    """In a process of its own, so that nothing else moves the resident size."""
    done = subprocess.run(
        [sys.executable, str(CHILD), share, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(CHILD.parents[2])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
