"""Commands that only change the session, and how errors and plans are told.

Always true: nothing here waits. Deliberately unknown: which messages carry a command, and queries.
"""

from __future__ import annotations

import re
from typing import Any

import structlog

from dataflow.types import ColumnType
from planner.scalar import Literal
from serve.pg import messages, values
from serve.pg.commands import (
    Begin,
    CloseCursor,
    Command,
    CopyFrom,
    Deallocate,
    Discard,
    End,
    ExecutePrepared,
    Nothing,
    Savepoint,
    Set,
    Show,
)
from serve.pg.frontend import ProtocolError
from serve.pg.portal import Statement
from serve.pg.state import FAILED, IDLE, INSIDE, State
from serve.sql.changes import Change
from serve.sql.dml import Dml
from serve.sql.errors import QueryError

log = structlog.get_logger(__name__)

_VALUE = re.compile(
    r"(?P<plain>[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|true|false|null)|'(?P<text>(?:[^']|'')*)'", re.IGNORECASE
)
_CAST = re.compile(r"\s*::\s*[\w ]+(?:\([\d, ]+\))?$")


class Performer:
    """Performs commands on one session."""

    def __init__(self, state: State) -> None:
        self._state = state

    def check_allowed(self, statement: Statement) -> None:
        """QueryError in a transaction that failed, for anything but its end."""
        ends = isinstance(statement.command, End) or (
            isinstance(statement.command, Savepoint) and statement.command.tag == "ROLLBACK"
        )
        if self._state.transaction == FAILED and not ends:
            raise QueryError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        if self._state.writes and not isinstance(statement.command, End | Dml | CopyFrom | Set | Show):
            raise QueryError(
                "25001",
                "a transaction that has written does nothing but INSERT and COPY FROM",
                hint="end it with COMMIT, then read",
            )
        if self._state.changes and not isinstance(statement.command, End | Set | Show | Nothing | Change):
            raise QueryError(
                "25001",
                f"a transaction that has {self._state.changes[0].tag} changes nothing but the catalog, and reads nothing",
                hint="end it with COMMIT",
            )

    def perform(self, command: Command) -> str:
        """Do it; the tag of CommandComplete."""
        state = self._state
        match command:
            case Begin():
                if state.transaction == IDLE:
                    state.begin_transaction()
                return "BEGIN"
            case End(commit=commit, chain=chain):
                tag = "COMMIT" if commit and state.transaction != FAILED else "ROLLBACK"
                state.end_transaction(tag == "COMMIT")
                if chain:
                    state.begin_transaction()
                return tag
            case Savepoint():
                return self._savepoint(command)
            case Set(name="", tag=tag):
                state.settings.reset()
                return tag
            case Set(name=name, value=value, local=local, tag=tag):
                state.settings.set(name, value, local)
                return tag
            case Discard(what=what):
                if what in ("ALL", "TEMP", "TEMPORARY") and state.transaction == IDLE:
                    state.put(None)
                if what == "ALL":
                    if state.transaction != IDLE:
                        raise QueryError("25001", "DISCARD ALL cannot run inside a transaction block")
                    state.settings.reset()
                    state.statements.clear()
                    state.close_portals()
                return f"DISCARD {what}"
            case Deallocate(name=None):
                state.statements.clear()
                return "DEALLOCATE ALL"
            case Deallocate(name=str(name)):
                state.statement(name)
                del state.statements[name]
                return "DEALLOCATE"
            case CloseCursor(name=None):
                state.close_portals()
                return "CLOSE CURSOR ALL"
            case CloseCursor(name=str(name)):
                if name not in state.portals:
                    raise QueryError("34000", f'cursor "{name}" does not exist')
                state.close_portal(name)
                return "CLOSE CURSOR"
            case Nothing(tag=tag):
                return tag
            case _:
                raise QueryError("0A000", f"{type(command).__name__} is not supported here")

    def _savepoint(self, command: Savepoint) -> str:
        """Savepoints have nothing to undo but what is temporary, and a failed transaction goes on from one."""
        state = self._state
        if state.transaction == IDLE:
            raise QueryError("25P01", f"{command.tag} SAVEPOINT can only be used in transaction blocks")
        if command.tag == "SAVEPOINT":
            state.savepoints.append((command.name, state.temporary))
            return "SAVEPOINT"
        names = [name for name, _ in state.savepoints]
        if command.name not in names:
            raise QueryError("3B001", f'savepoint "{command.name}" does not exist')
        place = len(names) - 1 - names[::-1].index(command.name)
        temporary = state.savepoints[place][1]
        del state.savepoints[place + (command.tag == "ROLLBACK") :]
        if command.tag == "ROLLBACK":
            state.transaction = INSIDE
            state.put(temporary)
        return command.tag

    def shown(self, command: Show) -> list[list[str]]:
        """SHOW's rows."""
        settings = self._state.settings
        if command.name == "all":
            return [[name, value, ""] for name, value in settings]
        return [[settings.show(command.name)]]

    def arguments(self, command: ExecutePrepared, statement: Statement) -> dict[str, Literal]:
        """EXECUTE's values, which have to be literals."""
        if len(command.values) != len(statement.types):
            raise QueryError(
                "42601",
                f'wrong number of parameters for prepared statement "{command.name}"',
                detail=f"Expected {len(statement.types)} parameters but got {len(command.values)}.",
            )
        found: dict[str, Literal] = {}
        for number, (text, type_) in enumerate(zip(command.values, statement.types, strict=True), 1):
            match = _VALUE.fullmatch(_CAST.sub("", text).strip())
            if match is None:
                raise QueryError("0A000", f"EXECUTE takes literals, not {text}", hint="compute the value in the query")
            plain = match["plain"]
            data = plain if plain is not None else match["text"].replace("''", "'")
            null = plain is not None and plain.lower() == "null"
            found[str(number)] = values.literal(None if null else data.encode(), False, type_, number)
        return found

    def named_type(self, name: str) -> ColumnType | None:
        """A type that PREPARE names."""
        if name == "unknown":
            return None
        try:
            return ColumnType.parse(name)
        except ValueError as error:
            raise QueryError("42704", f'type "{name}" does not exist', hint=str(error)) from None


def error_message(error: Exception, fatal: bool = False) -> bytes:
    """An error as the client is told of it; what nobody foresaw is logged, and told without its words."""
    severity = "FATAL" if fatal else "ERROR"
    if isinstance(error, ProtocolError):
        error = QueryError("08P01", str(error))
    if not isinstance(error, QueryError):
        log.error("a query failed", exc_info=error)
        error = QueryError("XX000", "internal error; the log says why")
    position = None if error.position is None else str(error.position)
    fields: tuple[tuple[str, Any], ...] = (
        ("S", severity), ("V", severity), ("C", error.code), ("M", error.message), ("D", error.detail),
        ("H", error.hint), ("P", position), ("W", error.context),
    )  # fmt: skip
    return messages.notice(fields, error=True)


def notice_message(code: str, text: str, severity: str = "WARNING") -> bytes:
    """A warning, or a notice."""
    return messages.notice((("S", severity), ("V", severity), ("C", code), ("M", text)), error=False)
