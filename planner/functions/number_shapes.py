"""What to_char's patterns of numbers ask for, in PostgreSQL's words and with its refusals.

Always true: a pattern that is read has one meaning for every number. Deliberately unknown: numbers (`number_patterns`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from planner.functions.types import FunctionError

_KEYWORDS = (
    "EEEE",
    "FM",
    "MI",
    "PL",
    "PR",
    "RN",
    "SG",
    "SP",
    "TH",
    "B",
    "C",
    "D",
    "G",
    "L",
    "S",
    "V",
    ",",
    ".",
    "0",
    "9",
)
_WORDS = "|".join(re.escape(word) for keyword in _KEYWORDS for word in dict.fromkeys((keyword, keyword.lower())))
_TOKEN = re.compile(rf"""(?:"((?:[^"\\]|\\.)*)"?)|\\(")|({_WORDS})|(.)""", re.DOTALL)


@dataclass
class Shape:
    """What a pattern asks for. before, behind: digits around the point. zero_start, zero_end: digits (from 1) that 0s are among.

    sign: where S stands: "", "before" or "behind" the digits. shift: digits behind V.
    """

    before: int = 0
    behind: int = 0
    shift: int = 0
    zero_start: int = 0
    zero_end: int = 0
    sign: str = ""
    sign_at: int = 0
    point: bool = False
    zero: bool = False
    fill: bool = False
    minus: bool = False
    plus: bool = False
    bracket: bool = False
    multiplied: bool = False
    roman: str = ""
    scientific: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern: its parts (keyword in capitals, as written; or None and a text to copy) and its shape."""

    parts: tuple[tuple[str | None, str], ...]
    shape: Shape


def _tokens(pattern: str) -> Iterator[tuple[str | None, str]]:
    for quoted, escaped, keyword, other in _TOKEN.findall(pattern):
        if keyword:
            yield keyword.upper(), keyword
        else:
            yield None, re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) + escaped + other


def read_pattern(pattern: str) -> Pattern:
    """A pattern's parts and shape. FunctionError, in PostgreSQL's words, when it contradicts itself."""
    shape, parts = Shape(), tuple(_tokens(pattern))
    for keyword, written in parts:
        if keyword is not None:
            _note(shape, keyword, written)
    if shape.before + shape.shift == 0 and not (shape.point or shape.roman) and any(word == "TH" for word, _ in parts):
        raise _refuse('"." is not a number: TH stands behind digits')
    return Pattern(parts, shape)


def _refuse(message: str) -> FunctionError:
    return FunctionError(message, "write the pattern as in to_char(1234.5, '9G999D99')")


def _note(shape: Shape, keyword: str, written: str) -> None:
    """What a keyword says about the shape."""
    if shape.scientific and keyword != "EEEE":
        raise _refuse('"EEEE" must be the last pattern used')
    match keyword:
        case "9" | "0":
            _digit(shape, keyword)
        case "." | "D":
            if shape.point:
                raise _refuse("multiple decimal points")
            if shape.multiplied:
                raise _refuse('cannot use "V" and decimal point together')
            shape.point = True
        case "FM":
            shape.fill = True
        case "S" | "MI" | "PL" | "SG" | "PR":
            _sign(shape, keyword)
        case "RN":
            shape.roman = written
        case "V":
            if shape.point:
                raise _refuse('cannot use "V" and decimal point together')
            shape.multiplied = True
        case "EEEE":
            if shape.scientific:
                raise _refuse('cannot use "EEEE" twice')
            if (
                shape.fill
                or shape.sign
                or shape.bracket
                or shape.minus
                or shape.plus
                or shape.roman
                or shape.multiplied
            ):
                raise _refuse('"EEEE" is incompatible with other formats')
            shape.scientific = True


def _digit(shape: Shape, keyword: str) -> None:
    if shape.bracket:
        raise _refuse(f'"{keyword}" must be ahead of "PR"')
    if keyword == "9" and shape.multiplied:
        shape.shift += 1
        return
    if keyword == "0" and not shape.zero and not shape.point:
        shape.zero, shape.zero_start = True, shape.before
    if shape.point:
        shape.behind += 1
    else:
        shape.before += 1
    if keyword == "0":
        shape.zero_end = shape.before + shape.behind


def _sign(shape: Shape, keyword: str) -> None:
    if keyword == "S":
        if shape.sign:
            raise _refuse('cannot use "S" twice')
        if shape.plus or shape.minus or shape.bracket:
            raise _refuse('cannot use "S" and "PL"/"MI"/"SG"/"PR" together')
        shape.sign, shape.sign_at = ("behind", 0) if shape.point else ("before", shape.before)
        return
    if keyword == "PR":
        if shape.sign or shape.plus or shape.minus:
            raise _refuse('cannot use "PR" and "S"/"PL"/"MI"/"SG" together')
        shape.bracket = True
    elif shape.sign:
        raise _refuse(f'cannot use "S" and "{keyword}" together')
    shape.minus |= keyword in ("MI", "SG")
    shape.plus |= keyword in ("PL", "SG")
