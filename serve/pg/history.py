"""Options of materialized views: for how long its past is kept, and columns in which NULL is an error.

    CREATE MATERIALIZED VIEW v WITH (ASSERT NOT NULL a, RETAIN HISTORY FOR '1h') AS ...
    ALTER MATERIALIZED VIEW v SET (RETAIN HISTORY FOR '1h') | RESET (RETAIN HISTORY)

Deliberately unknown: which views there are.
"""

from __future__ import annotations

import pyarrow as pa

from dataflow import scalars
from dataflow.types import ColumnType
from serve.pg.words import Words
from serve.sql.changes import RetainHistory
from serve.sql.errors import QueryError

_INTERVAL = ColumnType.parse("interval")
_DAY = 86_400_000


def read_options(words: Words) -> tuple[int, tuple[str, ...]]:
    """What follows WITH of a materialized view: for how many milliseconds its past is kept, and columns that have no NULL."""
    history, asserted = 0, list[str]()
    words.need("(")
    while True:
        if words.take("ASSERT", "NOT", "NULL"):
            words.take("=")
            asserted.append(words.name())
        elif words.word in ("REFRESH", "PARTITION"):
            raise QueryError("0A000", f"{words.word} of a materialized view is not supported", hint="leave it out")
        else:
            history = _history(words)
        if words.take(")"):
            return history, tuple(asserted)
        words.need(",")


def _history(words: Words) -> int:
    words.need("RETAIN", "HISTORY")
    words.take("=")
    words.need("FOR")
    return _milliseconds(words.name())


def alter_history(words: Words, name: str, if_exists: bool) -> RetainHistory:
    """What follows ALTER MATERIALIZED VIEW and a name."""
    if words.take("SET"):
        words.need("(")
        history = _history(words)
        words.need(")")
    else:
        words.need("RESET", "(", "RETAIN", "HISTORY", ")")
        history = 0
    words.end()
    return RetainHistory(name, history, if_exists)


def _milliseconds(text: str) -> int:
    """QueryError when the text is no duration, or one that nothing lasts for."""
    values, errors = scalars.parse(pa.array([text], pa.large_string()), 1, _INTERVAL)
    if errors is not None and errors[0].is_valid:
        raise QueryError("22007", f'"{text}" is no duration', hint="write it as '1h' or '30 days'")
    months, days, microseconds = values[0].as_py()
    found = (30 * months + days) * _DAY + microseconds // 1000
    if found <= 0:
        raise QueryError(
            "22023", f"history is retained for some time, not for '{text}'", hint="RESET (RETAIN HISTORY) ends it"
        )
    return int(found)
