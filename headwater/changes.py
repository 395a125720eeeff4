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
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import structlog

from dataflow.stack import Stack
from headwater.calls import ClosedError
from headwater.catalog import CatalogStore, Item
from headwater.ddl import Statements
from headwater.declared import Declared
from headwater.errors import StateError
from headwater.filling import Check, Filling
from headwater.ticks import TickLoop
from headwater.world import FIRST_OID, World, source_of
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
            self._fill(self._world, [item], self._check, lambda: self._filling.discard(item.name))
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
                step = Statements(world, definitions, self._tables is not None).step(change)
                world = step.world or world
                notices = step.notices  # those of the ones before were told when they were tried
            if world is self._world or try_only:
                return Changed(self._running.now, notices)

            def go_on() -> None:
                check()
                self._check()

            known = {item.id for item in self._world.layer_items()}
            new = [item for item in world.layer_items() if item.id not in known]
            return Changed(self._fill(world, new, go_on, lambda: self._adopt(world)), notices)
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

    def _fill(self, world: World, items: Sequence[Item], check: Check, adopt: Callable[[], None]) -> int:
        """Fill the layers of objects beside the ticks, then put them on. `adopt` is called just before, between ticks.

        The time from which on they are there.
        """
        loop, layers = self._running, [world.layer(item) for item in items]

        def put_on() -> None:
            adopt()
            for item, layer in zip(items, layers, strict=True):
                self._filling.discard(item.name)
                self._add_source(world, item)
                self._stack.put_on(layer)
            loop.reshape(self._world.shape(self._filling))

        if not layers:
            return loop.calls.call(put_on).result()[1]
        return self._fillings.fill(layers, self._declared.schemas.keys(), check, put_on)
