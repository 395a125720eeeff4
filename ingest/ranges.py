"""Ranges of a topic: which records a tick took, and whether a replay took the same ones.

Always true: ranges of one partition follow each other without gaps; counts and digests add up, so that the range of several
ticks is the sum of theirs. Deliberately unknown: times, files, and how records are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

_DIGEST_MASK = (1 << 64) - 1

FRAMES = -1
"""The partition under which a source binds the frames of its kept rows (`ingest.kept`); no topic has one of this number."""


class Range(msgspec.Struct, frozen=True, array_like=True):
    """The records of one partition from offset `start` up to, without, `end`.

    count: records a read_committed reader sees there; fewer than offsets where transactions end, abort or compaction ran.
    digest: sum modulo 2^64 of the records' digests.
    """

    partition: int
    start: int
    end: int
    count: int
    digest: int

    def extended(self, following: Range) -> Range:
        """This range and the one right after it as one; ValueError when they do not touch."""
        if (self.partition, self.end) != (following.partition, following.start):
            raise ValueError(
                f"range {following.start} to {following.end} of partition {following.partition} "
                f"does not follow {self.start} to {self.end} of partition {self.partition}"
            )
        digest = (self.digest + following.digest) & _DIGEST_MASK
        return Range(self.partition, self.start, following.end, self.count + following.count, digest)


def join(bound: dict[int, Range], following: Iterable[Range]) -> None:
    """Add the ranges that follow to the one that is bound of each partition; ValueError when they do not touch."""
    for piece in following:
        before = bound.get(piece.partition)
        bound[piece.partition] = piece if before is None else before.extended(piece)


class ReplayMismatch(Exception):  # noqa: N818 (a state of the topic, not a fault of the program)
    """The topic no longer holds what was read from it before: going on would give other answers than those given out."""


def compare(topic: str, expected: Mapping[int, Range], actual: Mapping[int, Range]) -> None:
    """Raise `ReplayMismatch` unless every expected range was read again with the same records.

    expected, actual: partition to the whole range; a partition without records may be missing from `actual`.
    """
    for partition, before in sorted(expected.items()):
        now = actual.get(partition)
        count, digest = (now.count, now.digest) if now is not None else (0, 0)
        if (count, digest) == (before.count, before.digest):
            continue
        place = f"{topic}[{partition}] from offset {before.start} to {before.end}"
        if count == before.count:
            what = f"{place} has the same {count} records as before, but with other contents"
        else:
            what = f"{place} has {count} records, and had {before.count} when they were read first"
        raise ReplayMismatch(
            f"{what}: the topic was compacted, expired, truncated or created again; "
            "start with an empty state folder to read it from its beginning"
        )
