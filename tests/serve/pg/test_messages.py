"""Frontend messages: whole however the bytes arrive, and refused when they are none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.pg.frontend import (
    CANCEL_REQUEST,
    Frontend,
    Message,
    ProtocolError,
    read_bind,
    read_execute,
    read_named,
    read_parse,
    read_query,
)
from tests.serve.pg.door import frame, startup

MESSAGES = st.lists(st.tuples(st.sampled_from([b"Q", b"P", b"B", b"S", b"d"]), st.binary(max_size=40)), max_size=6)


@settings(max_examples=60)
@given(MESSAGES, st.lists(st.integers(1, 30), max_size=20))
def test_messages_are_whole_however_they_arrive(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    data = startup(user="ada", database="shop") + b"".join(frame(kind, body) for kind, body in sent)
    frontend, found, begun = Frontend(), [], None
    while data:
        size = cuts.pop() if cuts else len(data)
        frontend.feed(data[:size])
        data = data[size:]
        begun = begun or frontend.startup()
        while begun is not None and (message := frontend.next()) is not None:
            found.append(message)
    assert begun is not None
    assert begun.parameters == {"user": "ada", "database": "shop"}
    assert found == [Message(kind, body) for kind, body in sent]
    assert frontend.waiting == 0


def test_requests_before_the_start() -> None:
    frontend = Frontend()
    frontend.feed(struct.pack("!iiii", 16, CANCEL_REQUEST, 7, -9))
    found = frontend.startup()
    assert found is not None
    assert found.cancel == (7, -9)


@pytest.mark.parametrize(
    "data", [struct.pack("!ii", 7, 0), struct.pack("!ii", 1 << 30, 3 << 16), b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_begins_no_session_is_refused(data: bytes) -> None:
    frontend = Frontend()
    frontend.feed(data)
    with pytest.raises(ProtocolError):
        frontend.startup()


def test_a_length_is_checked_before_its_bytes_come() -> None:
    frontend = Frontend()
    frontend.feed(b"Q" + struct.pack("!i", 1 << 30))
    with pytest.raises(ProtocolError, match="invalid message length"):
        frontend.next()


def test_bind() -> None:
    body = b"portal\0stmt\0" + struct.pack("!hhh", 2, 0, 1) + struct.pack("!hi", 2, -1) + struct.pack("!i3s", 3, b"abc")
    found = read_bind(body + struct.pack("!hh", 1, 1))
    assert (found.portal, found.statement, found.formats, found.values) == ("portal", "stmt", (0, 1), (None, b"abc"))
    assert found.results == (1,)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_protocol_error(body: bytes) -> None:
    for read in (read_parse, read_bind, read_named, read_execute, read_query):
        try:
            read(body)
        except ProtocolError:
            continue
