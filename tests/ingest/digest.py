"""The digest of a record in plain Python: the twin of ingest/kernels/consumer_digest.h."""

from __future__ import annotations

_U64 = (1 << 64) - 1
PLACE, SEQUENCE, ABSENT = 0x8D1F3A6BC94E2D57, 0xB5C02E9117D8A463, 0x63E5D40FA82B971D
PRESENT, LOW, HIGH = 0xD96A2C8E53F107B5, 0xA3B19F4C60D7E285, 0x5CE8076D3F92BA41
FINISH, SPREAD = 0xE7294DB810C5F36B, 0x97D3B65E2A4F08C1


def _mix(a: int, b: int) -> int:
    product = a * (b & _U64)
    return (product & _U64) ^ (product >> 64)


def _absorb(state: int, field: bytes | None) -> int:
    if field is None:
        return _mix(state ^ ABSENT, SPREAD)
    state = _mix(state ^ PRESENT ^ len(field), SPREAD)
    padded = field + bytes(-len(field) % 16)
    for at in range(0, len(padded), 16):
        first = int.from_bytes(padded[at : at + 8], "little")
        second = int.from_bytes(padded[at + 8 : at + 16], "little")
        state = _mix(state ^ first ^ LOW, state + (second ^ HIGH))
    return state


def digest(partition: int, offset: int, key: bytes | None, value: bytes | None) -> int:
    """64 bits of one record."""
    state = _mix(partition ^ PLACE, offset ^ SEQUENCE)
    return _mix(_absorb(_absorb(state, key), value) ^ FINISH, SPREAD)
