"""to_char of intervals by PostgreSQL's template patterns: `to_char(interval '26 hours 5 min', 'HH24:MI')`.

Always true: an interval has years, months, days and a time of day of any size, each with its own sign; what needs a calendar, such
as the names of months, is refused. The pattern is read once and computed column by column.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.rows import Int64s, interval_parts
from dataflow.types import TEXT, Kind
from planner.functions.constants import specialised
from planner.functions.registry import Function, Site
from planner.functions.types import FunctionError

_MINUTE, _HOUR, _SECOND = 60_000_000, 3_600_000_000, 1_000_000
Part = Callable[["_Fields"], Any]
"""The texts of one keyword."""


class _Fields:
    """The fields of a column of intervals; each is cut towards zero and has the sign of its part."""

    def __init__(self, values: pa.Array) -> None:
        parts = interval_parts(values)
        months, self.micros = parts["months"].astype(np.int64), parts["micros"].astype(np.int64)
        self.day = parts["days"].astype(np.int64)
        self.year, self.month = _cut(months, 12), np.fmod(months, 12)
        self.hour = _cut(self.micros, _HOUR)
        self.minute = np.fmod(_cut(self.micros, _MINUTE), 60)
        self.second = np.fmod(_cut(self.micros, _SECOND), 60)
        self.fraction = np.fmod(self.micros, _SECOND)
        self.day_of_year = months * 30 + self.day


def _cut(values: Int64s, unit: int) -> Int64s:
    """The whole units, towards zero."""
    made: Int64s = np.sign(values) * (np.abs(values) // unit)
    return made


def _text(numbers: Int64s, width: int) -> Any:
    """Digits, with zeros in front up to the width, which a sign adds one to."""
    digits = pc.utf8_lpad(pa.array(np.abs(numbers)).cast(TEXT.arrow), width=width, padding="0")
    sign = pc.if_else(pa.array(numbers < 0), "-", "").cast(TEXT.arrow)
    return pc.binary_join_element_wise(sign, digits, pa.scalar("", TEXT.arrow))


def _narrow(numbers: Int64s, width: int) -> Any:
    """Digits as `_text` writes them, but a sign takes the place of a zero: PostgreSQL does so for some fields."""
    return pc.if_else(pa.array(numbers < 0), _text(numbers, width - 1), _text(numbers, width))


def _field(width: int, of: Callable[[_Fields], Int64s]) -> Callable[[bool], Part]:
    return lambda filled: lambda fields: _text(of(fields), width if filled else 1)


def _twelve(fields: _Fields) -> Int64s:
    hour: Int64s = np.fmod(fields.hour, 12)
    return np.where(hour == 0, 12, hour)


def _half(early: str, late: str) -> Callable[[bool], Part]:
    def made(_filled: bool) -> Part:
        return lambda fields: pc.if_else(pa.array(np.fmod(fields.hour, 24) >= 12), late, early).cast(TEXT.arrow)

    return made


def _thousands(_filled: bool) -> Part:
    def made(fields: _Fields) -> Any:
        comma = pa.scalar(",", TEXT.arrow)
        thousands = _cut(fields.year, 1000)
        return pc.binary_join_element_wise(_text(thousands, 1), _narrow(fields.year - thousands * 1000, 3), comma)

    return made


def _quarter(_filled: bool) -> Part:
    def made(fields: _Fields) -> Any:
        texts = _text(_cut(fields.month - 1, 3) + 1, 1)
        return pc.if_else(pa.array(fields.month == 0), pa.scalar("", TEXT.arrow), texts)

    return made


_WORDS: dict[str, Callable[[bool], Part]] = {
    "HH24": _field(2, lambda f: f.hour),
    "HH12": _field(2, _twelve),
    "HH": _field(2, _twelve),
    "MI": _field(2, lambda f: f.minute),
    "SSSSS": _field(1, lambda f: _cut(f.micros, _SECOND)),
    "SSSS": _field(1, lambda f: _cut(f.micros, _SECOND)),
    "SS": _field(2, lambda f: f.second),
    "MS": lambda _filled: lambda f: _narrow(_cut(f.fraction, 1000), 3),
    "US": lambda _filled: lambda f: _narrow(f.fraction, 6),
    "Y,YYY": _thousands,
    "YYYY": _field(4, lambda f: f.year),
    "YYY": _field(3, lambda f: np.fmod(f.year, 1000)),
    "YY": _field(2, lambda f: np.fmod(f.year, 100)),
    "Y": _field(1, lambda f: np.fmod(f.year, 10)),
    "CC": _field(2, lambda f: _cut(f.year, 100)),
    "MM": _field(2, lambda f: f.month),
    "DDD": lambda filled: lambda f: _narrow(f.day_of_year, 3 if filled else 1),
    "DD": lambda filled: lambda f: _narrow(f.day, 2 if filled else 1),
    "Q": _quarter,
    "AM": _half("AM", "PM"),
    "PM": _half("AM", "PM"),
    "am": _half("am", "pm"),
    "pm": _half("am", "pm"),
    "A.M.": _half("A.M.", "P.M."),
    "P.M.": _half("A.M.", "P.M."),
    "a.m.": _half("a.m.", "p.m."),
    "p.m.": _half("a.m.", "p.m."),
}
_BOTH = sorted({re.escape(cased) for word in _WORDS for cased in (word, word.lower())}, key=len, reverse=True)
_CALENDAR = (
    "MONTH|Month|month|MON|Mon|mon|DAY|Day|day|DY|Dy|dy|IYYY|IYY|IY|I|IDDD|ID|D|iyyy|iyy|iy|i|iddd|id|d|IW|iw|WW|ww|W|w"
    "|RM|rm|J|j|BC|AD|B\\.C\\.|A\\.D\\.|bc|ad|TZH|TZM|TZ|tz|OF|FF[1-6]|TH|th|TM|SP|FX"
)
_PATTERN = re.compile(rf'"((?:[^"\\]|\\.)*)"|(FM|fm)?({"|".join(_BOTH)})|({_CALENDAR})|(.)', re.DOTALL)


def _pieces(pattern: str) -> list[str | Part]:
    pieces: list[str | Part] = []
    for quoted, unfilled, word, unknown, plain in _PATTERN.findall(pattern):
        if unknown:
            hint = f"intervals are not tied to specific calendar dates; the patterns are {', '.join(_WORDS)} and FM"
            raise FunctionError(f'invalid format specification for an interval value: "{unknown}"', hint)
        if word:
            pieces.append((_WORDS.get(word) or _WORDS[word.upper()])(not unfilled))
        else:
            pieces.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return pieces


def _to_char(_site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    pieces = _pieces(pattern)

    def kernel(values: Any, _rows: int) -> tuple[Any, Any]:
        if not pattern:
            return pa.nulls(len(values), TEXT.arrow), None
        fields = _Fields(values)
        parts = [pa.array([piece], TEXT.arrow) if isinstance(piece, str) else piece(fields) for piece in pieces]
        made = scalars.concat([*parts, pa.array([""], TEXT.arrow)], len(values), True, None, TEXT.arrow)
        return pc.if_else(pc.is_valid(values), made, pa.scalar(None, TEXT.arrow)), None

    return kernel


FUNCTIONS: tuple[Function, ...] = (Function("to_char", (Kind.INTERVAL, Kind.TEXT), TEXT, specialised(1, 0, _to_char)),)
