"""What a session has: its settings, its transaction and the time that it reads, statements and portals by name.

Always true: within a transaction, and within the messages up to a Sync, everything is read at one time: that of the first read.
Deliberately unknown: messages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dataflow.types import TEXT, ColumnType, Kind
from planner.parameters import SESSION, SETTING
from planner.scalar import Literal
from serve.pg.as_of import AsOf
from serve.pg.commands import Command, Copy, ExecutePrepared, Explain, Fetch, SetConfig, Show
from serve.pg.portal import Column, Portal, Statement
from serve.pg.settings import MZ_VERSION, SERVER_VERSION, Settings
from serve.reads import Published
from serve.sql.changes import Change, Write
from serve.sql.dml import Dml
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared, Queries
from serve.sql.temporary import Temporary

STARTED = datetime.now(UTC)
"""When the process began to serve: clients are told of it."""

IDLE, INSIDE, FAILED = b"I", b"T", b"E"
"""Outside a transaction, inside one, inside one that failed: the bytes that ReadyForQuery shows."""


@dataclass
class State:
    """One session's."""

    queries: Queries
    settings: Settings
    user: str
    database: str
    version: str
    process: int
    transaction: bytes = IDLE
    since: float = field(default_factory=time.time)
    """Wall clock of its beginning, in seconds since 1970."""
    statements: dict[str, Statement] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)
    savepoints: list[tuple[str, Temporary | None]] = field(default_factory=list)
    """By name, what was temporary then."""
    temporary: Temporary | None = None
    """What is the session's own; `queries` are over it."""
    changes: list[Change] = field(default_factory=list)
    """What the end of the transaction does to the catalog: a transaction that changes it does nothing else."""
    writes: list[Write] = field(default_factory=list)
    """What the end of the transaction writes: a transaction that writes does not read."""
    fresh: frozenset[str] = frozenset()
    """The sources of which the time that is read is known to be as recent as the settings demand."""
    _base: Published | None = None
    """Everybody's of the time that is read."""
    _read: Published | None = None
    _reading: bool = False
    _began: datetime | None = None
    _before: Temporary | None = None
    """What was temporary when the transaction began."""

    def moment(self, as_of: AsOf | None = None) -> Published | None:
        """The time that is read now, or the one that a query names: reading from it raises QueryError where it is not kept."""
        if not self._reading:
            self._base = self.queries.current() if self.temporary is None else self.temporary.shared.current()
            self._reading = self._base is not None
            self._show()
        if as_of is None or as_of.time is None or self._read is None or (as_of.least and as_of.time <= self._read.time):
            return self._read
        return self._read.as_of(as_of.time)

    @property
    def has_read(self) -> bool:
        """Whether the transaction has read something."""
        return self._reading

    def began(self) -> datetime:
        """When the transaction, or what counts as one, began."""
        if self._began is None:
            self._began = datetime.now(UTC)
        return self._began

    def settle(self) -> None:
        """After a Sync or a simple query: outside a transaction the next statement reads a new time."""
        if self.transaction == IDLE:
            self._forget()

    @property
    def stale(self) -> bool:
        """Whether names are to be understood anew first: `queries` are asked in another thread then."""
        return self.temporary is not None and self.temporary.stale

    def begin_transaction(self) -> None:
        """BEGIN."""
        self.transaction = INSIDE
        self._before = self.temporary

    def end_transaction(self, commit: bool = False) -> None:
        """COMMIT and ROLLBACK: portals go, the time that was read too."""
        if not commit and self.transaction != IDLE:
            self.put(self._before)
        self.transaction = IDLE
        self.changes = []
        self.writes = []
        self.savepoints.clear()
        self.settings.end_transaction()
        self._forget()

    def put(self, temporary: Temporary | None) -> None:
        """Have something else be temporary."""
        if temporary is self.temporary:
            return
        shared = self.queries if self.temporary is None else self.temporary.shared
        self.temporary = temporary
        self.queries = shared if temporary is None else temporary.queries
        self._show()

    def _show(self) -> None:
        """Read what is temporary too, at the time that is read already."""
        own, base = self.temporary, self._base
        self._read = base if own is None or base is None else own.over(base)

    def _forget(self) -> None:
        self._base, self._read, self._reading, self._began, self.fresh = None, None, False, None, frozenset()
        for name in [name for name, portal in self.portals.items() if not portal.hold]:
            self.close_portal(name)

    def close_portal(self, name: str) -> None:
        """Close a portal, if there is one of this name."""
        portal = self.portals.pop(name, None)
        if portal is not None:
            portal.close()

    def close_portals(self) -> None:
        """Close every portal."""
        for name in list(self.portals):
            self.close_portal(name)

    def statement(self, name: str) -> Statement:
        """A prepared statement. QueryError when there is none of this name."""
        found = self.statements.get(name)
        if found is None:
            raise QueryError("26000", f'prepared statement "{name}" does not exist')
        return found

    def portal(self, name: str) -> Portal:
        """A portal. QueryError when there is none of this name."""
        found = self.portals.get(name)
        if found is None:
            raise QueryError("34000", f'portal "{name}" does not exist' if name else "there is no open portal")
        return found

    def columns(self, statement: Statement) -> list[Column] | None:
        """The columns of a statement's rows; None when it has none."""
        if isinstance(statement.command, Dml):
            return None if statement.returning is None else columns_of(statement.returning)
        if statement.prepared is not None:
            return columns_of(statement.prepared)
        if statement.following is not None and not isinstance(statement.command, Copy):
            return statement.following.shape.columns
        return None if statement.command is None else self._columns_of_command(statement.command)

    def _columns_of_command(self, command: Command) -> list[Column] | None:
        match command:
            case Show(name="all"):
                return [("name", TEXT), ("setting", TEXT), ("description", TEXT)]
            case Show(name=name):
                return [(name, TEXT)]
            case SetConfig(settings=settings):
                return [("set_config", TEXT) for _ in settings]
            case Explain():
                return [("QUERY PLAN", TEXT)]
            case Fetch(name=name):
                return list(self.portal(name).columns or ())
            case ExecutePrepared(name=name):
                return self.columns(self.statement(name))
            case _:
                return None

    def values(self, names: Iterable[str], moment: Published | None = None) -> dict[str, Literal]:
        """The session's values of these names: `now`, `current_user`, `setting:search_path`. moment: what is read, if not what
        `moment` returns."""
        return {name: self._value(name, moment) for name in names if not name.isdigit()}

    def _value(self, name: str, moment: Published | None) -> Literal:
        if name.startswith(SETTING):
            return Literal(self.settings.get(name.removeprefix(SETTING)), TEXT)
        type_: ColumnType = SESSION[name]
        if name == "pg_postmaster_start_time":
            return Literal(f"{STARTED:%Y-%m-%d %H:%M:%S.%f}+00", type_)
        if name == "mz_uptime":
            return Literal(f"{(datetime.now(UTC) - STARTED).total_seconds():.6f} seconds", type_)
        if name == "mz_version_num":
            major, minor, patch = (int(part) for part in re.findall(r"\d+", MZ_VERSION)[:3])
            return Literal(100_000 * major + 100 * minor + patch, type_)
        if name == "mz_is_superuser":
            return Literal(self.settings.get("is_superuser") == "on", type_)
        if type_.kind in (Kind.TIMESTAMPTZ, Kind.TIMESTAMP, Kind.DATE):
            began = self.began()
            if name == "clock_timestamp":
                began = datetime.now(UTC)
            return Literal(
                began.date().isoformat() if type_.kind is Kind.DATE else f"{began:%Y-%m-%d %H:%M:%S.%f}+00", type_
            )
        if name == "mz_now":
            moment = moment or self.moment()
            return Literal(None if moment is None else moment.time, type_)
        if name == "pg_backend_pid":
            return Literal(self.process, type_)
        return Literal(self._texts().get(name, self.user), type_)

    def _texts(self) -> dict[str, str]:
        return {
            "current_database": self.database,
            "current_catalog": self.database,
            "current_schema": "public",
            "version": f"PostgreSQL {SERVER_VERSION} (Headwater {self.version})",
            "mz_version": f"Headwater {self.version}",
        }


def columns_of(prepared: Prepared) -> list[Column]:
    """Names and types of a query's columns."""
    return [(name, type_) for name, type_, _ in prepared.query.columns]
