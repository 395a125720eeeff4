"""Changes of the catalog that a statement asks for, and whom they are asked of.

Always true: a change is a value; names in it are those by which objects are known. Deliberately unknown: text, and how a change
is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from dataflow.delta import Delta
from serve.sql.errors import QueryError


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE [MATERIALIZED] VIEW. columns: names for the first columns. begin: where the query begins in the statement. history:
    milliseconds for which its past is kept. temporary: it is the session's own.
    asserted: columns in which NULL is an error."""

    name: str
    columns: tuple[str, ...]
    query: str
    begin: int
    materialized: bool
    replace: bool
    if_not_exists: bool
    history: int = 0
    temporary: bool = False
    asserted: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return "CREATE MATERIALIZED VIEW" if self.materialized else "CREATE VIEW"


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """CREATE INDEX. name None: one is made up; columns None: those that the relation is unique by, or all (DEFAULT INDEX).
    unique: no two rows may have the same of them."""

    name: str | None
    on: str
    columns: tuple[str, ...] | None
    if_not_exists: bool
    unique: bool = False
    tag: str = "CREATE INDEX"


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of CREATE TABLE. default: an expression's text, empty for none."""

    name: str
    type: str
    nullable: bool
    default: str


@dataclass(frozen=True, slots=True)
class KeyDefinition:
    """PRIMARY KEY or UNIQUE. name: empty for the usual one."""

    columns: tuple[str, ...]
    primary: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class CheckDefinition:
    """CHECK. condition: an expression's text. name: empty for the usual one."""

    condition: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE. keys: at most one of them primary. filled: the rows that it is made with; None for none."""

    name: str
    columns: tuple[ColumnDefinition, ...]
    keys: tuple[KeyDefinition, ...]
    checks: tuple[CheckDefinition, ...]
    if_not_exists: bool
    tag: str = "CREATE TABLE"
    filled: Delta | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CreateTableAs:
    """CREATE TABLE ... AS: the session makes a CreateTable of it. columns: names for the first columns. with_data: its rows too."""

    name: str
    columns: tuple[str, ...]
    query: str
    begin: int
    if_not_exists: bool
    with_data: bool
    tag: str = "CREATE TABLE AS"


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """DROP CONSTRAINT."""

    name: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """RENAME COLUMN ... TO."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class SetDefault:
    """ALTER COLUMN ... SET DEFAULT, and with an empty text DROP DEFAULT."""

    column: str
    default: str


@dataclass(frozen=True, slots=True)
class SetNullable:
    """ALTER COLUMN ... DROP NOT NULL, or SET NOT NULL."""

    column: str
    nullable: bool


Action = KeyDefinition | CheckDefinition | DropConstraint | RenameColumn | SetDefault | SetNullable


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE, one action after the other."""

    name: str
    actions: tuple[Action, ...]
    if_exists: bool
    tag: str = "ALTER TABLE"


@dataclass(frozen=True, slots=True)
class Owner:
    """ALTER ... OWNER TO: what is everybody's stays so. kind: `relation` for ALTER TABLE, which any relation may be behind."""

    kind: str
    name: str
    role: str
    tag: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """REFRESH MATERIALIZED VIEW: there is nothing to do."""

    name: str
    tag: str = "REFRESH MATERIALIZED VIEW"


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """CREATE SCHEMA."""

    name: str
    if_not_exists: bool
    tag: str = "CREATE SCHEMA"


@dataclass(frozen=True, slots=True)
class CreateSecret:
    """CREATE SECRET, and with `again` ALTER SECRET. The value is in no text that this makes."""

    name: str
    value: str = field(repr=False)
    if_not_exists: bool = False
    again: bool = False

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return "ALTER SECRET" if self.again else "CREATE SECRET"


@dataclass(frozen=True, slots=True)
class CreateConnection:
    """CREATE CONNECTION, and with `again` ALTER CONNECTION.

    type: `kafka` or `confluent schema registry`. properties: those of `serve.sql.connections`. secrets: properties whose values
    are secrets, with those ones' names. gone: with `again`, properties that are taken away. validate: ask the other side first.
    """

    name: str
    type: str
    properties: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    validate: bool = True
    if_not_exists: bool = False
    again: bool = False

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return "ALTER CONNECTION" if self.again else "CREATE CONNECTION"


