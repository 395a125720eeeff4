"""Trigonometry in degrees: exact where the angle or the result is a multiple of 30 or 45 degrees, as PostgreSQL's.

Always true: an angle is brought into the first quadrant before anything is rounded, and every result there is scaled by the
computed values of sin 30, cos 60 and tan 45, so that these come out as the numbers they are. All are Python for each different
row of arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dataflow.types import DOUBLE, Kind
from planner.functions.by_row import RowError, by_row
from planner.functions.registry import Function

_RADIAN = math.pi / 180
_SIN_30 = math.sin(30 * _RADIAN)
_COS_60 = 1 - math.cos(60 * _RADIAN)
_ASIN_HALF, _ACOS_HALF = math.asin(0.5), math.acos(0.5)
_ATAN_1 = math.atan(1.0)


def _small_sine(angle: float) -> float:
    return math.sin(angle * _RADIAN) / _SIN_30 / 2


def _small_cosine(angle: float) -> float:
    return 1 - (1 - math.cos(angle * _RADIAN)) / _COS_60 / 2


def _sine(angle: float) -> float:
    """Of 0 to 90."""
    return _small_sine(angle) if angle <= 30 else _small_cosine(90 - angle)


def _cosine(angle: float) -> float:
    """Of 0 to 90."""
    return _small_cosine(angle) if angle <= 60 else _small_sine(90 - angle)


_TAN_45 = _sine(45.0) / _cosine(45.0)
_COT_45 = _cosine(45.0) / _sine(45.0)


def _folded(angle: float) -> tuple[float, float, float]:
    """The angle of the first quadrant that has the same values but for signs: of the sine, and of the cosine."""
    if math.isinf(angle):
        raise RowError("input is out of range")
    angle = math.fmod(angle, 360)
    sine = cosine = 1.0
    if angle < 0:
        angle, sine = -angle, -sine
    if angle > 180:
        angle, sine = 360 - angle, -sine
    if angle > 90:
        angle, cosine = 180 - angle, -cosine
    return angle, sine, cosine


def _sind(angle: float) -> float:
    inside, sine, _ = _folded(angle)
    return sine * _sine(inside)


def _cosd(angle: float) -> float:
    inside, _, cosine = _folded(angle)
    return cosine * _cosine(inside)


def _ratio(over: float, under: float, unit: float, sign: float) -> float:
    """over / under in units, without a negative zero."""
    found = sign * (over / under / unit if under else math.copysign(math.inf, under))
    return found or 0.0


def _tand(angle: float) -> float:
    inside, sine, cosine = _folded(angle)
    return _ratio(_sine(inside), _cosine(inside), _TAN_45, sine * cosine)


def _cotd(angle: float) -> float:
    inside, sine, cosine = _folded(angle)
    return _ratio(_cosine(inside), _sine(inside), _COT_45, sine * cosine)


def _arc_sine(value: float) -> float:
    """Of 0 to 1."""
    return math.asin(value) / _ASIN_HALF * 30 if value <= 0.5 else 90 - math.acos(value) / _ACOS_HALF * 60


def _arc_cosine(value: float) -> float:
    """Of 0 to 1."""
    return 90 - math.asin(value) / _ASIN_HALF * 30 if value <= 0.5 else math.acos(value) / _ACOS_HALF * 60


def _within(value: float) -> float:
    if not -1 <= value <= 1:
        raise RowError("input is out of range")
    return value


def _asind(value: float) -> float:
    return _arc_sine(value) if _within(value) >= 0 else -_arc_sine(-value)


def _acosd(value: float) -> float:
    return _arc_cosine(value) if _within(value) >= 0 else 90 + _arc_sine(-value)


def _atand(value: float) -> float:
    return math.atan(value) / _ATAN_1 * 45


def _atan2d(y: float, x: float) -> float:
    return math.atan2(y, x) / _ATAN_1 * 45


def _strict(function: Callable[..., float]) -> Callable[..., float]:
    """NaN of NaN."""
    return lambda *values: math.nan if any(map(math.isnan, values)) else function(*values)


_NAMED: dict[str, Callable[..., float]] = {
    "sind": _sind,
    "cosd": _cosd,
    "tand": _tand,
    "cotd": _cotd,
    "asind": _asind,
    "acosd": _acosd,
    "atand": _atand,
}

FUNCTIONS: tuple[Function, ...] = (
    *(Function(name, (Kind.DOUBLE,), DOUBLE, by_row(_strict(function))) for name, function in _NAMED.items()),
    Function("atan2d", (Kind.DOUBLE, Kind.DOUBLE), DOUBLE, by_row(_strict(_atan2d))),
)
