"""The catalog of the running service, and how it changes: one transaction after the other, in a thread of its own.

Its changes are understood first (`headwater.ddl`), with PostgreSQL's errors for what is wrong with one. What they make together is
one other catalog: what of it needs rows of its own and was not there before is filled beside the ticks (`headwater.filling`).
Between two ticks that catalog becomes durable, what it does not have is taken off, what was filled is put on, and the next tick
shows all of it.
Always true: what is told to be done is durable and readable; what fails changes nothing; the file's objects stay as they are.
Deliberately unknown: what a statement makes of the catalog, and who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import msgspec
import structlog

from dataflow.stack import Stack
from headwater.calls import ClosedError
from headwater.catalog import CatalogError, Item
from headwater.ddl import Statements
from headwater.declared import Declared
from headwater.errors import StateError
from headwater.feed import SINK_PATIENCE
from headwater.filling import Check, Filling
from headwater.home import Home
from headwater.outside import Outside
from headwater.ticks import TickLoop
from headwater.world import FIRST_OID, World, sink_of, source_of
from headwater.writes import Table, Writes
from ingest.source import ReplayMismatch, Source
from ingest.tables import PREFIX, TableSource
from serve.sql.changes import Change, Changed, Transaction, Written
from serve.sql.errors import QueryError
from sinks.base import SinkHaltedError
from sinks.kafka import KafkaSink

log = structlog.get_logger(__name__)


OPEN_SLICE = 0.05
"""Seconds between looks whether who asked for a sink is still there."""

CLOSE_SECONDS = 1.0
"""Seconds that a dropped sink has to commit what it holds; what is left is never written."""


@dataclass
class Live:
    """What ticks take from and write to, by name; `dependencies`: what relations follow from. Changed between ticks only."""

    sources: dict[str, Source | TableSource] = field(default_factory=dict)
    sinks: dict[str, KafkaSink] = field(default_factory=dict)
    sink_views: dict[str, str] = field(default_factory=dict)
    dependencies: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Opened:
    """What is new in a world: objects that need layers, sources that read, sinks that are open."""

    items: Sequence[Item] = ()
    sources: dict[str, Source] = field(default_factory=dict)
    sinks: dict[str, KafkaSink] = field(default_factory=dict)
    sink_views: dict[str, str] = field(default_factory=dict)


class Changes:
    """Changes the catalog of one service. `change` is for any thread."""

    def __init__(self, declared: Declared, home: Home, stack: Stack, outside: Outside, live: Live) -> None:
        """Read the catalog, put its layers on the stack, still empty, and add its sources and sinks, not started yet.

        CatalogError when it is damaged. live: what ticks take from and write to, with the file's; the catalog's come and go.
        """
        self._tables, self._live, self._outside = home.tables, live, outside
        self._declared, self._file, self._stack, self._remap = declared, home.catalog, stack, home.remap
        self._world = World(declared, home.catalog.read())
        self._filling: set[str] = set()
        self._loop: TickLoop | None = None
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(1, "catalog")
        for name, error in self._world.broken.items():
            log.error(
                "an object of the catalog cannot be used; drop it, or mend the file", name=name, reason=str(error)
            )
        for item in self._world.layer_items():
            stack.put_on(self._world.layer(item))
            self._add_table(self._world, item)
        for item in self._world.source_items():
            live.sources[source_of(item)] = outside.source(source_of(item), self._world)
        for item in self._world.sink_items():
            live.sinks[sink_of(item)] = outside.sink(self._world, item)
            live.sink_views[sink_of(item)] = item.on

    def attend(self, loop: TickLoop) -> None:
        """Change what this loop computes. Called before the loop runs."""
        self._loop = loop
        reread = partial(self._outside.source, again=True)
        self._fillings = Filling(
            loop, self._stack, self._remap, lambda name: reread(name, self._world), self._tables, self._stopped
        )
        self._writes = Writes(loop.calls, lambda: loop.now, self._table)
        loop.restored = self._restored
        self._reshape()

    def close(self) -> None:
        """End what is being filled, change nothing more."""
        self._stopped.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def change(self, changes: Sequence[Change], check: Check, try_only: bool) -> Future[Changed]:
        """See `serve.sql.changes.Changer`."""
        return self._thread.submit(self._change, changes, check, try_only)

    def write(self, transaction: Transaction) -> Future[Written]:
        """See `serve.sql.changes.Changer`."""
        return self._writes.write(transaction)

    def _table(self, name: str) -> Table | None:
        """A table to be written to; for the loop's thread. QueryError while its rows are not there."""
        item = self._world.items.get(name)
        if item is None or item.kind != "table":
            return None
        if name in self._filling:
            raise QueryError("57P03", f"table {name} is being filled", hint="try again")
        source = self._live.sources[source_of(item)]
        assert isinstance(source, TableSource)
        rows = self._stack.view(name).snapshot
        return Table(FIRST_OID + item.id, self._world.tables[name], self._world.key(item), source, rows)

    def _add_table(self, world: World, item: Item) -> None:
        """Let ticks take what is written to a table."""
        name = source_of(item)
        if item.kind == "table" and name not in self._live.sources and self._tables is not None:
            self._live.sources[name] = TableSource(name, item.name, world.tables[item.name], self._tables)

    def _reshape(self) -> None:
        """Between ticks: let readers and sinks see the world as it is."""
        shape = self._world.shape(self._filling)
        self._live.dependencies.update({name: one.sources for name, one in shape.shown.items()})
        self._running.reshape(shape)

    # What a restart finds no rows for.

    def _restored(self) -> None:
        """Layers that the checkpoint did not hold are filled again, once the loop runs."""
        there = {layer.name for layer in self._stack.layers}
        missing = [item for item in self._world.layer_items() if str(item.id) not in there]
        self._filling = {item.name for item in missing}
        if missing:
            self._reshape()
        for item in missing:
            self._thread.submit(self._refill, item)

    def _refill(self, item: Item) -> None:
        try:
            self._fill(self._world, Opened([item]), self._check, lambda: None)
        except (ClosedError, StateError):
            return
        except Exception as error:  # noqa: BLE001  (the thread goes on with the next; the view says that it is not there)
            log.error("an object of the catalog could not be filled", name=item.name, reason=str(error))

    # How changes take effect.

    def _change(self, changes: Sequence[Change], check: Check, try_only: bool) -> Changed:
        """Make all of these changes at once; with `try_only`, only find out whether they are possible."""
        try:
            check()
            world, notices = self._world, tuple[tuple[str, str], ...]()
            for change in changes:
                definitions = world.shape(self._filling).definitions
                step = Statements(world, definitions, self._tables is not None, self._outside).step(change)
                world = step.world or world
                notices = step.notices  # those of the ones before were told when they were tried
            if world is self._world or try_only:
                return Changed(self._running.now, notices)

            def go_on() -> None:
                check()
                self._check()

            return Changed(self._move(world, go_on), notices)
        except (ClosedError, StateError) as error:
            raise QueryError("57P01", str(error)) from None
        except ReplayMismatch as mismatch:
            raise QueryError("58000", str(mismatch)) from None
        except CatalogError as error:
            raise QueryError("58030", str(error)) from None

    def _move(self, world: World, check: Check) -> int:
        """Make a world the one that is; the time from which on it is."""
        known = {item.id for item in self._world.catalog.items}
        opened = Opened([item for item in world.layer_items() if item.id not in known])
        try:
            for item in [item for item in world.source_items() if item.id not in known]:
                source = opened.sources[source_of(item)] = self._outside.source(source_of(item), world)
                source.start({})
            for item in [item for item in world.sink_items() if item.id not in known]:
                sink = opened.sinks[sink_of(item)] = self._outside.sink(world, item)
                opened.sink_views[sink_of(item)] = item.on
                self._open(item, sink, check)
            gone = list[Source | KafkaSink]()
            time = self._fill(world, opened, check, lambda: gone.extend(self._adopt(world)))
        except BaseException as error:
            _end([*opened.sources.values(), *opened.sinks.values()])
            if isinstance(error, ValueError):
                raise QueryError("22023", str(error)) from None
            raise
        _end(gone)
        try:
            self._outside.forget_secrets(world)
        except OSError as error:
            log.warning("secrets that are gone could not be removed yet", reason=str(error))
        return time

    @staticmethod
    def _open(item: Item, sink: KafkaSink, check: Check) -> None:
        """Have a new sink's topics made and its transactions begun. QueryError when that takes too long or cannot be."""
        with ThreadPoolExecutor(1, "open-sink") as pool:
            opening, until = pool.submit(sink.open), monotonic() + SINK_PATIENCE
            try:
                while not wait([opening], OPEN_SLICE).done:
                    check()
                    if monotonic() > until:
                        reason = sink.status().reason or "no answer"
                        raise QueryError("08006", f"sink {item.name} does not get to its broker: {reason}")
                if opening.result() is not None:
                    raise QueryError(
                        "58000", f"topic {sink.topic} has been written by a sink {item.name} of another state folder",
                        hint="choose another name and topic",
                    )  # fmt: skip
            except SinkHaltedError as halted:
                raise QueryError("58000", str(halted)) from None
            finally:
                if not opening.done():
                    sink.close(0)

    @property
    def _running(self) -> TickLoop:
        if self._loop is None:
            raise ClosedError("the service is starting; try again")
        return self._loop

    def _check(self) -> None:
        """ClosedError when the service stops."""
        if self._stopped.is_set():
            raise ClosedError("the service is stopping")

    def _adopt(self, world: World) -> list[Source | KafkaSink]:
        """Between ticks: make a world durable, and take off what it does not have; the sources and sinks that are to be ended."""
        catalog = msgspec.structs.replace(world.catalog, time=self._running.now)
        try:
            self._file.write(catalog)
        except OSError as error:
            raise StateError(f"the state folder cannot be written: {error}; make room or mend the disk") from error
        live = self._live
        items = {str(item.id): item for item in self._world.items.values()}
        staying = {item.id for item in world.items.values()}  # what has other options now has the same rows
        going = {number: item for number, item in items.items() if item.id not in staying}
        self._stack.take_off([layer.name for layer in self._stack.layers if layer.name in going])
        gone: list[Source | KafkaSink] = []
        for item in going.values():
            if item.kind == "sink":
                self._running.remove_sink(sink_of(item))
                del live.sink_views[sink_of(item)]
                gone.append(live.sinks.pop(sink_of(item)))
            elif item.kind in ("source", "table"):
                self._running.go(source_of(item))
                source = live.sources.pop(source_of(item), None)
                gone += [source] if isinstance(source, Source) else []
        self._world = world
        self._filling &= world.items.keys()
        return gone

    def _fill(self, world: World, opened: Opened, check: Check, adopt: Callable[[], None]) -> int:
        """Fill the layers of objects beside the ticks, then put them on, with sources and sinks; the time when they are there.

        `adopt` is called just before, between ticks.
        """
        loop, layers, live = self._running, [world.layer(item) for item in opened.items], self._live

        def put_on() -> None:
            adopt()
            live.sources.update(opened.sources)
            live.sink_views.update(opened.sink_views)
            live.sinks.update(opened.sinks)
            for name in opened.sinks:
                loop.add_sink(name, None)
            for item, layer in zip(opened.items, layers, strict=True):
                self._filling.discard(item.name)
                self._add_table(world, item)
                self._stack.put_on(layer)
            self._reshape()

        if not (layers or opened.sources):
            return loop.calls.call(put_on).result()[1]
        topics = [name for name in live.sources if not name.startswith(PREFIX)]
        return self._fillings.fill(layers, topics, opened.sources, check, put_on)


def _end(outside: Sequence[Source | KafkaSink]) -> None:
    """Let go of what is read and written no more."""
    for one in outside:
        if isinstance(one, KafkaSink):
            one.close(CLOSE_SECONDS)
        else:
            one.stop()
