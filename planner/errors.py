"""Planning errors: what is wrong in a view's SQL, and where.

Always true: lines and columns count from 1 within the SQL text of the view named. Absent: how the text got here (`headwater
check` adds the file's own line to it).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SqlError(Exception):
    """One mistake in one view. `message` is PostgreSQL's where PostgreSQL has one; `hint` says what to do, or is None."""

    view: str
    message: str
    line: int = 1
    column: int = 1
    hint: str | None = None

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"view {self.view}, line {self.line}, column {self.column}: {self.message}{hint}"

    def of(self, view: str) -> SqlError:
        """The same mistake, said of `view`."""
        return replace(self, view=view)


class PlanErrors(Exception):  # noqa: N818 - several errors in one
    """Every mistake that planning found, in the order of the views."""

    def __init__(self, errors: Iterable[SqlError]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(map(str, self.errors)))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, or None when none is near."""
    names = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=0.6)
    return f'did you mean "{names[close[0]]}"?' if close else None
