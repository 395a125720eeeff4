"""Reads of an earlier time over HTTP: the rows of that time, or what can be read instead."""

from __future__ import annotations

import pytest

from dataflow.types import BIGINT, TEXT
from serve.past import Change, Past
from tests.serve.published import TIME, House, delta, view

COLUMNS = {"customer": TEXT, "total": BIGINT}
NOTHING = view("none", {"message": TEXT}, []).errors
PAST = Past(
    TIME - 50,
    1000,
    (),
    [
        Change(TIME - 20, delta([TEXT, BIGINT], [("ada", 1), ("ada", 2)], [-1, 1]), NOTHING),
        Change(TIME - 10, delta([TEXT, BIGINT], [("bob", 5)]), NOTHING),
        Change(TIME, delta([TEXT, BIGINT], [("cleo", 7)]), NOTHING),
    ],
    2,
)


@pytest.fixture
def house() -> House:
    made = House()
    made.publish(
        view("kept", COLUMNS, ["customer"], [("ada", 2), ("bob", 5)], past=PAST),
        view("now", COLUMNS, ["customer"], [("ada", 2)]),
    )
    return made


@pytest.mark.parametrize(
    ("time", "ada", "bob"),
    [
        (TIME, 2, 5),
        (TIME - 10, 2, 5),
        (TIME - 11, 2, None),
        (TIME - 20, 2, None),
        (TIME - 21, 1, None),
        (TIME - 50, 1, None),
    ],
)
def test_a_read_as_of_a_time(house: House, time: int, ada: int, bob: int | None) -> None:
    expected = [("ada", ada), *([("bob", bob)] if bob else [])]
    status, body = house.get(f"/views/kept?as_of={time}")
    assert status == 200
    assert body["timestamp"] == time
    assert sorted((row["customer"], row["total"]) for row in body["rows"]) == expected
    assert house.get(f"/views/kept/ada?as_of={time}")[1]["rows"] == [{"customer": "ada", "total": ada}]
    assert house.get(f"/views/kept/bob?as_of={time}")[0] == (200 if bob else 404)
    assert house.get(f"/views/kept?total={ada}&limit=3&as_of={time}")[1]["rows"] == [{"customer": "ada", "total": ada}]
    assert house.get(f"/views/kept/errors?as_of={time}")[1]["errors"] == []


def test_a_time_may_be_written_as_a_timestamp(house: House) -> None:
    assert house.get("/views/kept?as_of=2026-11-22T11:15:17.429Z")[1]["timestamp"] == TIME - 21


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/views/kept?as_of={TIME - 51}", f"view kept cannot be read as of time {TIME - 51}: it is readable as of times from "
         f"{TIME - 50} to {TIME}"),
        (f"/views/kept?as_of={TIME + 1}", f"from {TIME - 50} to {TIME}"),
        (f"/views/now?as_of={TIME - 1}", f"it is readable as of its newest time {TIME} only"),
        ("/views/now?as_of=yesterday-ish", "invalid input syntax"),
        (f"/views/now?as_of={TIME}&as_of={TIME}", "as_of is given twice"),
        (f"/views/kept?as_of={TIME}&real_time_recency=true", "as_of excludes real_time_recency"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(house: House, path: str, message: str) -> None:
    status, body = house.get(path)
    assert status == 400
    assert message in body["error"]["message"]
    assert house.get(f"/views/now?as_of={TIME}")[0] == 200
