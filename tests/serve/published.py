"""Published views made from rows, and requests to the app without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from prometheus_client import CollectorRegistry

from dataflow.delta import Delta
from dataflow.layout import Layout
from dataflow.snapshot import Snapshot
from dataflow.spine import Spine
from dataflow.types import TEXT, Column, ColumnType
from serve.api import SqlApi
from serve.events import Events
from serve.http import App, make_app
from serve.metrics import Metrics
from serve.reads import Publication, Published, PublishedView
from serve.recency import Probe
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.status import ServiceStatus
from serve.subscribe.hub import Hub

TIME = 1_795_346_117_450
_NO_ENDS: Mapping[str, Mapping[int, int]] = {}


def delta(types: Sequence[ColumnType], rows: Sequence[tuple[Any, ...]], diffs: Sequence[int] | None = None) -> Delta:
    columns = tuple(pa.array([row[i] for row in rows], t.arrow) for i, t in enumerate(types))
    return Delta(columns, np.array([1] * len(rows) if diffs is None else diffs, np.int64))


def snapshot(types: Sequence[ColumnType], key: tuple[int, ...], *deltas: Delta) -> Snapshot:
    """Each delta becomes a run of its own."""
    spine = Spine(Layout(tuple(types), key))
    for change in deltas:
        spine.insert(change)
    return spine.snapshot()


def view(
    name: str,
    columns: Mapping[str, ColumnType],
    key: Sequence[str],
    *batches: Sequence[tuple[Any, ...]],
    errors: Mapping[str, int] | None = None,
    **more: Any,
) -> PublishedView:
    """A view whose batches of rows lie in a run each; a row whose last value is an added `Diff` counts that often."""
    types = list(columns.values())
    positions = tuple(list(columns).index(column) for column in key)
    deltas = []
    for batch in batches:
        diffs = [row[-1].count if isinstance(row[-1], Diff) else 1 for row in batch]
        deltas.append(delta(types, [row[: len(types)] for row in batch], diffs))
    failed = delta([TEXT], [(message,) for message in errors or {}], list((errors or {}).values()))
    return PublishedView(
        name,
        tuple(Column(column, type_) for column, type_ in columns.items()),
        positions,
        snapshot(types, positions, *deltas),
        snapshot([TEXT], (0,), failed),
        **more,
    )


@dataclass(frozen=True)
class Diff:
    count: int


@dataclass(frozen=True)
class Partition:
    offset: int
    low: int
    high: int


@dataclass(frozen=True)
class Source:
    state: str = "running"
    reason: str = ""
    partitions: Mapping[int, Partition] = field(default_factory=lambda: {0: Partition(90, 10, 100)})
    records: int = 80
    bytes: int = 8000
    errors: int = 2
    latest_errors: Sequence[str] = ("orders[0]@11: older", "orders[0]@88: newer")
    hydration: tuple[int, int] = (80, 80)


@dataclass(frozen=True)
class Sink:
    state: str = "running"
    reason: str = ""
    frontier: int | None = TIME - 1499
    transactions: int = 5
    records: int = 50
    bytes: int = 5000
    aborted: int = 1
    queued_rows: int = 7


@dataclass(frozen=True)
class Memory:
    limit: int = 1000
    state_bytes: int = 900
    trouble: str = ""


@dataclass(frozen=True)
class Operator:
    node: int = 3
    operator: str = "join"
    view: str | None = "revenue"
    rows_in: int = 10
    rows_out: int = 20
    seconds: float = 0.5
    state_rows: int = 30
    state_bytes: int = 400
    state_file_bytes: int = 300


@dataclass
class House:
    """A publication and a status that a test may change, and the app over them."""

    publication: Publication = field(default_factory=Publication)
    status: ServiceStatus = field(
        default_factory=lambda: ServiceStatus(
            True, "", {"orders": Source()}, {"out": Sink()}, lambda: [Operator()], 1e9, 42, Memory()
        )
    )
    probe: Probe = field(default=lambda *_: _NO_ENDS)
    app: App = field(init=False)
    metrics: Metrics = field(init=False)
    users: Mapping[str, str] = field(default_factory=dict)
    hub: Hub = field(init=False)
    queries: Queries = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry(), lambda: self.status)
        relations = Relations(lambda: self.status, RELATIONS, "shop")
        self.queries = Queries(self.publication, lambda: self.status, relations)
        self.hub = Hub(self.publication, relations, self._tick)
        events, sql = Events(self.publication, self.hub), SqlApi(self.queries, self.hub, self.users, "shop", "0.0.0")
        self.app = make_app(self.publication, lambda: self.status, self.metrics, self._ask, events, sql)

    def _tick(self) -> None:
        """What the tick loop does when it is woken and nothing has changed."""
        published = self.publication.current()
        if published is not None:
            self.hub.hand_over(published, {}, self.hub.wanted)

    def _ask(self, source: str, timeout: float) -> Mapping[int, int]:
        return self.probe(source, timeout)

    def publish(
        self, *views: PublishedView, time: int = TIME, ends: Mapping[str, Mapping[int, int]] = _NO_ENDS
    ) -> None:
        self.publication.publish(Published(time, {each.name: each for each in views}, ends))

    def get(self, path: str, method: str = "GET") -> tuple[int, Any]:
        """Status and JSON of a request; the path is as it goes over the wire."""
        status, _, body = self.request(path, method)
        return status, json.loads(body)

    def request(self, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        return asyncio.run(_request(self.app, target, method))


async def _request(app: App, target: str, method: str) -> tuple[int, dict[str, str], bytes]:
    raw_path, _, query = target.encode().partition(b"?")
    from urllib.parse import unquote

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "server": ("127.0.0.1", 80),
        "path": unquote(raw_path.decode()), "raw_path": raw_path, "query_string": query, "root_path": "",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])
