"""The Python module that a file names under `functions`: loaded, its functions with their signatures.

Always true: the text that runs is the text that is hashed. The hash is part of every function, so that views that call one are
other views when the module's text is another. Deliberately unknown: what functions do, and who calls them.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from headwater.functions import SIGNATURES
from planner.bind_call import is_taken
from planner.functions.user import Functions, SignatureError, UserFunction, read_signature


class ModuleError(ValueError):
    """A module that cannot be used; the text names it and says why."""


def load_functions(path: str) -> Functions:
    """Run the module at `path` and read the signatures of its functions. ModuleError when something is wrong with it."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ModuleError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    digest = hashlib.sha256(text).hexdigest()
    found: dict[str, tuple[UserFunction, ...]] = {}
    for call, signatures in _marked(_run(path, text, digest)):
        for written in signatures:
            try:
                one = read_signature(written, call, digest)
            except SignatureError as error:
                raise ModuleError(f"{path}: {error}") from error
            _check(path, one, found.get(one.name, ()))
            found[one.name] = (*found.get(one.name, ()), one)
    if not found:
        raise ModuleError(f"{path} has no functions; write @function('name(parameter type) returns type') before one")
    return found


def _run(path: str, text: bytes, digest: str) -> ModuleType:
    module = ModuleType(f"headwater_functions_{digest[:16]}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # where dataclasses and annotations look for their module
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except Exception as error:
        where = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        line = error.lineno if isinstance(error, SyntaxError) else where[-1] if where else None
        at = "" if line is None else f", line {line}"
        raise ModuleError(f"cannot run {path}{at}: {type(error).__name__}: {error}") from error
    return module


def _marked(module: ModuleType) -> list[tuple[Callable[..., Any], tuple[str, ...]]]:
    """The module's functions that have signatures, each once."""
    found = {
        id(value): (value, getattr(value, SIGNATURES)) for value in vars(module).values() if hasattr(value, SIGNATURES)
    }
    return list(found.values())


def _check(path: str, one: UserFunction, others: tuple[UserFunction, ...]) -> None:
    """Its name must be free, its parameters unlike those of others of the name, and what Python's function takes."""
    if is_taken(one.name):
        raise ModuleError(f"{path}: SQL has a function {one.name} already; give yours another name")
    kinds = [type_.kind for type_ in one.types]
    if any([type_.kind for type_ in other.types] == kinds for other in others):
        raise ModuleError(f"{path}: {one.name} is there twice with the same types; remove one of them")
    try:
        inspect.signature(one.call).bind(*one.types)
    except TypeError as error:
        taken = f"{one.call.__name__}{inspect.signature(one.call)}"
        raise ModuleError(f"{path}: {one} does not fit Python's {taken}: {error}") from error
