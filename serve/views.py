"""The view endpoints, straight on ASGI: `/views`, `/views/{view}`, `/views/{view}/{key...}`, `/views/{view}/errors`.

Always true: an answer is of one complete tick and says which; a key may be any text, because paths are split before they are
decoded. Lookups by key run on the event loop (microseconds); everything that may touch many rows runs in a thread.
Deliberately unknown: sockets, and what the other endpoints are.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from dataflow.delta import Delta
from dataflow.json import encode_rows
from serve import recency
from serve.answers import DEFAULT_LIMIT, MAX_LIMIT, Scope, Send, answer, parameters, parse_limit
from serve.errors import INVALID_PARAMETER, NOT_READY, UNDEFINED_COLUMN, UNDEFINED_VIEW, Refused, did_you_mean
from serve.past import NotKeptError
from serve.reads import Filter, Publication, Published, PublishedView, copies, equal_rows, lookup, scan
from serve.recency import TIMED_OUT, Freshness, Recency
from serve.sql.errors import QueryError
from serve.status import StatusSource
from serve.values import BadValue, parse_time, parse_value, seconds

SCAN_THREADS = 2
"""Scans at a time; more wait their turn, so that lookups keep a core."""

ERRORS = "errors"
"""`/views/{view}/errors`; a key that reads so is found by `?column=errors`."""


class Views:
    """Answers the requests below `/views`."""

    def __init__(self, publication: Publication, status: StatusSource, recency: Recency) -> None:
        self._publication = publication
        self._recency = recency
        self._status = status
        self._threads = ThreadPoolExecutor(SCAN_THREADS, "reads")

    async def __call__(self, scope: Scope, send: Send) -> None:
        """Answer one request whose path is `/views` or below it."""
        await answer(scope, send, self._answer)

    async def _answer(self, segments: list[str], raw_query: bytes) -> tuple[int, bytes]:
        published = self._publication.current()
        if published is None:
            raise Refused(503, "no view can be read yet", NOT_READY, detail=self._status().reason or None)
        if not segments or segments == [""]:
            return 200, await self._in_thread(self._list, published)
        view = published.views.get(segments[0])
        if view is None:
            hint = did_you_mean(segments[0], published.views)
            raise Refused(404, f'view "{segments[0]}" does not exist', UNDEFINED_VIEW, hint=hint)
        as_of, raw_query = _as_of(raw_query)
        if as_of is not None and view.state == "ready":
            try:
                published = published.as_of(as_of)
                view = published.views[view.name]
            except NotKeptError as error:
                raise Refused(400, error.message, error.code, hint=error.hint) from None
        if segments[1:] == [ERRORS]:
            limit, _ = _query(view, raw_query, filters=False)
            return 200, await self._in_thread(self._errors, published, view, limit)
        demand, raw_query = _demand(raw_query)
        if demand is not None and as_of is not None:
            raise Refused(400, f"{AS_OF} excludes {RECENT} and {STALENESS}", INVALID_PARAMETER)
        if view.state == "ready" and demand is not None:
            try:
                published = await self._recency.hold(f"view {view.name}", view.sources, demand)
            except QueryError as error:
                status = 504 if error.code == TIMED_OUT else 503
                raise Refused(status, error.message, error.code, error.detail, error.hint) from None
            view = published.views.get(view.name)
            if view is None:
                raise Refused(404, f'view "{segments[0]}" does not exist any more', UNDEFINED_VIEW)
        if view.state != "ready":
            raise Refused(503, f"view {view.name} is {view.state}", NOT_READY, detail=view.reason or None)
        if len(segments) > 1:
            if raw_query:
                raise Refused(
                    400, "a lookup by path takes no parameters", INVALID_PARAMETER, hint=f"use /views/{view.name}?..."
                )
            return self._lookup(published, view, segments[1:])
        return 200, await self._in_thread(self._scan, published, view, raw_query)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _lookup(self, published: Published, view: PublishedView, segments: list[str]) -> tuple[int, bytes]:
        names = [view.schema[index].name for index in view.key]
        if len(segments) != len(names):
            key = ", ".join(names) if names else "no columns"
            raise Refused(
                400,
                f"the key of view {view.name} has {len(names)} columns, the path {len(segments)} segments",
                INVALID_PARAMETER,
                detail=f"the key is: {key}",
                hint=f"use /views/{view.name}?column=value for other columns; a / inside a value is written %2F",
            )
        values = [_value(view, index, text) for index, text in zip(view.key, segments, strict=True)]
        known = [value for value in values if value is not None]
        rows = lookup(view, known) if len(known) == len(values) else Delta((), _NO_DIFFS)
        return (200 if len(rows) else 404), self._rows(published, view, rows, MAX_LIMIT)

    def _scan(self, published: Published, view: PublishedView, raw_query: bytes) -> bytes:
        limit, texts = _query(view, raw_query)
        values = {index: _value(view, index, text) for index, text in texts.items()}
        filters = [(index, value) for index, value in values.items() if value is not None]
        if len(filters) < len(values) or limit == 0:
            rows = Delta((), _NO_DIFFS)
        elif view.key and set(view.key) <= values.keys():
            rows = _filtered(lookup(view, [values[index] for index in view.key]), filters, view)
        else:
            rows = scan(view.rows, filters, limit)
        return self._rows(published, view, rows, limit)

    def _rows(self, published: Published, view: PublishedView, rows: Delta, limit: int) -> bytes:
        """The JSON of an answer. `errors` says how many rows of the view could not be computed, when there are any."""
        encoded = encode_rows(copies(rows, limit), view.schema).to_pylist() if len(rows) else []
        errors = view.errors.total
        return b'{"view":%b,"timestamp":%d,%b"rows":[%b]}' % (
            json.dumps(view.name).encode(),
            published.time,
            b'"errors":%d,' % errors if errors else b"",
            b",".join(encoded),
        )

    def _errors(self, published: Published, view: PublishedView, limit: int) -> bytes:
        found = scan(view.errors, [], limit, distinct=True)
        pairs = zip(found.columns[0].to_pylist(), found.diffs.tolist(), strict=True) if len(found) else ()
        errors = [{"message": message, "count": count} for message, count in pairs][:limit]
        body = {"view": view.name, "timestamp": published.time, "errors": errors}
        return json.dumps(body, ensure_ascii=False).encode()

    def _list(self, published: Published) -> bytes:
        last_tick = self._status().last_tick_wall
        views = [
            {
                "name": view.name,
                "state": view.state,
                "reason": view.reason or None,
                "columns": [
                    {"name": column.name, "type": str(column.type), "nullable": column.nullable}
                    for column in view.schema
                ],
                "key": [view.schema[index].name for index in view.key],
                "rows": view.rows.total,
                "bytes": view.rows.nbytes,
                "errors": view.errors.total,
            }
            for view in published.views.values()
        ]
        freshness = max(0.0, time.time() - last_tick) if last_tick else None
        body = {"timestamp": published.time, "freshness_seconds": freshness, "views": views}
        return json.dumps(body, ensure_ascii=False).encode()


_NO_DIFFS = Delta.empty(()).diffs


RECENT = "real_time_recency"
"""The parameter of a read that shall show everything that its topics held when it arrived."""


STALENESS = "bounded_staleness"
"""The parameter of a read that may be so much older, as 5s."""

AS_OF = "as_of"
"""The parameter of a read of an earlier time."""


def _as_of(raw: bytes) -> tuple[int | None, bytes]:
    """The time that a read is of, if it names one, and the query without that."""
    if AS_OF.encode() not in raw:
        return None, raw
    pairs = parameters(raw)
    given = [value for name, value in pairs if name == AS_OF]
    if not given:
        return None, raw
    if len(given) > 1:
        raise Refused(400, f"{AS_OF} is given twice", INVALID_PARAMETER)
    try:
        time = parse_time(given[0])
    except BadValue as error:
        hint = "write milliseconds since 1970, or a timestamp as 2026-01-31T12:00:00.250Z"
        raise Refused(400, str(error), error.code, hint=hint) from None
    return time, urlencode([pair for pair in pairs if pair[0] != AS_OF]).encode()


def _demand(raw: bytes) -> tuple[Freshness | None, bytes]:
    """How recent a read has to be, if it says so, and the query without that."""
    if RECENT.encode() not in raw and STALENESS.encode() not in raw:
        return None, raw
    pairs = parameters(raw)
    recent = [value for name, value in pairs if name == RECENT]
    if recent and (len(recent) > 1 or recent[0] not in ("true", "false")):
        raise Refused(400, f"{RECENT} is either true or false", INVALID_PARAMETER)
    demand = Freshness(timeout=recency.RECENCY_SECONDS) if recent == ["true"] else None
    bounds = [value for name, value in pairs if name == STALENESS]
    if len(bounds) > 1 or (bounds and demand is not None):
        raise Refused(400, f"{STALENESS} is given once, without {RECENT}", INVALID_PARAMETER)
    if bounds:
        try:
            demand = Freshness(seconds(bounds[0]))
        except BadValue as error:
            raise Refused(400, str(error), error.code, hint="write it as 5s or 500ms") from None
    return demand, urlencode([pair for pair in pairs if pair[0] not in (RECENT, STALENESS)]).encode()


def _query(view: PublishedView, raw: bytes, filters: bool = True) -> tuple[int, dict[int, str]]:
    """The limit and the text of each column to compare. Refused when a name or the limit is wrong."""
    positions = {column.name: index for index, column in enumerate(view.schema)} if filters else {}
    limit, texts = DEFAULT_LIMIT, dict[int, str]()
    for name, text in parameters(raw):
        if name == "limit":
            limit = parse_limit(text)
        elif (index := positions.get(name)) is None:
            message = (
                f'column "{name}" of view {view.name} does not exist' if filters else f'unknown parameter "{name}"'
            )
            raise Refused(
                400, message, UNDEFINED_COLUMN, hint=did_you_mean(name, [*positions, "limit", AS_OF, RECENT, STALENESS])
            )
        elif index in texts:
            raise Refused(400, f'column "{name}" is given twice', INVALID_PARAMETER)
        else:
            texts[index] = text
    return limit, texts


def _value(view: PublishedView, index: int, text: str) -> pa.Array | None:
    column = view.schema[index]
    try:
        return parse_value(text, column.type)
    except BadValue as error:
        detail = f"column {column.name} of view {view.name} is {column.type}"
        raise Refused(400, str(error), error.code, detail=detail, hint=error.hint) from None


def _filtered(rows: Delta, filters: list[Filter], view: PublishedView) -> Delta:
    """The rows of a lookup that pass the filters on other columns too."""
    others = [(index, value) for index, value in filters if index not in view.key]
    return equal_rows(rows, others) if others and len(rows) else rows
