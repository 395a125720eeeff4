"""The state in a bucket: a machine may go with all its files, and of two services on one state the first one ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headwater.catalog import Catalog, CatalogError, CatalogObject, Item
from headwater.checkpoint import Checkpoints
from headwater.errors import StateError
from headwater.remote import CURRENT
from headwater.reserving import RESERVED
from ingest.objects import Objects
from ingest.remap import RemapError
from ingest.remap_objects import ObjectLog
from tests.headwater.house import House, running
from tests.servers.s3 import Bucket


@pytest.fixture
def objects(bucket: Bucket) -> Objects:
    return Objects(bucket.url, bucket.properties)


def house(folder: Path, objects: Objects, before: House | None = None) -> House:
    """A service on a machine of its own, over this bucket."""
    made = House(folder, ("totals",))
    made.log.close()
    made.log = ObjectLog.open(objects)
    made.checkpoints = Checkpoints(folder / "checkpoints", objects)
    if before is not None:
        made.items.push(*before.items.records)
        made.items.appear()
        made.sinks["totals_out"].durable = before.sinks["totals_out"].status().durable
    return made


def saved(running_house: House) -> None:
    checkpoints = running_house.checkpoints
    assert checkpoints is not None

    def done() -> bool:
        running_house.wake.set()
        last = checkpoints.last
        return last is not None and last.positions == running_house.loop._ends and not checkpoints.busy

    running_house.until(done)


def run_files(objects: Objects) -> set[str]:
    return {key.rpartition("/")[2] for key in objects.keys("checkpoints")} - {CURRENT.rpartition("/")[2]}


def named(checkpoints: Checkpoints) -> set[str]:
    return {entry.name for manifest in checkpoints.candidates for runs in manifest.spines for entry in runs}


def test_a_new_machine_goes_on_where_the_old_one_ended(tmp_path: Path, objects: Objects) -> None:
    first = house(tmp_path / "a", objects)
    first.items.push(*[(i % 10, 1) for i in range(5_000)])
    first.items.appear()
    with running(first):
        saved(first)
        first.items.push((3, 5))
        first.until(lambda: first.loop._ends["items"] == {0: 5_001})
        saved(first)
    assert first.checkpoints is not None
    assert run_files(objects) == named(first.checkpoints)
    shutil.rmtree(tmp_path / "a")
    then = house(tmp_path / "b", objects, first)
    then.items.push((3, 100))
    with running(then):
        then.shows("totals", [(k, 605 if k == 3 else 500) for k in range(10)])
        assert then.items.started == {0: 5_001}
        assert first.times[-1] <= then.times[0] <= first.times[-1] + RESERVED
        then.until(lambda: bool(then.sinks["totals_out"].writes))
        assert then.sinks["totals_out"].writes[0][1] == [(3, 505, -1), (3, 605, 1)]


def test_a_run_file_that_is_not_what_it_was_is_not_used(tmp_path: Path, objects: Objects) -> None:
    first = house(tmp_path / "a", objects)
    first.items.push((1, 1))
    first.items.appear()
    with running(first):
        saved(first)
    for name in run_files(objects):
        content, tag = objects.tagged(f"checkpoints/{name}") or (b"", "")
        objects.swap(f"checkpoints/{name}", content[:-1] + b"!", tag)
    then = house(tmp_path / "b", objects, first)
    with running(then):
        then.shows("totals", [(1, 1)])
        assert then.items.started == {}, "the topic is read from its beginning"


def test_t10_a_paused_service_that_wakes_after_a_takeover_shows_and_saves_nothing(
    tmp_path: Path, objects: Objects
) -> None:
    paused = house(tmp_path / "a", objects)
    paused.items.push((1, 1))
    paused.items.appear()
    with running(paused):
        saved(paused)
        assert paused.checkpoints is not None
        paused.checkpoints.close()  # its threads stand still as well
        then = house(tmp_path / "b", objects, paused)
        seen = paused.times[-1]
        paused.items.push((1, 10))
        paused.until(lambda: paused.failure is not None)
        assert isinstance(paused.failure, StateError)
        assert "another service has taken over the state in s3://" in str(paused.failure)
        with running(then):
            then.shows("totals", [(1, 1)])
            assert then.times[0] >= seen
            then.items.push((1, 100))
            then.shows("totals", [(1, 101)])
            saved(then)
        shown = [time for time in paused.times if time > seen]
        assert all(time < then.times[0] or time == seen for time in shown), (
            "what was bound before the takeover, if anything"
        )
    assert paused.rows("totals") == [(1, 1)]


def test_a_checkpoint_of_before_does_not_count_after_a_takeover(tmp_path: Path, objects: Objects) -> None:
    before = Checkpoints(tmp_path / "a", objects)
    after = Checkpoints(tmp_path / "b", objects)
    assert before._remote is not None
    assert after._remote is not None
    with pytest.raises(OSError, match="another service has taken over"):
        before._remote.name(())
    after._remote.name(())
    assert after._remote.first_number > before._remote.first_number
    before.close()
    after.close()


def test_a_damaged_list_of_checkpoints_is_said(tmp_path: Path, objects: Objects) -> None:
    Checkpoints(tmp_path / "a", objects).close()
    content, tag = objects.tagged(CURRENT) or (b"", "")
    objects.swap(CURRENT, content[:-1] + b"!", tag)
    with pytest.raises(ValueError, match="is damaged or of another version"):
        Checkpoints(tmp_path / "b", objects)


def test_the_catalog_is_in_the_bucket_and_belongs_to_who_read_it_last(objects: Objects) -> None:
    before = CatalogObject(objects)
    assert before.read() == Catalog()
    made = Catalog(version=1, items=(Item(1, "view", "v", "SELECT 1"),))
    before.write(made)
    after = CatalogObject(objects)
    assert after.read() == made
    with pytest.raises(OSError, match="another service has taken over"):
        before.write(Catalog(version=2))
    after.write(Catalog(version=2))
    assert CatalogObject(objects).read() == Catalog(version=2)
    content, tag = objects.tagged("catalog") or (b"", "")
    objects.swap("catalog", content[:-1] + b"!", tag)
    with pytest.raises(CatalogError, match="catalog is damaged"):
        CatalogObject(objects).read()


def test_two_that_start_at_once_do_not_both_go_on(objects: Objects) -> None:
    logs = [ObjectLog.open(objects) for _ in range(2)]
    with pytest.raises(RemapError, match="another service"):
        logs[0].append([])
    logs[1].append([])
