"""The source endpoints, over statuses made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serve.published import House, Partition, Source
from tests.serve.test_http import error

ORDERS = Source(partitions={0: Partition(90, 10, 100), 1: Partition(0, 40, 50), 2: Partition(-1, -1, -1)})


@pytest.fixture
def house() -> House:
    made = House()
    made.status = replace(
        made.status, sources={"orders": ORDERS, "late": Source("waiting", "no such topic", {}, 0, 0, 0, ())}
    )
    return made


def test_the_list_says_how_far_each_source_is(house: House) -> None:
    status, body = house.get("/sources")
    assert status == 200
    orders, late = body["sources"]
    assert orders == {
        "name": "orders",
        "state": "running",
        "reason": None,
        "partitions": [
            {"partition": 0, "offset": 90, "low": 10, "high": 100, "lag": 10},
            {"partition": 1, "offset": 0, "low": 40, "high": 50, "lag": 10},
            {"partition": 2, "offset": None, "low": None, "high": None, "lag": None},
        ],
        "records": 80,
        "bytes": 8000,
        "errors": 2,
    }
    assert (late["state"], late["reason"], late["partitions"]) == ("waiting", "no such topic", [])
    assert house.get("/sources/") == (200, body)
    assert house.get("/sources/orders") == (200, orders)


def test_answers_before_anything_is_published(house: House) -> None:
    assert house.get("/views")[0] == 503
    assert house.get("/sources")[0] == 200


def test_bad_messages_newest_first(house: House) -> None:
    expected = [{"message": "orders[0]@88: newer"}, {"message": "orders[0]@11: older"}]
    assert house.get("/sources/orders/errors") == (200, {"source": "orders", "count": 2, "errors": expected})
    assert house.get("/sources/orders/errors?limit=1")[1]["errors"] == expected[:1]
    assert house.get("/sources/late/errors") == (200, {"source": "late", "count": 0, "errors": []})


def test_refusals(house: House) -> None:
    refused = error(house, "/sources/order", 404)
    assert (refused["message"], refused["hint"]) == ('source "order" does not exist', "did you mean orders?")
    assert error(house, "/sources/orders/erors", 404)["hint"] == "use /sources/orders or /sources/orders/errors"
    assert error(house, "/sources/orders/errors?n=1", 400)["hint"] == "there are limit"
    assert error(house, "/sources?limit=1", 400)["message"] == 'unknown parameter "limit"'
    assert error(house, "/sources/orders/errors?limit=-1", 400)["code"] == "22023"
    assert error(house, "/sourcesx", 404)["code"] == "42704"


def test_head_is_get_without_body(house: House) -> None:
    for path in ("/sources", "/sources/orders/errors", "/sources/none"):
        got, head = house.request(path), house.request(path, "HEAD")
        assert (head[0], head[1], head[2]) == (got[0], got[1], b"")


@given(st.lists(st.sampled_from([*"v%aA01/?&=.+-é ", "%2F", "%ff", "orders", "limit", "errors"]), max_size=12))
def test_any_request_is_answered(segments: list[str]) -> None:
    status, body = House().get(f"/sources/{''.join(segments)}")
    assert status in (200, 400, 404), body
    assert ("error" in body) == (status != 200)
