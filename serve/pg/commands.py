"""Statements that are no queries: transactions, settings, prepared statements, cursors, COPY. Text to what it asks for.

Always true: `parse_command` answers None for what the planner reads (SELECT, VALUES, TABLE, WITH), and refuses what writes,
because everything here is read. Deliberately unknown: sessions, and what is done with a command.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from planner.lexer import without_comments
from serve.sql.errors import QueryError


@dataclass(frozen=True, slots=True)
class Begin:
    """BEGIN, START TRANSACTION."""


@dataclass(frozen=True, slots=True)
class End:
    """COMMIT, ROLLBACK and their like. chain: a new transaction begins at once."""

    commit: bool
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Savepoint:
    """SAVEPOINT, RELEASE, ROLLBACK TO."""

    tag: str
    name: str


@dataclass(frozen=True, slots=True)
class Set:
    """SET and RESET of one setting; value None: what it was at the start; name "" : all of them."""

    name: str
    value: str | None
    local: bool = False
    tag: str = "SET"


@dataclass(frozen=True, slots=True)
class Show:
    """SHOW; name "all": every setting."""

    name: str


@dataclass(frozen=True, slots=True)
class Discard:
    """DISCARD; what is ALL, PLANS, SEQUENCES or TEMP."""

    what: str


@dataclass(frozen=True, slots=True)
class Deallocate:
    """DEALLOCATE; None: all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Prepare:
    """PREPARE name (types) AS query."""

    name: str
    types: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class ExecutePrepared:
    """EXECUTE name (values), each an expression's text."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declare:
    """DECLARE name CURSOR FOR query. hold: it outlives the transaction."""

    name: str
    query: str
    hold: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH; count None: all that is left."""

    name: str
    count: int | None


@dataclass(frozen=True, slots=True)
class CloseCursor:
    """CLOSE; None: all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY (query) TO STDOUT."""

    query: str
    csv: bool
    header: bool
    delimiter: str
    null: str


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN query."""

    query: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A statement that has nothing to do here, such as UNLISTEN."""

    tag: str


Command = (
    Begin | End | Savepoint | Set | Show | Discard | Deallocate | Prepare | ExecutePrepared | Declare | Fetch
    | CloseCursor | Copy | Explain | Nothing
)  # fmt: skip

_TOKEN = re.compile(
    r"""\s*( [eE]?'(?:[^']|'')*' | "(?:[^"]|"")*" | [A-Za-z_][\w$]*(?:\.[\w$]+)* | [-+]?[0-9]+(?:\.[0-9]+)? | . )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}
_QUERIES = frozenset(("SELECT", "VALUES", "TABLE", "WITH", "("))
_WRITES = frozenset(
    ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "REFRESH",
     "REINDEX", "VACUUM", "ANALYZE", "CLUSTER", "CALL", "DO", "LOCK", "NOTIFY", "LISTEN", "SECURITY", "REASSIGN", "IMPORT")
)  # fmt: skip


class _Words:
    """The tokens of a statement, read one by one."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.found = list(_TOKEN.finditer(sql))
        self.at = 0

    @property
    def word(self) -> str:
        """The next token in upper case; empty at the end."""
        return self.found[self.at][1].upper() if self.at < len(self.found) else ""

    def take(self, *words: str) -> bool:
        """Pass over these tokens if they come next."""
        found = [token[1].upper() for token in self.found[self.at : self.at + len(words)]]
        if found != list(words):
            return False
        self.at += len(words)
        return True

    def need(self, *words: str) -> None:
        """Pass over these tokens. QueryError when something else comes."""
        if not self.take(*words):
            raise self.wrong()

    def name(self) -> str:
        """An identifier, a string or a number, without quotes."""
        if self.at >= len(self.found):
            raise self.wrong()
        text = self.found[self.at][1]
        self.at += 1
        if text[0] == '"':
            return text[1:-1].replace('""', '"')
        if text.endswith("'") and len(text) > 1:
            inner = text[text.index("'") + 1 : -1].replace("''", "'")
            return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), inner) if text[0] in "eE" else inner
        if not re.match(r"[\w+-]", text):
            self.at -= 1
            raise self.wrong()
        return text.lower()

    def rest(self) -> str:
        """The text that follows."""
        return self.sql[self.found[self.at].start(1) :].rstrip() if self.at < len(self.found) else ""

    def wrong(self) -> QueryError:
        """A syntax error at the next token."""
        if self.at >= len(self.found):
            return QueryError("42601", "syntax error at end of input", position=len(self.sql) + 1)
        found = self.found[self.at]
        return QueryError("42601", f'syntax error at or near "{found[1]}"', position=found.start(1) + 1)

    def end(self) -> None:
        """QueryError when something follows."""
        if self.at < len(self.found):
            raise self.wrong()


def parse_command(sql: str) -> Command | None:
    """The command that a statement is; None for a query. QueryError for what is neither, or cannot be done here."""
    words = _Words(without_comments(sql).rstrip())
    first = words.word
    if first in _QUERIES or first == "":
        return None
    if first in _WRITES:
        raise QueryError(
            "0A000",
            f"{first} is not supported: everything here is read",
            hint="views are declared in the service's file",
        )
    reader = _READERS.get(first)
    if reader is None:
        return None
    words.at = 1
    return reader(words)


def _begin(words: _Words) -> Command:
    _transaction_modes(words)
    return Begin()


def _start(words: _Words) -> Command:
    words.need("TRANSACTION")
    return _begin(words)


