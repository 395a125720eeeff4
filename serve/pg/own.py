"""What of a change is about the session's own, temporary views, and is made here; the rest is the catalog's.

Always true: a name without a schema means what is temporary, where there is one of it. Deliberately unknown: how a temporary view
is planned (`serve.sql.temporary`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.catalog import schema_and_name
from serve.sql.changes import Change, CreateIndex, CreateView, Drop
from serve.sql.errors import QueryError
from serve.sql.queries import Queries
from serve.sql.temporary import Temporary


@dataclass(frozen=True, slots=True)
class Parts:
    """A change in its parts. own: what is temporary then. rest: what the catalog is to do; None: nothing. notice: may be empty."""

    own: Temporary | None
    rest: Change | None
    notice: str = ""


def parts(queries: Queries, own: Temporary | None, change: Change) -> Parts:
    """The parts of a change. own: what is temporary before it. QueryError when its own part is not possible."""
    match change:
        case CreateView(temporary=True):
            made, notice = (own or Temporary(queries)).create(change)
            return Parts(made, None, notice)
        case CreateView() if own is not None:
            own.check_permanent(change.query)
        case Drop() if own is not None:
            names = own.of(name for name in change.names if name not in change.public)
            if names:
                left = tuple(name for name in change.names if name not in names)
                rest = replace(change, names=left) if left else None
                return Parts(own.drop(change.kind, names, change.cascade), rest)
        case CreateIndex() if own is not None and own.of([change.on]):
            raise QueryError(
                "0A000", f"an index on {schema_and_name(change.on)[1]}, which is temporary, is not supported",
                hint="if what is in public is meant, drop the temporary one first",
            )  # fmt: skip
        case _:
            pass
    return Parts(own, change)
