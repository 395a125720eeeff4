"""Making and printing dates and times: to_char by pattern, make_date, make_time, make_timestamp, time zones by name.

Always true: `to_char` is compiled once for a pattern, which has to be a constant, and computed column by column. Time zones are
those of the process's database of zones; a wall clock that occurs twice is the standard time's, and one that is skipped counts on
with the offset before, as in PostgreSQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import FIELD_CODE
from dataflow.types import DATE, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, Kind
from planner.functions.logic import first_errors
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site, fixed
from planner.functions.types import FunctionError

_T, _S, _Z, _D, _I, _F = Kind.TEXT, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE, Kind.INTEGER, Kind.DOUBLE
_RANGE = pa.array(["date field value out of range: "], pa.large_string())
_UTC = frozenset({"UTC", "GMT", "Z", "ETC/UTC", "ZULU"})
_MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]

Column = Callable[[Any, int], Any]
"""(timestamps, rows) -> texts."""


def _number(field: str, width: int, change: Callable[[Any], Any] | None = None) -> Callable[[bool], Column]:
    """A field as digits; `filled` says whether zeros are put in front."""

    def made(filled: bool) -> Column:
        def column(values: Any, rows: int) -> Any:
            number = scalars.extract(FIELD_CODE[field], values, rows, 0).cast(pa.int64())
            texts = (number if change is None else change(number)).cast(pa.large_string())
            return pc.utf8_lpad(texts, width=width, padding="0") if filled else texts

        return column

    return made


def _name(
    field: str, names: list[str], first: int, length: int | None, case: Callable[[str], str]
) -> Callable[[bool], Column]:
    """A field as one of `names`; a name that is not cut short is filled with blanks to the longest."""

    def made(filled: bool) -> Column:
        width = max(map(len, names))
        shown = [case(name[:length]) for name in names]
        table = pa.array(
            [name.ljust(width) if filled and length is None else name for name in shown], pa.large_string()
        )

        def column(values: Any, rows: int) -> Any:
            number = scalars.extract(FIELD_CODE[field], values, rows, 0).cast(pa.int64())
            return pc.take(table, pc.subtract(number, pa.scalar(first, pa.int64())))

        return column

    return made


def _twelve(hours: Any) -> Any:
    return pc.add(_modulo(pc.subtract(hours, 1), 12), 1)


def _modulo(values: Any, by: int) -> Any:
    return pc.subtract(
        values, pc.multiply(pc.floor(pc.divide(values.cast(pa.float64()), float(by))).cast(pa.int64()), by)
    )


def _fraction(digits: int) -> Callable[[bool], Column]:
    """The second's fraction, cut to so many digits."""

    def made(_filled: bool) -> Column:
        def column(values: Any, rows: int) -> Any:
            micros = scalars.extract(FIELD_CODE["microseconds"], values, rows, 0).cast(pa.int64())
            part = pc.divide(_modulo(micros, 1_000_000), 10 ** (6 - digits))
            return pc.utf8_lpad(part.cast(pa.large_string()), width=digits, padding="0")

        return column

    return made


def _half(words: tuple[str, str]) -> Callable[[bool], Column]:
    return lambda _filled: (
        lambda values, rows: pc.if_else(
            pc.less(scalars.extract(FIELD_CODE["hour"], values, rows, 0).cast(pa.int64()), 12), *words
        ).cast(pa.large_string())
    )


