"""A table and its one client, in runs whose state is in a folder: what it wrote, frame by frame, as its log should have it.

Always true: a frame that was bound is never forgotten; one that was not is, at the next start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.types import BIGINT, Column, Schema
from ingest.frames import Staged
from ingest.table_log import PREFIX, TableLog
from ingest.tables import TableSource
from tests.sim.chance import Chance
from tests.sim.promises import Wrong

TABLE = f"{PREFIX}1"
LIMITS: Schema = (Column("account", BIGINT), Column("ceiling", BIGINT))

Row = tuple[int, int]
Positions = Mapping[str, Mapping[int, int]]


class Limits:
    """The truth of the table."""

    def __init__(self, chance: Chance, accounts: int) -> None:
        self._chance, self._accounts = chance, accounts
        self.frames: list[Counter[Row]] = []
        self._source: TableSource | None = None
        self._there: Counter[Row] = Counter()  # with what waits for the next tick
        self._waiting = False

    def start(self, log: TableLog, bound: Positions, shown: Positions) -> TableSource:
        """The next incarnation begins: what was not bound is gone. What is written to the log is watched from now on."""
        found, there, told = (log.count(TABLE), *(one.get(TABLE, {}).get(0, 0) for one in (bound, shown)))
        if found != there or there < told:
            raise Wrong(f"the table has {found} frames, {there} are bound, and {told} were shown")
        del self.frames[there:]
        self._there, self._waiting = self.rows(bound), False
        append = log.append

        def watched(frames: Sequence[Staged]) -> None:
            self._chance.point("S3 before what was written to tables")
            for frame in frames:
                if frame.table != TABLE:
                    continue
                if frame.number != len(self.frames):
                    raise Wrong(f"frame {frame.number} is written where {len(self.frames)} comes next")
                self.frames.append(counted(frame.delta))
                self._waiting = False
            append(frames)

        cast(Any, log).append = watched
        self._source = TableSource(TABLE, "limits", LIMITS, log)
        return self._source

    def write(self, now: int) -> None:
        """A client writes a row or two, or takes one away."""
        random = self._chance.random
        if self._source is None:
            return
        change: Counter[Row] = Counter()
        for _ in range(random.randint(1, 2)):
            if (there := sorted((self._there + Counter()).elements())) and random.random() < 0.45:
                row = random.choice(there)
                change[row] -= 1
                self._there[row] -= 1
            else:
                row = (random.randrange(self._accounts), random.choice((1, 5, 20)))
                change[row] += 1
                self._there[row] += 1
        rows = [row for row, diff in change.items() if diff]
        if rows:
            columns = tuple(pa.array([row[i] for row in rows], pa.int64()) for i in range(2))
            self._source.write(Delta(columns, np.array([change[row] for row in rows], np.int64)), now)
            self._waiting = True

    def rows(self, positions: Positions) -> Counter[Row]:
        """The table's rows at some position."""
        found: Counter[Row] = Counter()
        for frame in self.frames[: positions.get(TABLE, {}).get(0, 0)]:
            found.update(frame)
        return +found

    def all_in(self, positions: Positions) -> bool:
        """Whether everything that was written is in this."""
        return not self._waiting and positions.get(TABLE, {}).get(0, 0) == len(self.frames)


def counted(delta: Delta) -> Counter[Row]:
    """Rows and how often."""
    found: Counter[Row] = Counter()
    for *row, diff in zip(*(column.to_pylist() for column in delta.columns), delta.diffs.tolist(), strict=True):
        found[cast(Row, tuple(row))] += diff
    return found
