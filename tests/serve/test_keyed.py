"""Reads of one key answered from their bytes: a server says, byte for byte, what one says that answers none of them so."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import BIGINT, SMALLINT, TEXT, ColumnType
from serve import keyed
from serve.front import Front
from serve.http import HttpServer
from serve.keyed import Keyed
from serve.reads import Publication
from tests.examples import examples
from tests.serve.pg.door import KINDS, VALUES
from tests.serve.published import Diff, House, view

Address = tuple[str, int]


def views() -> House:
    house = House()
    house.publish(
        view(
            "kinds",
            {"id": BIGINT, **KINDS},
            ["id"],
            [(i, *VALUES[i % 3]) for i in range(6)],
            [(1, *VALUES[1], Diff(-1)), (2, *VALUES[0]), (3, *VALUES[0])],
        ),
        view("plain", {"id": BIGINT, "word": TEXT}, ["id"], [(i, f'"{i}"') for i in range(9)], [(0, '"0"', Diff(-1))]),
        view("words", {"word": TEXT, "n": BIGINT}, ["word"], [("ada", 1), ("errors", 2), ("changes", 3), ("a b", 4)]),
        view("small", {"n": SMALLINT}, ["n"], [(7,)]),
        view("short", {"word": ColumnType.parse("varchar(3)")}, ["word"], [("ada",)]),
        view("pairs", {"a": BIGINT, "b": BIGINT}, ["a", "b"], [(1, 2)]),
        view("broken", {"n": BIGINT}, ["n"], [(1,)], errors={"division by zero": 2}),
        view("late", {"n": BIGINT}, ["n"], [(1,)], state="hydrating", reason="source orders: reading"),
        view("hot", {"n": BIGINT, "i": BIGINT}, ["n"], [(1, i) for i in range(1000)]),
    )
    return house


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Address, Address]]:
    """The server, and one over the same app that leaves everything to the framework."""
    app = views().app
    both = HttpServer("127.0.0.1", 0, app), HttpServer("127.0.0.1", 0, replace(app, keyed=Keyed(Publication())))
    yield both[0].start(), both[1].start()
    for server in both:
        server.stop()


def said(address: Address, pieces: list[bytes]) -> bytes:
    """All that a server says to these bytes, the last of which end the connection, but for the time of day."""
    with socket.create_connection(address, timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        found = b""
        while data := client.recv(65536):
            found += data
    return re.sub(rb"date: [^\r]*\r\n", b"", found)


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


PLAIN = [
    get("/views/plain/3"),
    get("/views/plain/0", "User-Agent: a/1.0", "Connection: keep-alive"),
    get("/views/words/ada"),
]
REQUESTS = [
    *PLAIN,
    *(get(f"/views/{name}/{key}") for name in ("kinds", "plain", "hot", "broken", "late", "none") for key in (1, 2, 3)),
    *(get(f"/views/words/{key}") for key in ("errors", "changed", "a%20b", "a+b", "", "%FF")),
    *(get(f"/views/small/{key}") for key in ("7", "07", "-7", "40000", "99999999999", "x", "7?limit=1", "7#x", "7/8")),
    *(get(path) for path in ("/views/pairs/1/2", "/views/pairs/1", "/views/short/ada", "/views/short/adam", "/")),
    get("/views/plain/3", method="HEAD"),
    get("/views/plain/3", method="DELETE"),
    get("/views/plain/3", "content-length: 5", body=b"GET /"),
    get("/views/plain/3", "Transfer-Encoding: chunked", body=b"5\r\nGET /\r\n0\r\n\r\n"),
    get("/api/sql", "content-length: 23", method="POST", body=get("/views/plain/3")[:23]),
    get("/views/plain/3", "Expect: 100-continue"),
    b"\r\n" + get("/views/plain/4"),
]
LAST = [
    get("/views/plain/3", "connection: close"),
    get("/livez", "connection: close"),
    b"GET /views/plain/3 HTTP/1.0\r\nhost: x\r\n\r\n",
]
WRONG = [
    get("/views/plain/3", "folded: a", " b"),
    get("/views/words/zo\xeb"),
    get("/views/plain/3", "no colon"),
    get("/views/plain/3", "host : x"),
    get("/views/plain/3", "content-length: x"),
    b"GET /views/plain/3\r\n\r\n",
    b"GET /views/plain/3 HTTP/9.1\r\n\r\n",
    b"GET /views/pl\0ain/3 HTTP/1.1\r\n\r\n",
]
"""Each ends the connection, those of WRONG before what was asked earlier is answered: they come alone."""


@settings(max_examples=examples(150), deadline=None)
@given(
    requests=st.lists(st.one_of(st.sampled_from(PLAIN), st.sampled_from(REQUESTS)), min_size=1, max_size=5),
    last=st.sampled_from(LAST),
    cuts=st.lists(st.integers(0, 400), max_size=3),
)
def test_what_is_said_is_the_usual(
    servers: tuple[Address, Address], requests: list[bytes], last: bytes, cuts: list[int]
) -> None:
    data = b"".join([*requests, last])
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(ends)]
    assert said(servers[0], pieces) == said(servers[1], pieces)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_said_to_mistakes_is_the_usual(servers: tuple[Address, Address], wrong: bytes) -> None:
    assert said(servers[0], [wrong]) == said(servers[1], [wrong]) != b""


def test_plain_requests_are_answered_from_their_bytes() -> None:
    found, end = views().app.keyed.answers(b"".join(PLAIN) + b"GET /views", b"x: y\r\n")
    assert (len(found), end) == (3, sum(map(len, PLAIN)))
    assert found[0].startswith(b"HTTP/1.1 200 OK\r\nx: y\r\n")
    assert found[1].startswith(b"HTTP/1.1 404 Not Found\r\n")  # what was there went again


def test_an_idle_connection_is_closed_a_while_after_its_last_answer(
    servers: tuple[Address, Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = views().app
    server = HttpServer("127.0.0.1", 0, app)
    server._server.config.timeout_keep_alive = 1
    address = server.start()
    rang: list[float] = []
    usual = Front.timeout_keep_alive_handler
    monkeypatch.setattr(Front, "timeout_keep_alive_handler", lambda self: (rang.append(0.0), usual(self))[1])
    with socket.create_connection(address, timeout=30) as client:
        while not rang:  # the timer rings for the first answer, and finds a later one
            client.sendall(PLAIN[0])
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
        client.sendall(PLAIN[0])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
        assert client.recv(65536) == b""
    assert len(rang) > 1
    server.stop()


def test_one_read_of_a_socket_is_not_answered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "MUCH", 100)
    found, end = views().app.keyed.answers(PLAIN[0] * 50, b"")
    assert 1 < len(found) < 20
    assert end == len(found) * len(PLAIN[0])
