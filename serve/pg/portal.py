"""What a client has prepared, and what it reads: statements, portals, and the pieces in which a portal's rows leave.

Always true: a portal reads one time, however often it is executed; its rows are computed as they are asked for.
Deliberately unknown: messages, transactions, threads (whoever calls `step` sees to it that one does at a time).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from dataflow.types import TEXT, ColumnType
from planner.query import Values
from serve.pg import rows
from serve.pg.as_of import AsOf
from serve.pg.commands import Command, Copy
from serve.pg.follow import Following, Tail
from serve.pg.messages import FieldDescription, row_description
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared
from serve.sql.results import Batch
from serve.sql.types import modifier, oid, size

Column = tuple[str, ColumnType]


@dataclass(frozen=True, slots=True)
class Statement:
    """A prepared statement: a query, a command, or nothing (an empty text).

    types: of its parameters. following: what it subscribes to, if it does. returning: the query over the rows that it writes.
    merging: the query over pairs of rows in conflict. inner: what DECLARE or EXPLAIN is about.
    as_of: the time that it reads, where it names one.
    """

    prepared: Prepared | None = None
    command: Command | None = None
    types: tuple[ColumnType, ...] = ()
    following: Following | None = None
    returning: Prepared | None = None
    merging: Prepared | None = None
    inner: Statement | None = None
    as_of: AsOf | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.prepared is None and self.command is None


class Run:
    """One execution that may be ended from outside. `check` is called by the thread that computes."""

    def __init__(self, timeout: float | None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.stopped = False

    def check(self) -> None:
        """QueryError when the execution shall end."""
        if self.stopped:
            raise QueryError("57014", "canceling statement due to user request")
        if self.late:
            raise timed_out()

    @property
    def late(self) -> bool:
        """Whether its time is over."""
        return self.deadline is not None and time.monotonic() > self.deadline


def timed_out() -> QueryError:
    """The error for a statement that took too long."""
    return QueryError(
        "57014", "canceling statement due to statement timeout", hint="raise statement_timeout, or read less"
    )


@dataclass(slots=True)
class Portal:
    """A statement with its values, being read.

    formats: the format code of each column. batches: the rows to come, None before the first step; hold: whether it outlives
    its transaction; tail: the subscription that it reads, if it does.
    """

    statement: Statement
    values: Values
    columns: Sequence[Column] | None
    formats: Sequence[int] = ()
    hold: bool = False
    tail: Tail | None = None
    batches: Iterator[Batch] | None = None
    run: Run | None = None
    _rest: Batch | None = None
    _types: list[ColumnType] = field(default_factory=list)
    _forms: list[tuple[int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        columns = self.columns or ()
        self.formats = spread(self.formats, len(columns))
        self._types = [type_ for _, type_ in columns]
        self._forms = rows.forms(self._types, self.formats)

    def close(self) -> None:
        """Read no more."""
        self.batches = self._rest = None
        if self.tail is not None:
            self.tail.close()

    def check(self) -> None:
        """QueryError when the execution under way shall end. Called by the thread that computes."""
        if self.run is not None:
            self.run.check()

    def next(self, most: int | None) -> Batch | None:
        """The next rows, at most so many; None at the end."""
        batch = self._rest
        self._rest = None
        if batch is None and self.batches is not None:
            batch = next(self.batches, None)
        if batch is not None and most is not None and batch.rows > most:
            rest = tuple(column.slice(most) for column in batch.columns)
            self._rest = Batch(rest, batch.rows - most)
            batch = Batch(tuple(column.slice(0, most) for column in batch.columns), most)
        return batch

    def step(self, most: int | None, like: Portal) -> tuple[bytes, int] | None:
        """The next rows as bytes, written as `like` writes them, and how many they are; None at the end."""
        batch = self.next(most)
        return None if batch is None else (like.encode(batch), batch.rows)

    def encode(self, batch: Batch) -> bytes:
        """Rows as DataRow messages."""
        return rows.data_rows(batch.columns, batch.rows, self._types, self._forms)

    def step_copy(self, copy: Copy) -> tuple[bytes, int] | None:
        """The next rows as CopyData messages, and how many they are; None at the end."""
        batch = self.next(None)
        return None if batch is None else (self._copied(batch.columns, batch.rows, self._types, copy), batch.rows)

    def header(self, copy: Copy) -> bytes:
        """The columns' names as a CopyData message."""
        names = rows.text_batch([[name for name, _ in self.columns or ()]], len(self._types))
        return self._copied(names.columns, 1, [TEXT] * len(self._types), copy)

    @staticmethod
    def _copied(columns: Sequence[pa.Array], count: int, types: Sequence[ColumnType], copy: Copy) -> bytes:
        return rows.copy_rows(columns, count, types, copy)

    def describe(self) -> bytes | None:
        """RowDescription; None for a statement without rows."""
        return None if self.columns is None else describe(self.columns, self.formats)


def spread(codes: Sequence[int], count: int) -> tuple[int, ...]:
    """Format codes for each of so many values: none given is all text, one stands for all."""
    if len(codes) <= 1:
        return ((codes[0] if codes else 0),) * count
    if len(codes) != count:
        raise QueryError("08P01", f"bind message has {len(codes)} result formats but query has {count} columns")
    return tuple(codes)


def describe(columns: Sequence[Column], formats: Sequence[int]) -> bytes:
    """RowDescription of these columns."""
    return row_description(
        [
            FieldDescription(name, oid(type_), size(type_), modifier(type_), format_)
            for (name, type_), format_ in zip(columns, formats, strict=True)
        ]
    )
