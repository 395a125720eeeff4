"""mz_now(): conditions about the time of the step, as bounds of a TemporalFilter.

    mz_now() <= ts + interval '1 hour'                              an upper bound
    mz_now() BETWEEN begin AND finish                               a lower and an upper one
    status = 'open' OR mz_now() < ts + interval '1 day'             one alternative of an OR may be one

Always true: mz_now() stands alone on one side of a comparison, with timestamps, dates, or integers in milliseconds; anything
else is refused with its place, for it would have to be computed again at every step. Deliberately unknown: who tells the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from dataflow.types import BIGINT, BOOLEAN, TIMESTAMPTZ, Kind
from planner.calls import Bound
from planner.literals import Untyped
from planner.scalar import Call, Cast, Now, Scalar
from planner.scalars import conjuncts, walk

if TYPE_CHECKING:
    from planner import bind

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
_HOW = "write mz_now() alone on one side: mz_now() <= ts + interval '1 hour'"


def now(binder: bind.Binder, node: exp.Anonymous) -> bind.Bound:
    """Bind `mz_now()`."""
    binder.text.only(node, "this")
    if binder.clause not in ("WHERE", "HAVING"):
        raise binder.text.error(
            node, f"mz_now() is not allowed in {binder.clause}", "filter with it in WHERE or HAVING"
        )
    return binder.placed(Now(TIMESTAMPTZ), node)


def with_integer(operator: str, sides: Sequence[bind.Bound]) -> Scalar | None:
    """A comparison of mz_now() with an integer, which counts milliseconds since 1970; None for anything else."""
    first, second = sides
    if operator not in _MIRRORED or isinstance(first, Untyped) or isinstance(second, Untyped):
        return None
    for mine, other in ((first, second), (second, first)):
        if isinstance(mine, Now) and other.type.kind in _INTEGERS:
            whole = other if other.type == BIGINT else Cast(other, BIGINT)
            return Call(operator, (mine, whole) if mine is first else (whole, mine), BOOLEAN)
    return None


def has_now(scalar: Scalar) -> bool:
    """Whether mz_now() stands in it."""
    return any(isinstance(node, Now) for node in walk(scalar))


def bounds_of(part: Scalar) -> tuple[Bound, ...] | None:
    """The bounds that one condition sets; None where it is no comparison of mz_now() with something else."""
    if not isinstance(part, Call):
        return None
    if part.function == "not" and isinstance(part.args[0], Call) and part.args[0].function in _OPPOSITE:
        inner = part.args[0]
        return bounds_of(Call(_OPPOSITE[inner.function], inner.args, BOOLEAN))
    if part.function not in _MIRRORED:
        return None
    first, second = part.args
    operator, value = (part.function, second) if isinstance(first, Now) else (_MIRRORED[part.function], first)
    if not isinstance(first if value is second else second, Now) or has_now(value):
        return None
    return tuple(Bound(one, value) for one in ((">=", "<=") if operator == "=" else (operator,)))


def alternatives(part: Scalar) -> tuple[Scalar, Scalar]:
    """Of an OR in which one alternative has mz_now(): the others, and that one. ValueError for anything else."""
    if isinstance(part, Call) and part.function == "or":
        of_time = [arg for arg in part.args if has_now(arg)]
        others = tuple(arg for arg in part.args if not has_now(arg))
        if (
            len(of_time) == 1
            and others
            and all(bounds_of(one) is not None for one in conjuncts(of_time[0]) if has_now(one))
        ):
            return (others[0] if len(others) == 1 else Call("or", others, BOOLEAN)), of_time[0]
    raise ValueError(f"{part} sets no bounds; binding should have refused it")


def refuse(condition: Scalar, binder: bind.Binder) -> None:
    """Raise SqlError where mz_now() stands in a condition that sets no bounds."""
    for part in conjuncts(condition):
        if not has_now(part) or bounds_of(part) is not None:
            continue
        try:
            alternatives(part)
        except ValueError:
            place = next(binder.places[id(n)][1] for n in walk(part) if isinstance(n, Now))
            raise binder.text.unsupported(place, "mz_now() in this condition", _HOW) from None
