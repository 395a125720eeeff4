"""The state is a function of log and topics: replays agree to the byte; folders of earlier versions open or are refused."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow.beside import THREADS
from dataflow.step import Dataflow
from headwater.checkpoint import Checkpoints
from ingest.remap import RemapError, RemapLog
from tests.headwater.house import House, running

KEPT = Path(__file__).parent / "kept_folder"
"""What `keep` wrote with an earlier version of the service; its formats are in the headers of its files."""

ITEMS = [(i % 97, i % 13) for i in range(4_000)]
LATE = [(k, k * k) for k in range(0, 97, 3)]


def state_hash(dataflow: Dataflow) -> str:
    """SHA-256 of every spine of the dataflow: its rows, consolidated and in order, with hashes and diffs."""
    digest = hashlib.sha256()
    for runs in dataflow.state().spines:
        rows: Counter[tuple[object, ...]] = Counter()
        for run in runs:
            kept = run.columns()
            columns = [column.to_pylist() for column in (kept.hashes, kept.seconds, *kept.columns)]
            diffs = kept.diffs.to_pylist() if kept.diffs is not None else [1] * len(kept.hashes)
            for *row, diff in zip(*columns, diffs, strict=True):
                rows[tuple(row)] += diff
        digest.update(repr(sorted((row, diff) for row, diff in rows.items() if diff)).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _first(folder: Path) -> House:
    """A run of some hundred ticks."""
    house = House(folder)
    with running(house):
        for start in range(0, len(ITEMS), 40):
            house.items.push(*ITEMS[start : start + 40])
            if start // 40 < len(LATE):
                house.late.push(LATE[start // 40])
            house.until(lambda end=start + 40: house.loop._ends.get("items", {}).get(0) == end)
        house.until(lambda: house.loop._ends["late"] == {0: len(house.late.records)})
    return house


def _again(folder: Path, before: House) -> House:
    house = House(folder)
    house.items.push(*before.items.records)
    house.late.push(*before.late.records)
    house.items.appear()
    house.late.appear()
    return house


@pytest.fixture
def one_thread_at_the_end() -> Iterator[None]:
    yield
    THREADS.use(1)


@pytest.mark.usefixtures("one_thread_at_the_end")
def test_replays_of_one_log_have_one_state(tmp_path: Path) -> None:
    """Invariant (T6): the state after a replay is that of the run, to the byte; with 1 thread and with 3."""
    first = _first(tmp_path / "run")
    hashes = {"the run": state_hash(first.dataflow)}
    for number, threads in enumerate((1, 1, 3)):
        THREADS.use(threads)
        folder = tmp_path / f"replay {number}"
        shutil.copytree(tmp_path / "run", folder)
        with running(_again(folder, first)) as house:
            house.until(lambda house=house: bool(house.times))
        hashes[f"replay {number} with {threads} threads"] = state_hash(house.dataflow)
    assert len(set(hashes.values())) == 1, hashes


def test_the_hash_sees_a_row(tmp_path: Path) -> None:
    with running(House(tmp_path)) as house:
        house.items.push((1, 1))
        house.shows("totals", [(1, 1)])
        before = state_hash(house.dataflow)
        house.items.push((1, 1))
        house.shows("totals", [(1, 2)])
    assert state_hash(house.dataflow) != before


# A folder of an earlier version.


def keep(folder: Path) -> None:
    """Write the folder that is kept: `python -c "from tests.headwater.test_same_state import *; keep(KEPT)"`."""
    house = House(folder, ("totals", "notes", "both"))
    house.checkpoints = Checkpoints(folder / "checkpoints")
    house.items.push(*ITEMS[:200])
    house.late.push(*LATE)
    house.items.appear()
    house.late.appear()
    with running(house):
        house.until(lambda: (house.wake.set(), bool(house.checkpoints and house.checkpoints.candidates))[1])
        house.items.push(*ITEMS[200:300])
        house.until(lambda: house.loop._ends["items"] == {0: 300})
        house.until(lambda: (house.wake.set(), bool(house.checkpoints and len(house.checkpoints.candidates) == 2))[1])


def _kept(tmp_path: Path) -> House:
    shutil.copytree(KEPT, tmp_path / "folder")
    house = House(tmp_path / "folder", ("totals", "notes", "both"))
    house.checkpoints = Checkpoints(tmp_path / "folder" / "checkpoints")
    house.items.push(*ITEMS[:310])
    house.late.push(*LATE)
    house.items.appear()
    house.late.appear()
    house.clock.wall += 1_000_000
    return house


def test_a_folder_of_an_earlier_version_opens_or_is_passed_over_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invariant: whichever it is, the views are right, and offsets that were bound are replayed as they were."""
    house = _kept(tmp_path)
    bound = house.log.bindings
    assert bound, "the kept log is read"
    with running(house):
        house.shows("totals", sorted((k, sum(n for j, n in ITEMS[:310] if j == k)) for k in range(97)))
        house.shows("notes", LATE)
        assert house.times[0] == bound[-1].time, "reads go on at the time where they ended"
        restored = house.items.started != {}
    assert restored or "a checkpoint is not used" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["remap.log", "checkpoints/*.manifest"])
def test_a_folder_of_another_format_is_refused(tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Invariant: a format that this version does not know is never read as one that it knows."""
    shutil.copytree(KEPT, tmp_path / "folder")
    for path in (tmp_path / "folder").glob(file):
        content = path.read_bytes()
        end = content.index(b"\n")
        path.write_bytes(content[: end - 1] + b"9" + content[end:])
    if file == "remap.log":
        with pytest.raises(RemapError, match="not a remap log of this version; use another `state` folder"):
            RemapLog.open(tmp_path / "folder")
    else:
        assert Checkpoints(tmp_path / "folder" / "checkpoints").candidates == ()
        assert "not a checkpoint of this version" in capsys.readouterr().out
