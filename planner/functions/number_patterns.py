"""to_char of numbers, by PostgreSQL's template patterns: `to_char(1234.5, '9G999D00')`.

A pattern is read once into its parts and a `Shape` (digits before and behind the point, signs, what fills). A number then becomes
its digits, rounded to those of the shape, and the parts put them in place, one after the other, by the state of `_Writer`.
Always true: the locale is C's, as everywhere here: the point is `.`, groups are apart by `,`, L is a blank. Each different number
is Python once a call. Deliberately absent: TH where there is no place for a digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pyarrow as pa

from dataflow.types import TEXT, Kind
from planner.functions.constants import specialised
from planner.functions.number_shapes import Pattern, Shape, read_pattern
from planner.functions.registry import Function, Site

_DOUBLE_DIGITS = {Kind.REAL: 6, Kind.DOUBLE: 15}
_ROMAN = (
    ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"),
    ("", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"),
    ("", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"),
    ("", "M", "MM", "MMM"),
)

_END = "\0"
"""What PostgreSQL writes in a place that the number has no digit for, as in '9.': nothing that follows is seen."""


@dataclass(frozen=True, slots=True)
class _Digits:
    """A number as it is to be written: its sign, digits with a point, and how many places stand empty before them."""

    negative: bool
    text: str
    empty: int
    before: int


def _digits(value: Decimal | int, shape: Shape) -> _Digits:
    """An exact number, rounded to the pattern's digits."""
    number = Decimal(value).scaleb(shape.shift) if shape.shift else Decimal(value)
    with localcontext(prec=80):
        rounded = number.quantize(Decimal(1).scaleb(-shape.behind), ROUND_HALF_UP)
    text = f"{abs(rounded):f}"
    return _placed(rounded < 0, text, shape, shape.behind)


def _digits_of_float(value: float, shape: Shape, digits: int) -> _Digits:
    """A float, with no more digits than it has."""
    number = value * 10.0**shape.shift
    whole = len(_printed(abs(number), 0))
    behind = 0 if whole >= digits else min(shape.behind, digits - whole)
    text = _printed(number, behind)
    return _placed(text.startswith("-"), text.removeprefix("-"), shape, behind)


def _printed(value: float, behind: int) -> str:
    if math.isfinite(value):
        return f"{value:.{behind}f}"
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _placed(negative: bool, text: str, shape: Shape, behind: int) -> _Digits:
    before = shape.before + shape.shift
    whole = len(text.partition(".")[0])
    if whole > before:
        text = "#" * before + "." + "#" * behind
    return _Digits(negative, text, max(0, before - whole), before)


class _Writer:
    """Puts the digits of one number into a pattern's places. at: the next digit; place: the next place for one."""

    def __init__(self, pattern: Pattern, digits: _Digits) -> None:
        shape = self._shape = pattern.shape
        self._pattern, self._digits = pattern, digits
        self._made: list[str] = []
        self._at = self._place = 0
        self._begun = False
        self._bracket, self._sign = shape.bracket, shape.sign
        self._last = self._last_relevant()
        if shape.plus or shape.minus:
            self._signed = not (shape.plus and not shape.minus) or shape.minus
        else:
            if not digits.negative and shape.fill:
                self._bracket = False
            self._signed = not digits.negative and shape.fill and not shape.sign
            if shape.sign == "before" and digits.before == shape.sign_at:
                self._sign = "behind"
        self._count = shape.behind + digits.before - 1 + (not self._signed and digits.empty == 0)

    def _last_relevant(self) -> int | None:
        """With FM, the place in the text of the last digit behind the point that is no zero, or was asked for by 0."""
        shape, text = self._shape, self._digits.text
        point = text.find(".")
        if not (shape.fill and shape.point) or point < 0:
            return None
        last = max([point, *(i for i in range(point + 1, len(text)) if text[i] != "0")])
        if shape.zero_end > self._digits.empty:
            last = max(last, min(len(text) - 1, shape.zero_end - self._digits.empty))
        return last

    def write(self) -> str:
        """The text."""
        for keyword, written in self._pattern.parts:
            self._part(keyword, written)
        return "".join(self._made).partition(_END)[0]

    def _part(self, keyword: str | None, written: str) -> None:
        fill, negative = self._shape.fill, self._digits.negative
        match keyword:
            case None:
                self._made.append(written)
            case "9" | "0" | "." | "D":
                self._number(keyword)
            case "," | "G":
                if self._begun or not fill:
                    self._made.append("," if self._begun else " ")
            case "L":
                self._made.append(" ")
            case "TH":
                if not (self._digits.text[0] == "#" or negative or self._shape.point):
                    ending = _ordinal(self._digits.text)
                    self._made.append(ending.upper() if written.isupper() else ending)
            case "MI" | "PL":
                if negative == (keyword == "MI"):
                    self._made.append("-" if negative else "+")
                elif not fill:
                    self._made.append(" ")
            case "SG":
                self._made.append("-" if negative else "+")

    def _sign_text(self) -> str:
        return "-" if self._digits.negative else "+"

    def _lone_zero(self) -> bool:
        """Whether the next digit is a zero before the point that nothing asks for: 0.5 is ` .5`."""
        return not self._shape.zero and self._at == 0 and self._digits.text[0] == "0" and self._shape.behind != 0

    def _ends_at_point(self) -> bool:
        return self._last is not None and self._digits.text[self._last] == "."

    def _number(self, keyword: str) -> None:
        """A place for a digit, or for the point."""
        shape, digits = self._shape, self._digits
        self._begun = False
        reached = self._place >= digits.empty or (shape.zero and shape.zero_start == self._place)
        if not self._signed and reached and (not self._lone_zero() or self._ends_at_point()):
            self._write_sign()
        if self._place < digits.empty and (shape.zero_start > self._place or not shape.zero):
            if not shape.fill:
                self._made.append(" ")
        elif self._place < digits.empty:
            self._made.append("0")
            self._begun = True
        else:
            self._digit(keyword)
            self._at += self._at < len(digits.text)
        end = self._count + (digits.empty > 0) + shape.point
        if self._last is not None and self._last == self._at:
            end = self._place
        if self._place + 1 == end:
            if self._signed and self._bracket:
                self._made.append(">" if digits.negative else " ")
            elif self._sign == "behind":
                self._made.append(self._sign_text())
        self._place += 1

    def _write_sign(self) -> None:
        negative = self._digits.negative
        if self._sign:
            if self._sign == "before":
                self._made.append(self._sign_text())
                self._signed = True
            return
        if self._bracket:
            self._made.append("<" if negative else " ")
        elif negative or not self._shape.fill:
            self._made.append("-" if negative else " ")
        self._signed = True

    def _digit(self, keyword: str) -> None:
        text, fill = self._digits.text, self._shape.fill
        here = text[self._at] if self._at < len(text) else ""
        if here == ".":
            if not self._ends_at_point() or fill:
                self._made.append(".")
        elif self._last is not None and self._at > self._last and keyword != "0":
            return
        elif self._lone_zero():
            if not fill:
                self._made.append(" ")
            elif self._ends_at_point():
                self._made.append("0")
        else:
            self._made.append(here or _END)
            self._begun = True


