"""One request to one answer, straight on ASGI: what `serve.views` and `serve.sources` share.

Always true: every request gets one whole JSON answer, whatever happens; paths are split before they are decoded, so that a
segment may be any text; only GET and HEAD are taken. Deliberately unknown: what there is to ask for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import structlog

from serve.errors import INTERNAL, INVALID_PARAMETER, NOT_SUPPORTED, Refused, error_body

log = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000_000

JSON = b"application/json"


async def answer(scope: Scope, send: Send, read: Callable[[list[str], bytes], Awaitable[tuple[int, bytes]]]) -> None:
    """Send what `read` returns, status and body, for the path's segments behind the first and the raw query."""
    method = scope["method"]
    headers: list[tuple[bytes, bytes]] = []
    try:
        if method not in ("GET", "HEAD"):
            headers.append((b"allow", b"GET, HEAD"))
            raise Refused(405, f"{method} is not possible here", NOT_SUPPORTED, hint="everything is read with GET")
        segments = [_decoded(segment) for segment in scope["raw_path"].split(b"/")[2:]]
        status, body = await read(segments, scope["query_string"])
    except Refused as refused:
        status, body = refused.status, refused.body
        if status == 503:
            headers.append((b"retry-after", b"1"))
    except Exception:
        log.exception("a read failed", path=scope["path"].split("/")[1:3])
        status, body = 500, error_body("the read failed; the log says why", INTERNAL)
    await respond(send, status, body, head=method == "HEAD", headers=headers)


async def respond(
    send: Send,
    status: int,
    body: bytes,
    head: bool = False,
    headers: list[tuple[bytes, bytes]] | None = None,
    content_type: bytes = JSON,
) -> None:
    """Send one whole answer. To HEAD it sends what GET would say, without the body."""
    start = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": start + (headers or [])})
    await send({"type": "http.response.body", "body": b"" if head else body})


def parameters(raw: bytes) -> list[tuple[str, str]]:
    """The names and values of a query, in order. Refused when it cannot be read."""
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except UnicodeDecodeError:
        raise Refused(400, "the query is not UTF-8", "22021") from None
    except ValueError as error:
        raise Refused(400, str(error).lower(), INVALID_PARAMETER) from None


def parse_limit(text: str) -> int:
    """The number of rows that `limit` allows."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_LIMIT):
        raise Refused(400, f'limit "{text}" is not a number from 0 to {MAX_LIMIT}', INVALID_PARAMETER)
    return int(text)


def _decoded(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Refused(400, "the path is not UTF-8", "22021") from None