_WORDS: dict[str, Callable[[bool], Column]] = {
    "HH24": _number("hour", 2),
    "HH12": _number("hour", 2, _twelve),
    "HH": _number("hour", 2, _twelve),
    "MI": _number("minute", 2),
    "SS": _number("microseconds", 2, lambda micros: pc.divide(micros, 1_000_000)),
    "MS": _fraction(3),
    "US": _fraction(6),
    **{f"FF{digits}": _fraction(digits) for digits in range(1, 7)},
    "YYYY": _number("year", 4),
    "YYY": _number("year", 3, lambda year: _modulo(year, 1000)),
    "YY": _number("year", 2, lambda year: _modulo(year, 100)),
    "Y": _number("year", 1, lambda year: _modulo(year, 10)),
    "IYYY": _number("isoyear", 4),
    "IYY": _number("isoyear", 3, lambda year: _modulo(year, 1000)),
    "IY": _number("isoyear", 2, lambda year: _modulo(year, 100)),
    "I": _number("isoyear", 1, lambda year: _modulo(year, 10)),
    "MM": _number("month", 2),
    "DDD": _number("doy", 3),
    "DD": _number("day", 2),
    "D": _number("dow", 1, lambda day: pc.add(day, 1)),
    "ID": _number("isodow", 1),
    "Q": _number("quarter", 1),
    "IW": _number("week", 2),
    "WW": _number("doy", 2, lambda day: pc.add(pc.divide(pc.subtract(day, 1), 7), 1)),
    "W": _number("day", 1, lambda day: pc.add(pc.divide(pc.subtract(day, 1), 7), 1)),
    "CC": _number("century", 2),
    "MONTH": _name("month", _MONTHS, 1, None, str.upper),
    "Month": _name("month", _MONTHS, 1, None, str),
    "month": _name("month", _MONTHS, 1, None, str.lower),
    "MON": _name("month", _MONTHS, 1, 3, str.upper),
    "Mon": _name("month", _MONTHS, 1, 3, str),
    "mon": _name("month", _MONTHS, 1, 3, str.lower),
    "DAY": _name("dow", _DAYS, 0, None, str.upper),
    "Day": _name("dow", _DAYS, 0, None, str),
    "day": _name("dow", _DAYS, 0, None, str.lower),
    "DY": _name("dow", _DAYS, 0, 3, str.upper),
    "Dy": _name("dow", _DAYS, 0, 3, str),
    "dy": _name("dow", _DAYS, 0, 3, str.lower),
    "RM": _name("month", _ROMAN, 1, None, str.upper),
    "AM": _half(("AM", "PM")),
    "PM": _half(("AM", "PM")),
    "am": _half(("am", "pm")),
    "pm": _half(("am", "pm")),
    "A.M.": _half(("A.M.", "P.M.")),
    "P.M.": _half(("A.M.", "P.M.")),
}
_PATTERN = re.compile(
    r'"((?:[^"\\]|\\.)*)"|(FM|fm)?('
    + "|".join(
        sorted({re.escape(word) for word in _WORDS} | {re.escape(w.lower()) for w in _WORDS}, key=len, reverse=True)
    )
    + r")|(TH|th|TZH|TZM|TZ|tz|OF|J|SSSSS?|BC|AD|B\.C\.|A\.D\.|TM|SP|FX)|(.)",
    re.DOTALL,
)


def _pieces(pattern: str) -> list[str | Column]:
    """Texts and columns in the order of the pattern."""
    pieces: list[str | Column] = []
    for quoted, unfilled, word, unknown, plain in _PATTERN.findall(pattern):
        if unknown:
            raise FunctionError(f'to_char has no "{unknown}" here', f"the patterns are {', '.join(_WORDS)} and FM")
        if word:
            made = _WORDS.get(word) or _WORDS[word.upper()]
            pieces.append(made(not unfilled))
        else:
            pieces.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return pieces


def _to_char(site: Site) -> Kernel:
    constant = site.operands[1].constant
    if constant is None:
        raise FunctionError("to_char needs a constant pattern", "write it as a text in quotes, such as 'YYYY-MM-DD'")
    pattern = constant.as_py()
    if not pattern:  # PostgreSQL makes NULL of an empty pattern
        return lambda _operands, rows: (pa.nulls(rows, pa.large_string()), None)
    pieces = _pieces(pattern)

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        values, errors = operands[0], None
        if values.type == DATE.arrow:
            values, errors = scalars.cast_time(values, len(values), Kind.TIMESTAMP)
        if len(values) != rows:
            values = pa.repeat(values[0], rows)
        parts = [
            pa.array([piece], pa.large_string()) if isinstance(piece, str) else piece(values, rows) for piece in pieces
        ]
        made = scalars.concat([*parts, pa.array([""], pa.large_string())], rows, True, None, TEXT.arrow)
        return pc.if_else(pc.is_valid(values), made, pa.scalar(None, pa.large_string())), errors

    return kernel


def _digits(column: Any, width: int) -> Any:
    return pc.utf8_lpad(column.cast(pa.large_string()), width=width, padding="0")


def _make_date(operands: Operands, rows: int) -> tuple[Any, Any]:
    """By way of its text, which knows the calendar. A negative year is one before Christ."""
    year, month, day = (column if len(column) == rows else pa.repeat(column[0], rows) for column in operands)
    hyphen = pa.array(["-"], pa.large_string())
    size = pc.abs(year.cast(pa.int64()))
    era = pc.if_else(pc.less(year, pa.scalar(0, pa.int32())), " BC", "").cast(pa.large_string())
    clean = pc.and_(pc.greater(month, pa.scalar(0, pa.int32())), pc.greater(day, pa.scalar(0, pa.int32())))
    small = pc.and_(pc.less(month, pa.scalar(13, pa.int32())), pc.less(day, pa.scalar(32, pa.int32())))
    usable = pc.and_(pc.and_(clean, small), pc.less_equal(size, pa.scalar(5874897, pa.int64())))
    text = scalars.concat(
        [_digits(size, 4), hyphen, _digits(month, 2), hyphen, _digits(day, 2), era], rows, True, None, TEXT.arrow
    )
    values, errors = scalars.parse(pc.if_else(usable, text, pa.scalar("0000-01-01", pa.large_string())), rows, DATE)
    if errors is None:
        return values, None
    # PostgreSQL's message counts a year 0 before Christ.
    shown_year = pc.if_else(pc.less(year, pa.scalar(0, pa.int32())), pc.add(year, pa.scalar(1, pa.int32())), year)
    shown = scalars.concat(
        [_RANGE, shown_year.cast(pa.large_string()), hyphen, _digits(month, 2), hyphen, _digits(day, 2)],
        rows,
        True,
        None,
        TEXT.arrow,
    )
    null = pa.scalar(None, pa.large_string())
    failed = pc.and_(pc.is_valid(errors), pc.is_valid(text))
    return values, None if not pc.any(failed).as_py() else pc.if_else(failed, shown, null)


