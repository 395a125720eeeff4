"""Work beside the thread that steps: what is large and not needed at once, on threads of its own, and the loops of kernels.

    evaluate an expression    over stretches of the rows of a large delta, by all threads
    insert a large delta      the run is sorted while the step goes on, and taken when somebody looks at the spine
    a slice of merging        goes on during the next step, and is taken by the next call of `maintain`

Always true: what is done beside is a pure function of its input, it is taken at a place in the program that the data alone
decide, and who needs it before it has begun does it himself; so results are the same with any number of threads. With one thread
all of it is done where it is needed. Deliberately unknown: what the work is, and where the number of threads comes from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from dataflow.kernels import _rows

PIECE_ROWS = 4096
"""Rows of a task: enough to be worth the some 10 microseconds until another thread has it, few enough to share a step's rows."""

STRETCH_PIECES = 8
"""Pieces of rows that an expression is evaluated over at a time: its temporary columns then stay in a near cache."""

MOST_THREADS = 1024

T = TypeVar("T")


class Threads:
    """The threads of this process. There is one, as there is one of the kernels' pools."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._threads = 1
        self._piece_rows = PIECE_ROWS

    def use(self, threads: int, piece_rows: int = PIECE_ROWS) -> None:
        """Compute on this many threads, the caller's included, from now on; with 1 no other is left when this returns.

        piece_rows: rows of a task; less than two tasks' rows stay on the thread they are on. ValueError when either is out
        of range.
        """
        if not 1 <= threads <= MOST_THREADS or piece_rows < 1:
            raise ValueError(
                f"threads is 1 to {MOST_THREADS} and piece_rows at least 1; got {threads} and {piece_rows}"
            )
        _rows.set_threads(threads, piece_rows)
        before, self._executor = self._executor, None
        if before is not None:
            before.shutdown()
        self._threads, self._piece_rows = threads, piece_rows
        if threads > 1:
            self._executor = ThreadPoolExecutor(threads - 1, "beside")

    def large(self, rows: int) -> bool:
        """Whether so many rows are worth another thread."""
        return rows >= 2 * self._piece_rows

    def stretches(self, rows: int) -> list[tuple[int, int]]:
        """(begin, end) of the stretches that so many rows are evaluated in; they do not depend on the number of threads."""
        size = STRETCH_PIECES * self._piece_rows
        return [(begin, min(begin + size, rows)) for begin in range(0, rows, size)]

    def share(self, work: Callable[[int], T], count: int) -> list[T]:
        """work(0) to work(count - 1), by all threads that are free; raises what one of them raised, when none is under way."""
        if self._executor is None or count < 2:
            return [work(number) for number in range(count)]
        found: dict[int, T] = {}
        numbers = iter(range(count))

        def some() -> None:
            for number in numbers:
                found[number] = work(number)

        helpers = [_submit(self._executor, some) for _ in range(min(self._threads, count) - 1)]
        try:
            some()
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
        return [found[number] for number in range(count)]

    def submit(self, work: Callable[[], T]) -> Future[T] | None:
        """Do it on another thread, if there is one."""
        return None if self._executor is None else _submit(self._executor, work)

    def forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self._executor = None


THREADS = Threads()
os.register_at_fork(after_in_child=THREADS.forget)


def _submit(executor: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T]:
    """Its core counts as taken from now until the work is done or nobody wants it: kernels would wait for a thread without one."""
    _rows.occupy(1)
    future = executor.submit(work)
    future.add_done_callback(_leave)
    return future


def _leave(_: Future[T]) -> None:
    _rows.occupy(-1)


class Beside(Generic[T]):
    """Work that another thread may do meanwhile; `work` is called once, here or there."""

    __slots__ = ("_future", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._future = THREADS.submit(work)

    def result(self) -> T:
        """What the work gives, or raises; waits for it if another thread is at it. Called once."""
        if self._future is None or self._future.cancel():
            return self._work()
        _rows.occupy(-1)  # who waits leaves his core to what he waits for
        try:
            return self._future.result()
        finally:
            _rows.occupy(1)