@dataclass(frozen=True, slots=True)
class Validate:
    """VALIDATE CONNECTION: ask the other side, change nothing."""

    name: str
    tag: str = "VALIDATE CONNECTION"


@dataclass(frozen=True, slots=True)
class CreateSource:
    """CREATE SOURCE. settings: as under `sources` of the service's file, `columns` apart: None where a registry names them.

    registry: the connection to it, if another one than the topic's.
    """

    name: str
    settings: Mapping[str, Any]
    columns: tuple[ColumnDefinition, ...] | None
    registry: str
    if_not_exists: bool
    tag: str = "CREATE SOURCE"


@dataclass(frozen=True, slots=True)
class CreateSink:
    """CREATE SINK. settings: as under `sinks` of the service's file. enforced: the key has to be proved unique."""

    name: str
    settings: Mapping[str, Any]
    enforced: bool
    if_not_exists: bool
    tag: str = "CREATE SINK"


@dataclass(frozen=True, slots=True)
class CreateRole:
    """CREATE ROLE: a name that comments and grants can use."""

    name: str
    tag: str = "CREATE ROLE"


@dataclass(frozen=True, slots=True)
class Grant:
    """GRANT of privileges on objects of a kind (`all`: every relation; `service`: the database and what is in it) to roles."""

    kind: str
    names: tuple[str, ...]
    roles: tuple[str, ...]
    tag: str = "GRANT"


@dataclass(frozen=True, slots=True)
class Apply:
    """APPLY FILE: what the service's file says now. plan: the digest of the plan that was looked at; empty: any."""

    plan: str = ""
    tag: str = "APPLY"


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of objects of one kind, as `view`. public: those of the names that `public` is written before."""

    kind: str
    names: tuple[str, ...]
    if_exists: bool
    cascade: bool
    public: frozenset[str] = frozenset()

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return f"DROP {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class Rename:
    """ALTER ... RENAME TO, and with `swap` SWAP WITH: each of two gets the other's name."""

    kind: str
    name: str
    to: str
    if_exists: bool
    swap: bool = False

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return f"ALTER {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class RetainHistory:
    """ALTER MATERIALIZED VIEW ... SET or RESET (RETAIN HISTORY). history: milliseconds; 0 for none."""

    name: str
    history: int
    if_exists: bool
    tag: str = "ALTER MATERIALIZED VIEW"


@dataclass(frozen=True, slots=True)
class Comment:
    """COMMENT ON an object of a kind, or on a column of one (kind `column`). text None: take it away."""

    kind: str
    name: str
    column: str | None
    text: str | None
    tag: str = "COMMENT"


Change = (
    CreateView | CreateIndex | CreateTable | CreateTableAs | CreateSecret | CreateConnection | Validate | CreateSource | CreateSink
    | CreateSchema | CreateRole | Grant | Apply | Drop | Rename | RetainHistory | Comment | AlterTable | Owner | Refresh
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that has taken effect: what is read from `time` on shows it. notices: SQLSTATE and text."""

    time: int
    notices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Rows that enter and leave one table. oid: the table's, for a name may mean another one meanwhile.

    ignore: the keys (`serve.definitions.UniqueKey`) by name of which rows that are there already are left out.
    """

    table: str
    oid: int
    delta: Delta
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Transaction:
    """Writes that happen all at once or not at all. They follow from rows that these tables, `reads`, had at the time `read`.

    apart: each row is a transaction of its own, one after the other; of rows that one write inserts, and that follow from nothing.
    """

    writes: tuple[Write, ...]
    reads: frozenset[str] = frozenset()
    read: int = 0
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A transaction that is durable, and seen by all who read from `time` on. counts: how many rows entered, by write.

    refused: where rows are apart, what is wrong with those that did not enter, by their place.
    """

    time: int
    counts: tuple[int, ...]
    refused: Mapping[int, QueryError] = field(default_factory=dict)


class Changer(Protocol):
    """Who changes the catalog of the running service, and its tables."""

    def write(self, transaction: Transaction) -> Future[Written]:
        """Begin; the Future fails with QueryError, and then nothing is written. 40001: what was read has changed; read again."""
        ...

    def change(self, changes: Sequence[Change], check: Callable[[], None], try_only: bool) -> Future[Changed]:
        """Begin to make all of these changes at once; the Future fails with QueryError, and then nothing has changed.

        try_only: only find out whether they are possible now.
        check: called now and then, in another thread; what it raises ends the attempt.
        """
        ...
