"""The catalog of the running service, and how it changes: one change after the other, in a thread of its own.

A change is understood first (`headwater.ddl`), with PostgreSQL's errors for what is wrong with it. What needs rows of its own is
then filled beside the ticks: from the rows that are kept, from the topic where none are, and from what ticks change meanwhile.
Between two ticks the new catalog becomes durable, the layer is put on, and the next tick shows both.
Always true: what is told to be done is durable and readable; what fails changes nothing; the file's objects stay as they are.
Deliberately unknown: what a statement makes of the catalog, and who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import structlog

from dataflow.stack import Attached, Layer, Stack
from headwater.calls import ClosedError
from headwater.catalog import CatalogStore, Item
from headwater.ddl import Statements
from headwater.errors import StateError
from headwater.replay import fold
from headwater.ticks import CATCH_UP_ROWS, FUEL_PER_ROW, TickLoop
from headwater.world import FIRST_OID, Declared, World, source_of
from headwater.writes import Table, Writes
from ingest.ranges import Range
from ingest.remap import Log
from ingest.source import ReplayMismatch, Source, verify
from ingest.tables import PREFIX, TableLog, TableSource
from serve.sql.changes import Change, Changed, Transaction, Written
from serve.sql.errors import QueryError

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02
"""How long a filling waits for more of a topic before it looks again."""

CLOSE_STEPS = 4
"""With no more recorded steps than this left to take over, a layer is put on: the tick thread takes over the rest."""

Check = Callable[[], None]


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
            return self._fill(world, step.fill, check, lambda: self._adopt(world))
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

    def _fill(self, world: World, item: Item, check: Check, adopt: Check) -> Changed:
        """Fill the layer of an object beside the ticks, then put it on. `adopt` is called just before, between ticks."""
        loop, layer = self._running, world.layer(item)

        def begin() -> tuple[Attached, int, dict[str, dict[int, int]]]:
            attached = self._stack.attach(layer.reads)
            for name in layer.reads - attached.held.keys() - self._declared.schemas.keys() - {source_of(item)}:
                self._stack.detach(attached.recording)
                raise QueryError("57P03", f"{name} is being filled", hint="try again")
            return attached, loop.now, {name: loop.ends(name) for name in layer.reads - attached.held.keys()}

        def end() -> None:
            layer.catch_up(attached.recording.take())
            self._stack.detach(attached.recording)
            adopt()
            self._add_source(world, item)
            self._stack.put_on(layer)
            loop.reshape(self._world.shape(self._filling))

        (attached, now, ends), _ = loop.calls.call(begin).result()
        try:
            for _ in layer.begin(attached.held, now):
                check()
                self._check()
            for name, until in ends.items():
                if item.kind == "table" and self._tables is not None:
                    for number in range(until.get(0, 0)):
                        check()
                        layer.dataflow.step({name: self._tables.read(name, number)}, time=now)
                else:
                    self._read_again(layer, name, until, now, check)
            while layer.catch_up(attached.recording.take()) > CLOSE_STEPS:
                check()
                self._check()
            _, time = loop.calls.call(end).result()
        except BaseException:
            loop.calls.call(lambda: self._stack.detach(attached.recording))
            raise
        return Changed(time)

    def _read_again(self, layer: Layer, name: str, until: Mapping[int, int], now: int, check: Check) -> None:
        """Give a layer what a topic held up to these offsets. ReplayMismatch when it no longer holds what was read from it."""
        if not until:
            return
        bindings = [binding for binding in self._remap.reread() if binding.time <= now]
        (whole,) = fold(bindings, [])
        source = self._reread(name)
        source.replay_to(until, next((b.topic_ids[name] for b in reversed(bindings) if name in b.topic_ids), ""))
        source.start({})
        seen: dict[int, Range] = {}
        try:
            while not source.reached(until):
                check()
                self._check()
                if taken := source.take(CATCH_UP_ROWS, until):
                    for piece in taken.ranges:
                        before = seen.get(piece.partition)
                        seen[piece.partition] = piece if before is None else before.extended(piece)
                    layer.dataflow.step({name: taken.delta} if len(taken.delta) else {}, time=now)
                    layer.dataflow.maintain(FUEL_PER_ROW * taken.records)
                elif (status := source.status()).state == "halted":
                    raise QueryError("58000", f"source {name} cannot be read again: {status.reason}")
                else:
                    self._stopped.wait(POLL_SECONDS)
        finally:
            source.stop()
        verify(source, whole.ranges.get(name, {}), seen)
