"""The outermost layer of SQL text: what is quoted or a comment and what is not, and where statements end.

Always true: pieces cover the whole text in order; text whose quote or comment never ends is one last piece, for the parser to
refuse. Deliberately unknown: keywords and grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE = re.compile(
    r"""
    (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<escaped> (?<![\w$]) [eE] ' (?: [^'\\] | '' | \\. )* (?: '|$ ) )
    | (?P<string> ' (?: [^'] | '' )* (?: '|$ ) )
    | (?P<name> " (?: [^"] | "" )* (?: "|$ ) )
    | (?P<dollar> (?<![\w$]) \$ (?: [^\W\d]\w* )? \$ )
    | (?P<parameter> (?<![\w$]) \$ [0-9]+ )
    | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a text. kind: `code`, `comment`, `string`, `name` (in double quotes), `parameter` ($1) or `end` (;)."""

    kind: str
    start: int
    stop: int


def pieces(sql: str) -> Iterator[Piece]:
    """The pieces of a text."""
    at = 0
    while at < len(sql):
        found = _PIECE.search(sql, at)
        if found is None:
            break
        if found.start() > at:
            yield Piece("code", at, found.start())
        kind, stop = found.lastgroup or "", found.end()
        if kind == "block":
            kind, stop = "comment", _block_end(sql, stop)
        elif kind == "dollar":
            end = sql.find(found[0], stop)
            kind, stop = "string", len(sql) if end < 0 else end + len(found[0])
        elif kind == "escaped":
            kind = "string"
        yield Piece(kind, found.start(), stop)
        at = stop
    if at < len(sql):
        yield Piece("code", at, len(sql))


def _block_end(sql: str, at: int) -> int:
    """Behind the end of a comment that began before `at`; such comments nest."""
    depth = 1
    for found in _BLOCK.finditer(sql, at):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)


def statements(sql: str) -> list[tuple[int, str]]:
    """Where each statement of a text begins and what it is, without its semicolon; none that is empty but for comments."""
    found: list[tuple[int, str]] = []
    start, empty = 0, True
    for piece in pieces(sql):
        if piece.kind == "end":
            if not empty:
                found.append((start, sql[start : piece.start]))
            start, empty = piece.stop, True
        elif piece.kind != "comment" and sql[piece.start : piece.stop].strip():
            empty = False
    if not empty:
        found.append((start, sql[start:]))
    return found


def without_comments(sql: str) -> str:
    """The text with blanks for comments; everything else stays where it is."""
    return "".join(" " * (p.stop - p.start) if p.kind == "comment" else sql[p.start : p.stop] for p in pieces(sql))


def with_marks(sql: str, mark: str) -> str:
    """The text with another sign before the number of each parameter."""
    return "".join(
        mark + sql[p.start + 1 : p.stop] if p.kind == "parameter" else sql[p.start : p.stop] for p in pieces(sql)
    )
