"""to_number: a number from a text, by the patterns of to_char (`number_shapes`): `to_number('1,234.5-', '9G999D9S')`.

The pattern's parts walk over the text together with it: places for digits take what is there, other parts pass over their signs and
separators, and what a pattern has not is passed over one character for each.
Always true: NULL of an empty pattern. Each different text is Python once a call.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from dataflow.types import NUMERIC, NUMERIC_PRECISION, TEXT, UNCONSTRAINED_SCALE, Kind
from planner.functions.constants import specialised
from planner.functions.number_shapes import Pattern, read_pattern
from planner.functions.registry import Function, Site
from planner.functions.types import FunctionError

_DATA = frozenset("0123456789.,+-")


class _Reader:
    """Reads one text. at: the next character. digits: what was read, with a point."""

    def __init__(self, pattern: Pattern, text: str) -> None:
        self._pattern, self._shape, self._text = pattern, pattern.shape, text
        self._sign = ""
        self._digits: list[str] = []
        self._at = self._before = self._behind = 0
        self._point = False

    def read(self) -> Decimal:
        """The number. ValueError when the text has none, OverflowError when it has more digits than the pattern."""
        for keyword, written in self._pattern.parts:
            if self._at >= len(self._text):
                break
            step = len(written) if keyword is None else self._part(keyword)
            self._at += step
        digits = "".join(self._digits)
        number = Decimal(self._sign.strip("+") + digits.removesuffix(".")) if digits.strip(".") else None
        if number is None:
            raise ValueError(digits)
        if abs(number) >= Decimal(10) ** (self._shape.before + self._shape.shift):
            raise OverflowError("numeric field overflow")
        return number.scaleb(-self._shape.shift)

    def _here(self, offset: int = 0) -> str:
        return self._text[self._at + offset : self._at + offset + 1]

    def _part(self, keyword: str) -> int:
        """How many characters to go on after a part, besides those that it took itself."""
        match keyword:
            case "9" | "0" | "." | "D":
                self._place(keyword)
                return 1
            case "," | "G":
                return int(self._here() == "," and not self._shape.fill)
            case "L":
                self._pass_over(1)
            case "TH":
                if not (self._sign == "-" or self._shape.point):
                    self._pass_over(2)
            case "MI" | "PL" | "SG":
                if self._here() and self._here() in {"MI": "-", "PL": "+", "SG": "+-"}[keyword]:
                    self._sign = self._here()
                    return 1
                self._pass_over(1)
        return 0

    def _pass_over(self, most: int) -> None:
        for _ in range(most):
            if self._at < len(self._text) and self._here() not in _DATA:
                self._at += 1

    def _place(self, keyword: str) -> None:
        """A place for a digit or the point, and signs around it."""
        shape = self._shape
        self._at += self._here() == " "
        if not self._here():
            return
        if not self._sign and keyword in "90" and self._before + self._behind == 0:
            self._leading_sign()
        here, read = self._here(), False
        if not here:
            return
        if here.isascii() and here.isdigit():
            if self._point and self._behind == shape.behind:
                return
            self._digits.append(here)
            self._behind += self._point
            self._before += not self._point
            read = True
        elif shape.point and not self._point and here == ".":
            self._digits.append(".")
            self._point = read = True
        if not self._sign and self._before + self._behind > 0:
            self._trailing_sign(read)

    def _leading_sign(self) -> None:
        here = self._here()
        if here in "+-" or (here == "<" and self._shape.bracket):
            self._sign = "+" if here == "+" else "-"
            self._at += 1

    def _trailing_sign(self, read: bool) -> None:
        shape, after = self._shape, self._here(1)
        if shape.sign:
            if read and after and after in "+-":
                self._sign = after
                self._at += 1
        elif not read and (shape.plus or shape.minus):
            here = self._here()
            if here in "+-" or (here == "<" and shape.bracket):
                self._sign = "+" if here == "+" else "-"


def read_number(text: str, pattern: Pattern) -> Decimal:
    """The number that the text is by the pattern. ValueError with what was read when that is none, else OverflowError."""
    return _Reader(pattern, text).read()


def _to_number(_site: Site, pattern: str) -> Callable[[Any, int], tuple[Any, Any]]:
    read = read_pattern(pattern)
    if read.shape.roman or read.shape.scientific:
        raise FunctionError(f'"{"RN" if read.shape.roman else "EEEE"}" not supported for input', "leave it out")
    limit = Decimal(10) ** (NUMERIC_PRECISION - UNCONSTRAINED_SCALE)
    smallest = Decimal(1).scaleb(-UNCONSTRAINED_SCALE)

    def one(text: str) -> tuple[Decimal | None, str | None]:
        try:
            number = read_number(text, read)
        except OverflowError as error:
            return None, str(error)
        except ValueError as error:
            return None, f'invalid input syntax for type numeric: "{error or " "}"'
        return (number.quantize(smallest), None) if abs(number) < limit else (None, "value overflows numeric format")

    def kernel(values: Any, rows: int) -> tuple[Any, Any]:
        if not pattern:
            return pa.nulls(rows, NUMERIC.arrow), None
        encoded = values.dictionary_encode()
        made = [one(text) for text in encoded.dictionary.to_pylist()]
        numbers = pa.array([number for number, _ in made], NUMERIC.arrow).take(encoded.indices)
        if all(message is None for _, message in made):
            return numbers, None
        return numbers, pa.array([message for _, message in made], TEXT.arrow).take(encoded.indices)

    return kernel


FUNCTIONS: tuple[Function, ...] = (
    Function("to_number", (Kind.TEXT, Kind.TEXT), NUMERIC, specialised(1, 0, _to_number)),
)
