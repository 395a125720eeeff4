"""SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, as PostgreSQL speaks it: without channel binding.

Always true: the password itself never crosses the wire; an unknown user is refused only where a wrong password would be, after
the same messages. Deliberately unknown: sockets, and where users come from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 4096

_FIRST = re.compile(r"([ny]|p=[^,]*),(?:a=[^,]*)?,(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+))(?:,.*)?")
_FINAL = re.compile(r"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^,]*)*),p=([A-Za-z0-9+/=]+)")


class ScramError(Exception):
    """What the client sent is no SCRAM message."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the server keeps of a password."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int = ITERATIONS

    @classmethod
    def of(cls, password: str, salt: bytes | None = None) -> Verifier:
        """The verifier of a password, with a salt of its own."""
        salt = secrets.token_bytes(16) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, ITERATIONS)
        client = hmac.digest(salted, b"Client Key", "sha256")
        return cls(salt, hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def prepared(password: str) -> str:
    """SASLprep (RFC 4013); a password that it forbids is taken as it is, as PostgreSQL does."""
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    text = unicodedata.normalize("NFKC", mapped)
    forbidden = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9,
    )  # fmt: skip
    return password if any(test(c) for c in text for test in forbidden) else text


class Exchange:
    """One authentication. `first`, then `final`."""

    def __init__(self, verifier: Verifier | None, nonce: str | None = None) -> None:
        """verifier: None for a user that there is not; the exchange then fails at its end."""
        self._known = verifier is not None
        self._verifier = verifier or Verifier.of(secrets.token_hex(16))
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(18)).decode()
        self._bare = self._answer = self._flag = ""

    def first(self, data: bytes) -> bytes:
        """The client's first message to the server's."""
        found = _FIRST.fullmatch(_text(data))
        if found is None or found[1].startswith("p="):
            raise ScramError("malformed SCRAM message, or channel binding that the server did not offer")
        self._flag, self._bare = found[1], found[2]
        self._nonce = found[4] + self._nonce
        salt = base64.b64encode(self._verifier.salt).decode()
        self._answer = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        return self._answer.encode()

    def final(self, data: bytes) -> bytes | None:
        """The client's last message to the server's; None when the password is wrong."""
        found = _FINAL.fullmatch(_text(data))
        if found is None or not self._bare:
            raise ScramError("malformed SCRAM message")
        without_proof, binding, nonce, proof_text = found.groups()
        if binding != base64.b64encode(f"{self._flag},,".encode()).decode() or nonce != self._nonce:
            raise ScramError("the SCRAM nonce or channel binding does not match")
        try:
            proof = base64.b64decode(proof_text, validate=True)
        except (binascii.Error, ValueError):
            raise ScramError("malformed proof in SCRAM message") from None
        message = f"{self._bare},{self._answer},{without_proof}".encode()
        signature = hmac.digest(self._verifier.stored_key, message, "sha256")
        if len(proof) != len(signature):
            raise ScramError("malformed proof in SCRAM message")
        client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        right = hmac.compare_digest(hashlib.sha256(client).digest(), self._verifier.stored_key)
        if not right or not self._known:
            return None
        return b"v=" + base64.b64encode(hmac.digest(self._verifier.server_key, message, "sha256"))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ScramError("malformed SCRAM message") from None
