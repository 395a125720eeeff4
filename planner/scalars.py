"""Walking and rewriting scalars: what every rule and the binder share.

Always true: rewriting keeps the type of every node. Deliberately unknown: what any function does, besides which few cannot fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from dataflow.types import ColumnType, Kind
from planner.scalar import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Grouping,
    Literal,
    Now,
    OuterRef,
    Over,
    Parameter,
    Scalar,
    Subquery,
    TableValue,
    UserCall,
)

_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
_SAFE = frozenset(
    (
        "and",
        "or",
        "not",
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "coalesce",
        "is_null",
        "is_not_null",
        "is_true",
        "is_not_true",
        "is_false",
        "is_not_false",
        "is_unknown",
        "is_not_unknown",
        "is_distinct_from",
        "is_not_distinct_from",
    )
)
"""Functions that cannot fail for any row, whatever their argument types."""


TESTS_WITH_OPPOSITES = {
    "is_null": "is_not_null",
    "is_true": "is_not_true",
    "is_false": "is_not_false",
    "like": "not_like",
    "ilike": "not_ilike",
}
"""Tests whose negation is a test of its own, which binding makes of it."""


def arguments(scalar: Scalar) -> tuple[Scalar, ...]:
    """The scalars directly below."""
    match scalar:
        case Call() | UserCall():
            return scalar.args
        case Cast():
            return (scalar.arg,)
        case Case():
            return (*(part for branch in scalar.branches for part in branch), scalar.default)
        case Over():
            own = tuple(part for part in (scalar.argument, scalar.amount_by, scalar.default) if part is not None)
            inner = () if scalar.call is None else scalar.call.scalars
            return own + scalar.partition + tuple(term for term, _, _ in scalar.order) + inner
        case Subquery():
            return scalar.values
        case Grouping() | TableValue():
            return scalar.args
        case ColumnRef() | Literal() | OuterRef() | Parameter() | Now():
            return ()


def with_arguments(scalar: Scalar, new: tuple[Scalar, ...]) -> Scalar:
    """The same node over other arguments; the very same object when nothing changed."""
    if all(a is b for a, b in zip(arguments(scalar), new, strict=True)):
        return scalar
    match scalar:
        case Call():
            return Call(scalar.function, new, scalar.type)
        case UserCall():
            return UserCall(scalar.function, new)
        case Cast():
            return Cast(new[0], scalar.type)
        case Case():
            pairs = tuple((new[i], new[i + 1]) for i in range(0, len(new) - 1, 2))
            return Case(pairs, new[-1], scalar.type)
        case Over():
            rest = iter(new)
            argument, amount_by, default = (
                None if part is None else next(rest) for part in (scalar.argument, scalar.amount_by, scalar.default)
            )
            partition = tuple(next(rest) for _ in scalar.partition)
            order = tuple((next(rest), down, first) for _, down, first in scalar.order)
            call = None if scalar.call is None else scalar.call.change(lambda _: next(rest))
            return replace(
                scalar,
                argument=argument,
                amount_by=amount_by,
                default=default,
                partition=partition,
                order=order,
                call=call,
            )
        case Subquery():
            return replace(scalar, values=new)
        case Grouping():
            return Grouping(new, scalar.type)
        case TableValue():
            return replace(scalar, args=new)
        case ColumnRef() | Literal() | OuterRef() | Parameter() | Now():
            return scalar


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """The scalar and everything below it."""
    yield scalar
    for below in arguments(scalar):
        yield from walk(below)


def columns(scalar: Scalar) -> set[int]:
    """Positions of the input columns that a scalar reads."""
    return {node.index for node in walk(scalar) if isinstance(node, ColumnRef)}


def rewrite(scalar: Scalar, change: Callable[[Scalar], Scalar | None]) -> Scalar:
    """Top down: where `change` answers a scalar it takes the node's place, where it answers None the node's arguments are next."""
    changed = change(scalar)
    if changed is not None:
        return changed
    return with_arguments(scalar, tuple(rewrite(below, change) for below in arguments(scalar)))


def move(scalar: Scalar, new_index: Callable[[int], int]) -> Scalar:
    """The scalar over an input whose columns stand elsewhere."""
    return rewrite(
        scalar,
        lambda node: ColumnRef(new_index(node.index), node.type, node.name) if isinstance(node, ColumnRef) else None,
    )


def substitute(scalar: Scalar, outputs: Sequence[Scalar]) -> Scalar:
    """The scalar with each column reference replaced by the scalar that computes that column."""
    return rewrite(scalar, lambda node: outputs[node.index] if isinstance(node, ColumnRef) else None)


def conjuncts(scalar: Scalar) -> tuple[Scalar, ...]:
    """The parts of a conjunction, in order."""
    if isinstance(scalar, Call) and scalar.function == "and":
        return tuple(part for arg in scalar.args for part in conjuncts(arg))
    return (scalar,)


def can_fail(scalar: Scalar) -> bool:
    """Whether some row might make the scalar an error: False only where that is certain."""
    match scalar:
        case (
            ColumnRef() | Literal() | OuterRef() | Parameter() | Now() | Over() | Grouping() | TableValue() | Subquery()
        ):
            own = False
        case Call():
            own = scalar.function not in _SAFE and not _is_plain_match(scalar)
        case Cast():
            own = not _widens(scalar.arg.type, scalar.type)
        case UserCall():
            own = True
        case Case():
            own = False
    return own or any(can_fail(below) for below in arguments(scalar))


def _is_plain_match(call: Call) -> bool:
    """LIKE with a pattern that is written out and has no escapes, the only way in which it could fail."""
    if call.function not in ("like", "ilike", "not_like", "not_ilike") or len(call.args) != 2:
        return False
    pattern = call.args[1]
    return isinstance(pattern, Literal) and "\\" not in str(pattern.value)


def _widens(source: ColumnType, target: ColumnType) -> bool:
    """Whether every value of `source` is a value of `target`."""
    if source == target or (target.kind is Kind.TEXT):
        return True
    if source.kind in _INTEGERS and target.kind in _INTEGERS:
        return _INTEGERS.index(source.kind) <= _INTEGERS.index(target.kind)
    if source.kind in _INTEGERS:
        return target.kind in (Kind.REAL, Kind.DOUBLE) or (target.kind is Kind.NUMERIC and target.precision is None)
    return (source.kind, target.kind) == (Kind.REAL, Kind.DOUBLE)


def size(scalar: Scalar) -> int:
    """How many nodes a scalar has."""
    return sum(1 for _ in walk(scalar))


_STRICT = frozenset(
    ("=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "not", "like", "not_like", "abs", "upper", "lower")
)
"""Functions that are NULL when any argument is: a few, those that conditions are made of."""


def rejects_nulls(predicate: Scalar, nulls: Iterable[int]) -> bool:
    """Whether the predicate is certainly not TRUE in a row where all these columns are NULL."""
    missing = frozenset(nulls)
    if isinstance(predicate, Call):
        if predicate.function == "and":
            return any(rejects_nulls(arg, missing) for arg in predicate.args)
        if predicate.function == "or":
            return all(rejects_nulls(arg, missing) for arg in predicate.args)
        if predicate.function in ("is_not_null", "is_true", "is_false", "in", "is_not_unknown"):
            return _is_null(predicate.args[0], missing)
    return _is_null(predicate, missing)


def _is_null(scalar: Scalar, missing: frozenset[int]) -> bool:
    """Whether the scalar is certainly NULL in a row where all these columns are."""
    match scalar:
        case ColumnRef():
            return scalar.index in missing
        case Literal():
            return scalar.value is None
        case Cast():
            return _is_null(scalar.arg, missing)
        case Call():
            return scalar.function in _STRICT and any(_is_null(arg, missing) for arg in scalar.args)
        case _:
            return False
