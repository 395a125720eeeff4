"""What other threads' futures say, brought to an event loop: many at once for one wake-up.

Always true: who waits is told once, in the order in which the futures were done; who gives up waiting takes nothing back: the work
goes on, and what it says is not looked at. Deliberately unknown: what the futures are of.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class _Box:
    """Of one loop. Only `put` is for other threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._rung = False

    def put(self, waiting: asyncio.Future[Any], done: Future[Any]) -> None:
        self._done.append((waiting, done))
        if not self._rung:  # after the append: whoever empties the box has said before that he will not look again
            self._rung = True
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                self._done.clear()

    def _tell(self) -> None:
        self._rung = False
        while self._done:
            waiting, done = self._done.popleft()
            if waiting.done():
                continue
            if (error := done.exception()) is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(done.result())


_boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()


async def told(future: Future[T]) -> T:
    """What a future of another thread becomes. Nothing that happens here cancels it."""
    loop = asyncio.get_running_loop()
    box = _boxes.get(loop)
    if box is None:
        box = _boxes[loop] = _Box(loop)
    waiting: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: box.put(waiting, done))
    return await waiting
