"""The text of a statement that is no query, to the command it is.

Always true: `parse_command` answers None for what the planner reads (SELECT, VALUES, TABLE, WITH), and refuses what
cannot be done. Deliberately unknown: sessions, and what is done with a command.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.lexer import without_comments
from serve.pg.commands import (
    Begin,
    CloseCursor,
    Command,
    Deallocate,
    Declare,
    Discard,
    End,
    ExecutePrepared,
    Fetch,
    Nothing,
    Prepare,
    Savepoint,
    Set,
    SetConfig,
    Show,
)
from serve.pg.copy import read_copy
from serve.pg.ddl import READERS
from serve.pg.dml import WRITES, Find, read_write
from serve.pg.explain import read_explain
from serve.pg.settings import milliseconds
from serve.pg.subscribe import read_subscribe
from serve.pg.words import Words
from serve.sql.errors import QueryError

_QUERIES = frozenset(("SELECT", "VALUES", "TABLE", "WITH", "("))
_WRITES = frozenset(
    ("MERGE", "REINDEX", "VACUUM", "ANALYZE", "CLUSTER",
     "CALL", "DO", "LOCK", "NOTIFY", "LISTEN", "SECURITY", "REASSIGN", "IMPORT")
)  # fmt: skip


def parse_command(sql: str, find: Find = lambda _: None, database: str = "") -> Command | None:
    """The command that a statement is; None for a query. QueryError for what is neither, or cannot be done here.

    find: the object of a name, for statements that write. database: what names may be written behind.
    """
    words = Words(without_comments(sql).rstrip(), database)
    first = words.word
    if first == "SELECT" and "set_config" in sql.lower():
        return _set_config(words)
    if first in _QUERIES or first == "":
        return None
    if first in _WRITES:
        raise QueryError(
            "0A000",
            f"{first} is not supported",
        )
    if first in WRITES:
        return read_write(words, find)
    if first == "COPY":
        words.at = 1
        return read_copy(words, find)
    reader = _READERS.get(first) or READERS.get(first)
    if reader is None:
        return None
    words.at = 1
    return reader(words)


def _begin(words: Words) -> Command:
    _transaction_modes(words)
    return Begin()


def _start(words: Words) -> Command:
    words.need("TRANSACTION")
    return _begin(words)


def _transaction_modes(words: Words) -> None:
    """Isolation levels and the like; all of them are kept, for every transaction reads one time and writes nothing."""
    words.take("TRANSACTION") or words.take("WORK")
    while words.word:
        if words.take("ISOLATION", "LEVEL"):
            if not (
                words.take("STRICT", "SERIALIZABLE")
                or words.take("SERIALIZABLE")
                or words.take("REPEATABLE", "READ")
                or words.take("READ", "COMMITTED")
                or words.take("READ", "UNCOMMITTED")
            ):
                raise words.wrong()
        elif not (
            words.take("READ", "ONLY")
            or words.take("READ", "WRITE")
            or words.take("DEFERRABLE")
            or words.take("NOT", "DEFERRABLE")
            or words.take(",")
        ):
            raise words.wrong()


def _finish(commit: bool) -> Callable[[Words], Command]:
    def read(words: Words) -> Command:
        words.take("TRANSACTION") or words.take("WORK")
        if not commit and words.take("TO"):
            words.take("SAVEPOINT")
            name = words.name()
            words.end()
            return Savepoint("ROLLBACK", name)
        chain = words.take("AND", "CHAIN")
        if not chain:
            words.take("AND", "NO", "CHAIN")
        words.end()
        return End(commit, chain)

    return read


def _savepoint(words: Words) -> Command:
    name = words.name()
    words.end()
    return Savepoint("SAVEPOINT", name)


def _release(words: Words) -> Command:
    words.take("SAVEPOINT")
    name = words.name()
    words.end()
    return Savepoint("RELEASE", name)


def _set(words: Words) -> Command:
    local = words.take("LOCAL")
    if words.take("SESSION", "CHARACTERISTICS", "AS", "TRANSACTION") or words.take("TRANSACTION"):
        _transaction_modes(words)
        return Nothing("SET")
    if not local:
        words.take("SESSION")
    if words.take("TIME", "ZONE"):
        return Set("timezone", words.name(), local)
    if words.take("NAMES"):
        return Set("client_encoding", words.name(), local)
    name = words.name()
    if not words.take("=") and not words.take("TO"):
        raise words.wrong()
    if words.take("DEFAULT"):
        words.end()
        return Set(name, None, local)
    values = [words.name()]
    while words.take(","):
        values.append(words.name())
    words.end()
    return Set(name, ", ".join(values), local)


def _set_config(words: Words) -> Command | None:
    """SELECT of nothing but calls of set_config() with literals; None for another query, in which there is no such function."""
    found: list[tuple[str, str, bool]] = []
    words.take("SELECT")
    while not found or words.take(","):
        if not (words.take("PG_CATALOG.SET_CONFIG") or words.take("SET_CONFIG")) or not words.take("("):
            return None
        parts = words.listed()
        texts = [Words(part) for part in parts]
        if len(parts) != 3 or not all(part.startswith("'") for part in parts[:2]):
            return None
        if any(len(text.found) != 1 for text in texts) or parts[2].lower() not in ("true", "false"):
            return None
        found.append((texts[0].name(), texts[1].name(), parts[2].lower() == "true"))
    words.take(";")
    return None if words.word else SetConfig(tuple(found))


def _show(words: Words) -> Command:
    if words.take("TIME", "ZONE"):
        return Show("TimeZone")
    if words.take("TRANSACTION", "ISOLATION", "LEVEL"):
        return Show("transaction_isolation")
    name = words.name()
    words.end()
    return Show(name)


def _reset(words: Words) -> Command:
    name = words.name()
    words.end()
    return Set("" if name == "all" else name, None, tag="RESET")


def _discard(words: Words) -> Command:
    what = words.word
    if what not in ("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"):
        raise words.wrong()
    return Discard(what)


def _deallocate(words: Words) -> Command:
    words.take("PREPARE")
    every = words.take("ALL")
    name = None if every else words.name()
    words.end()
    return Deallocate(name)


def _prepare(words: Words) -> Command:
    name = words.name()
    types: list[str] = []
    if words.take("("):
        types = [part.strip() for part in words.listed()]
    words.need("AS")
    return Prepare(name, tuple(types), words.rest())


def _execute(words: Words) -> Command:
    name = words.name()
    values = words.listed() if words.take("(") else []
    words.end()
    return ExecutePrepared(name, tuple(values))


def _declare(words: Words) -> Command:
    name = words.name()
    while words.word in ("BINARY", "INSENSITIVE", "ASENSITIVE", "NO", "SCROLL"):
        if words.word == "SCROLL":
            raise QueryError("0A000", "a SCROLL cursor is not supported", hint="declare it without SCROLL")
        words.at += 2 if words.word == "NO" else 1
    words.need("CURSOR")
    hold = words.take("WITH", "HOLD")
    if not hold:
        words.take("WITHOUT", "HOLD")
    words.need("FOR")
    return Declare(name, words.rest(), hold)


def _fetch(words: Words) -> Command:
    count: int | None = 1
    words.take("FORWARD")
    if words.take("ALL"):
        count = None
    elif words.take("NEXT"):
        count = 1
    elif words.word.lstrip("+").isdigit():
        count = int(words.name())
    elif words.word in ("PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD") or words.word.startswith("-"):
        raise QueryError("0A000", "a cursor reads forward only", hint="write FETCH n FROM the cursor's name")
    if not words.take("FROM"):
        words.take("IN")
    name = words.name()
    timeout = None
    if words.take("WITH"):
        words.need("(", "TIMEOUT")
        words.take("=")
        timeout = milliseconds(words.name()) / 1000
        words.need(")")
    words.end()
    return Fetch(name, count, timeout)


def _close(words: Words) -> Command:
    every = words.take("ALL")
    name = None if every else words.name()
    words.end()
    return CloseCursor(name)


def _unlisten(_words: Words) -> Command:
    return Nothing("UNLISTEN")


_READERS: dict[str, Callable[[Words], Command]] = {
    "BEGIN": _begin,
    "START": _start,
    "COMMIT": _finish(True),
    "END": _finish(True),
    "ROLLBACK": _finish(False),
    "ABORT": _finish(False),
    "SAVEPOINT": _savepoint,
    "RELEASE": _release,
    "SET": _set,
    "SHOW": _show,
    "RESET": _reset,
    "DISCARD": _discard,
    "DEALLOCATE": _deallocate,
    "PREPARE": _prepare,
    "EXECUTE": _execute,
    "DECLARE": _declare,
    "FETCH": _fetch,
    "CLOSE": _close,
    "SUBSCRIBE": read_subscribe,
    "EXPLAIN": read_explain,
    "UNLISTEN": _unlisten,
}