def _transaction_modes(words: _Words) -> None:
    """Isolation levels and the like; all of them are kept, for every transaction reads one time and writes nothing."""
    words.take("TRANSACTION") or words.take("WORK")
    while words.word:
        if words.take("ISOLATION", "LEVEL"):
            if not (
                words.take("SERIALIZABLE")
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


def _finish(commit: bool) -> Callable[[_Words], Command]:
    def read(words: _Words) -> Command:
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


def _savepoint(words: _Words) -> Command:
    name = words.name()
    words.end()
    return Savepoint("SAVEPOINT", name)


def _release(words: _Words) -> Command:
    words.take("SAVEPOINT")
    name = words.name()
    words.end()
    return Savepoint("RELEASE", name)


def _set(words: _Words) -> Command:
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


def _show(words: _Words) -> Command:
    if words.take("TIME", "ZONE"):
        return Show("TimeZone")
    if words.take("TRANSACTION", "ISOLATION", "LEVEL"):
        return Show("transaction_isolation")
    name = words.name()
    words.end()
    return Show(name)


def _reset(words: _Words) -> Command:
    name = words.name()
    words.end()
    return Set("" if name == "all" else name, None, tag="RESET")


def _discard(words: _Words) -> Command:
    what = words.word
    if what not in ("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"):
        raise words.wrong()
    return Discard(what)


def _deallocate(words: _Words) -> Command:
    words.take("PREPARE")
    every = words.take("ALL")
    name = None if every else words.name()
    words.end()
    return Deallocate(name)


def _prepare(words: _Words) -> Command:
    name = words.name()
    types: list[str] = []
    if words.take("("):
        types = [part.strip() for part in _listed(words)]
    words.need("AS")
    return Prepare(name, tuple(types), words.rest())


def _execute(words: _Words) -> Command:
    name = words.name()
    values = _listed(words) if words.take("(") else []
    words.end()
    return ExecutePrepared(name, tuple(values))


def _listed(words: _Words) -> list[str]:
    """The texts between commas up to the closing parenthesis, which is passed over."""
    parts, depth, begin = list[str](), 0, words.at
    found = words.found
    while words.word:
        if words.word == "(":
            depth += 1
        elif words.word in (")", ",") and depth == 0:
            parts.append(words.sql[found[begin].start(1) : found[words.at].start(1)].strip())
            begin = words.at + 1
            if words.word == ")":
                words.at += 1
                return parts
        elif words.word == ")":
            depth -= 1
        words.at += 1
    raise words.wrong()


def _declare(words: _Words) -> Command:
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


def _fetch(words: _Words) -> Command:
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
    words.end()
    return Fetch(name, count)


def _close(words: _Words) -> Command:
    every = words.take("ALL")
    name = None if every else words.name()
    words.end()
    return CloseCursor(name)


def _copy(words: _Words) -> Command:
    if words.take("("):
        begin = words.at
        inside = _listed(words)
        if not inside:
            raise words.wrong()
        query = words.sql[words.found[begin].start(1) : words.found[words.at - 1].start(1)].rstrip()
    else:
        query = _copied_table(words)
    if words.word == "FROM":
        raise QueryError("0A000", "COPY FROM is not supported: everything here is read")
    words.need("TO", "STDOUT")
    options = _copy_options(words)
    kind = str(options.get("format", "text"))
    if kind not in ("text", "csv"):
        raise QueryError("0A000", f"COPY format {kind} is not supported", hint="use text or csv")
    csv = kind == "csv"
    delimiter = str(options.get("delimiter", "," if csv else "\t"))
    if len(delimiter.encode()) != 1 or delimiter in '\n\r"\\':
        raise QueryError("0A000", "COPY delimiter must be a single one-byte character")
    header = str(options.get("header", "false")).lower() in ("true", "on", "1")
    return Copy(query, csv, header, delimiter, str(options.get("null", "" if csv else "\\N")))


def _copied_table(words: _Words) -> str:
    begin = words.at
    words.name()
    table = words.sql[words.found[begin].start(1) : words.found[begin].end(1)]
    columns = ", ".join(_listed(words)) if words.take("(") else "*"
    return f"SELECT {columns} FROM {table}"


def _copy_options(words: _Words) -> dict[str, str]:
    """The options in parentheses, or the old ones without."""
    words.take("WITH")
    options: dict[str, str] = {}
    if words.take("("):
        for part in _listed(words):
            inner = _Words(part)
            name = inner.name()
            options[name] = inner.name() if inner.word else "true"
            inner.end()
    else:
        while words.word:
            if words.word in ("CSV", "TEXT", "BINARY"):
                options["format"] = words.name()
            elif words.take("HEADER"):
                options["header"] = "true"
            elif words.word in ("DELIMITER", "NULL"):
                name = words.name()
                words.take("AS")
                options[name] = words.name()
            else:
                raise words.wrong()
    words.end()
    if unknown := options.keys() - {"format", "header", "delimiter", "null", "encoding"}:
        raise QueryError("0A000", f"COPY option {min(unknown)} is not supported")
    return options


def _explain(words: _Words) -> Command:
    if words.take("("):
        _listed(words)
    while words.word in ("ANALYZE", "VERBOSE"):
        if words.word == "ANALYZE":
            raise QueryError("0A000", "EXPLAIN ANALYZE is not supported", hint="use EXPLAIN")
        words.at += 1
    return Explain(words.rest())


def _unlisten(_words: _Words) -> Command:
    return Nothing("UNLISTEN")


_READERS: dict[str, Callable[[_Words], Command]] = {
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
    "COPY": _copy,
    "EXPLAIN": _explain,
    "UNLISTEN": _unlisten,
}
