"""`POST /api/sql` and `GET /views/{view}/changes` over real sockets."""

from __future__ import annotations

import base64
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from serve import api
from serve.events import Events
from serve.http import HttpServer, make_app
from tests.serve.pg.door import standard
from tests.serve.published import House
from tests.serve.subscribe.ticking import Ticking


class Web:
    """A server over a house."""

    def __init__(self, house: House, app: Any = None) -> None:
        self.server = HttpServer("127.0.0.1", 0, app or house.app)
        self.host, self.port = self.server.start()

    def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("POST", "/api/sql", body if isinstance(body, str) else json.dumps(body), headers)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    house = standard()
    made = Web(house)
    yield made
    made.server.stop()


def test_no_digit_of_jsonb_is_lost_and_reals_are_numbers(web: Web) -> None:
    _, found = web.post(
        {
            "query": """SELECT '{"a": 12345678901234567890.123456789, "b": [1, null]}'::jsonb #>> '{a}' AS text,
            '[12345678901234567890123]'::jsonb AS whole, 0.1::float8 AS tenth, 'NaN'::float8 AS nan, 1e20::float8 AS large,
            9007199254740993 AS big"""
        }
    )
    assert found["results"][0]["rows"] == [
        ["12345678901234567890.123456789", [12345678901234567890123], 0.1, "NaN", 1e20, 9007199254740993]
    ]


def test_statements_and_their_results(web: Web) -> None:
    status, found = web.post(
        {"query": "SELECT id, word FROM numbers WHERE id < 2 ORDER BY id; SHOW TimeZone; BEGIN; COMMIT"}
    )
    assert status == 200
    first, second, *others = found["results"]
    assert first["rows"] == [[0, "word 0"], [1, "word 1"]]
    assert first["tag"] == "SELECT 2"
    assert first["notices"] == []
    assert [(c["name"], c["type_oid"], c["type_len"]) for c in first["desc"]["columns"]] == [
        ("id", 20, 8),
        ("word", 25, -1),
    ]
    assert second["rows"] == [["UTC"]]
    assert others == [{"ok": "BEGIN", "notices": []}, {"ok": "COMMIT", "notices": []}]


def test_parameters_and_every_kind_of_value(web: Web) -> None:
    queries = [
        {"query": "SELECT $1::int + 1 AS n, $2 || '!', $3::text", "params": ["41", "a", None]},
        {"query": "SELECT true, 1.50, 0.5::float8, 'NaN'::float8, '{\"a\": [1]}'::jsonb, DATE '2020-01-02', NULL::int"},
    ]
    _, found = web.post({"queries": queries})
    assert [result["rows"] for result in found["results"]] == [
        [[42, "a!", None]],
        [[True, "1.50", 0.5, "NaN", {"a": [1]}, "2020-01-02", None]],
    ]


def test_the_first_error_ends_a_request(web: Web) -> None:
    status, found = web.post({"query": "SELECT 1; SELECT nope FROM numbers; SELECT 2"})
    assert status == 200
    assert len(found["results"]) == 2
    error = found["results"][1]["error"]
    assert (error["code"], error["position"]) == ("42703", 18)
    _, found = web.post({"queries": [{"query": "SELECT 1/0"}, {"query": "SELECT 1"}]})
    assert [next(iter(result)) for result in found["results"]] == ["error"]
    assert found["results"][0]["error"]["code"] == "22012"
    _, found = web.post({"query": "SELECT n FROM broken"})
    assert found["results"][0]["notices"][0]["severity"] == "warning"


@pytest.mark.parametrize(
    "query", ["COPY numbers TO STDOUT", "SUBSCRIBE numbers", "SELECT 1; DECLARE c CURSOR FOR SELECT 1"]
)
def test_what_needs_a_session_is_refused(web: Web, query: str) -> None:
    _, found = web.post({"query": query})
    assert found["results"][0]["error"]["code"] == "0A000"


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '{"query": 1}',
        '{"queries": [{"query": "SELECT 1", "params": [1]}]}',
        "{}",
        '{"query": "SELECT 1 -- \\ud800"}',
        pytest.param(json.dumps({"queries": [{"query": "SELECT 1", "params": ["1"] * 65_536}]}), id="many params"),
    ],
)
def test_bodies_that_are_no_request(web: Web, body: str) -> None:
    status, found = web.post(body)
    assert status == 400
    assert found["error"]["code"] == "22023"


