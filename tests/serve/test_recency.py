"""Reads with real_time_recency: they wait for what the topics held when they arrived, and say what they waited for in vain."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataflow.types import BIGINT
from serve import recency
from serve.reads import PublishedView
from tests.serve.published import TIME, House, view


def _total(value: int) -> PublishedView:
    return view("total", {"total": BIGINT}, ["total"], [(value,)], sources=frozenset({"orders"}))


def test_a_read_waits_until_the_ends_of_its_arrival_are_in_the_views() -> None:
    house = House()
    house.publish(_total(1), ends={"orders": {0: 5, 1: 7}})
    asked = threading.Event()

    def probe(source: str, timeout: float) -> Mapping[int, int]:
        asked.set()
        return {0: 6, 1: 7}

    house.probe = probe
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(house.get, "/views/total?real_time_recency=true")
        assert asked.wait(30)
        house.publish(_total(2), time=TIME + 1, ends={"orders": {0: 5, 1: 8}})
        assert not reading.done(), "partition 0 is not as far"
        house.publish(_total(3), time=TIME + 2, ends={"orders": {0: 6, 1: 8}})
        status, body = reading.result(30)
    assert (status, body["timestamp"], body["rows"]) == (200, TIME + 2, [{"total": 3}])


def test_a_read_that_is_recent_enough_is_answered_at_once_also_by_key() -> None:
    house = House()
    house.publish(_total(1), ends={"orders": {0: 5}})
    house.probe = lambda source, timeout: {0: 5}
    assert house.get("/views/total/1?real_time_recency=true")[1]["rows"] == [{"total": 1}]
    assert house.get("/views/total?limit=5&real_time_recency=true&total=1")[1]["rows"] == [{"total": 1}]


def test_a_read_that_waits_in_vain_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recency, "RECENCY_SECONDS", 0.2)
    house = House()
    house.publish(_total(1), ends={"orders": {0: 5}})
    house.probe = lambda source, timeout: {0: 9, 1: 1}
    status, _, body = house.request("/views/total?real_time_recency=true")
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (504, "57014")
    assert (
        error["detail"] == "source orders, partition 0: at offset 5 of 9; source orders, partition 1: at offset 0 of 1"
    )


def test_a_broker_that_does_not_answer_is_told() -> None:
    house = House()
    house.publish(_total(1))

    def probe(source: str, timeout: float) -> Mapping[int, int]:
        raise OSError("no answer for topic orders: it is away")

    house.probe = probe
    status, body = house.get("/views/total?real_time_recency=true")
    assert status == 503
    assert "it is away" in body["error"]["message"]


def test_without_it_nobody_is_asked_and_nonsense_is_refused() -> None:
    house = House()
    house.publish(_total(1), ends={"orders": {0: 5}})

    def probe(source: str, timeout: float) -> Mapping[int, int]:
        raise AssertionError("nobody asked for recency")

    house.probe = probe
    assert house.get("/views/total")[0] == 200
    assert house.get("/views/total?real_time_recency=false")[0] == 200
    assert house.get("/views/total?real_time_recency=maybe")[0] == 400
