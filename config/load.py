"""The file and the environment to settings, or every mistake at once.

Always true: nothing is opened but the file; the environment is what the caller hands in. A file with a mistake gives no
settings, but `read` still hands on the parts that are right, so that SQL over them can be checked in the same run.
Deliberately unknown: column types and SQL (`headwater.check`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from config.marks import Marks
from config.mistakes import ConfigErrors, Mistake, from_pydantic
from config.references import check_references
from config.settings import Settings
from config.tree import UNREAD, read_tree

__all__ = ["ConfigErrors", "Draft", "Loaded", "load", "read"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file without mistakes."""

    settings: Settings
    marks: Marks


@dataclass(frozen=True, slots=True)
class Draft:
    """A file as far as it could be read. `settings` is None when there are mistakes in its shape; `tree` is what was read."""

    settings: Settings | None
    marks: Marks
    tree: Mapping[str, Any]
    mistakes: tuple[Mistake, ...]


def load(path: str | PathLike[str], environ: Mapping[str, str]) -> Loaded:
    """Read the YAML file at `path`. ConfigErrors holds every mistake; a file that cannot be opened is one too."""
    draft = read(path, environ)
    if draft.mistakes or draft.settings is None:
        raise ConfigErrors(draft.marks.file, draft.mistakes)
    return Loaded(draft.settings, draft.marks)


def read(path: str | PathLike[str], environ: Mapping[str, str]) -> Draft:
    """Read the file and collect its mistakes instead of raising them."""
    marks = Marks(str(path))
    try:
        text = FilePath(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        return _failed(marks, f"cannot open the file: {(error.strerror or str(error)).lower()}")
    except UnicodeDecodeError as error:
        return _failed(marks, f"the file is not UTF-8: byte {error.start} cannot be read")
    tree, mistakes = read_tree(text, marks, environ)
    if not isinstance(tree, dict):
        if not mistakes:
            mistakes.append(Mistake(1, 1, "", "allowed: a mapping with name, kafka and sources"))
        return Draft(None, marks, {}, tuple(mistakes))
    settings = None
    try:
        settings = Settings.model_validate(tree, strict=True)
    except ValidationError as errors:
        mistakes += [
            from_pydantic(dict(error), marks, Settings)
            for error in errors.errors(include_url=False)
            if error["input"] is not UNREAD and not _split_type(error["loc"])
        ]
    mistakes += check_references(tree, marks)
    return Draft(settings, marks, tree, tuple(mistakes))


def _split_type(path: tuple[str | int, ...]) -> bool:
    """Whether this is the tail of an unquoted `numeric(12,2)`; `references` says that better."""
    return len(path) > 3 and path[2] == "columns" and str(path[3]).endswith(")")


def _failed(marks: Marks, message: str) -> Draft:
    return Draft(None, marks, {}, (Mistake(1, 1, "", message),))
