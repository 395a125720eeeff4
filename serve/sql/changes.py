"""Changes of the catalog that a statement asks for, and whom they are asked of.

Always true: a change is a value; names in it are bare, for there is one schema. Deliberately unknown: text, and how a change is
made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from dataflow.delta import Delta


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE [MATERIALIZED] VIEW. columns: names for the first columns. begin: where the query begins in the statement."""

    name: str
    columns: tuple[str, ...]
    query: str
    begin: int
    materialized: bool
    replace: bool
    if_not_exists: bool

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return "CREATE MATERIALIZED VIEW" if self.materialized else "CREATE VIEW"


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """CREATE INDEX. name None: one is made up; columns None: those that the relation is unique by, or all (DEFAULT INDEX)."""

    name: str | None
    on: str
    columns: tuple[str, ...] | None
    if_not_exists: bool
    tag: str = "CREATE INDEX"


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of CREATE TABLE. default: an expression's text, empty for none."""

    name: str
    type: str
    nullable: bool
    default: str


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE. key: the primary key's columns."""

    name: str
    columns: tuple[ColumnDefinition, ...]
    key: tuple[str, ...]
    if_not_exists: bool
    tag: str = "CREATE TABLE"


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of objects of one kind, as `view`."""

    kind: str
    names: tuple[str, ...]
    if_exists: bool
    cascade: bool

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return f"DROP {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class Rename:
    """ALTER ... RENAME TO."""

    kind: str
    name: str
    to: str
    if_exists: bool

    @property
    def tag(self) -> str:
        """What CommandComplete says."""
        return f"ALTER {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class Comment:
    """COMMENT ON an object of a kind, or on a column of one (kind `column`). text None: take it away."""

    kind: str
    name: str
    column: str | None
    text: str | None
    tag: str = "COMMENT"


Change = CreateView | CreateIndex | CreateTable | Drop | Rename | Comment


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that has taken effect: what is read from `time` on shows it. notices: SQLSTATE and text."""

    time: int
    notices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Rows that enter and leave one table. oid: the table's, for a name may mean another one meanwhile.

    ignore: rows whose key is there already are left out.
    """

    table: str
    oid: int
    delta: Delta
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """Writes that happen all at once or not at all. They follow from rows that these tables, `reads`, had at the time `read`."""

    writes: tuple[Write, ...]
    reads: frozenset[str] = frozenset()
    read: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A transaction that is durable, and seen by all who read from `time` on. counts: how many rows entered, by write."""

    time: int
    counts: tuple[int, ...]


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
