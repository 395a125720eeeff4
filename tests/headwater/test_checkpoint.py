"""Restarts from checkpoints: what they hold is not read again, and what is damaged or does not fit is never used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from dataflow.memory import MemoryLimit, RunColumns
from headwater import runfile
from headwater.checkpoint import Checkpoints
from headwater.manifest import HEADER
from headwater.reserving import RESERVED
from headwater.runfile import DamagedRunError
from headwater.runs import RunFiles
from tests.headwater.house import House, running
from tests.limits import disk_full_at


def house(folder: Path, *views: str) -> House:
    made = House(folder, views or ("totals", "notes", "both"))
    made.checkpoints = Checkpoints(folder / "checkpoints")
    return made


def saved(running_house: House, count: int = 1) -> None:
    """Wait until everything that was bound is in a checkpoint, and let the loop tick meanwhile."""
    checkpoints = running_house.checkpoints
    assert checkpoints is not None

    def done() -> bool:
        running_house.wake.set()
        last = checkpoints.last
        return last is not None and last.positions == running_house.loop._ends and not checkpoints.busy

    running_house.until(done)
    assert len(checkpoints.candidates) >= count


def first_run(folder: Path) -> House:
    """A service that made two checkpoints, and ticks after each."""
    first = house(folder)
    first.items.push(*[(i % 10, 1) for i in range(5_000)])
    first.late.push((3, 7), (4, 8))
    first.items.appear()
    first.late.appear()
    with running(first):
        saved(first)
        first.items.push((3, 5), (77, 1))
        first.until(lambda: first.loop._ends["items"] == {0: 5_002})
        saved(first, 2)
    return first


def again(folder: Path, before: House, *views: str) -> House:
    """The next start: the same topics, with one more record; the sinks are where they were."""
    then = house(folder, *views)
    then.items.push(*before.items.records, (3, 100))
    then.late.push(*before.late.records)
    then.items.appear()
    then.late.appear()
    for name, sink in then.sinks.items():
        if name in before.sinks:
            sink.durable = before.sinks[name].status().durable
    return then


TOTALS = [(k, 605 if k == 3 else 500) for k in range(10)] + [(77, 1)]


def check(then: House) -> None:
    then.shows("totals", TOTALS)
    then.shows("notes", [(3, 7), (4, 8)])
    then.shows("both", [(3, 7), (4, 8)])  # 502 and 500 times


def test_a_restart_reads_only_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    then = again(tmp_path, before)
    with running(then):
        check(then)
        assert then.items.started == {0: 5_002}
        then.until(lambda: bool(then.sinks["totals_out"].writes))
        assert then.sinks["totals_out"].writes[0][1] == [(3, 505, -1), (3, 605, 1)]
        assert then.sinks["notes_out"].writes == [], "what a sink had is not written again"
        assert before.times[-1] <= then.times[0] <= before.times[-1] + RESERVED, (
            "what was bound, before sources catch up"
        )
        saved(then)
    third = again(tmp_path, then)
    with running(third):
        third.shows("totals", [(k, n + 100 if k == 3 else n) for k, n in TOTALS])


def test_bound_times_after_the_checkpoint_are_replayed(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    late = house(tmp_path)
    late.checkpoints = None  # binds times and makes no checkpoint of them
    late.items.push(*before.items.records, (1, 1_000))
    late.items.appear()
    late.late.push(*before.late.records)
    late.late.appear()
    with running(late):
        late.shows("totals", [(k, 505 if k == 3 else 1_500 if k == 1 else 500) for k in range(10)] + [(77, 1)])
    then = again(tmp_path, late)
    for name, sink in then.sinks.items():
        sink.durable = before.sinks[name].status().durable
    with running(then):
        then.shows("totals", [(k, n + 1_000 if k == 1 else n) for k, n in TOTALS])
        assert then.items.started == {0: 5_002}
        then.until(lambda: len(then.sinks["totals_out"].writes) == 2)
        first, second = then.sinks["totals_out"].writes
        bound = max(binding.time for binding in late.bindings if binding.epoch == 2 and binding.ranges)
        assert first == (bound, [(1, 500, -1), (1, 1_500, 1)]), "at the time that it was bound to"
        assert second[1] == [(3, 505, -1), (3, 605, 1)]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def newest(folder: Path, pattern: str) -> Path:
    return max((folder / "checkpoints").glob(pattern))


def damage_manifest(folder: Path) -> None:
    flip(newest(folder, "*.manifest"))


def tear_manifest(folder: Path) -> None:
    path = newest(folder, "*.manifest")
    path.write_bytes(path.read_bytes()[: len(HEADER) + 2])


def damage_run(folder: Path) -> None:
    flip(newest(folder, "*.run"))


def lose_run(folder: Path) -> None:
    newest(folder, "*.run").unlink()


def shorten_run(folder: Path) -> None:
    path = newest(folder, "*.run")
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("harm", [damage_manifest, tear_manifest, damage_run, lose_run, shorten_run])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    before = first_run(tmp_path)
    harm(tmp_path)
    then = again(tmp_path, before)
    with running(then):
        check(then)
        assert then.items.started == {0: 5_000}
        saved(then)
    last = again(tmp_path, then)
    with running(last):
        last.shows("totals", [(k, n + 100 if k == 3 else n) for k, n in TOTALS])
        assert last.items.started == {0: 5_003}, "the damage did not outlast the next checkpoint"


def test_without_a_whole_checkpoint_the_topics_are_read_from_their_beginning(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.run"):
        flip(path)
    then = again(tmp_path, before)
    with running(then):
        check(then)
        assert then.items.started == {}


def test_other_views_do_not_begin_from_it(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    then = again(tmp_path, before, "totals", "notes")
    with running(then):
        then.shows("totals", TOTALS)
        assert then.items.started == {}


def test_a_checkpoint_of_another_folder_is_not_used(tmp_path: Path) -> None:
    before = first_run(tmp_path / "a")
    other = house(tmp_path / "b")
    other.items.push((1, 1))
    other.items.appear()
    with running(other):
        other.shows("totals", [(1, 1)])
    shutil.rmtree(tmp_path / "b" / "checkpoints")
    shutil.copytree(tmp_path / "a" / "checkpoints", tmp_path / "b" / "checkpoints")
    then = house(tmp_path / "b")
    then.items.push((1, 1))
    then.items.appear()
    assert before.times
    with running(then):
        then.shows("totals", [(1, 1)])
        assert then.items.started == {}


def test_a_sink_that_is_behind_needs_the_topics(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    then = again(tmp_path, before)
    (first, _), *_ = before.sinks["totals_out"].writes
    then.sinks["totals_out"].durable = first + 1
    with running(then):
        check(then)
        assert then.items.started == {0: 5_000}, "the older checkpoint has all that the sink lacks after it"
        then.until(lambda: len(then.sinks["totals_out"].writes) == 2)
        assert then.sinks["totals_out"].writes[0][1] == [(3, 500, -1), (3, 505, 1), (77, 1, 1)]


def test_a_new_sink_gets_the_whole_view(tmp_path: Path) -> None:
    before = first_run(tmp_path)
    del before.sinks["totals_out"]
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    without = again(tmp_path, before)
    del without.sinks["totals_out"]
    with running(without):
        saved(without)
    then = again(tmp_path, without)
    after = [(k, n + 100 if k == 3 else n) for k, n in TOTALS]
    with running(then):
        assert then.items.started == {0: 5_003}
        then.until(lambda: bool(then.sinks["totals_out"].writes))
        assert then.sinks["totals_out"].writes[0][1] in ([(*row, 1) for row in TOTALS], [(*row, 1) for row in after])
        then.shows("totals", after)


def test_no_checkpoint_passes_a_sink_that_is_not_durable(tmp_path: Path) -> None:
    first = house(tmp_path)
    first.sinks["totals_out"].prompt = False
    first.items.push((1, 1))
    first.items.appear()
    with running(first):
        first.shows("totals", [(1, 1)])
        assert first.checkpoints is not None
        ticks = first.loop.ticks
        first.until(lambda: (first.wake.set(), first.loop.ticks > ticks + 5)[1])
        assert first.checkpoints.last is None
        first.sinks["totals_out"].prompt = True
        saved(first)


def test_a_full_disk_costs_the_checkpoint_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house(tmp_path)
    first.items.push((1, 1))
    first.items.appear()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with running(first):
        saved(first)
        with monkeypatch.context() as patched:
            patched.setattr(runfile, "write", full)
            first.items.push((2, 2))
            first.shows("totals", [(1, 1), (2, 2)])
            ticks = first.loop.ticks
            first.until(lambda: (first.wake.set(), first.loop.ticks > ticks + 5)[1])
        saved(first)
    then = house(tmp_path)
    then.items.push(*first.items.records)
    then.items.appear()
    for name, sink in then.sinks.items():
        sink.durable = first.sinks[name].status().durable
    with running(then):
        then.shows("totals", [(1, 1), (2, 2)])
        assert then.items.started == {0: 2}


def test_files_that_no_checkpoint_names_go(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("00000077-000001.run", "00000077.new"):
        (folder / name).write_bytes(b"of an attempt that a crash ended")
    first = house(tmp_path)
    with running(first):
        for n in range(5):
            first.items.push((n, n))
            first.until(lambda n=n: first.loop._ends.get("items") == {0: n + 1})
            saved(first)
    assert first.checkpoints is not None
    kept = first.checkpoints.candidates
    assert len(kept) == 2
    named = {entry.name for manifest in kept for runs in manifest.spines for entry in runs}
    assert {path.name for path in folder.iterdir()} - {path.name for path in folder.glob("*.manifest")} == named
    assert len(list(folder.glob("*.manifest"))) == 2
    assert min(manifest.number for manifest in kept) > 77


def test_a_run_that_lies_in_a_file_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant: a checkpoint of runs that were moved out of memory names the same files, and outlives those of the moves."""
    wrote: list[Path] = []
    write = runfile.write

    def counted(path: Path, run: RunColumns, durable: bool) -> runfile.Written:
        wrote.append(path)
        return write(path, run, durable)

    monkeypatch.setattr(runfile, "write", counted)
    first = house(tmp_path, "totals")
    files = RunFiles(tmp_path / "runs")
    first.memory = MemoryLimit(files, 0, least_bytes=0)
    first.items.push(*[(i, 1) for i in range(5_000)])
    first.items.appear()
    with running(first):
        saved(first)
        first.until(
            lambda: (first.wake.set(), any(run.stored for runs in first.dataflow.state().spines for run in runs))[1]
        )
        first.items.push((3, 5), (77, 1))
        first.until(lambda: first.loop._ends["items"] == {0: 5_002})
        saved(first, 2)
        named = sorted((tmp_path / "checkpoints").glob("*.run"))
        shared = [path for path in named if path.stat().st_nlink == 2]
        assert shared
        assert not set(shared) & set(wrote)
    files.close()
    then = again(tmp_path, first, "totals")
    with running(then):
        assert then.items.started == {0: 5_002}
        then.shows("totals", [(k, 106 if k == 3 else 2 if k == 77 else 1) for k in range(5_000)])