def _make_time(operands: Operands, rows: int) -> tuple[Any, Any]:
    hour, minute, second = (column if len(column) == rows else pa.repeat(column[0], rows) for column in operands)
    hours, minutes = (column.cast(pa.int64()).fill_null(0).to_numpy() for column in (hour, minute))
    seconds = second.fill_null(0).to_numpy()
    fits = (hours >= 0) & (minutes >= 0) & (minutes < 60) & (seconds >= 0) & (seconds <= 60) & (hours <= 24)
    micros = np.where(
        fits, (hours * 60 + minutes) * 60_000_000 + np.rint(np.where(fits, seconds, 0) * 1e6).astype(np.int64), 0
    )
    fits &= micros <= 86_400_000_000
    valid = np.asarray(pc.and_(pc.and_(pc.is_valid(hour), pc.is_valid(minute)), pc.is_valid(second)))
    values = pa.array(micros, mask=~(fits & valid)).cast(TIME.arrow)
    if not (valid & ~fits).any():
        return values, None
    shown = [
        None if good or not there else f"time field value out of range: {h}:{m:02d}:{_seconds(s)}"
        for good, there, h, m, s in zip(fits, valid, hours.tolist(), minutes.tolist(), seconds.tolist(), strict=True)
    ]
    return values, pa.array(shown, pa.large_string())


def _seconds(value: float) -> str:
    if math.isfinite(value):
        return f"{value:02g}"
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _make_timestamp(operands: Operands, rows: int) -> tuple[Any, Any]:
    days, wrong_days = _make_date(operands[:3], rows)
    times, wrong_times = _make_time(operands[3:], rows)
    values, wrong = scalars.date_time(days, times, rows)
    errors = first_errors([wrong_days, wrong_times, wrong])
    if errors is not None:
        given = pa.repeat(True, rows)
        for operand in operands:
            given = pc.and_(given, pc.is_valid(operand if len(operand) == rows else pa.repeat(operand[0], rows)))
        errors = pc.if_else(given, errors, pa.scalar(None, pa.large_string()))
    return values, errors


def _make_timestamptz(site: Site) -> Kernel:
    """The instant of a wall clock, in UTC or in the zone that is named."""
    zone: str | None = None
    if len(site.operands) == 7:
        constant = site.operands[6].constant
        if constant is None:
            raise FunctionError("make_timestamptz needs a constant zone", "use make_timestamp(...) AT TIME ZONE")
        if not constant.is_valid:
            return lambda _operands, rows: (pa.nulls(rows, TIMESTAMPTZ.arrow), None)
        zone = zone_name(constant.as_py())

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        values, errors = _make_timestamp(operands[:6], rows)
        return values.view(TIMESTAMPTZ.arrow) if zone is None else instant(values, zone), errors

    return kernel


def zone_name(text: str) -> str | None:
    """The zone as the database of zones names it, None for UTC; FunctionError when there is none."""
    if text.upper() in _UTC:
        return None
    try:
        if not text:
            raise pa.ArrowInvalid("a zone has a name")
        pc.local_timestamp(pa.array([0], pa.timestamp("us", tz=text)))
    except pa.ArrowInvalid:
        raise FunctionError(
            f'time zone "{text}" not recognized', "name one of the IANA database, such as Europe/Paris, or UTC"
        ) from None
    return text


def local(values: Any, zone: str) -> Any:
    """The wall clock of a zone at instants."""
    return pc.local_timestamp(values.cast(pa.timestamp("us", tz=zone)))


def instant(values: Any, zone: str) -> Any:
    """The instant of a wall clock in a zone."""
    late = pc.assume_timezone(values, zone, ambiguous="latest", nonexistent="earliest")
    shown = pc.local_timestamp(late)
    # Where the clock skips, the offset that held just before it counts on.
    skipped = pc.add(late.cast(TIMESTAMPTZ.arrow), pc.subtract(values, shown))
    return pc.if_else(pc.equal(shown, values), late.cast(TIMESTAMPTZ.arrow), skipped)


FUNCTIONS: tuple[Function, ...] = (
    *(Function("to_char", (kind, _T), TEXT, Implementation(_to_char)) for kind in (_D, _S, _Z)),
    Function("make_date", (_I, _I, _I), DATE, fixed(_make_date)),
    Function("make_time", (_I, _I, _F), TIME, fixed(_make_time)),
    Function(
        "make_timestamptz", (_I, _I, _I, _I, _I, _F, _T), TIMESTAMPTZ, Implementation(_make_timestamptz), optional=1
    ),
    Function("make_timestamp", (_I, _I, _I, _I, _I, _F), TIMESTAMP, fixed(_make_timestamp)),
)
