"""Real-time recency: a read that shows everything that its view's topics held when it was asked for.

    arrival -> the ends of the topics now -> the first published time whose offsets reach them -> the read

Always true: the ends were asked for after the read arrived; reads that arrive while one question is under way share the next one.
A read waits `RECENCY_SECONDS` at most, and is then refused with what it waited for.
Deliberately unknown: Kafka, and what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from serve.errors import NOT_READY, Refused
from serve.reads import Publication, Published

RECENCY_SECONDS = 10.0
"""How long a read waits for the broker and then for the ticks, together."""

TIMED_OUT = "57014"

Ends = Mapping[int, int]
"""Partition to exclusive offset."""
Probe = Callable[[str, float], Ends]
"""Asks for the ends of a source's topic within some seconds; OSError tells why there is no answer."""


class Recency:
    """Waits for reads on one event loop."""

    def __init__(self, publication: Publication, probe: Probe) -> None:
        """probe: called in threads of this, one call at a time for each source."""
        self._publication = publication
        self._probe = probe
        self._threads = ThreadPoolExecutor(4, "recency")
        self._running: dict[str, asyncio.Task[Ends]] = {}
        self._next: dict[str, asyncio.Task[Ends]] = {}

    async def wait(self, view: str) -> Published:
        """The first published tick that holds what the sources of `view` hold now. Refused (503, 504) when there is none."""
        published = self._publication.current()
        if published is None or view not in published.views:
            raise Refused(503, f"view {view} cannot be read yet", NOT_READY)
        wanted: dict[str, Ends] = {}
        try:
            async with asyncio.timeout(RECENCY_SECONDS):
                names = sorted(published.views[view].sources)
                wanted |= dict(zip(names, await asyncio.gather(*map(self._ends, names)), strict=True))
                return await self._reached(wanted)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise Refused(504, *_missing(view, wanted, self._publication.current())) from None
            raise Refused(503, f"it is not known what the topics of view {view} hold now: {error}", NOT_READY) from None

    async def _reached(self, wanted: Mapping[str, Ends]) -> Published:
        loop = asyncio.get_running_loop()
        while not _holds(published := self._publication.current(), wanted):
            changed = asyncio.Event()
            self._publication.tell(partial(_wake, loop, changed))
            if not _holds(self._publication.current(), wanted):
                await changed.wait()
        assert published is not None
        return published

    async def _ends(self, source: str) -> Ends:
        """What one question that begins after this call answers."""
        task = self._next.get(source)
        if task is None:
            task = self._next[source] = asyncio.create_task(self._ask(source))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to be told
        return await asyncio.shield(task)

    async def _ask(self, source: str) -> Ends:
        if (before := self._running.get(source)) is not None and not before.done():
            await asyncio.wait([before])
        self._running[source] = self._next.pop(source)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._probe, source, RECENCY_SECONDS)


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop ended with its readers
        loop.call_soon_threadsafe(changed.set)


def _holds(published: Published | None, wanted: Mapping[str, Ends]) -> bool:
    return published is not None and not any(_short(published, name, ends) for name, ends in wanted.items())


def _short(published: Published, source: str, ends: Ends) -> list[tuple[int, int, int]]:
    """Partitions whose offset is before the end: number, offset, end."""
    bound = published.ends.get(source, {})
    return [(number, bound.get(number, 0), end) for number, end in ends.items() if bound.get(number, 0) < end]


def _missing(view: str, wanted: Mapping[str, Ends], published: Published | None) -> tuple[str, str, str]:
    """Message, code and detail of a read that waited in vain."""
    message = f"view {view} did not come up to what its topics held, in {RECENCY_SECONDS:g} s"
    if not wanted or published is None:
        return message, TIMED_OUT, "the broker did not say what they hold"
    short = [
        f"source {name}, partition {number}: at offset {at} of {end}"
        for name, ends in wanted.items()
        for number, at, end in _short(published, name, ends)
    ]
    return message, TIMED_OUT, "; ".join(short)
