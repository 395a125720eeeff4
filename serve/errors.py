"""Refusals: what a request cannot have, as one JSON shape with PostgreSQL's codes (SQLSTATE).

Always true: every answer that is no success and no health answer is `{"error": {"message", "detail", "hint", "code"}}`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

UNDEFINED_VIEW = "42P01"
UNDEFINED_COLUMN = "42703"
UNDEFINED_PATH = "42704"
INVALID_PARAMETER = "22023"
NOT_SUPPORTED = "0A000"
NOT_READY = "57P03"
INTERNAL = "XX000"


class Refused(Exception):  # noqa: N818  (the request is refused; nothing went wrong here)
    """A request that gets no rows: HTTP status and the texts of the error."""

    def __init__(
        self, status: int, message: str, code: str, detail: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(message, code, detail, hint)


def error_body(message: str, code: str, detail: str | None = None, hint: str | None = None) -> bytes:
    """The JSON of an error."""
    error = {"message": message, "detail": detail, "hint": hint, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False).encode()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(names)}" if names else "there is none"
