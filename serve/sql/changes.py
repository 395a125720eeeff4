"""Changes of the catalog that a statement asks for, and whom they are asked of.

Always true: a change is a value; names in it are bare, for there is one schema. Deliberately unknown: text, and how a change is
made.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol


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


Change = CreateView | CreateIndex | Drop | Rename | Comment


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that has taken effect: what is read from `time` on shows it. notices: SQLSTATE and text."""

    time: int
    notices: tuple[tuple[str, str], ...] = ()


class Changer(Protocol):
    """Who changes the catalog of the running service."""

    def change(self, change: Change, check: Callable[[], None]) -> Future[Changed]:
        """Begin; the Future fails with QueryError, and then nothing has changed.

        check: called now and then, in another thread; what it raises ends the attempt.
        """
        ...