def test_a_run_file_is_what_was_written_or_damaged(tmp_path: Path) -> None:
    columns = (pa.array(["a", None, "c"], pa.large_string()), pa.array([1, 2, 3]))
    numbers = pa.array([1, 2, 3], pa.uint64())
    run = RunColumns(columns, numbers, numbers, None)
    path = tmp_path / "a.run"
    written = runfile.write(path, run, durable=True)
    assert runfile.read(path, 2, written) == run
    signed = RunColumns(columns, numbers, numbers, pa.array([1, -1, 2]))
    runfile.write(tmp_path / "b.run", signed, durable=False)
    assert runfile.read(tmp_path / "b.run", 2) == signed
    content = path.read_bytes()
    for place in range(0, len(content), 37):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DamagedRunError, match=r"a\.run has the checksum"):
            runfile.read(path, 2, written)
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedRunError, match="bytes"):
        runfile.read(path, 2, written)
    with pytest.raises(FileExistsError):
        runfile.write(path, run, durable=True)


def test_a_run_that_the_disk_takes_a_part_of_is_no_file(tmp_path: Path) -> None:
    numbers = pa.array(range(400_000))
    run = RunColumns((numbers,), numbers, numbers, None)
    whole = runfile.write(tmp_path / "whole.run", run, durable=True)
    for short in (1 << 20, whole.bytes - 3):
        with disk_full_at(short), pytest.raises(OSError, match="File too large"):
            runfile.write(tmp_path / "short.run", run, durable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.run"]
