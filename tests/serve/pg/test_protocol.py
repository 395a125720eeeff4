"""The protocol by its bytes: pipelining, errors until Sync, portals, cancel, start-up, users, TLS, limits."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from serve.pg.server import tls_context
from tests.serve.pg.door import Door, Wire, error_fields, frame, running, standard, startup


def parse(sql: str, name: str = "") -> tuple[bytes, bytes]:
    return b"P", f"{name}\0{sql}\0".encode() + b"\0\0"


def bind(*values: bytes, name: str = "", portal: str = "") -> tuple[bytes, bytes]:
    body = b"".join(struct.pack("!i", len(value)) + value for value in values)
    return b"B", f"{portal}\0{name}\0".encode() + b"\0\0" + struct.pack("!h", len(values)) + body + b"\0\0"


def execute(most: int = 0, portal: str = "") -> tuple[bytes, bytes]:
    return b"E", portal.encode() + b"\0" + struct.pack("!i", most)


SLOW = "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d WHERE a.id + b.id + c.id + d.id = -1"
SYNC = (b"S", b"")
DESCRIBE = (b"D", b"P\0")


@pytest.fixture
def wire(door: Door) -> Wire:
    return door.raw()


def test_a_pipeline_is_answered_in_order(wire: Wire) -> None:
    for number in range(20):
        sql = f"SELECT square FROM numbers WHERE {'id' if number % 2 else 'square'} = $1::bigint"
        wire.send(parse(sql), bind(b"%d" % number), DESCRIBE, execute())
    wire.send(SYNC)
    found = wire.until(b"Z")
    kinds = b"".join(kind for kind, _ in found)
    squares = {n * n for n in range(100)}
    expected = b"".join(b"12TD" + b"C" if n % 2 or n in squares else b"12TC" for n in range(20)) + b"Z"
    assert kinds == expected


def test_nothing_is_done_between_an_error_and_sync(wire: Wire) -> None:
    wire.send(parse("SELECT nope"), bind(), execute(), parse("SELECT 1"), bind(), execute(), SYNC)
    kinds = wire.kinds()
    assert kinds == b"EZ"
    wire.send(parse("SELECT 1/0"), bind(), execute(), (b"Q", b"SELECT 1\0"), SYNC)
    assert wire.kinds() == b"12EZ"


def test_a_portal_gives_some_rows_at_a_time(wire: Wire) -> None:
    wire.send(
        parse("SELECT id FROM numbers ORDER BY id"),
        bind(portal="p"),
        execute(40, "p"),
        execute(40, "p"),
        execute(40, "p"),
    )
    wire.send(execute(40, "p"), SYNC)
    found = wire.until(b"Z")
    kinds = b"".join(kind for kind, _ in found)
    assert kinds == b"12" + b"D" * 40 + b"s" + b"D" * 40 + b"s" + b"D" * 20 + b"C" + b"C" + b"Z"
    rows = [int(body[6:]) for kind, body in found if kind == b"D"]
    assert rows == list(range(100))
    wire.send(execute(0, "p"), SYNC)
    assert error_fields(wire.until(b"Z")[0][1])["C"] == "34000", "a portal ends with its transaction"


def test_describe_tells_parameters_and_columns(wire: Wire) -> None:
    wire.send(
        parse("SELECT total, $2 AS x FROM revenue WHERE customer = $1 AND orders > $3", "s"), (b"D", b"Ss\0"), SYNC
    )
    found = dict(wire.until(b"Z"))
    assert struct.unpack("!H3i", found[b"t"]) == (3, 25, 25, 20)
    assert found[b"T"][:8] == b"\0\2total\0"
    assert struct.unpack("!i", found[b"T"][20:24])[0] == ((12 << 16) | 2) + 4
    wire.send((b"C", b"Ss\0"), (b"D", b"Ss\0"), SYNC)
    assert error_fields(wire.until(b"Z")[1][1])["C"] == "26000"


def test_empty_queries(wire: Wire) -> None:
    wire.send((b"Q", b" ; -- nothing\n;\0"))
    assert wire.kinds() == b"IZ"
    wire.send(parse(""), bind(), DESCRIBE, execute(), SYNC)
    assert wire.kinds() == b"12nIZ"


def test_an_error_in_the_middle_ends_a_simple_query(wire: Wire) -> None:
    wire.send((b"Q", b"SELECT 1; SELECT nope; SELECT 2\0"))
    found = wire.until(b"Z")
    assert b"".join(kind for kind, _ in found) == b"TDCEZ"
    assert error_fields(found[3][1])["P"] == "18"


def test_binds_that_do_not_fit(wire: Wire) -> None:
    for message, code in [(bind(), "08P01"), (bind(b"x"), "22P02"), (bind(b"1", name="no"), "26000")]:
        wire.send(parse("SELECT $1::int"), message, SYNC)
        found = wire.until(b"Z")
        assert [error_fields(body)["C"] for kind, body in found if kind == b"E"] == [code]


def test_a_message_with_too_little_in_it_is_an_error_and_no_end(wire: Wire) -> None:
    wire.send((b"B", b"\0"), SYNC)
    found = wire.until(b"Z")
    assert error_fields(found[0][1])["C"] == "08P01"
    wire.send((b"Q", b"SELECT 1\0"))
    assert wire.kinds() == b"TDCZ"


def test_an_unknown_type_of_message_ends_the_connection(wire: Wire) -> None:
    wire.send((b"?", b""))
    kind, body = wire.next()
    assert (kind, error_fields(body)["S"]) == (b"E", "FATAL")
    assert wire.next() == (b"", b"")


def test_requests_for_encryption_are_declined_and_others_refused(door: Door) -> None:
    for request in (80877103, 80877104):
        with socket.create_connection((door.host, door.port), timeout=30) as plain:
            plain.sendall(struct.pack("!ii", 8, request))
            assert plain.recv(1) == b"N"
    refused = door.dial()
    refused.send_raw(struct.pack("!ii", 8, 2 << 16))
    assert error_fields(refused.next()[1])["C"] == "0A000"
    nobody = door.dial()
    nobody.send_raw(startup(database="x"))
    assert error_fields(nobody.next()[1])["C"] == "28000"
    newer = door.dial()
    newer.send_raw(startup(user="ada").replace(struct.pack("!i", 3 << 16), struct.pack("!i", (3 << 16) + 2), 1))
    assert newer.next()[0] == b"v"


def test_cancel_ends_what_runs_and_nothing_else(door: Door) -> None:
    with door.connect() as connection:
        with connection.cursor() as cursor:
            began, outcome = threading.Event(), []

            def run() -> None:
                began.set()
                try:
                    cursor.execute(SLOW)
                except psycopg.Error as error:
                    outcome.append(error.sqlstate)

            thread = threading.Thread(target=run)
            thread.start()
            began.wait()
            while thread.is_alive():  # a request that comes before the query does nothing
                connection.cancel_safe()
                thread.join(0.05)
            assert outcome == ["57014"]
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.cancel_safe()
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_a_statement_that_takes_too_long_ends(door: Door) -> None:
    with door.connect() as connection:
        connection.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(
                "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d WHERE a.id + b.id + c.id + d.id = -1"
            )
        connection.execute("SET statement_timeout = 0")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_goes_leaves_nothing(door: Door) -> None:
    before = door.server.sessions
    wire = door.raw()
    wire.send((b"Q", b"SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.id + b.id + c.id = -1\0"))
    wire.close()
    idle = door.raw()
    idle.close()
    with door.connect() as connection:
        while door.server.sessions > before + 1:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_hundred_clients(door: Door) -> None:
    wires = [door.raw() for _ in range(100)]
    for number, wire in enumerate(wires):
        wire.send(parse("SELECT square FROM numbers WHERE id = $1"), bind(b"%d" % number), execute(), SYNC)
    for number, wire in enumerate(wires):
        found = wire.until(b"Z")
        assert [body[6:] for kind, body in found if kind == b"D"] == [b"%d" % (number * number)]
        wire.close()


def test_users_and_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    doors = running(standard(), users={"ada": "päss"}, tls=tls_context((certificate, key)))
    door = next(doors)
    try:
        for sslmode in ("disable", "require", "verify-full"):
            with door.connect(password="päss", sslmode=sslmode, sslrootcert=str(certificate)) as connection:
                assert connection.pgconn.ssl_in_use == (sslmode != "disable")
                assert connection.execute("SELECT current_user, count(*) FROM numbers").fetchone() == ("ada", 100)
        for more in ({"password": "wrong"}, {"user": "eve", "password": "päss"}):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                door.connect(**more)
        plain = socket.create_connection((door.host, door.port), timeout=30)
        plain.sendall(struct.pack("!ii", 8, 80877103) + startup(user="ada"))
        assert plain.recv(1) != b"S", "what comes in plain text behind the request is no part of the session"
        plain.close()
    finally:
        doors.close()
    with pytest.raises(ssl.SSLError):
        tls_context((certificate, certificate))


def test_a_stop_tells_the_clients() -> None:
    door = Door(standard())
    wire = door.raw()
    door.server.stop()
    kind, body = wire.next()
    door.stop()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")


def test_more_than_a_message_may_have_is_refused(door: Door) -> None:
    wire = door.raw()
    wire.send_raw(b"Q" + struct.pack("!i", 100 << 20))
    assert error_fields(wire.next()[1])["C"] == "08P01"
    assert frame(b"S") == b"S\0\0\0\4"


def test_a_client_that_reads_no_answers_is_read_no_more(door: Door) -> None:
    wire = door.raw()
    wire.send(parse("SELECT word FROM numbers WHERE id = $1", "unread"), SYNC)
    wire.until(b"Z")
    (connection,) = [
        one for one in door.server._connections if one.session is not None and "unread" in one.session.state.statements
    ]
    asked = b"".join(frame(*one) for one in (bind(b"1", name="unread"), execute(), SYNC)) * 5000
    wire.socket.settimeout(2)
    sent = 0
    with suppress(TimeoutError):
        while sent < 300 << 20:
            sent += wire.socket.send(asked)
    assert 0 < sent < 300 << 20
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < 8 << 20
    assert connection._frontend.waiting < 4 << 20
    wire.socket.settimeout(30)
    for _ in range(100):
        assert wire.kinds() == b"2DCZ"
    wire.close()
