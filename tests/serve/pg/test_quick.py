"""Lookups answered from their bytes say what the messages one by one would have said."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.pg import session
from tests.examples import examples
from tests.serve.pg.door import Door, Wire, frame

DESCRIBE, EXECUTE, SYNC = (b"D", b"P\0"), (b"E", b"\0" + struct.pack("!i", 0)), (b"S", b"")
STATEMENTS = {
    b"by_id": b"SELECT * FROM numbers WHERE id = $1",
    b"by_word": b"SELECT total, customer FROM revenue WHERE customer = $1",
    b"changed": b"SELECT flag, small, exact, money, short, wide, word, day, local, moment, doc, raw, span, clock, "
    b"unique, short_word FROM changed WHERE id = $1",
    b"with_blanks": b"SELECT fixed FROM changed WHERE id = $1",
}


def bind(statement: bytes, value: bytes, form: bytes = b"\0\0", result: bytes = b"\0\1\0\0") -> bytes:
    """A Bind message with one value; `form`: its format codes behind their count."""
    body = b"\0" + statement + b"\0" + form + b"\0\1" + struct.pack("!i", len(value)) + value + result
    return frame(b"B", body)


def group(statement: bytes, value: bytes, described: bool, form: bytes = b"\0\0", result: bytes = b"\0\1\0\0") -> bytes:
    rest = (DESCRIBE, EXECUTE, SYNC) if described else (EXECUTE, SYNC)
    return bind(statement, value, form, result) + b"".join(frame(kind, body) for kind, body in rest)


def prepared(door: Door) -> Wire:
    wire = door.raw()
    for name, sql in STATEMENTS.items():
        wire.send((b"P", name + b"\0" + sql + b"\0\0\0"), SYNC)
        wire.until(b"Z")
    return wire


VALUES = st.one_of(
    st.integers(-3, 120).map(lambda n: str(n).encode()),
    st.integers(0, 8).map(lambda n: str(n).encode()),
    st.sampled_from([b"ada", b"grace", "ä".encode(), b"", b"1e3", b"99999999999999999999", b"\xff", b" 7"]),
    st.integers(-3, 120).map(lambda n: struct.pack("!q", n)),
)


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(STATEMENTS)),
            VALUES,
            st.booleans(),
            st.sampled_from([b"\0\0", b"\0\1\0\0", b"\0\1\0\1"]),
            st.sampled_from([b"\0\0", b"\0\1\0\0", b"\0\1\0\1"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_quick_answers_are_the_usual_ones(door: Door, lookups: list[tuple[bytes, bytes, bool, bytes, bytes]]) -> None:
    answers = []
    for most in (0, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "LEARNED", most)
            wire = prepared(door)
            found = []
            for lookup in lookups:
                for _ in range(2):  # the second time it is known
                    wire.send_raw(group(*lookup))
                    found.append(wire.until(b"Z"))
            answers.append(found)
            wire.close()
    assert answers[0] == answers[1]


def test_several_at_once_and_pieces_of_them(door: Door) -> None:
    wire = prepared(door)
    one = [group(b"by_id", str(i).encode(), described=False) for i in range(50)]
    wire.send_raw(one[7])
    first = wire.until(b"Z")
    wire.send_raw(b"".join(one))
    answers = [wire.until(b"Z") for _ in one]
    assert answers[7] == first
    assert [answer[1][1][-len(b"word 0") :] for answer in answers] == [f"word {i % 7}".encode() for i in range(50)]
    whole = b"".join(one[:3])
    for cut in (3, len(one[0]) + 9, len(whole) - 2):
        wire.send_raw(whole[:cut])
        wire.send_raw(whole[cut:])
        assert [wire.until(b"Z") for _ in range(3)] == answers[:3]


def test_what_changes_the_session_counts_for_the_next_lookup(door: Door) -> None:
    wire = prepared(door)
    lookup = group(b"by_id", b"5", described=True)
    for _ in range(2):
        wire.send_raw(lookup)
        usual = wire.until(b"Z")
    wire.send((b"Q", b"BEGIN\0"))
    wire.until(b"Z")
    wire.send_raw(lookup)
    assert wire.until(b"Z") == [*usual[:-1], (b"Z", b"T")]
    wire.send((b"Q", b"ROLLBACK; DEALLOCATE by_id\0"))
    wire.until(b"Z")
    wire.send_raw(lookup)
    assert wire.kinds() == b"EZ"
    wire.send((b"P", b"by_id\0SELECT word FROM numbers WHERE id = $1\0\0\0"), SYNC)
    wire.until(b"Z")
    wire.send_raw(lookup)
    assert [kind for kind, _ in wire.until(b"Z")] == [b"2", b"T", b"D", b"C", b"Z"]
