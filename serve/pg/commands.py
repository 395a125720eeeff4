"""Statements that are no queries: transactions, settings, prepared statements, cursors, COPY; what each of them asks for.

Always true: a command is a value; `serve.pg.parse` makes it from text. Deliberately unknown: sessions, and what is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve.sql.changes import Change
from serve.sql.dml import Dml
from serve.subscribe.options import Options

CopyFormat = Literal["text", "csv", "binary"]


@dataclass(frozen=True, slots=True)
class Begin:
    """BEGIN, START TRANSACTION."""


@dataclass(frozen=True, slots=True)
class End:
    """COMMIT, ROLLBACK and their like. chain: a new transaction begins at once."""

    commit: bool
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Savepoint:
    """SAVEPOINT, RELEASE, ROLLBACK TO."""

    tag: str
    name: str


@dataclass(frozen=True, slots=True)
class Set:
    """SET and RESET of one setting; value None: what it was at the start; name "" : all of them."""

    name: str
    value: str | None
    local: bool = False
    tag: str = "SET"


@dataclass(frozen=True, slots=True)
class SetConfig:
    """SELECT set_config(...): names, values and whether each counts for the transaction only. Its rows are the values."""

    settings: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Show:
    """SHOW; name "all": every setting."""

    name: str


@dataclass(frozen=True, slots=True)
class Discard:
    """DISCARD; what is ALL, PLANS, SEQUENCES or TEMP."""

    what: str


@dataclass(frozen=True, slots=True)
class Deallocate:
    """DEALLOCATE; None: all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Prepare:
    """PREPARE name (types) AS query."""

    name: str
    types: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class ExecutePrepared:
    """EXECUTE name (values), each an expression's text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declare:
    """DECLARE name CURSOR FOR query. hold: it outlives the transaction."""

    name: str
    query: str
    hold: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH; count None: all that is left. timeout: seconds to wait for rows of a subscription; None: until there is one."""

    name: str
    count: int | None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class CloseCursor:
    """CLOSE; None: all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY (query) TO STDOUT; format: `text`, `csv` or `binary`."""

    query: str
    format: CopyFormat
    header: bool
    delimiter: str
    null: str


@dataclass(frozen=True, slots=True)
class CopyFrom:
    """COPY table (columns) FROM STDIN. oid: the table's. match: the header's names have to be the columns'."""

    table: str
    oid: int
    columns: tuple[str, ...]
    format: CopyFormat
    header: bool
    match: bool
    delimiter: str
    null: str
    quote: str
    escape: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE to a query."""

    query: str
    options: Options


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN of a query, or, where `kind` is view or index, of what the catalog has under that name.

    stage: one of `planner.explain.STAGES`.
    """

    query: str
    stage: str = "optimized"
    as_json: bool = False
    kind: Literal["query", "view", "index"] = "query"


@dataclass(frozen=True, slots=True)
class Nothing:
    """A statement that has nothing to do here, such as UNLISTEN. notice: what who wrote it has to know."""

    tag: str
    notice: str = ""


Command = (
    Begin | End | Savepoint | Set | SetConfig | Show | Discard | Deallocate | Prepare | ExecutePrepared | Declare | Fetch
    | CloseCursor | Copy | CopyFrom | Subscribe | Explain | Nothing | Change | Dml
)  # fmt: skip
