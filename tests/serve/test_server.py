"""The server in its thread: real sockets, start and stop."""

from __future__ import annotations

import socket
import threading
import time
from http.client import HTTPConnection

import pytest

from serve import http
from serve.http import HttpServer
from tests.serve.published import House
from tests.serve.test_http import REVENUE


@pytest.fixture
def house() -> House:
    made = House()
    made.publish(REVENUE)
    return made


def get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    connection = HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_answers_and_stops(house: House) -> None:
    server = HttpServer("127.0.0.1", 0, house.app)
    address = server.start()
    assert address[1] > 0
    assert get(address, "/views/revenue/a%2Fb%20%C3%A9")[0] == 200
    assert get(address, "/views/revenue?limit=1")[0] == 200
    assert get(address, "/metrics")[0] == 200
    server.stop()
    server.stop()
    with pytest.raises(OSError):
        get(address, "/livez")
    assert not [thread for thread in threading.enumerate() if thread.name == "http"]


def test_a_stop_does_not_wait_for_idle_connections(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "STOP_SECONDS", 120)
    server = HttpServer("127.0.0.1", 0, house.app)
    address = server.start()
    idle = socket.create_connection(address)
    kept = HTTPConnection(*address, timeout=30)
    kept.request("GET", "/livez")
    kept.getresponse().read()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 60
    assert not [thread for thread in threading.enumerate() if thread.name == "http"]
    idle.close()
    kept.close()


def test_an_address_in_use_is_an_error_of_start(house: House) -> None:
    first = HttpServer("127.0.0.1", 0, house.app)
    address = first.start()
    try:
        with pytest.raises(OSError, match="in use"):
            HttpServer(*address, house.app).start()
    finally:
        first.stop()


def test_ipv6_in_brackets(house: House) -> None:
    server = HttpServer("[::1]", 0, house.app)
    try:
        host, port = server.start()
        assert get((host, port), "/livez")[0] == 200
    finally:
        server.stop()


def test_stop_before_start(house: House) -> None:
    HttpServer("127.0.0.1", 0, house.app).stop()


def test_it_leaves_signal_handlers_alone(house: House) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    server = HttpServer("127.0.0.1", 0, house.app)
    server.start()
    assert signal.getsignal(signal.SIGTERM) is before
    server.stop()
