"""How recent a read has to be: everything that its topics held when it was asked for, or some time before.

    real-time recency    arrival -> the ends of the topics now -> the first published time whose offsets reach them -> the read
    bounded staleness    the ends of the topics as of some time within the bound, known already or asked for -> as above

Always true: the ends of a real-time recent read were asked for after it arrived, of a stale one at most the bound before; reads
that arrive while one question is under way share the next one. Who waits in vain is refused with what it waited for.
Deliberately unknown: Kafka, and what is read.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from serve.errors import NOT_READY
from serve.reads import Publication, Published
from serve.sql.errors import QueryError

RECENCY_SECONDS = 10.0
"""How long a read waits for the broker and then for the ticks, together, where it does not say."""

STALE_SECONDS = 1.0
"""How long a read with bounded staleness waits when nothing recent enough is known."""

KEPT_ANSWERS = 32
"""Answers of a broker that are kept for each source."""

TIMED_OUT = "57014"
TOO_STALE = "55000"

Ends = Mapping[int, int]
"""Partition to exclusive offset."""
Probe = Callable[[str, float], Ends]
"""Asks for the ends of a source's topic within some seconds; OSError tells why there is no answer."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a read demands. staleness: seconds; None: real-time recency. timeout: seconds to wait for that; None: for ever."""

    staleness: float | None = None
    timeout: float | None = RECENCY_SECONDS


class Asking:
    """A probe for several threads, of one that answers one question for each source at a time. It remembers the answers."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._answers: dict[str, deque[tuple[float, Ends]]] = {}

    def __call__(self, source: str, timeout: float) -> Ends:
        """The ends of a source's topic; OSError when there is no answer in so many seconds."""
        until = time.monotonic() + timeout
        if not self._locks[source].acquire(timeout=timeout):
            raise OSError(f"the broker of source {source} has not answered an earlier question yet")
        try:
            asked = time.monotonic()
            ends = self._probe(source, max(0.0, until - asked))
        finally:
            self._locks[source].release()
        self._answers.setdefault(source, deque(maxlen=KEPT_ANSWERS)).append((asked, ends))
        return ends

    def known(self, source: str, published: Published) -> float:
        """When, on the monotonic clock, everything that a source held is known to be in what is published; else minus infinity."""
        answers = list(self._answers.get(source, ()))
        return max((at for at, ends in answers if not _short(published, source, ends)), default=-math.inf)


class Recency:
    """Waits for reads on one event loop."""

    def __init__(self, publication: Publication, probe: Probe) -> None:
        """probe: called in threads of this, one call at a time for each source."""
        self._publication = publication
        self._asking = probe if isinstance(probe, Asking) else Asking(probe)
        self._threads = ThreadPoolExecutor(4, "recency")
        self._running: dict[str, asyncio.Task[Ends]] = {}
        self._next: dict[str, asyncio.Task[Ends]] = {}

    async def hold(self, what: str, sources: Collection[str], demand: Freshness) -> Published:
        """A published time that holds what `demand` asks of these sources. QueryError, naming what was waited for, without one."""
        if demand.staleness is not None:
            return await self._within(what, sorted(sources), demand.staleness)
        wanted: dict[str, Ends] = {}
        try:
            async with asyncio.timeout(demand.timeout):
                return await self._recent(sorted(sources), wanted)
        except OSError as error:
            if isinstance(error, TimeoutError):
                message = f"{what} did not come up to what its topics held, in {demand.timeout:g} s"
                raise QueryError(TIMED_OUT, message, _missing(sources, wanted, self._publication.current())) from None
            raise QueryError(NOT_READY, f"it is not known what the topics of {what} hold now: {error}") from None

    async def _recent(self, sources: Sequence[str], wanted: dict[str, Ends]) -> Published:
        """The first time that holds what the sources hold now. wanted: is told what that is, as the answers come."""

        async def ask(source: str) -> None:
            wanted[source] = await self._ends(source)

        await asyncio.gather(*map(ask, sources))
        return await self._reached(wanted)

    async def _within(self, what: str, sources: Sequence[str], staleness: float) -> Published:
        since = time.monotonic() - staleness
        stale = [source for source in sources if self._known(source) < since]
        wanted: dict[str, Ends] = {}
        reason = ""
        if stale:
            try:
                async with asyncio.timeout(STALE_SECONDS):
                    return await self._recent(stale, wanted)
            except OSError as error:
                reason = "" if isinstance(error, TimeoutError) else str(error)
        published = self._publication.current()
        if published is None:
            raise QueryError(NOT_READY, f"{what} cannot be read yet")
        for source in stale:
            if (known := self._known(source)) < since:
                ago = f"{time.monotonic() - known:.1f} s ago" if known > -math.inf else "never"
                raise QueryError(
                    TOO_STALE,
                    f"{what} cannot be read with a staleness of at most {staleness:g} s: source {source} was last known to be read "
                    f"to its end {ago}",
                    reason or _missing([source], wanted, published),
                    "allow more staleness, or serializable",
                )
        return published

    def _known(self, source: str) -> float:
        published = self._publication.current()
        return -math.inf if published is None else self._asking.known(source, published)

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
        return await loop.run_in_executor(self._threads, self._asking, source, RECENCY_SECONDS)


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop ended with its readers
        loop.call_soon_threadsafe(changed.set)


def _holds(published: Published | None, wanted: Mapping[str, Ends]) -> bool:
    return published is not None and not any(_short(published, name, ends) for name, ends in wanted.items())


def _short(published: Published, source: str, ends: Ends) -> list[tuple[int, int, int]]:
    """Partitions whose offset is before the end: number, offset, end."""
    bound = published.ends.get(source, {})
    return [(number, bound.get(number, 0), end) for number, end in ends.items() if bound.get(number, 0) < end]


def _missing(sources: Collection[str], wanted: Mapping[str, Ends], published: Published | None) -> str:
    """What a read that waited in vain waited for."""
    if silent := sorted(set(sources) - wanted.keys()):
        return f"the broker of source {silent[0]} did not say what it holds"
    if published is None:
        return "nothing can be read yet"
    return "; ".join(
        f"source {name}, partition {number}: at offset {at} of {end}"
        for name, ends in wanted.items()
        for number, at, end in _short(published, name, ends)
    )
