"""The catalog of the running service, and how it changes: one change after the other, in a thread of its own.

A change is understood first (`headwater.ddl`), with PostgreSQL's errors for what is wrong with it. What needs rows of its own is
then filled beside the ticks (`headwater.filling`).
Between two ticks the new catalog becomes durable, the layer is put on, and the next tick shows both.
Always true: what is told to be done is durable and readable; what fails changes nothing; the file's objects stay as they are.
Deliberately unknown: what a statement makes of the catalog, and who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import structlog

from dataflow.stack import Stack
from headwater.calls import ClosedError
from headwater.catalog import CatalogStore, Item
from headwater.ddl import Statements
from headwater.errors import StateError
from headwater.filling import Check, Filling
from headwater.ticks import TickLoop
from headwater.world import FIRST_OID, Declared, World, source_of
from headwater.writes import Table, Writes
from ingest.remap import Log
from ingest.source import ReplayMismatch, Source
from ingest.tables import PREFIX, TableLog, TableSource
from serve.sql.changes import Change, Changed, Transaction, Written
from serve.sql.errors import QueryError

log = structlog.get_logger(__name__)


class Changes:
    """Changes the catalog of one service. `change` is for any thread."""

    def __init__(
        self,
        declared: Declared,
        file: CatalogStore,
        stack: Stack,
        remap: Log,
        reread: Callable[[str], Source],
        tables: TableLog | None,
        sources: dict[str, Source | TableSource],
    ) -> None:
        """Read the catalog and put its layers on the stack, still empty. CatalogError when it is damaged.

        reread: a source that reads a topic once more, not started yet. tables: None where there can be none. sources: those that
        ticks take from; tables come and go.
        """
        self._tables, self._sources = tables, sources
        self._declared, self._file, self._stack, self._remap, self._reread = declared, file, stack, remap, reread
        self._world = World(declared, file.read())
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
            self._add_source(self._world, item)

    def attend(self, loop: TickLoop) -> None:
        """Change what this loop computes. Called before the loop runs."""
        self._loop = loop
        self._fillings = Filling(loop, self._stack, self._remap, self._reread, self._tables, self._stopped)
        self._writes = Writes(loop.calls, lambda: loop.now, self._table)
        loop.restored = self._restored
        loop.reshape(self._world.shape())

    def close(self) -> None:
        """End what is being filled, change nothing more."""
        self._stopped.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def change(self, change: Change, check: Check) -> Future[Changed]:
        """See `serve.sql.changes.Changer`."""
        return self._thread.submit(self._change, change, check)

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
        source = self._sources[source_of(item)]
        assert isinstance(source, TableSource)
        rows = self._stack.view(name).snapshot
        return Table(FIRST_OID + item.id, self._world.tables[name], self._world.key(item), source, rows)

    def _add_source(self, world: World, item: Item) -> None:
        """Let ticks take what is written to a table."""
        name = source_of(item)
        if item.kind == "table" and name not in self._sources and self._tables is not None:
            self._sources[name] = TableSource(name, item.name, world.tables[item.name], self._tables)

    # What a restart finds no rows for.

    def _restored(self) -> None:
        """Layers that the checkpoint did not hold are filled again, once the loop runs."""
        there = {layer.name for layer in self._stack.layers}
        missing = [item for item in self._world.layer_items() if str(item.id) not in there]
        self._filling = {item.name for item in missing}
        if missing:
            assert self._loop is not None
            self._loop.reshape(self._world.shape(self._filling))
        for item in missing:
            self._thread.submit(self._refill, item)

    def _refill(self, item: Item) -> None:
        try:
            self._fill(self._world, item, self._check, lambda: self._filling.discard(item.name))
        except (ClosedError, StateError):
            return
        except Exception as error:  # noqa: BLE001  (the thread goes on with the next; the view says that it is not there)
            log.error("an object of the catalog could not be filled", name=item.name, reason=str(error))

    # How a change takes effect.

    def _change(self, change: Change, check: Check) -> Changed:
        try:
            check()
            definitions = self._world.shape(self._filling).definitions
            step = Statements(self._world, definitions, self._tables is not None).step(change)
            if step.world is None:
                return Changed(self._running.now, step.notices)
            if step.fill is None:
                return self._install(step.world, step.notices)
            world = step.world

            def go_on() -> None:
                check()
                self._check()

            return self._fill(world, step.fill, go_on, lambda: self._adopt(world))
        except (ClosedError, StateError) as error:
            raise QueryError("57P01", str(error)) from None
        except ReplayMismatch as mismatch:
            raise QueryError("58000", str(mismatch)) from None

    @property
    def _running(self) -> TickLoop:
        if self._loop is None:
            raise ClosedError("the service is starting; try again")
        return self._loop

    def _check(self) -> None:
        """ClosedError when the service stops."""
        if self._stopped.is_set():
            raise ClosedError("the service is stopping")

    def _adopt(self, world: World) -> None:
        """Between ticks: make a world durable, and take off the layers that it does not have."""
        catalog = msgspec.structs.replace(world.catalog, time=self._running.now)
        try:
            self._file.write(catalog)
        except OSError as error:
            raise StateError(f"the state folder cannot be written: {error}; make room or mend the disk") from error
        wanted = {str(item.id) for item in world.layer_items()}
        self._stack.take_off([layer.name for layer in self._stack.layers if layer.name not in wanted])
        self._world = world
        self._filling &= world.items.keys()
        tables = {source_of(item) for item in world.layer_items()}
        for name in [name for name in self._sources if name.startswith(PREFIX) and name not in tables]:
            del self._sources[name]

    def _install(self, world: World, notices: tuple[tuple[str, str], ...]) -> Changed:
        """Take over a world that needs no new layer."""

        def work() -> None:
            self._adopt(world)
            self._running.reshape(world.shape(self._filling))

        _, time = self._running.calls.call(work).result()
        return Changed(time, notices)

    def _fill(self, world: World, item: Item, check: Check, adopt: Callable[[], None]) -> Changed:
        """Fill the layer of an object beside the ticks, then put it on. `adopt` is called just before, between ticks."""
        loop, layer = self._running, world.layer(item)

        def put_on() -> None:
            adopt()
            self._add_source(world, item)
            self._stack.put_on(layer)
            loop.reshape(self._world.shape(self._filling))

        table = source_of(item) if item.kind == "table" else None
        return Changed(self._fillings.fill(layer, self._declared.schemas.keys(), table, check, put_on))
