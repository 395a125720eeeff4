"""`GET /views/{view}/changes`: a view's changes as server-sent events, as they happen.

    event: snapshot | changes | progress | error
    id: 1795346117450
    data: {"timestamp": 1795346117450, "rows": [{"diff": 1, "row": {...}}]}

Always true: the sum of all rows up to an event is the view at its time; a snapshot may come in several events of one time. What
several clients read is written once. A client that does not read is waited for, then cut (`serve.subscribe`).
Deliberately unknown: sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.delta import Delta
from dataflow.json import encode_rows
from dataflow.types import Schema
from planner.plan import Get
from serve.answers import Scope, Send, parameters, respond
from serve.errors import INVALID_PARAMETER, NOT_READY, UNDEFINED_VIEW, Refused, did_you_mean, error_body
from serve.reads import Publication, pieces
from serve.sql.errors import QueryError
from serve.subscribe.hub import Hub
from serve.subscribe.options import Options, Subscribed
from serve.subscribe.stream import Part, Reader

Receive = Callable[[], Awaitable[Any]]

_FLAGS = {"true": True, "false": False}


class Events:
    """Answers the requests for changes."""

    def __init__(self, publication: Publication, hub: Hub) -> None:
        self._publication = publication
        self._hub = hub

    async def __call__(self, view: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes."""
        try:
            subscribed, options = self._asked(view, scope["query_string"])
        except Refused as refused:
            await respond(send, refused.status, refused.body)
            return
        task = asyncio.create_task(self._stream(subscribed, options, send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (task, gone):
                one.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _asked(self, view: str, raw_query: bytes) -> tuple[Subscribed, Options]:
        flags = {"snapshot": True, "progress": False}
        for name, text in parameters(raw_query):
            if name not in flags or text not in _FLAGS:
                raise Refused(
                    400,
                    f'unknown parameter "{name}={text}"',
                    INVALID_PARAMETER,
                    hint="write snapshot=false, progress=true",
                )
            flags[name] = _FLAGS[text]
        published = self._publication.current()
        if published is None:
            raise Refused(503, "no view can be read yet", NOT_READY)
        found = published.relation(view)
        if found is None:
            hint = did_you_mean(view, published.views)
            raise Refused(404, f'view "{view}" does not exist', UNDEFINED_VIEW, hint=hint)
        if found.state != "ready":
            raise Refused(503, f"view {view} is {found.state}", NOT_READY, detail=found.reason or None)
        plan = Get(view, found.schema)
        return Subscribed(repr(plan), plan, found.schema), Options(flags["snapshot"], flags["progress"])

    async def _stream(self, subscribed: Subscribed, options: Options, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        def cut() -> None:
            task.cancel()

        reader = self._hub.subscribe(subscribed, options, asyncio.get_running_loop(), cut)
        try:
            while True:
                await reader.wait()
                while (part := reader.take()) is not None:
                    await self._send(part, reader, subscribed.schema, send)
        except QueryError as error:
            body = error_body(error.message, error.code, error.detail, error.hint)
            await send({"type": "http.response.body", "body": b"event: error\ndata: %b\n\n" % body, "more_body": False})
        finally:
            self._hub.leave(reader)

    @staticmethod
    async def _send(part: Part, reader: Reader, schema: Schema, send: Send) -> None:
        def write(time: int, delta: Delta) -> tuple[bytes, int]:
            return _event(b"changes", time, delta, schema), len(delta)

        async def more(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        if part.snapshot is not None and part.start is not None:
            rows = pieces(part.snapshot)
            while (piece := await asyncio.to_thread(next, rows, None)) is not None:
                await more(await asyncio.to_thread(_event, b"snapshot", part.start, piece, schema))
        for entry in part.entries:
            await more(entry.bytes("events", write)[0])
        if reader.options.progress:
            await more(b'event: progress\nid: %d\ndata: {"timestamp":%d}\n\n' % (part.upper, part.upper))


def _event(kind: bytes, time: int, delta: Delta, schema: Schema) -> bytes:
    diffs = pc.cast(pc.cast(pa.array(delta.diffs), pa.large_string()), pa.large_binary())
    parts = (b'{"diff":', diffs, b',"row":', encode_rows(delta.columns, schema), b"}", b"")
    scalars = [pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else part for part in parts]
    rows = pc.binary_join_element_wise(*scalars)
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(rows)], pa.int64()), rows)
    joined = pc.binary_join(whole, pa.scalar(b",", pa.large_binary()))[0].as_py()
    return b'event: %b\nid: %d\ndata: {"timestamp":%d,"rows":[%b]}\n\n' % (kind, time, time, joined)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
