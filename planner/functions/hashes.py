"""Hashes of texts and bytes that other systems compute too: crc32, seahash, and the one of Kafka's clients.

Always true: of a text, it is the hash of its UTF-8. All are Python for each different value (`PER_ROW`).
"""

from __future__ import annotations

import zlib
from decimal import Decimal

from dataflow.types import BIGINT, INTEGER, Kind
from planner.functions.by_row import by_row
from planner.functions.registry import Function
from planner.functions.types import derived_numeric

_LONG = (1 << 64) - 1
_SEEDS = (0x16F11FE89B0D677C, 0xB480A793D8E6C86C, 0x6FE2E5AAF078EBC9, 0x14F994A4C5259381)
_DIFFUSION = 0x6EED0E9DA4D94A4F


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _crc32(data: str | bytes) -> int:
    return zlib.crc32(_bytes(data))


def murmur2(data: str | bytes) -> int:
    """The hash by which Kafka's clients choose partitions, its highest bit cleared, as they do before the remainder."""
    content, mask, factor = _bytes(data), 0xFFFFFFFF, 0x5BD1E995
    found = (0x9747B28C ^ len(content)) & mask
    whole = len(content) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(content[at : at + 4], "little") * factor & mask
        part = (part ^ part >> 24) * factor & mask
        found = (found * factor & mask) ^ part
    if rest := content[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * factor & mask
    found = (found ^ found >> 13) * factor & mask
    found ^= found >> 15
    return found & 0x7FFFFFFF


def seahash(data: str | bytes) -> int:
    """SeaHash with its reference's seeds: 64 bits without a sign."""
    content, state = _bytes(data), list(_SEEDS)
    for lane, at in enumerate(range(0, len(content), 8)):
        part = int.from_bytes(content[at : at + 8], "little")
        state[lane % 4] = _diffused(state[lane % 4] ^ part)
    a, b, c, d = state
    return _diffused(a ^ b ^ c ^ d ^ len(content))


def _diffused(value: int) -> int:
    value = value * _DIFFUSION & _LONG
    value ^= (value >> 32) >> (value >> 60)
    return value * _DIFFUSION & _LONG


FUNCTIONS: tuple[Function, ...] = (
    *(Function("crc32", (kind,), BIGINT, by_row(_crc32)) for kind in (Kind.TEXT, Kind.BYTEA)),
    *(Function("kafka_murmur2", (kind,), INTEGER, by_row(murmur2)) for kind in (Kind.TEXT, Kind.BYTEA)),
    *(
        Function("seahash", (kind,), derived_numeric(0), by_row(lambda data: Decimal(seahash(data))))
        for kind in (Kind.TEXT, Kind.BYTEA)
    ),
)

PER_ROW = frozenset(("crc32", "kafka_murmur2", "seahash"))
"""Functions that are Python for each different row of arguments."""
