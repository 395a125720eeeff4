"""State beyond a limit lives in files: answers stay equal, files go when their runs go, and memory is what is accounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
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
from dataflow.memory import MemoryLimit, RunColumns, StoredRun, columns_of, open_run
from dataflow.spine import Layout, Spine
from dataflow.types import BIGINT, TEXT
from headwater.runs import RunFiles
from tests.dataflow import twins
from tests.dataflow.test_spine import histories

weak = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)

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
    limit.settle()
    while limit.memory_bytes > limit.limit:
        time.sleep(0.01)
        limit.settle()
    assert len(names(files)) == 1
    assert spine.snapshot().file_bytes == pytest.approx(sizes[2], rel=0.05)
    assert limit.memory_bytes <= limit.limit
    limit.settle()
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


def test_a_store_that_fails_costs_memory_only(files: RunFiles, capsys: pytest.CaptureFixture[str]) -> None:
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    limit = MemoryLimit(files, 10_000, least_bytes=1)
    limit.watch([spine])
    shutil.rmtree(files.folder)
    for begin in range(0, 40_000, 10_000):
        spine.insert(text_rows(begin, begin + 10_000))
        limit.settle()
    assert spine.snapshot().file_bytes == 0
    assert capsys.readouterr().out.count("cannot be written") == 1
    files.folder.mkdir()
    spine.insert(text_rows(40_000, 60_000))
    limit.settle()
    assert spine.snapshot().file_bytes > 0, "it is tried again when memory has grown"
    merge_all(spine)
    assert len(spine.snapshot().rows()) == 60_000


def test_a_run_that_is_gone_when_its_file_is_there_leaves_no_file(tmp_path: Path) -> None:
    class Slow(RunFiles):
        held: tuple[RunColumns, Future[StoredRun]] | None = None

        def write(self, run: RunColumns) -> Future[StoredRun]:
            self.held = run, Future()
            return self.held[1]

    files = Slow(tmp_path / "runs")
    spine = Spine(Layout((BIGINT, TEXT), (0,)))
    spine.insert(text_rows(0, 10_000))
    limit = MemoryLimit(files, spine.nbytes - 1, least_bytes=1)
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
