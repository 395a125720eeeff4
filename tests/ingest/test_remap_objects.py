"""The remap log in a bucket, against a server that speaks S3."""

from __future__ import annotations

import pytest

from ingest import remap_objects
from ingest.objects import Objects, TakenError
from ingest.remap import Binding, RemapError
from ingest.remap_objects import ObjectLog
from tests.servers.s3 import Bucket

GATHERED = 4


@pytest.fixture
def objects(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Objects:
    monkeypatch.setattr(remap_objects, "GATHERED", GATHERED)
    return Objects(bucket.url, bucket.properties)


def binding(time: int) -> Binding:
    return Binding(time, {}, {}, "c", 1)


def times(log: ObjectLog) -> list[int]:
    return [one.time for one in log.bindings]


def test_what_was_appended_is_there_at_the_next_start(objects: Objects) -> None:
    log = ObjectLog.open(objects)
    assert log.bindings == []
    for time in range(1, 3 * GATHERED):
        log.append([binding(time)])
    assert len(objects.keys("remap")) <= GATHERED + 2  # most were gathered into few
    again = ObjectLog.open(objects)
    assert times(again) == list(range(1, 3 * GATHERED))
    assert again.nbytes == log.nbytes
    assert again.reread() == again.bindings
    again.append([binding(1000), binding(1001)])
    assert times(ObjectLog.open(objects))[-2:] == [1000, 1001]
    with pytest.raises(RemapError, match="time 5 is not after 1001"):
        again.append([binding(5)])


def test_restarts_leave_no_pieces_behind(objects: Objects) -> None:
    for start in range(2 * GATHERED):
        ObjectLog.open(objects).append([binding(start + 1)])
    assert len(objects.keys("remap")) <= GATHERED + 2
    assert times(ObjectLog.open(objects)) == list(range(1, 2 * GATHERED + 1))


def test_t10_who_was_taken_over_binds_nothing_more(objects: Objects) -> None:
    paused = ObjectLog.open(objects)
    paused.append([binding(1)])
    successor = ObjectLog.open(objects)
    assert times(successor) == [1]
    for _ in range(2):
        with pytest.raises(RemapError, match="another service"):
            paused.append([binding(2)])
    successor.append([binding(3)])
    with pytest.raises(RemapError):
        paused.append([binding(4)])
    assert times(ObjectLog.open(objects)) == [1, 3]


def test_folds_take_the_place_of_all(objects: Objects) -> None:
    log = ObjectLog.open(objects)
    for time in (1, 5, 9):
        log.append([binding(time)])
    with pytest.raises(ValueError, match="must end at its last time 9"):
        log.rewrite([binding(5)])
    log.rewrite([binding(5), binding(9)])
    log.append([binding(10)])
    assert len(objects.keys("remap")) == 2
    assert times(ObjectLog.open(objects)) == [5, 9, 10]


def test_folds_of_the_beginning_leave_what_came_later(objects: Objects) -> None:
    log = ObjectLog.open(objects)
    for time in (1, 5, 9, 11):
        log.append([binding(time)])
    (end,) = [end for one, end in log.walk() if one.time == 5]
    log.append([binding(12)])
    log.rewrite([binding(5)], end)
    log.append([binding(13)])
    assert times(ObjectLog.open(objects)) == [5, 9, 11, 12, 13]


def test_damage_and_loss_are_said(objects: Objects) -> None:
    log = ObjectLog.open(objects)
    for time in range(1, 4):
        log.append([binding(time)])
    key = objects.keys("remap")[2]
    content, tag = objects.tagged(key) or (b"", "")
    objects.swap(key, content[:-1] + b"!", tag)
    with pytest.raises(RemapError, match=f"{key} is damaged"):
        ObjectLog.open(objects)
    objects.delete([key])
    with pytest.raises(RemapError, match=f"{key} is missing"):
        ObjectLog.open(objects)


def test_conditions_of_writes(objects: Objects) -> None:
    objects.create("a", b"1")
    objects.create("a", b"1")  # as after an answer that was lost
    with pytest.raises(TakenError):
        objects.create("a", b"2")
    tag = objects.swap("b", b"1", None)
    after = objects.swap("b", b"2", tag)
    with pytest.raises(TakenError):
        objects.swap("b", b"3", tag)
    with pytest.raises(TakenError):
        objects.swap("b", b"3", None)
    assert objects.swap("b", b"3", after)
    assert objects.get("b") == b"3"
    assert objects.get("c") is None


def test_a_place_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="does not name a bucket"):
        Objects("s3:///state", {})
    with pytest.raises(ValueError, match="nonsense"):
        Objects("s3://bucket/state", {"nonsense": "1"})
