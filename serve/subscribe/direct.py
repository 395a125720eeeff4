"""Readers that wait, at the same place and for the same bytes, get them at once: made once, and without waking anybody.

Always true: what a reader is given is what it would have taken and written by itself; one for whom anything is special (its
beginning or end, a client that has enough for now, more rows than are written in passing) is woken instead.
Deliberately unknown: what the bytes are, and how they travel.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataflow.delta import Delta

if TYPE_CHECKING:
    from serve.subscribe.stream import Reader

INLINE_ROWS = 2048
"""Rows of one entry that are written on the event loop, and kept for others who want the same; more are left to the reader."""

Written = tuple[bytes, int]
"""Bytes, and how many rows they are."""


@dataclass(frozen=True, slots=True)
class Direct:
    """How a reader that waits is given what comes. All of it is called on the reader's loop.

    how: the same for all who write alike. write: the changes of a time; told: that nothing comes before a time any more.
    ready: whether the client has room. accept: has bytes sent.
    """

    how: Hashable
    write: Callable[[int, Delta], Written]
    told: Callable[[int], Written]
    ready: Callable[[], bool]
    accept: Callable[[bytes, int], None]


def give(readers: Iterable[Reader]) -> list[Reader]:
    """Give readers of one loop, on it, what there is for them; who is to be woken instead."""
    groups: dict[Hashable, list[Reader]] = {}
    woken: list[Reader] = []
    for reader in readers:
        alike = reader.alike
        if alike is None:
            woken.append(reader)
        else:
            groups.setdefault(alike, []).append(reader)
    for group in groups.values():
        first = group[0]
        direct, stream = first.direct, first.stream
        assert direct is not None
        assert stream is not None
        part = stream.give(group, INLINE_ROWS)
        if part is None:
            woken += group
            continue
        pieces = [entry.bytes(direct.how, direct.write) for entry in part.entries]
        if first.options.progress:
            pieces.append(direct.told(part.upper))
        data, rows = b"".join(piece for piece, _ in pieces), sum(count for _, count in pieces)
        for reader in group:
            assert reader.direct is not None
            reader.direct.accept(data, rows)
        if first.hungry:  # there was more than is taken at a time
            woken += group
    return woken
