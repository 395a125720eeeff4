"""The WebSocket, by a real client of the protocol: requests, subscriptions, refusals, and what is left when it closes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.books import Client
from tests.e2e.service import Headwater, running
from tests.e2e.test_tables import settings


@pytest.fixture(scope="module", params=[{}, {"ada": "secret"}], ids=["open", "users"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    given = settings("socket")
    given["serve"] = {**given["serve"], **({"users": request.param} if request.param else {})}
    with running(tmp_path_factory.mktemp("socket"), given) as service:
        yield service


class Socket:
    """A client that has said who it is."""

    def __init__(self, house: Headwater, **more: Any) -> None:
        where = f"ws://127.0.0.1:{house.port}/api/experimental/sql"
        self._closing = ExitStack()
        self.socket: ClientConnection = self._closing.enter_context(connect(where, open_timeout=60, proxy=None, **more))
        self.say({"user": "ada", "password": "secret", "options": {"application_name": "test"}})
        self.greeting = self.until_ready()

    def close(self) -> None:
        self._closing.close()

    def say(self, message: Any) -> None:
        self.socket.send(json.dumps(message))

    def next(self) -> tuple[str, Any]:
        message = json.loads(self.socket.recv(60))
        assert message.keys() == {"type", "payload"}
        return message["type"], message["payload"]

    def until_ready(self) -> list[tuple[str, Any]]:
        found = [self.next()]
        while found[-1][0] != "ReadyForQuery":
            found.append(self.next())
        return found

    def ask(self, query: str | list[dict[str, Any]]) -> list[tuple[str, Any]]:
        """What is answered, without ReadyForQuery."""
        self.say({"query": query} if isinstance(query, str) else {"queries": query})
        return self.until_ready()[:-1]


@pytest.fixture
def socket(house: Headwater) -> Iterator[Socket]:
    socket = Socket(house)
    yield socket
    socket.close()


ROWS = ("CommandStarting", {"has_rows": True, "is_streaming": False})
NONE = ("CommandStarting", {"has_rows": False, "is_streaming": False})


def test_requests_are_answered_in_materializes_messages(socket: Socket) -> None:
    assert ("ParameterStatus", {"name": "application_name", "value": "test"}) in socket.greeting
    column = {"name": "?column?", "type_oid": 23, "type_len": 4, "type_mod": -1}
    assert socket.ask("SELECT 1 + 1; SELECT true WHERE false") == [
        ROWS,
        ("Rows", {"columns": [column]}),
        ("Row", [2]),
        ("CommandComplete", "SELECT 1"),
        ROWS,
        ("Rows", {"columns": [{"name": "bool", "type_oid": 16, "type_len": 1, "type_mod": -1}]}),
        ("CommandComplete", "SELECT 0"),
    ]
    asked = [{"query": "SELECT $1::int + 1", "params": ["4"]}, {"query": "SELECT $1::text", "params": [None]}]
    assert [payload for kind, payload in socket.ask(asked) if kind == "Row"] == [[5], [None]]
    assert socket.ask("CREATE TABLE IF NOT EXISTS w (a integer PRIMARY KEY)") == [
        NONE,
        ("CommandComplete", "CREATE TABLE"),
    ]
    again = socket.ask("CREATE TABLE IF NOT EXISTS w (a integer PRIMARY KEY)")
    assert [kind for kind, _ in again] == ["Notice", "CommandStarting", "CommandComplete"]
    assert socket.ask("INSERT INTO w VALUES (1) ON CONFLICT DO NOTHING")[-1] == ("CommandComplete", "INSERT 0 1")
    # It is one session: a transaction goes on, a setting stays.
    socket.say({"query": "BEGIN"})
    assert socket.until_ready()[-1] == ("ReadyForQuery", "T")
    (error,) = [payload for kind, payload in socket.ask("SELECT 1; SELECT nothing; SELECT 2") if kind == "Error"]
    assert (error["code"], error["position"]) == ("42703", 18)
    socket.say({"query": "ROLLBACK"})
    assert socket.until_ready()[-1] == ("ReadyForQuery", "I")
    assert ("ParameterStatus", {"name": "application_name", "value": "b"}) in socket.ask("SET application_name = 'b'")
    assert [kind for kind, _ in socket.ask("COPY w TO STDOUT")] == ["Error"]
    assert socket.ask("DROP TABLE w")[-1] == ("CommandComplete", "DROP TABLE")


def test_what_is_no_request_is_an_error_and_the_socket_goes_on(socket: Socket) -> None:
    for wrong in ("{", '{"query": 1}', "[]", '{"queries": [{"query": "SELECT $1", "params": [1]}]}', '"\\ud800"'):
        socket.socket.send(wrong)
        assert [kind for kind, _ in socket.until_ready()] == ["Error", "ReadyForQuery"]
    assert socket.ask("SELECT 1")[2] == ("Row", [1])


def test_a_subscription_streams_until_the_socket_closes(house: Headwater, socket: Socket) -> None:
    socket.ask("CREATE TABLE s (a integer PRIMARY KEY, b integer)")
    reader = Socket(house)
    reader.say({"query": "SUBSCRIBE (SELECT b, count(*) AS n FROM s GROUP BY b)"})
    assert reader.next() == ("CommandStarting", {"has_rows": True, "is_streaming": True})
    kind, payload = reader.next()
    assert (kind, [column["name"] for column in payload["columns"]]) == ("Rows", ["mz_timestamp", "mz_diff", "b", "n"])
    held: dict[tuple[int, int], int] = {}
    for number in range(20):
        socket.ask(f"INSERT INTO s VALUES ({number}, {number % 3})")
    while sum(n for (_, n), diff in held.items() if diff) < 20:
        kind, (_, diff, b, n) = reader.next()
        assert kind == "Row"
        held[b, n] = held.get((b, n), 0) + diff
    assert {key for key, diff in held.items() if diff} == {(0, 7), (1, 7), (2, 6)}
    reader.close()
    # Nothing holds the table any more than its own name.
    assert socket.ask("DROP TABLE s")[-1] == ("CommandComplete", "DROP TABLE")


def test_who_may_not_is_refused(house: Headwater) -> None:
    where = f"ws://127.0.0.1:{house.port}/api/experimental/sql"
    for place, more in ((where, {"origin": "http://evil.example"}), (where + "/other", {})):
        with pytest.raises(InvalidStatus, match="403"), connect(place, proxy=None, open_timeout=60, **more):  # type: ignore[arg-type]
            pass
    open_house = "users" not in house.file.read_text()
    for first in ('{"user": "ada", "password": "wrong"}', '{"user": "eve"}', "{}", "nothing", '{"query": "SELECT 1"}'):
        allowed = open_house and first.startswith("{") and "query" not in first
        with connect(where, proxy=None, open_timeout=60) as socket:
            socket.send(first)
            found = []
            while not found or found[-1]["type"] not in ("ReadyForQuery", "Error"):
                found.append(json.loads(socket.recv(60)))
            assert found[-1]["type"] == ("ReadyForQuery" if allowed else "Error"), first
            if not allowed:
                with suppress(ConnectionClosed):
                    socket.recv(60)
                assert socket.close_code == 1008


def test_a_client_of_the_wire_sees_what_the_socket_wrote(house: Headwater, socket: Socket) -> None:
    socket.ask("CREATE TABLE x (a text)")
    socket.ask([{"query": "INSERT INTO x VALUES ($1)", "params": ["ä'"]}])
    if "users" not in house.file.read_text():
        client = Client(house)
        assert client.rows("TABLE x") == [("ä'",)]
        client.connection.close()
    socket.ask("DROP TABLE x")
