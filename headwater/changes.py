"""The catalog of the running service, and how it changes: one change after the other, in a thread of its own.

A change is understood first (`headwater.world`), with PostgreSQL's errors for what is wrong with it. What needs rows of its own is
then filled beside the ticks: from the rows that are kept, from the topic where none are, and from what ticks change meanwhile.
Between two ticks the new catalog becomes durable, the layer is put on, and the next tick shows both.
Always true: what is told to be done is durable and readable; what fails changes nothing; the file's objects stay as they are.
Deliberately unknown: statements' text but for queries, and who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import structlog

from dataflow.stack import Attached, Layer, Stack
from headwater.calls import ClosedError
from headwater.catalog import Catalog, CatalogStore, Item, Kind, TableColumn
from headwater.errors import StateError
from headwater.replay import fold
from headwater.ticks import CATCH_UP_ROWS, FUEL_PER_ROW, TickLoop
from headwater.world import FIRST_OID, Declared, World, source_of
from headwater.writes import Table, Writes
from ingest.ranges import Range
from ingest.remap import Log
from ingest.source import ReplayMismatch, Source, verify
from ingest.tables import PREFIX, TableLog, TableSource
from serve.definitions import Definitions
from serve.sql.changes import (
    Change,
    Changed,
    Comment,
    CreateIndex,
    CreateTable,
    CreateView,
    Drop,
    Rename,
    Transaction,
    Written,
)
from serve.sql.errors import QueryError, from_plan

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

    # Changes.

    def _change(self, change: Change, check: Check) -> Changed:
        try:
            check()
            match change:
                case CreateView():
                    return self._create_view(change, check)
                case CreateIndex():
                    return self._create_index(change, check)
                case CreateTable():
                    return self._create_table(change, check)
                case Drop():
                    return self._drop(change)
                case Rename():
                    return self._rename(change, check)
                case Comment():
                    return self._comment(change)
        except (ClosedError, StateError) as error:
            raise QueryError("57P01", str(error)) from None
        except ReplayMismatch as mismatch:
            raise QueryError("58000", str(mismatch)) from None

    @property
    def _definitions(self) -> Definitions:
        return self._world.shape(self._filling).definitions

    def _create_view(self, change: CreateView, check: Check) -> Changed:
        there = self._definitions.objects.get(change.name)
        catalog = self._world.catalog
        kind: Kind = "materialized view" if change.materialized else "view"
        if there is not None:
            if change.if_not_exists:
                return self._nothing(("42P07", f'relation "{change.name}" already exists, skipping'))
            if not change.replace:
                raise QueryError("42P07", f'relation "{change.name}" already exists')
            if there.declared or there.kind != kind:
                what = f"declared by the service's file as a {there.kind}" if there.declared else f"a {there.kind}"
                raise QueryError("42809", f'"{change.name}" is {what}', hint="choose another name")
            self._refuse_dependents([change.name], "replace")
            catalog = _without(catalog, [change.name])
        item = Item(catalog.next_id, kind, change.name, change.query, change.columns)
        world = self._next(catalog, (*catalog.items, item), catalog.next_id + 1)
        if (error := world.broken.get(item.name)) is not None:
            found = from_plan(error, change.query)
            found.position = None if found.position is None else found.position + change.begin
            raise found
        if change.materialized:
            return self._fill(world, item, check, lambda: self._adopt(world))
        return self._install(world)

    def _create_table(self, change: CreateTable, check: Check) -> Changed:
        if self._tables is None:
            raise QueryError(
                "0A000", "a table is not supported while the state is in a bucket", hint="use a local folder"
            )
        if change.name in self._definitions.objects:
            if change.if_not_exists:
                return self._nothing(("42P07", f'relation "{change.name}" already exists, skipping'))
            raise QueryError("42P07", f'relation "{change.name}" already exists')
        names = [column.name for column in change.columns]
        for name in (*names, *change.key):
            if names.count(name) > 1:
                raise QueryError("42701", f'column "{name}" specified more than once')
            if name not in names:
                raise QueryError("42703", f'column "{name}" named in key does not exist')
        defined = tuple(
            TableColumn(c.name, c.type, c.nullable and c.name not in change.key, c.default) for c in change.columns
        )
        catalog = self._world.catalog
        item = Item(catalog.next_id, "table", change.name, columns=change.key, defined=defined)
        world = self._next(catalog, (*catalog.items, item), catalog.next_id + 1)
        return self._fill(world, item, check, lambda: self._adopt(world))

    def _create_index(self, change: CreateIndex, check: Check) -> Changed:
        objects = self._definitions.objects
        relation = objects.get(change.on)
        if relation is None or relation.broken:
            raise QueryError("42P01", f'relation "{change.on}" does not exist')
        if relation.kind == "index":
            raise QueryError("42809", f'"{change.on}" is an index')
        columns = change.columns if change.columns is not None else self._default_key(change.on)
        known = [column.name for column in relation.schema]
        for column in columns:
            if column not in known:
                raise QueryError("42703", f'column "{column}" does not exist')
        name = change.name or _free_name(f"{change.on}_{'_'.join(columns)}_idx", objects)
        if name in objects:
            if change.if_not_exists:
                return self._nothing(("42P07", f'relation "{name}" already exists, skipping'))
            raise QueryError("42P07", f'relation "{name}" already exists')
        catalog = self._world.catalog
        item = Item(catalog.next_id, "index", name, columns=columns, on=change.on)
        world = self._next(catalog, (*catalog.items, item), catalog.next_id + 1)
        return self._fill(world, item, check, lambda: self._adopt(world))

    def _default_key(self, relation: str) -> tuple[str, ...]:
        """The columns that a relation is proved unique by, else all."""
        world = self._world
        known = world.ground.schema(relation)
        if relation in world.unique_keys:
            return tuple(known[index].name for index in world.unique_keys[relation])
        if relation in world.planned.plans:
            proved = [key for key in world.unique(relation) if key]
            if proved:
                return tuple(column.name for column in known if column.name in proved[0])
        return tuple(column.name for column in known)

    def _drop(self, change: Drop) -> Changed:
        objects = self._definitions.objects
        notices: list[tuple[str, str]] = []
        names: list[str] = []
        for name in change.names:
            there = objects.get(name)
            if there is None or (there.broken and name not in {item.name for item in self._world.catalog.items}):
                if not change.if_exists:
                    raise QueryError("42P01" if change.kind != "index" else "42704", _absent(change.kind, name))
                notices.append(("00000", f"{_absent(change.kind, name)}, skipping"))
                continue
            if there.kind != change.kind:
                raise QueryError("42809", f'"{name}" is not a {change.kind}', hint=f"use DROP {there.kind.upper()}")
            if there.declared:
                raise QueryError(
                    "42501", f'{there.kind} "{name}" is declared by the service\'s file', hint="take it out of the file"
                )
            names.append(name)
        if not names:
            return self._nothing(*notices)
        if not change.cascade:
            self._refuse_dependents(names, "drop")
        gone = [*names, *self._definitions.dependents(names)]
        catalog = _without(self._world.catalog, gone)
        return self._install(self._next(catalog, catalog.items), tuple(notices))

    def _rename(self, change: Rename, check: Check) -> Changed:
        objects = self._definitions.objects
        there = objects.get(change.name)
        if there is None:
            if change.if_exists:
                return self._nothing(("00000", f"{_absent(change.kind, change.name)}, skipping"))
            raise QueryError("42P01" if change.kind != "index" else "42704", _absent(change.kind, change.name))
        if there.declared:
            raise QueryError("42501", f'"{change.name}" is declared by the service\'s file', hint="rename it there")
        if there.kind != change.kind:
            raise QueryError("42809", f'"{change.name}" is not a {change.kind}')
        if change.kind == "table":
            raise QueryError(
                "0A000", "ALTER TABLE RENAME is not supported", hint="make another table and INSERT ... SELECT"
            )
        if change.to in objects:
            raise QueryError("42P07", f'relation "{change.to}" already exists')
        if readers := self._definitions.dependents([change.name]):
            raise QueryError(
                "2BP01",
                f"cannot rename {change.kind} {change.name} because other objects depend on it",
                detail=_depend(self._definitions, readers, change.name),
                hint="drop them first, and make them again with the new name",
            )
        catalog = self._world.catalog
        item = next(item for item in catalog.items if item.name == change.name)
        renamed = msgspec.structs.replace(item, id=catalog.next_id, name=change.to)
        comments = {
            f"{change.to}{key[len(change.name) :]}" if key.partition("\t")[0] == change.name else key: text
            for key, text in catalog.comments.items()
        }
        items = tuple(renamed if one is item else one for one in catalog.items)
        world = self._next(msgspec.structs.replace(catalog, comments=comments), items, catalog.next_id + 1)
        if item.kind == "view":
            return self._install(world)
        return self._fill(world, renamed, check, lambda: self._adopt(world))

    def _comment(self, change: Comment) -> Changed:
        there = self._definitions.objects.get(change.name)
        if there is None or (change.kind not in ("column", there.kind)):
            raise QueryError("42P01", _absent("relation" if change.kind == "column" else change.kind, change.name))
        key = change.name
        if change.column is not None:
            if change.column not in [column.name for column in there.schema]:
                raise QueryError("42703", f'column "{change.column}" of relation "{change.name}" does not exist')
            key = f"{change.name}\t{change.column}"
        catalog = self._world.catalog
        comments = {other: text for other, text in catalog.comments.items() if other != key}
        if change.text is not None:
            comments[key] = change.text
        return self._install(self._next(msgspec.structs.replace(catalog, comments=comments), catalog.items))

    def _refuse_dependents(self, names: list[str], what: str) -> None:
        """QueryError when objects other than indexes read some of these."""
        definitions = self._definitions
        readers = [name for name in definitions.dependents(names) if definitions.objects[name].kind != "index"]
        if readers:
            kind = definitions.objects[names[0]].kind
            raise QueryError(
                "2BP01",
                f"cannot {what} {kind} {names[0]} because other objects depend on it",
                detail=_depend(definitions, readers, names[0]),
                hint="use DROP ... CASCADE to drop the dependent objects too",
            )

    # How a change takes effect.

    def _next(self, catalog: Catalog, items: tuple[Item, ...], next_id: int | None = None) -> World:
        """The world with these objects. QueryError when an object that there is would no longer be possible."""
        world = World(
            self._declared,
            msgspec.structs.replace(
                catalog, version=self._world.catalog.version + 1, items=items, next_id=next_id or catalog.next_id
            ),
        )
        kept = (
            {item.name for item in self._world.items.values()} & world.broken.keys() & {i.name for i in catalog.items}
        )
        if kept:
            name = min(kept)
            raise QueryError("2BP01", f"{name} would no longer be possible: {world.broken[name].message}")
        return world

    def _nothing(self, *notices: tuple[str, str]) -> Changed:
        return Changed(self._running.now, notices)

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

    def _install(self, world: World, notices: tuple[tuple[str, str], ...] = ()) -> Changed:
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


def _without(catalog: Catalog, names: list[str]) -> Catalog:
    """The catalog without some objects, and without the comments on them."""
    gone = set(names)
    return msgspec.structs.replace(
        catalog,
        items=tuple(item for item in catalog.items if item.name not in gone and item.on not in gone),
        comments={key: text for key, text in catalog.comments.items() if key.partition("\t")[0] not in gone},
    )


def _absent(kind: str, name: str) -> str:
    return f'{kind} "{name}" does not exist'


def _depend(definitions: Definitions, readers: list[str], name: str) -> str:
    """PostgreSQL's DETAIL: who depends on what."""
    kind = definitions.objects[name].kind
    return "\n".join(f"{definitions.objects[r].kind} {r} depends on {kind} {name}" for r in readers)


def _free_name(wanted: str, taken: Mapping[str, object]) -> str:
    name, number = wanted, 1
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name
