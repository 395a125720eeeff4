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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import structlog

from dataflow.delta import Delta
from dataflow.stack import Stack
from headwater.applying import Again
from headwater.calls import ClosedError
from headwater.catalog import CatalogError, Item
from headwater.constraints import Coming, coming
from headwater.ddl import Statements
from headwater.declared import Declared
from headwater.describing import described
from headwater.errors import StateError
from headwater.filling import Check, Filling
from headwater.home import Home
from headwater.keys import Key
from headwater.live import Live, Opened, end, open_sink
from headwater.outside import Outside
from headwater.ticks import TickLoop
from headwater.world import FIRST_OID, World, kept_as, source_of
from headwater.writes import Table, Writes
from ingest.source import ReplayMismatch, Source
from ingest.table_log import PREFIX
from ingest.tables import TableSource
from serve.sql.changes import Change, Changed, CreateTable, Transaction, Written
from serve.sql.errors import QueryError
from sinks.kafka import KafkaSink

log = structlog.get_logger(__name__)


class Changes:
    """Changes the catalog of one service. `change` is for any thread."""

    def __init__(
        self, declared: Declared, home: Home, stack: Stack, outside: Outside, live: Live, again: Again
    ) -> None:
        """Read the catalog, put its layers on the stack, still empty, and make all sources and sinks, not started yet.

        CatalogError when it is damaged. live: what ticks take from and write to, still empty. again: what `headwater.applying` says
        that the file declares now.
        """
        self._tables, self._live, self._outside, self._again = home.tables, live, outside, again
        self._file, self._stack, self._remap = home.catalog, stack, home.remap
        self._world = World(declared, home.catalog.read())
        # What the base holds stays what it is while the file changes.
        self._world.base = {name: self._world.means(name) for name in declared.names}
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
        self._keep_tables(self._world)
        for name in self._world.readers:
            live.sources[name] = outside.source(self._world, name, start=True)
        for name, settings in self._world.writers.items():
            live.sinks[name] = outside.sink(self._world, name, start=True)
            live.sink_views[name] = self._world.kept_as(settings.view)
        live.schemas.update(declared.schemas)

    def attend(self, loop: TickLoop) -> None:
        """Change what this loop computes. Called before the loop runs."""
        self._loop = loop
        self._fillings = Filling(loop, self._stack, self._remap, self._reread, self._tables, self._stopped)
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
        if kept_as(item) in self._filling:
            raise QueryError("57P03", f"table {name} is being filled", hint="try again")
        source = self._live.sources[source_of(item)]
        assert isinstance(source, TableSource)
        keys = []
        for key in self._world.table_keys(item):
            index = key.index or name
            if self._world.kept_as(index) in self._filling:
                raise QueryError("57P03", f"index {index} of table {name} is being filled", hint="try again")
            number = self._world.items[index].id
            keys.append(Key(number, key.name, key.places, self._stack.view(self._world.kept_as(index)).snapshot))
        return Table(FIRST_OID + item.id, self._world.tables[name], tuple(keys), source)

    def _reread(self, name: str) -> Source:
        return self._outside.source(self._world, name, again=True)

    def _add_table(self, world: World, item: Item) -> None:
        """Let ticks take what is written to a table."""
        name = source_of(item)
        if item.kind == "table" and name not in self._live.sources and self._tables is not None:
            self._live.sources[name] = TableSource(name, item.name, world.tables[item.name], self._tables)

    def _write_first(self, item: Item, rows: Delta | None) -> None:
        """Let the first tick that shows a table take the rows that it is made with."""
        if rows is not None and len(rows):
            source = self._live.sources[source_of(item)]
            assert isinstance(source, TableSource)
            source.write(rows, self._running.now)

    def _keep_tables(self, world: World) -> None:
        """Let the tables' log forget the rows of tables and sources that are gone, in its own time; those that cannot be used now
        stay."""
        if self._tables is not None:
            self._tables.keep([source_of(item) for item in world.catalog.items if item.kind in ("table", "source")])

    def _reshape(self) -> None:
        """Between ticks: let readers and sinks see the world as it is."""
        shape = described(self._world, self._filling)
        known = self._world.kept_as
        self._live.dependencies.update({known(name): one.sources for name, one in shape.shown.items()})
        self._live.sink_views.update({name: known(one.view) for name, one in self._world.writers.items()})
        self._running.reshape(shape)

    # What a restart finds no rows for.

    def _restored(self) -> None:
        """Layers that the checkpoint did not hold are filled again, once the loop runs."""
        there = {layer.name for layer in self._stack.layers}
        missing = [item for item in self._world.layer_items() if str(item.id) not in there]
        self._filling = {kept_as(item) for item in missing}
        if missing:
            self._reshape()
        for item in missing:
            self._thread.submit(self._refill, item)

    def _refill(self, asked: Item) -> None:
        item = next(
            (one for one in self._world.layer_items() if one.id == asked.id), None
        )  # it may have another name by now
        if item is None:
            return  # dropped since
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
            world, notices, filled = self._world, tuple[tuple[str, str], ...](), dict[int, Delta]()
            for change in changes:
                definitions = described(world, self._filling).definitions
                step = Statements(world, definitions, self._tables is not None, self._outside, self._again).step(change)
                world = step.world or world
                if isinstance(change, CreateTable) and change.filled is not None and step.world is not None:
                    filled[world.items[change.name].id] = change.filled
                notices = step.notices  # those of the ones before were told when they were tried
            if world is self._world or try_only:
                return Changed(self._running.now, notices)

            def go_on() -> None:
                check()
                self._check()

            return Changed(self._move(world, filled, go_on), notices)
        except (ClosedError, StateError) as error:
            raise QueryError("57P01", str(error)) from None
        except ReplayMismatch as mismatch:
            raise QueryError("58000", str(mismatch)) from None
        except CatalogError as error:
            raise QueryError("58030", str(error)) from None

    def _move(self, world: World, filled: Mapping[int, Delta], check: Check) -> int:
        """Make a world the one that is; the time from which on it is. filled: what new tables are made with, by id."""
        demanded, loop = coming(self._world, world), self._running
        if not demanded.tables:
            return self._put(world, demanded, filled, check)
        held = frozenset(FIRST_OID + item.id for item in demanded.tables.values())
        try:
            loop.calls.call(lambda: self._writes.hold(held)).result()
            return self._put(world, demanded, filled, check)
        finally:
            try:
                loop.calls.call(lambda: self._writes.hold(frozenset())).result()
            except ClosedError:
                self._writes.close()

    def _put(self, world: World, demanded: Coming, filled: Mapping[int, Delta], check: Check) -> int:
        """Fill what a world needs, and put it on; nobody writes to the tables that it demands something of."""
        before, loop = self._world, self._running
        known = {item.id for item in before.layer_items()}
        opened = Opened([item for item in world.layer_items() if item.id not in known], filled)
        try:
            for name in world.readers.keys() - before.readers.keys():
                if loop.ends(name):
                    raise QueryError(
                        "0A000", f"source {name} was read by this state before, and is not followed since",
                        hint="give it another name, or restart the service",
                    )  # fmt: skip
                source = opened.sources[name] = self._outside.source(world, name)
                source.start({})
            for name in world.writers.keys() - before.writers.keys():
                sink = opened.sinks[name] = self._outside.sink(world, name)
                opened.sink_views[name] = world.kept_as(world.writers[name].view)
                open_sink(sink, check)
            gone = list[Source | KafkaSink]()
            time = self._fill(world, opened, check, lambda: gone.extend(self._adopt(world)), demanded)
        except BaseException as error:
            end([*opened.sources.values(), *opened.sinks.values()])
            if isinstance(error, ValueError):
                raise QueryError("22023", str(error)) from None
            raise
        end(gone)
        try:
            self._outside.forget_secrets(world)
        except OSError as error:
            log.warning("secrets that are gone could not be removed yet", reason=str(error))
        return time

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
            raise StateError(
                f"the state folder cannot be written: {error}; the service ends: make room or mend the disk, start it again, and "
                "see whether the statement has taken effect"
            ) from error
        live, before = self._live, self._world
        layers = {str(item.id) for item in world.layer_items()}
        self._stack.take_off([layer.name for layer in self._stack.layers if layer.name not in layers])
        gone: list[Source | KafkaSink] = []
        for name in before.writers.keys() - world.writers.keys():
            self._running.remove_sink(name)
            del live.sink_views[name]
            gone.append(live.sinks.pop(name))
        tables = {source_of(item) for item in world.layer_items() if item.kind == "table"}
        for name in [name for name in live.sources if name not in tables and name not in world.readers]:
            self._running.go(name)
            source = live.sources.pop(name)
            gone += [source] if isinstance(source, Source) else []
        self._keep_tables(world)
        live.schemas.clear()
        live.schemas.update(world.declared.schemas)
        self._world = world
        self._filling &= {kept_as(item) for item in world.layer_items()}
        return gone

    def _fill(
        self, world: World, opened: Opened, check: Check, adopt: Callable[[], None], demanded: Coming | None = None
    ) -> int:
        """Fill the layers of objects beside the ticks, then put them on, with sources and sinks; the time when they are there.

        `adopt` is called just before, between ticks. demanded: of rows; QueryError when they are not so.
        """
        loop, layers, live = self._running, [world.layer(item) for item in opened.items], self._live

        def ready() -> None:
            if demanded is not None and demanded.tables:
                named = dict(zip([item.name for item in opened.items], layers, strict=True))
                indexes = {one.name: named[one.name].dataflow.view(kept_as(one)).snapshot() for one in demanded.keys}
                (kept, _) = loop.calls.call(
                    lambda: {name: self._stack.view(world.kept_as(name)).snapshot() for name in demanded.read}
                ).result()
                demanded.check(world, kept.__getitem__, indexes)

        def put_on() -> None:
            adopt()
            live.sources.update(opened.sources)
            live.sink_views.update(opened.sink_views)
            live.sinks.update(opened.sinks)
            for name in opened.sinks:
                loop.add_sink(name, None)
            for item, layer in zip(opened.items, layers, strict=True):
                self._filling.discard(kept_as(item))
                self._add_table(world, item)
                self._stack.put_on(layer)
                self._write_first(item, opened.filled.get(item.id))
            self._reshape()

        if not (layers or opened.sources):
            ready()
            return loop.calls.call(put_on).result()[1]
        topics = [name for name in live.sources if not name.startswith(PREFIX)]
        return self._fillings.fill(layers, topics, opened.sources, check, ready, put_on)
