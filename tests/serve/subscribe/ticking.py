"""A small tick loop over one view, for subscriptions: rows in, ticks out, by hand."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.graph import GraphBuilder
from dataflow.types import BIGINT, TEXT, Column, ColumnType
from serve.reads import Publication, Published, PublishedView
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.subscribe.hub import Hub
from serve.subscribe.options import Options
from serve.subscribe.stream import Reader
from tests.serve.published import House

COLUMNS: Mapping[str, ColumnType] = {"k": TEXT, "v": BIGINT}
Row = tuple[Any, ...]


class Ticking:
    """A view `pairs` (k, v) that changes tick by tick; times are 1, 2, ..."""

    def __init__(self) -> None:
        self.schema = tuple(Column(name, type_) for name, type_ in COLUMNS.items())
        builder = GraphBuilder()
        node = builder.input("in", tuple(COLUMNS.values()))
        builder.export("pairs", node, self.schema, (0,))
        self._dataflow = builder.build(lambda: 0.0)
        self.house = House()
        self.publication: Publication = self.house.publication
        relations = Relations(lambda: self.house.status, RELATIONS, "shop")
        self.queries = Queries(self.publication, lambda: self.house.status, relations)
        self.hub = Hub(self.publication, relations, lambda: None)
        self._lock = threading.Lock()
        self.rows: Counter[Row] = Counter()
        self.time = 0
        self.at: dict[int, Counter[Row]] = {}
        """The rows at each time."""
        self.hub.start()
        self.tick([])

    def tick(self, changes: Sequence[tuple[Row, int]], time: int | None = None) -> None:
        """One time with these changes. Any thread."""
        with self._lock:
            self._tick(changes, time)

    def _tick(self, changes: Sequence[tuple[Row, int]], time: int | None) -> None:
        wanted = self.hub.wanted
        self.time = self.time + 1 if time is None else time
        columns = tuple(pa.array([row[i] for row, _ in changes], t.arrow) for i, t in enumerate(COLUMNS.values()))
        delta = Delta(columns, np.array([diff for _, diff in changes], np.int64))
        result = self._dataflow.step({"in": delta})
        self._dataflow.maintain(1 << 20)
        for row, diff in changes:
            self.rows[row] += diff
        self.rows = Counter({row: count for row, count in self.rows.items() if count})
        self.at[self.time] = Counter(self.rows)
        view = self._dataflow.view("pairs")
        shown = PublishedView("pairs", self.schema, (0,), view.snapshot(), view.errors())
        published = Published(self.time, {"pairs": shown})
        self.publication.publish(published)
        self.hub.hand_over(published, {n: d for n, d in result.changes.items() if n in wanted and len(d)}, wanted)

    def subscribe(self, sql: str, options: Options, loop: asyncio.AbstractEventLoop) -> Reader:
        return self.hub.subscribe(self.queries.subscribed(sql), options, loop, lambda: None)


def as_rows(delta: Delta) -> list[tuple[Row, int]]:
    columns = [column.to_pylist() for column in delta.columns]
    return list(zip(zip(*columns, strict=True), delta.diffs.tolist(), strict=True))