def test_users_say_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    house = standard()
    sql = api.SqlApi(house.queries, house.hub, {"ada": "secret"}, "shop", "0.0.0")
    events = Events(house.publication, house.hub)
    web = Web(house, make_app(house.publication, lambda: house.status, house.metrics, house.probe, events, sql))
    ask = {"query": "SELECT current_user"}
    try:
        assert web.post(ask)[0] == 401
        for given, status in (("ada:secret", 200), ("ada:wrong", 401), ("bob:", 401), (":", 401)):
            found = web.post(ask, authorization=f"Basic {base64.b64encode(given.encode()).decode()}")
            assert found[0] == status
            assert status != 200 or found[1]["results"][0]["rows"] == [["ada"]]
        monkeypatch.setattr(api, "MAX_RESULT_BYTES", 100)
        authorization = f"Basic {base64.b64encode(b'ada:secret').decode()}"
        _, found = web.post({"query": "SELECT * FROM numbers"}, authorization=authorization)
        assert found["results"][0]["error"]["code"] == "53400"
    finally:
        web.server.stop()


def test_changes_are_events_that_add_up_to_the_view() -> None:
    ticking = Ticking()
    ticking.tick([(("a", 1), 1), (("b", 2), 2)], 10)
    house = ticking.house
    sql = api.SqlApi(house.queries, ticking.hub, {}, "shop", "0.0.0")
    events = Events(house.publication, ticking.hub)
    web = Web(house, make_app(house.publication, lambda: house.status, house.metrics, house.probe, events, sql))
    ticking.hub._wake = lambda: ticking.tick([])
    connection = http.client.HTTPConnection(web.host, web.port, timeout=60)
    try:
        connection.request("GET", "/views/pairs/changes?progress=true")
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "text/event-stream"
        rows: Counter[tuple[Any, ...]] = Counter()
        kinds, time = set(), 0
        while time <= 300:
            event: dict[str, str] = {}
            while (line := answer.readline().decode().rstrip("\n")) != "":
                name, _, text = line.partition(": ")
                event[name] = text
            data = json.loads(event["data"])
            for row in data.get("rows", ()):
                rows[row["row"]["k"], row["row"]["v"]] += row["diff"]
            kinds.add(event["event"])
            assert data["timestamp"] >= time
            time = data["timestamp"]
            if event["event"] == "progress":
                assert {row: n for row, n in rows.items() if n} == dict(
                    ticking.at[max(t for t in ticking.at if t < time)]
                )
                if time < 100:
                    ticking.tick([(("a", 1), -1), (("c", 3), 1)], 200)
                elif time < 300:
                    ticking.tick([(("c", 3), -1)], 300)
        assert kinds == {"snapshot", "changes", "progress"}
        status, found = _get(web, "/views/nope/changes")
        assert (status, found["error"]["code"]) == (404, "42P01")
        assert _get(web, "/views/pairs/changes?since=1")[0] == 400
    finally:
        connection.close()
        web.server.stop()
        ticking.hub.stop()


def _get(web: Web, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(web.host, web.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_pages_of_other_sites_send_no_sql(web: Web) -> None:
    for origin, status in (("http://evil.example", 403), ("null", 403), (f"http://{web.host}:{web.port}", 200)):
        found = web.post({"query": "SELECT 1"}, origin=origin, **{"content-type": "text/plain"})
        assert found[0] == status, origin


@pytest.mark.parametrize("inner", ["COPY numbers TO STDOUT", "SUBSCRIBE numbers", "SHOW TimeZone"])
def test_only_what_reads_and_writes_rows_is_prepared(web: Web, inner: str) -> None:
    _, found = web.post({"query": f"PREPARE p AS {inner}; EXECUTE p"})
    assert [result["error"]["code"] for result in found["results"]] == ["0A000"]
