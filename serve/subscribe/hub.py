"""The hub: takes every tick's changes from the tick thread, and moves the subscribed collections on in a thread of its own.

Always true: subscribers of the same query share one collection and one stream; a subscription begins at a time not before the
last one that was visible when it was asked for; handing a tick over costs the tick thread an append. What waits for the hub is
bounded by WAITING_BYTES: beyond it changes are dropped, and found again as the difference of snapshots.
Deliberately unknown: how the tick loop ticks, and who reads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from dataflow.delta import Delta
from planner.plans import is_temporal, relations
from serve.reads import Publication, Published
from serve.sql.errors import QueryError
from serve.sql.system import Relations
from serve.status import SubscriptionStatus
from serve.subscribe.collection import Collection, Tick, make_collection
from serve.subscribe.direct import give
from serve.subscribe.options import Options, Subscribed
from serve.subscribe.stream import Reader, Stream

log = structlog.get_logger(__name__)

MAX_COLLECTIONS = 256
"""Different queries that may be subscribed to at the same time."""

MAX_TOTAL_BYTES = 256 << 20
"""Bytes of changes that may wait for slow readers, of all collections together."""

WAITING_BYTES = 64 << 20
"""Bytes of changes that may wait for the hub itself."""

WAITING_TICKS = 1000


@dataclass(slots=True)
class _Followed:
    """A collection with its stream. time: of the last tick; None before the first. asked: readers that have not begun.

    begin: the time, of those that are kept, that it begins at; None: the next one.
    """

    collection: Collection
    stream: Stream = field(default_factory=Stream)
    time: int | None = None
    asked: list[tuple[int, Reader]] = field(default_factory=list)
    begin: int | None = None


class Hub:
    """All subscriptions of one service. `start`, then `stop`."""

    def __init__(self, publication: Publication, relations: Relations, wake: Callable[[], None]) -> None:
        """wake: asks the tick loop for a tick soon; called from any thread."""
        self._publication = publication
        self._relations = relations
        self._wake = wake
        self._condition = threading.Condition()
        self._followed: dict[str, _Followed] = {}
        self._ticks: list[Tick] = []
        self._waiting_bytes = 0
        self._lost = False
        self._version = 0
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.wanted: frozenset[str] = frozenset()
        """The views whose changes somebody follows. The tick thread reads it at the beginning of a time."""

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every subscription. Safe to call twice or before start."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    # The tick thread's.

    def hand_over(self, published: Published, changes: Mapping[str, Delta], views: frozenset[str]) -> None:
        """A complete time. changes: consolidated, by view; they are those of all `views`: a part of what was `wanted` or more."""
        if not (views or self._followed):
            return
        size = sum(sum(column.nbytes for column in delta.columns) + delta.diffs.nbytes for delta in changes.values())
        with self._condition:
            if self._waiting_bytes + size > WAITING_BYTES or len(self._ticks) >= WAITING_TICKS:
                self._ticks.clear()
                self._waiting_bytes, self._lost = 0, True
                changes = {}
            # With another catalog a name may mean another relation: what its rows differ by are the changes then.
            version, self._version = self._version, published.definitions.version
            self._ticks.append(Tick(published, changes, views, self._lost or version != self._version))
            self._lost = False
            self._waiting_bytes += size
            self._condition.notify()

    # The doors'.

    def subscribe(
        self, what: Subscribed, options: Options, loop: asyncio.AbstractEventLoop, cut: Callable[[], None]
    ) -> Reader:
        """A reader of the collection, which begins soon: its first part says when. See `Reader` for `cut`.

        QueryError when there are too many different subscriptions.
        """
        reader = Reader(options, loop, cut)
        published = self._publication.current()
        begin = None if options.at_least or published is None else _begin(what, published, options.as_of)
        name = what.name if begin is None else f"{what.name} as of {begin} for {id(reader)}"
        with self._condition:
            followed = self._followed.get(name)
            if followed is None:
                if len(self._followed) >= MAX_COLLECTIONS:
                    raise QueryError(
                        "53400", f"{MAX_COLLECTIONS} different queries are subscribed to; there may be no more at a time",
                        hint="end some, or subscribe to views that several readers share",
                    )  # fmt: skip
                followed = _Followed(make_collection(what.plan, what.schema, self._relations), begin=begin)
                followed.stream.apart = begin is not None
                self._followed[name] = followed
                self._want()
            followed.asked.append((0 if published is None else published.time, reader))
            self._condition.notify()
        self._wake()
        return reader

    def leave(self, reader: Reader) -> None:
        """The reader reads no more."""
        reader.cancelled = True
        with self._condition:
            for followed in self._followed.values():
                followed.asked = [(asked, one) for asked, one in followed.asked if one is not reader]
            if reader.stream is not None:
                reader.stream.leave(reader)
            self._condition.notify()

    @property
    def readers(self) -> int:
        """How many subscribers there are."""
        with self._condition:
            return sum(len(followed.stream.readers) + len(followed.asked) for followed in self._followed.values())

    def status(self) -> list[SubscriptionStatus]:
        """What is followed now. Any thread."""
        with self._condition:
            return [
                SubscriptionStatus(
                    sorted(one.collection.reads),
                    one.time,
                    len(one.stream.readers) + len(one.asked),
                    one.stream.waiting_bytes,
                )
                for one in self._followed.values()
            ]

    @property
    def waiting_bytes(self) -> int:
        """Bytes of changes that wait for readers."""
        with self._condition:
            return sum(followed.stream.waiting_bytes for followed in self._followed.values())

    def _want(self) -> None:
        self.wanted = frozenset().union(*(followed.collection.reads for followed in self._followed.values()))

    # The hub's thread.

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (self._ticks or self._stopped or self._joinable()):
                    self._condition.wait()
                ticks, self._ticks, self._waiting_bytes = self._ticks, [], 0
                followed = dict(self._followed)
                stopped = self._stopped
            if stopped:
                break
            for name, one in followed.items():
                try:
                    self._follow(one, ticks)
                except QueryError as error:
                    self._end(name, one, error)
                except Exception as error:
                    log.error("a subscription failed", exc_info=error)
                    self._end(name, one, QueryError("XX000", "internal error; the log says why"))
            self._tidy(followed)
            self._notify(followed)
        for name, one in followed.items():
            self._end(name, one, QueryError("57P01", "terminating connection due to administrator command"))

    def _joinable(self) -> bool:
        """Whether there is something to do without a tick: a reader that can begin now, or a collection that nobody reads."""
        for one in self._followed.values():
            if not (one.asked or one.stream.readers):
                return True
            if one.time is not None and any(_may_begin(asked, reader, one.time) for asked, reader in one.asked):
                return True
        return False

    def _follow(self, one: _Followed, ticks: list[Tick]) -> None:
        """Move a collection on, and let readers begin where they asked to."""
        for tick in ticks:
            published = tick.published
            if one.time is None:
                if not one.collection.reads <= tick.views:
                    continue  # the tick began before the views were wanted
                if one.begin is not None:
                    self._catch_up(one, published)
                    continue
                one.collection.start(published)
                one.stream.upper = published.time + 1
                one.stream.complete = one.collection.constant
            elif published.time > one.time:
                self._join(one, published.time)
                one.stream.add(published.time, one.collection.advance(tick))
            one.time = published.time
        if one.time is not None:
            self._join(one, None)

    def _catch_up(self, one: _Followed, published: Published) -> None:
        """Begin a collection at a time that is kept, and tell what each time since then has changed."""
        assert one.begin is not None
        reads = one.collection.reads
        one.collection.start(published.as_of(one.begin))
        one.time, one.stream.upper = one.begin, one.begin + 1
        self._join(one, None)
        found: dict[int, dict[str, Delta]] = {published.time: {}}
        for name in reads:
            view = published.relation(name)
            assert view is not None
            assert view.past is not None  # what can be read as of a time has one
            for time, delta in view.past.changes(one.begin):
                found.setdefault(time, {})[name] = delta
        for time, changes in sorted(found.items()):
            one.time = time
            one.stream.add(time, one.collection.advance(Tick(replace(published, time=time), changes, reads)))

    def _join(self, one: _Followed, coming: int | None) -> None:
        """Let readers begin at the collection's time; those that wait for a later time only once the `coming` one passes theirs."""
        assert one.time is not None
        with self._condition:
            asked, one.asked = one.asked, []
        for since, reader in asked:
            options = reader.options
            if reader.cancelled:
                continue
            if options.as_of is not None and options.as_of < one.time and not options.at_least:
                reader.end(_too_early(options.as_of, one.time))
                self._call(reader)
            elif options.as_of is not None and not options.at_least and coming is not None and options.as_of < coming:
                one.stream.join(reader, options.as_of, one.collection.snapshot())
            elif _may_begin(since, reader, one.time):
                one.stream.join(reader, one.time, one.collection.snapshot())
            else:
                with self._condition:
                    one.asked.append((since, reader))

    def _end(self, name: str, one: _Followed, error: QueryError) -> None:
        with self._condition:
            self._followed.pop(name, None)
            self._want()
            readers = [reader for _, reader in one.asked]
        with one.stream.lock:
            one.stream.ended = error
            readers += one.stream.readers
        for reader in readers:
            reader.end(error)
            self._call(reader)

    def _tidy(self, followed: Mapping[str, _Followed]) -> None:
        """Add up what waits, end who is too slow, and forget collections that nobody reads."""
        for one in followed.values():
            self._cut(one.stream.tidy())
        waiting = {name: one.stream.waiting_bytes for name, one in followed.items()}
        while sum(waiting.values()) > MAX_TOTAL_BYTES:
            largest = max(waiting, key=lambda name: waiting[name])
            self._cut(followed[largest].stream.tidy(waiting[largest] - 1))
            waiting[largest] = followed[largest].stream.waiting_bytes
        with self._condition:
            for name, one in followed.items():
                if not (one.asked or one.stream.readers):
                    self._followed.pop(name, None)
            self._want()

    @staticmethod
    def _cut(slow: list[Reader]) -> None:
        for reader in slow:
            log.warning(
                "a subscriber is too slow and was ended",
            )
            reader.end(
                QueryError(
                    "53400",
                    "the subscription was ended: too many changes waited for the reader",
                    hint="read faster, or subscribe to less; subscribe again to begin with a new snapshot",
                ),
                slow=True,
            )

    @staticmethod
    def _notify(followed: Mapping[str, _Followed]) -> None:
        """Have readers given what there is for them, or woken, with one call for each loop."""
        hungry: dict[asyncio.AbstractEventLoop, list[Reader]] = {}
        for one in followed.values():
            with one.stream.lock:
                for reader in one.stream.readers:
                    if reader.hungry:
                        hungry.setdefault(reader.loop, []).append(reader)
        for readers in hungry.values():
            readers[0].call(_waker(readers))

    @staticmethod
    def _call(reader: Reader) -> None:
        reader.call(reader.wake)


def _begin(what: Subscribed, published: Published, as_of: int | None) -> int | None:
    """The time of those that are kept that a subscription begins at; None for one that begins later, or has to be refused."""
    names = relations(what.plan)
    views = [published.relation(name) for name in names]
    if as_of is None or as_of >= published.time or not views or not all(view and view.past for view in views):
        return None
    if is_temporal(what.plan):
        raise QueryError(
            "0A000", "SUBSCRIBE AS OF an earlier time is not supported where rows come and go with mz_now()",
            hint="leave AS OF out",
        )  # fmt: skip
    published_then = published.as_of(as_of)
    for name in names:
        published_then.relation(name)
    return as_of


def _waker(readers: list[Reader]) -> Callable[[], None]:
    def wake() -> None:
        for reader in give(readers):
            reader.wake()

    return wake


def _may_begin(asked: int, reader: Reader, time: int) -> bool:
    """Whether a reader may begin at the collection's time."""
    as_of = reader.options.as_of
    return (asked if as_of is None else as_of) <= time


def _too_early(as_of: int, time: int) -> QueryError:
    return QueryError(
        "22023",
        f"time {as_of} is not kept any more: the earliest that can be subscribed to is {time}",
        hint="leave AS OF out, or write AS OF AT LEAST",
    )
