"""AS OF at the end of a query: the time that it reads.

    SELECT ... AS OF [AT LEAST] time            time: milliseconds since 1970, a timestamp in quotes, now() or mz_now()

Always true: a text that does not end so is left as it is, whatever it holds; `AS of` may be a column's other name.
Deliberately unknown: what the query is, and which times can be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve.pg.words import Words
from serve.sql.errors import QueryError
from serve.values import BadValue, parse_time

_MAYBE = re.compile(r"\bas\s+of\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AsOf:
    """A time to read. least: or a later one. time None: the newest."""

    time: int | None
    least: bool = False


def split_as_of(sql: str) -> tuple[str, AsOf | None]:
    """The query without its AS OF, and that. QueryError when it names no time."""
    if not _MAYBE.search(sql):
        return sql, None
    words = Words(sql)
    upper = [token[1].upper() for token in words.found]
    for at in range(len(upper) - 3, 0, -1):
        if upper[at : at + 2] != ["AS", "OF"]:
            continue
        words.at = at + 2
        if words.word in ("FROM", ","):
            return sql, None  # a column that is named so
        least = words.take("AT", "LEAST")
        time = read_time(words, now=True)
        words.take(";")
        words.end()
        return sql[: words.found[at].start(1)].rstrip(), AsOf(time, least)
    return sql, None


def read_time(words: Words, now: bool = False) -> int | None:
    """Milliseconds since 1970: a number, or a timestamp's text. None for now(). QueryError for what is neither."""
    if now and (words.take("NOW", "(", ")") or words.take("MZ_NOW", "(", ")")):
        return None
    text = words.name()
    if text in ("timestamp", "timestamptz") and words.word.startswith("'"):
        text = words.name()
    while words.take(":", ":"):
        words.name()
    try:
        return parse_time(text)
    except BadValue:
        raise QueryError(
            "22007", f'"{text}" is no time', hint="write milliseconds since 1970, or a timestamp in quotes"
        ) from None