def _ordinal(digits: str) -> str:
    if digits[-2:-1] == "1":
        return "th"
    return {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")


def _roman(value: Decimal | float, shape: Shape) -> str:
    if isinstance(value, float):
        number = round(value) if math.isfinite(value) else 0
    else:
        number = int(Decimal(value).to_integral_value(ROUND_HALF_UP))
    if not 1 <= number <= 3999:
        return "#" * 15
    made = "".join(_ROMAN[place][number // 10**place % 10] for place in (3, 2, 1, 0))
    made = made if shape.roman.isupper() else made.lower()
    return made if shape.fill else made.rjust(15)


def _scientific(value: Decimal | float, shape: Shape) -> str:
    if not math.isfinite(value):
        return " #" + "#" * (shape.before - 1) + "." + "#" * (shape.behind + 4)
    if isinstance(value, float):
        made = f"{value:.{shape.behind}e}"
    else:
        exponent = value.adjusted() if value else 0
        with localcontext(prec=80):
            mantissa = value.scaleb(-exponent).quantize(Decimal(1).scaleb(-shape.behind), ROUND_HALF_UP)
        made = f"{mantissa:f}e{exponent:+03d}"
    return made if made.startswith("-") else " " + made


def write_number(value: Decimal | int | float, pattern: Pattern, float_digits: int = 0) -> str:
    """The number in the pattern's places. float_digits: how many digits a float has."""
    shape = pattern.shape
    if shape.roman:
        texts = (
            _roman(value, shape) if keyword == "RN" else "" if keyword else written
            for keyword, written in pattern.parts
        )
        return "".join(texts)
    if shape.scientific:
        return _scientific(float(value) if isinstance(value, int) else value, shape)
    digits = _digits_of_float(value, shape, float_digits) if isinstance(value, float) else _digits(value, shape)
    return _Writer(pattern, digits).write()


def _to_char(site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    read, digits = read_pattern(pattern), _DOUBLE_DIGITS.get(site.operands[0].type.kind, 0)

    def kernel(values: Any, _rows: int) -> tuple[Any, Any]:
        encoded = values.dictionary_encode()
        texts = pa.array([write_number(value, read, digits) for value in encoded.dictionary.to_pylist()], TEXT.arrow)
        return texts.take(encoded.indices), None

    return kernel


FUNCTIONS: tuple[Function, ...] = tuple(
    Function("to_char", (kind, Kind.TEXT), TEXT, specialised(1, 0, _to_char))
    for kind in (Kind.INTEGER, Kind.BIGINT, Kind.NUMERIC, Kind.REAL, Kind.DOUBLE)
)
