"""Mutated messages: whatever comes, the server answers or closes, and goes on serving others."""

from __future__ import annotations

import random
import socket
import struct

from tests.serve.pg.door import Door, frame

ROUNDS = 1000
"""Connections with some mutated messages each; `tests.e2e.fuzz` is the long form."""

SEEDS: tuple[tuple[bytes, bytes], ...] = (
    (b"Q", b"SELECT customer, total FROM revenue WHERE customer = 'ada' ORDER BY 1 LIMIT 2\0"),
    (b"Q", b"COPY (SELECT * FROM kinds) TO STDOUT (FORMAT csv)\0"),
    (b"Q", b"BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH ALL FROM c; COMMIT\0"),
    (b"P", b"s\0SELECT square FROM numbers WHERE id = $1\0\0\1\0\0\0\x14"),
    (b"B", b"p\0s\0\0\1\0\1\0\1\0\0\0\x08" + struct.pack("!q", 7) + b"\0\1\0\1"),
    (b"D", b"Pp\0"),
    (b"E", b"p\0\0\0\0\1"),
    (b"C", b"Ss\0"),
    (b"S", b""),
)


def mutated(chance: random.Random, seeds: tuple[tuple[bytes, bytes], ...] = SEEDS, most: int = 8) -> bytes:
    """Some messages, most of them with bytes changed, lost or doubled, some with a wrong length."""
    out = b""
    for kind, body in chance.choices(seeds, k=chance.randint(1, most)):
        data = bytearray(body)
        for _ in range(chance.choice((0, 1, 1, 3))):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(3):
                case 0 if at < len(data):
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 4)]
                case _:
                    data[at:at] = chance.choice((b"\0", b"'", b"$$", b"\xff\xff\xff\xff", b"(((", data[:at][-9:]))
        whole = frame(kind, bytes(data))
        if chance.random() < (0.05 if most > 1 else 0.002):
            whole = whole[:1] + struct.pack("!i", chance.choice((-1, 0, 3, 5, 1 << 20, (1 << 31) - 1))) + whole[5:]
        out += whole
    return out


def test_mutated_messages_end_in_an_answer_or_a_close(door: Door) -> None:
    chance = random.Random(6875)
    for _ in range(ROUNDS):
        wire = door.raw()
        wire.send_raw(mutated(chance) + frame(b"S") + frame(b"X"))
        wire.socket.shutdown(socket.SHUT_WR)  # a length too large would wait for more
        wire.until(b"")
        wire.close()
    with door.connect() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (100,)
