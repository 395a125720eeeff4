"""What is wrong with a file, in words: each mistake with its place, all of them at once.

Always true: a message says what was read and what is allowed; it never holds a value that came from the environment or that
stands under a key that names a secret. Deliberately unknown: how mistakes are found.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel

from config.marks import Marks, Path

_SECRET = re.compile(r"password|secret|token|sasl\.jaas|key", re.IGNORECASE)


class Mistake(NamedTuple):
    """One thing to mend. line and column count from 1; `where` is the path in the file, as `sources.orders.format`."""

    line: int
    column: int
    where: str
    message: str


class ConfigErrors(Exception):  # noqa: N818  (it is raised for all of them)
    """Every mistake of a file, one on a line, in the file's order."""

    def __init__(self, file: str, mistakes: Iterable[Mistake]) -> None:
        self.file = file
        self.mistakes = sorted(set(mistakes))
        super().__init__(file, self.mistakes)

    def __str__(self) -> str:
        return "\n".join(
            f"{self.file}:{m.line}:{m.column}: {m.where}: {m.message}"
            if m.where
            else f"{self.file}:{m.line}:{m.column}: {m.message}"
            for m in self.mistakes
        )


def where(path: Path) -> str:
    """The path as people write it: `sources.orders.key[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean json?` when a known word is near, else an empty text."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def is_secret(path: Path) -> bool:
    """Whether the value at this path may be a credential: its property of a connection is named like one."""
    return len(path) >= 3 and path[0] == "kafka" and bool(_SECRET.search(str(path[2])))


def shown(marks: Marks, path: Path, value: Any) -> str:
    """A value as a message may print it: as written in the file, shortened; secrets are hidden."""
    if is_secret(path):
        return "a hidden value"
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = marks.texts.get(path)
    if isinstance(value, str) or (text is not None and text.substituted):
        written = text.written if text is not None and text.substituted else str(value)
        return repr(written if len(written) <= 60 else written[:57] + "...")
    return f"{text.written if text is not None else value} ({_KINDS.get(type(value), 'a value')})"


_KINDS: dict[type, str] = {bool: "a boolean", int: "a whole number", float: "a number"}


def from_pydantic(error: Mapping[str, Any], marks: Marks, model: type[BaseModel]) -> Mistake:
    """One of pydantic's errors as a mistake: pydantic's own sentence is replaced by what was read and what is allowed."""
    path: Path = tuple(error["loc"])
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if path and path[-1] == "[key]":
        path = path[:-1]
        return _at(marks.key(path), path, f"read {path[-1]!r} as a name, {_NAME}")
    if kind == "missing":
        meaning = _field(model, path)
        return _at(marks.key(path), path, f"missing{': ' + meaning if meaning else ''}")
    if kind == "extra_forbidden":
        known = _siblings(model, path)
        hint = did_you_mean(str(path[-1]), known) or f"; allowed: {', '.join(known)}"
        return _at(marks.key(path), path, f"unknown key{hint}")
    read = f"read {shown(marks, path, value)}, "
    return _at(marks.value(path), path, read + _allowed(kind, value, context, marks, path))


_NAME = "allowed: letters, digits and _, not a digit first, at most 63 characters"


def _at(mark: tuple[int, int], path: Path, message: str) -> Mistake:
    return Mistake(mark[0], mark[1], where(path), message)


def _allowed(kind: str, value: Any, context: Mapping[str, Any], marks: Marks, path: Path) -> str:
    text = marks.texts.get(path)
    plain = text is not None and not text.substituted and not is_secret(path)
    match kind:
        case "literal_error":
            known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            hint = did_you_mean(value, known) if isinstance(value, str) and plain else ""
            return f"allowed: {', '.join(known)}{hint}"
        case "string_type":
            quoted = f"; write '{text.written}'" if text is not None and plain and value is not None else ""
            return f"allowed: text{quoted}"
        case "tuple_type":
            listed = f"; write [{text.written}]" if text is not None and plain and value is not None else ""
            return f"allowed: a list{listed}"
        case "dict_type" | "model_type":
            return "allowed: a mapping (keys with values)"
        case "int_type":
            return "allowed: a whole number"
        case "too_short":
            return f"allowed: a list of at least {context['min_length']}"
        case "string_too_short":
            return f"allowed: at least {context['min_length']} character"
        case "string_too_long":
            return f"allowed: at most {context['max_length']} characters"
        case "greater_than_equal":
            return f"allowed: {context['ge']} or more"
        case "string_pattern_mismatch":
            return _NAME
        case "value_error":
            return str(context["error"])
        case _:
            return f"not allowed here ({kind.replace('_', ' ')})"


def _field(model: type[BaseModel], path: Path) -> str:
    owner = _model(model, path[:-1])
    found = owner.model_fields.get(str(path[-1])) if owner is not None else None
    return (found.description or "") if found is not None else ""


def _siblings(model: type[BaseModel], path: Path) -> Sequence[str]:
    owner = _model(model, path[:-1])
    return list(owner.model_fields) if owner is not None else []


def _model(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that describes the mapping at this path: entries of `sources` are a Source, and so on."""
    found: type[BaseModel] | None = model
    parts = iter(path)
    for part in parts:
        info = found.model_fields.get(str(part)) if found is not None else None
        if info is None:
            return None
        found = _inner(info.annotation)
        if get_origin(info.annotation) is dict:
            next(parts, None)  # the entry's own name
    return found


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds: itself, or the entries of a dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (inner := _inner(argument)) is not None:
            return inner
    return None
