"""What is sealed comes back as it was, or not at all."""

from __future__ import annotations

from ingest.sealed import seal, unseal


def test_no_changed_byte_and_no_cut_goes_unnoticed() -> None:
    content = seal(b"kind 1\n", b"payload")
    assert unseal(b"kind 1\n", content) == b"payload"
    assert unseal(b"kind 2\n", content) is None
    for place in range(len(content)):
        assert unseal(b"kind 1\n", content[:place]) is None
        assert unseal(b"kind 1\n", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]) is None
