"""The source endpoints: `/sources`, `/sources/{source}`, `/sources/{source}/errors`: how far each source is, and its bad messages.

Always true: what is shown is the status of now, not of a tick; a text says where a bad message is and why it is none, never
what it holds. Deliberately unknown: topics, formats.
"""

from __future__ import annotations

import json
from typing import Any

from serve.answers import DEFAULT_LIMIT, Scope, Send, answer, parameters, parse_limit
from serve.errors import UNDEFINED_COLUMN, UNDEFINED_PATH, Refused, did_you_mean
from serve.status import PartitionStatus, SourceStatus, StatusSource, lag

ERRORS = "errors"


class Sources:
    """Answers the requests below `/sources`."""

    def __init__(self, status: StatusSource) -> None:
        self._status = status

    async def __call__(self, scope: Scope, send: Send) -> None:
        """Answer one request whose path is `/sources` or below it."""
        await answer(scope, send, self._answer)

    async def _answer(self, segments: list[str], raw_query: bytes) -> tuple[int, bytes]:
        sources = self._status().sources
        limit = _limit(raw_query, segments[1:] == [ERRORS])
        if not segments or segments == [""]:
            return 200, _json({"sources": [_shown(name, source) for name, source in sources.items()]})
        source = sources.get(segments[0])
        if source is None:
            hint = did_you_mean(segments[0], sources)
            raise Refused(404, f'source "{segments[0]}" does not exist', UNDEFINED_PATH, hint=hint)
        if segments[1:] == [ERRORS]:
            latest = [{"message": text} for text in reversed(source.latest_errors)]
            return 200, _json({"source": segments[0], "count": source.errors, "errors": latest[:limit]})
        if len(segments) > 1:
            hint = f"use /sources/{segments[0]} or /sources/{segments[0]}/errors"
            raise Refused(404, f"there is nothing below source {segments[0]} but its errors", UNDEFINED_PATH, hint=hint)
        return 200, _json(_shown(segments[0], source))


def _limit(raw_query: bytes, allowed: bool) -> int:
    """The `limit` of a query, which only the errors take."""
    limit = DEFAULT_LIMIT
    for name, text in parameters(raw_query):
        if name != "limit" or not allowed:
            known = ["limit"] if allowed else []
            raise Refused(400, f'unknown parameter "{name}"', UNDEFINED_COLUMN, hint=did_you_mean(name, known))
        limit = parse_limit(text)
    return limit


def _shown(name: str, source: SourceStatus) -> dict[str, Any]:
    return {
        "name": name,
        "state": source.state,
        "reason": source.reason or None,
        "partitions": [_partition(number, at) for number, at in source.partitions.items()],
        "records": source.records,
        "bytes": source.bytes,
        "errors": source.errors,
    }


def _partition(number: int, at: PartitionStatus) -> dict[str, int | None]:
    """Offsets that the broker has not said yet are null."""
    known = {"offset": at.offset, "low": at.low, "high": at.high}
    return {"partition": number, **{key: value if value >= 0 else None for key, value in known.items()}, "lag": lag(at)}


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
