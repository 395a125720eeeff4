"""A payload behind what it is and its checksum: the form of the small files and objects of the durable state.

    header | CRC-32 of the payload, big endian | payload

Always true: what `unseal` returns is what was sealed under that header. Deliberately unknown: what payloads hold and where
they are.
"""

from __future__ import annotations

import zlib

_CRC_BYTES = 4


def seal(header: bytes, payload: bytes) -> bytes:
    """The content of a file or object. header: names the kind and its version."""
    return header + zlib.crc32(payload).to_bytes(_CRC_BYTES, "big") + payload


def unseal(header: bytes, content: bytes) -> bytes | None:
    """The payload; None when the content is damaged, cut short, or of another kind or version."""
    begin = len(header) + _CRC_BYTES
    payload = content[begin:]
    whole = content.startswith(header) and content[len(header) : begin] == zlib.crc32(payload).to_bytes(
        _CRC_BYTES, "big"
    )
    return payload if whole and payload else None
