"""Rows of a topic that the broker does not keep: what was decoded of it stays in the state folder, beside the tables' rows.

Compaction takes records away that were read. So of a compacted topic each cut becomes a frame of `ingest.table_log`, which is
durable before the binding that makes it count; a replay takes frames instead of records. Frames are bound as a partition of their
own, `FRAMES`, among the source's ranges, and hold the ranges of the topic that they stand for, so that a replay is verified as one
that reads the topic is.
Always true: a source is kept from its first record on, or never; a replay of one that is kept asks no broker; rows that were
decoded as other columns are never given out.
Deliberately unknown: times, formats, files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from config.settings import Source as Settings
from dataflow.delta import Delta
from dataflow.rows import concat_deltas
from dataflow.types import TEXT, Schema
from ingest.chunks import Taken
from ingest.frames import Kind, Staged
from ingest.ranges import FRAMES, Range
from ingest.remap import RemapError
from ingest.table_log import TableLog

NO_ERRORS = Delta.empty((TEXT,))

DECIDED = {"auto": None, "always": True, "never": False}
"""What the setting says of whether rows are kept; None: the broker does."""


class Keeping:
    """The kept rows of one source; for the thread that takes from it."""

    def __init__(self, name: str, settings: Settings, schema: Schema, log: TableLog, bound: Mapping[int, int]) -> None:
        """name: as the remap log has it. bound: partition to the end of what was bound of the source before."""
        places = {column.name: place for place, column in enumerate(schema)}
        key = tuple(places[name] for name in settings.key) if settings.envelope == "upsert" else None
        columns = [(column.name, str(column.type)) for column in schema]
        self._kind = Kind(key, hashlib.sha256(repr((columns, settings.envelope, key)).encode()).hexdigest())
        self._name, self._shown, self._log = name, settings.topic, log
        self._at = self._end = bound.get(FRAMES, 0)
        self._staged: list[Staged] = []
        self.ends = {partition: end for partition, end in bound.items() if partition != FRAMES}
        """Where the topic goes on behind the frames."""
        self.kept: bool | None = FRAMES in bound if bound else DECIDED[settings.keep_rows]
        """Whether rows are kept; None while the broker was not asked."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Go on from this frame. RemapError when the log is folded over it."""
        self._at = positions.get(FRAMES, 0)
        if self.kept and not self._log.begins_at(self._name, self._at):
            raise RemapError(
                f"what {self._shown} was at frame {self._at} is folded into a later time; restore the state folder"
            )

    def reached(self, until: Mapping[int, int]) -> bool:
        """Whether every frame before this was taken."""
        return self._at >= until.get(FRAMES, 0)

    @property
    def replayed(self) -> bool:
        """Whether every frame that was bound at the start was taken."""
        return self._at >= self._end

    def replay(self, limit_rows: int, until: Mapping[int, int] | None) -> Taken | str | None:
        """Frames that were not taken yet, with the ranges that they stand for; None when there are none. A text says why they
        cannot be used. RemapError when one cannot be read."""
        most = self._end if until is None else min(self._end, until.get(FRAMES, 0))
        start, parts, ranges, rows = self._at, list[Delta](), list[Range](), 0
        while self._at < most and rows < limit_rows:
            frame = self._log.frame(self._name, self._at)
            if frame.meaning not in ("", self._kind.meaning):
                return (
                    f"its columns, key or envelope are not those with which its rows were kept, and topic {self._shown} may no "
                    "longer have them all: change them back, or give the source another name to read what is there"
                )
            delta, self._at = frame.delta, frame.end
            parts.append(delta)
            ranges += frame.ranges
            rows += len(delta)
        if self._at == start:
            return None
        frames = Range(FRAMES, start, self._at, self._at - start, 0)
        return Taken(concat_deltas(parts), NO_ERRORS, (frames, *ranges), sum(piece.count for piece in ranges), 0)

    def keep(self, taken: Taken) -> Taken:
        """What was taken of the topic, with the frame that it becomes."""
        self._staged.append(Staged(self._name, self._at, taken.delta, taken.ranges, self._kind))
        frame = Range(FRAMES, self._at, self._at + 1, 1, 0)
        self._at += 1
        self._end = self._at
        return Taken(taken.delta, taken.errors, (frame, *taken.ranges), taken.records, taken.bytes)

    def staged(self) -> list[Staged]:
        """The frames that are to be durable before what was taken is bound."""
        frames, self._staged = self._staged, []
        return frames
