"""The server's side of an HTTP connection: uvicorn's, with reads of one key answered before it parses anything.

Always true: answers leave in the order of their requests: nothing is answered here while uvicorn is inside a request, has one
under way or queued, or waits for its client to read. An idle connection is closed as uvicorn does, a while after the last answer.
Deliberately unknown: what an answer is (`serve.keyed`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.keyed import Keyed


class Front(HttpToolsProtocol):
    """One connection; `front` makes the class for what it answers."""

    keyed: Keyed

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._inside = False
        self._answered = 0.0
        self._headers: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._inside = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._inside = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Answer the reads of one key that the data begin with; the rest is uvicorn's."""
        if data.startswith(b"GET /views/") and self._idle():
            found, end = self.keyed.answers(data, self._lines())
            if found:
                self.server_state.total_requests += len(found)
                self.transport.write(found[0] if len(found) == 1 else b"".join(found))
                self._rest()
                if end == len(data):
                    return
                data = data[end:]
        super().data_received(data)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, unless something was answered here meanwhile."""
        left = self._answered + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _idle(self) -> bool:
        """Whether uvicorn is between two requests, with nothing left to do for the first."""
        return (
            not self._inside
            and (self.cycle is None or self.cycle.response_complete)
            and not (self.pipeline or self.flow.write_paused or self.flow.read_paused or self.transport.is_closing())
        )

    def _rest(self) -> None:
        """An answer has left. The timer that runs is not set anew each time: it looks when it rings."""
        self._answered = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _lines(self) -> bytes:
        """The headers that uvicorn gives every answer; it makes them anew each second."""
        headers = self.server_state.default_headers
        if headers is not self._headers[0]:
            self._headers = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._headers[1]


def front(keyed: Keyed) -> type[asyncio.Protocol]:
    """The protocol over these reads, as uvicorn takes it."""
    return type("Front", (Front,), {"keyed": keyed})
