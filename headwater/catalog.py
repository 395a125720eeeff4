"""The catalog's file: what SQL statements made, durably, beside what the YAML file declares.

One file `catalog` in the state folder: a header, the CRC-32 of the payload, the payload (MessagePack), which is the whole catalog.
It is replaced whole: another name, fsync, rename, fsync of the folder. Always true: `write` returns when the new catalog will be
found by the next start; a damaged file is an error that names it, never an empty catalog. One process at a time: whoever writes
holds the lock of the remap log; in a bucket it is an object that only the service that read it last can replace.
Deliberately unknown: what SQL means.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from headwater.errors import StartError
from ingest.durable import replace
from ingest.objects import Objects, TakenError
from ingest.sealed import seal, unseal

FILE = "catalog"
HEADER = b"headwater catalog 1\n"

Kind = Literal["view", "materialized view", "index", "table", "source", "sink", "connection", "secret", "role"]


class TableColumn(msgspec.Struct, frozen=True):
    """A column of a table. default: an expression's text; empty for NULL."""

    name: str
    type: str
    nullable: bool = True
    default: str = ""


class Item(msgspec.Struct, frozen=True):
    """One object that SQL made.

    known: what it was called when it was made, if that is not its name: its rows, and what it reads and writes outside, keep that.
    sql: of a view, its query. columns: of a view, other names for its first columns; of an index, those that it is by; of a
    table, its primary key; of a source, its message key's. on: of an index or a sink, its relation. defined: of a table or source,
    its columns. settings: of a source or sink, `config.settings.Source` or `Sink` as JSON, a source's without its columns.
    registry: of a source, the connection to its schema registry where the topic's does not name one. type, properties, secrets: of
    a connection, as in `serve.sql.connections`; secrets are property to the name of the secret. enforced: of a sink,
    its key (`columns`) is proved unique; of a table, that its primary key still is one. history: of a materialized view,
    milliseconds for which its past is kept. unique: of an index, whether it keeps its columns unique: by itself (`index`), or for a
    constraint of its name. constraint: of a table, its primary key's name. checks: of a table, by name, conditions.
    asserted: of a materialized view, columns in which NULL is an error.
    """

    id: int
    kind: Kind
    name: str
    sql: str = ""
    columns: tuple[str, ...] = ()
    on: str = ""
    defined: tuple[TableColumn, ...] = ()
    settings: str = ""
    registry: str = ""
    type: str = ""
    properties: dict[str, str] = {}
    secrets: dict[str, str] = {}
    enforced: bool = True
    history: int = 0
    unique: Literal["", "index", "unique", "primary"] = ""
    constraint: str = ""
    checks: dict[str, str] = {}
    known: str = ""
    asserted: tuple[str, ...] = ()


class Namespace(msgspec.Struct, frozen=True):
    """A schema that SQL made. Its objects' names begin with its own and a point."""

    id: int
    name: str


class Catalog(msgspec.Struct, frozen=True):
    """Everything that SQL made, in the order in which it was made.

    version: how often it was changed. time: the catalog counts for times after this one. comments: by relation, or relation and
    column with a tab in between, or an object's key (`serve.definitions.key_of`); also of objects that the file declares.
    """

    version: int = 0
    time: int = 0
    next_id: int = 1
    items: tuple[Item, ...] = ()
    schemas: tuple[Namespace, ...] = ()
    comments: dict[str, str] = {}


class CatalogError(StartError):
    """The catalog cannot be read; the text names the file and says what to do."""


class CatalogStore(Protocol):
    """Where a catalog is kept."""

    def read(self) -> Catalog:
        """The catalog; an empty one where there is none. CatalogError when it is damaged."""
        ...

    def write(self, catalog: Catalog) -> None:
        """Make it what the next start finds. OSError when it may not be."""
        ...


class CatalogFile:
    """The catalog of one state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self) -> Catalog:
        """See CatalogStore."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Catalog()
        return _decode(content, str(self._path))

    def write(self, catalog: Catalog) -> None:
        """See CatalogStore."""
        replace(self._path, _encode(catalog))


class CatalogObject:
    """The catalog of a state in a bucket, behind the name of the service that wrote it last.

    `read` puts its own name there, so that whoever had the state before can write no more.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._writer = uuid.uuid4().bytes
        self._tag: str | None = None

    def read(self) -> Catalog:
        """See CatalogStore. OSError when the bucket does not answer."""
        found = self._objects.tagged(FILE)
        catalog = Catalog()
        if found is not None:
            content, self._tag = found
            catalog = _decode(content[len(self._writer) :], f"{self._objects.url}/{FILE}")
        self.write(catalog)
        return catalog

    def write(self, catalog: Catalog) -> None:
        """See CatalogStore."""
        try:
            self._tag = self._objects.swap(FILE, self._writer + _encode(catalog), self._tag)
        except TakenError as error:
            raise OSError(f"another service has taken over the state: {error}") from error


def _encode(catalog: Catalog) -> bytes:
    return seal(HEADER, msgspec.msgpack.encode(catalog))


def _decode(content: bytes, name: str) -> Catalog:
    payload = unseal(HEADER, content)
    if payload is None:
        raise CatalogError(
            f"{name} is damaged: what CREATE statements made cannot be read; restore the file from a copy, or remove "
            "it to start with what the settings declare"
        )
    return msgspec.msgpack.decode(payload, type=Catalog)
