"""What a query takes besides relations: its `$n` parameters and the values of its session.

    SELECT * FROM revenue WHERE customer = $1 AND at < now()       $1: text, now: timestamptz

Always true: a parameter has one type, the one that the client gave or else the one that its first use asks for, as in
PostgreSQL; a session's value has the type listed here. Deliberately unknown: the values, which come when the query runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataflow.types import BIGINT, BOOLEAN, DATE, INTEGER, INTERVAL, TEXT, TIMESTAMP, TIMESTAMPTZ, ColumnType
from planner.scalar import Parameter

SESSION: Mapping[str, ColumnType] = {
    "now": TIMESTAMPTZ,
    "current_timestamp": TIMESTAMPTZ,
    "transaction_timestamp": TIMESTAMPTZ,
    "statement_timestamp": TIMESTAMPTZ,
    "clock_timestamp": TIMESTAMPTZ,
    "localtimestamp": TIMESTAMP,
    "current_date": DATE,
    "mz_now": BIGINT,
    "current_user": TEXT,
    "session_user": TEXT,
    "current_role": TEXT,
    "user": TEXT,
    "current_database": TEXT,
    "current_catalog": TEXT,
    "current_schema": TEXT,
    "version": TEXT,
    "mz_version": TEXT,
    "mz_version_num": INTEGER,
    "mz_uptime": INTERVAL,
    "mz_is_superuser": BOOLEAN,
    "pg_postmaster_start_time": TIMESTAMPTZ,
    "pg_backend_pid": INTEGER,
}
"""Functions without arguments (some of them written without parentheses) whose value is the session's."""

SETTING = "setting:"
"""What the name of a session's value begins with when it is `current_setting('name')`."""


class Parameters:
    """The parameters of one query while it is bound.

    given: types of the first `$n` as the client declared them, None where it left that to the server. once: whether the query is
    asked once, and may have its session's values; one whose changes are followed has none, as a view.
    """

    def __init__(self, given: Sequence[ColumnType | None] = (), once: bool = True) -> None:
        self.once = once
        self._types: dict[str, ColumnType] = {str(i): t for i, t in enumerate(given, 1) if t is not None}
        self._count = len(given)

    def known(self, name: str) -> Parameter | None:
        """The parameter, once something gave it a type."""
        type_ = self._types.get(name)
        return None if type_ is None else Parameter(name, type_)

    def written(self, number: int) -> None:
        """Note that `$number` stands in the query."""
        self._count = max(self._count, number)

    def settle(self, name: str, type_: ColumnType) -> Parameter:
        """Give a parameter its type; the first one counts."""
        return Parameter(name, self._types.setdefault(name, type_))

    @property
    def types(self) -> tuple[ColumnType, ...]:
        """The types of $1, $2, ...; text for one that nothing gave a type."""
        return tuple(self._types.get(str(n), TEXT) for n in range(1, self._count + 1))
