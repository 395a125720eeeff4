"""SCRAM-SHA-256 against the example of RFC 7677."""

from __future__ import annotations

import base64

import pytest

from serve.pg.scram import Exchange, ScramError, Verifier, prepared

SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def exchange(password: str = "pencil") -> Exchange:
    return Exchange(Verifier.of(password, base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")), SERVER_NONCE)


def test_the_example() -> None:
    made = exchange()
    assert made.first(FIRST) == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert made.final(FINAL) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_wrong_password_and_an_unknown_user_fail_at_the_same_step() -> None:
    wrong = exchange("pencils")
    wrong.first(FIRST)
    assert wrong.final(FINAL) is None
    unknown = Exchange(None, SERVER_NONCE)
    assert unknown.first(FIRST).startswith(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=")
    assert unknown.final(FINAL) is None


@pytest.mark.parametrize(
    ("first", "final"),
    [
        (b"p=tls-server-end-point,,n=user,r=abc", None),
        (b"n,,n=user", None),
        (b"\xff", None),
        (FIRST, FINAL.replace(b"c=biws", b"c=eSws")),
        (FIRST, FINAL.replace(b"k0,p", b"k1,p")),
        (FIRST, FINAL[:-5]),
        (FIRST, b""),
    ],
)
def test_other_messages_are_refused(first: bytes, final: bytes | None) -> None:
    made = exchange()
    if final is None:
        with pytest.raises(ScramError):
            made.first(first)
        return
    made.first(first)
    with pytest.raises(ScramError):
        made.final(final)


def test_passwords_are_prepared() -> None:
    assert prepared("I\u00adX") == "IX"
    assert prepared("\u00aa") == "a"
    assert prepared("\u2168") == "IX"
    assert prepared("\x07") == "\x07", "forbidden: taken as it is"
