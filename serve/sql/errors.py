"""Errors of queries as PostgreSQL has them: a code (SQLSTATE), and message, detail, hint and position.

Always true: the planner's messages are PostgreSQL's, so the code follows from the words; what no rule knows is a syntax error or
access rule violation (42000). Deliberately unknown: how it reaches the client.
"""

from __future__ import annotations

import re

from planner.errors import SqlError


class QueryError(Exception):
    """What a client is told. position: in characters of its SQL, from 1. context: where in what it sent, in words."""

    def __init__(
        self,
        code: str,
        message: str,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        fatal: bool = False,
        context: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.fatal = fatal
        self.context = context


_CODES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"^syntax error|^unterminated", "42601"),
        (r"is not supported", "0A000"),
        (r"^relation .* does not exist", "42P01"),
        (r"^missing FROM-clause|^invalid reference to FROM-clause", "42P01"),
        (r"^column .* does not exist|^column .* not found", "42703"),
        (r"^schema .* does not exist", "3F000"),
        (r"^(function|operator|aggregate) .*(does not exist)|^operator does not exist", "42883"),
        (r"is not unique", "42725"),
        (r"^type .* does not exist", "42704"),
        (r"is ambiguous", "42702"),
        (r"specified more than once", "42712"),
        (r"must appear in the GROUP BY|aggregate function", "42803"),
        (r"^window functions are not allowed", "42P20"),
        (r"cannot cast type", "42846"),
        (r"cannot be matched|must be type", "42804"),
        (r"division by zero", "22012"),
        (r"date/time field value", "22008"),
        (r"invalid input syntax for type (date|timestamp)", "22007"),
        (r"invalid input syntax|malformed", "22P02"),
        (r"^value too long", "22001"),
        (r"out of range|overflow|too large", "22003"),
        (r"must not be negative", "2201W"),
        (r"more than one row returned", "21000"),
        (r"regular expression", "2201B"),
        (r"nested too deeply", "54001"),
    )
)


def code_of(message: str, otherwise: str = "42000") -> str:
    """The SQLSTATE of a message in PostgreSQL's words."""
    return next((code for pattern, code in _CODES if pattern.search(message)), otherwise)


def from_plan(error: SqlError, sql: str) -> QueryError:
    """A mistake in a query, with its position in the SQL text."""
    lines = sql.split("\n")
    position = sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column
    return QueryError(code_of(error.message), error.message, hint=error.hint, position=position)


def from_count(error: ValueError) -> QueryError:
    """LIMIT or OFFSET with a number that is negative."""
    return QueryError("2201X" if "OFFSET" in str(error) else "2201W", str(error))


def from_row(message: str) -> QueryError:
    """A row that could not be computed."""
    return QueryError(code_of(message, "22000"), message)
