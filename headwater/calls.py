"""What other threads want done between two ticks, and when it has taken effect.

Always true: work runs on the tick thread, in the order in which it was handed in, before the tick that follows; its caller is
told when that tick is published, and so finds what it did. Work that fails does nothing to the tick, unless the state folder
cannot be written. Deliberately unknown: what the work is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from headwater.errors import HeadwaterError, StateError

T = TypeVar("T")


class ClosedError(HeadwaterError):
    """The loop has ended, or ends: nothing more is done."""


class Calls:
    """The calls of one loop. `call` is for any thread, the rest for the loop's."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._ran: list[tuple[Any, Future[Any]]] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, work: Callable[[], T]) -> Future[tuple[T, int]]:
        """Have work done before the next tick. The Future is of what it returns and of that tick's time, once it is published."""
        future: Future[tuple[T, int]] = Future()
        with self._lock:
            if self._closed:
                future.set_exception(ClosedError("the service is stopping"))
                return future
            self._waiting.append((work, future))
        self._wake()
        return future

    def run(self) -> bool:
        """Do what waits; whether there was anything. StateError when work could not write the state folder."""
        if not self._waiting:
            return False
        while self._waiting:
            work, future = self._waiting.popleft()
            try:
                self._ran.append((work(), future))
            except StateError as error:
                future.set_exception(error)
                raise
            except Exception as error:  # noqa: BLE001  (it is its caller's, who is told)
                future.set_exception(error)
        return True

    def published(self, time: int) -> None:
        """Tell the callers that what they wanted is there since `time`."""
        if self._ran:
            ran, self._ran = self._ran, []
            for value, future in ran:
                future.set_result((value, time))

    def close(self) -> None:
        """Tell all who wait that nothing more is done."""
        with self._lock:
            self._closed = True
        left = [*(future for _, future in self._ran), *(future for _, future in self._waiting)]
        self._ran, self._waiting = [], deque()
        for future in left:
            future.set_exception(ClosedError("the service is stopping"))
