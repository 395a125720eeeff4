"""Where each piece of the file stands: the line and column of keys, values and every character of a scalar.

Always true: marks are 1-based, as editors count. Inside a scalar the mapping is exact for every visible character, in every
YAML style: reading YAML moves and folds white space only, so visible characters of the text and of the file pair up in order.
Deliberately unknown: what the file means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""Keys and list positions from the root of the file to a value."""


class Mark(NamedTuple):
    """A place in the file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it stands in the file and as it is read.

    written: the YAML scalar before `${...}` is replaced; value: after.
    origin: for each character of `value`, the index in `written` that it comes from, or None when they are the same.
    places: for each character of `written`, its mark in the file, and one more for its end.
    """

    written: str
    value: str
    origin: tuple[int, ...] | None
    places: tuple[Mark, ...]

    @property
    def substituted(self) -> bool:
        """Whether a part comes from the environment: such values are never printed."""
        return self.origin is not None

    @property
    def secrets(self) -> list[str]:
        """The parts of `value` that come from the environment, the longest first."""
        found: dict[int, str] = {}
        for index, start in enumerate(self.origin or ()):
            found[start] = found.get(start, "") + self.value[index]
        own = {start: self.written[start] for start in found}
        return sorted({part for start, part in found.items() if part != own[start]}, key=len, reverse=True)

    def at(self, line: int, column: int) -> Mark:
        """The mark of a place given as 1-based line and column within `value`; beyond its end, the end."""
        start = 0
        for _ in range(line - 1):
            following = self.value.find("\n", start)
            if following < 0:
                break
            start = following + 1
        index = min(start + max(column, 1) - 1, len(self.value))
        if self.origin is not None:
            index = self.origin[index] if index < len(self.origin) else len(self.written)
        return self.places[min(index, len(self.places) - 1)]


@dataclass
class Marks:
    """The marks of one file, by path.

    Invariant: a path that the file does not hold is answered by its nearest ancestor, so a mistake always has a place.
    """

    file: str
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    texts: dict[Path, Text] = field(default_factory=dict)

    def key(self, path: Path) -> Mark:
        """Where the key of this path stands; for a list entry, where the entry stands."""
        while path:
            if path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return Mark(1, 1)

    def value(self, path: Path) -> Mark:
        """Where the value of this path begins."""
        return self.values[path] if path in self.values else self.key(path)

    def inside(self, path: Path, line: int, column: int) -> Mark:
        """Where line and column (from 1) within the text at this path stand in the file."""
        text = self.texts.get(path)
        return self.value(path) if text is None else text.at(line, column)


def places(source: str, node: Any) -> tuple[Mark, ...]:
    """The mark of each character of a ScalarNode's value, and of its end. `source` is the whole file."""
    first = Mark(node.start_mark.line + 1, node.start_mark.column + 1)
    body = source[node.start_mark.index : node.end_mark.index]
    units = [unit for unit in _units(body, node.style, first) if not unit[0].isspace()]
    visible = [index for index, character in enumerate(node.value) if not character.isspace()]
    if [character for character, _ in units] != [node.value[index] for index in visible]:
        return (first,) * (len(node.value) + 1)
    marks: list[Mark] = []
    pairs = dict(zip(visible, (mark for _, mark in units), strict=True))
    here = units[0][1] if units else first
    for index in range(len(node.value) + 1):
        # White space is placed behind the visible character before it.
        here = pairs.get(index, here)
        marks.append(here)
        if index in pairs:
            here = Mark(here.line, here.column + 1)
    return tuple(marks)


_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b"} | {
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_HEX = {"x": 2, "u": 4, "U": 8}


def _units(body: str, style: str | None, first: Mark) -> Iterator[tuple[str, Mark]]:
    """The characters that a scalar's source text stands for, unfolded, each with its mark."""
    index, line, column = 0, first.line, first.column
    if style in ("|", ">"):
        # The header may carry an indentation, a chomping sign and a comment.
        index = body.find("\n") + 1 or len(body)
        line, column = line + 1, 1
    elif style in ("'", '"'):
        body = body[:-1]
        index, column = 1, column + 1
    while index < len(body):
        character, width = body[index], 1
        if style == "'" and character == "'":
            width = 2
        elif style == '"' and character == "\\":
            character, width = _escape(body, index)
        yield character, Mark(line, column)
        for passed in body[index : index + width]:
            line, column = (line + 1, 1) if passed == "\n" else (line, column + 1)
        index += width


def _escape(body: str, index: int) -> tuple[str, int]:
    """The character that a backslash sequence stands for, and the sequence's length."""
    sign = body[index + 1 : index + 2]
    if digits := _HEX.get(sign):
        return chr(int(body[index + 2 : index + 2 + digits], 16)), 2 + digits
    return _ESCAPES.get(sign, sign or " "), 2
