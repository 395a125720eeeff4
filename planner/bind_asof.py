"""ASOF JOIN: each left row beside the one right row of its key that is nearest in time.

    FROM trades t ASOF JOIN quotes q ON q.symbol = t.symbol AND t.at >= q.at      the latest quote at or before the trade

All rows of both sides in the order of their times, by key: the largest right time so far is that of a left row's partner (a Window
over the Union of both), and is the last part of a key by which the right rows are joined. So nothing pairs each row with each
earlier one, and a late row is read only by those behind it.
Always true: a left row stands in the result at most once for each time that it is there; NULL keys and times have no partner. Of
several right rows of one key and time it is the first by all columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from dataflow.layout import Order
from dataflow.operators.window_calls import WindowCall
from dataflow.types import BOOLEAN, INTEGER
from planner import functions
from planner.functions import FunctionError
from planner.parse import Text
from planner.plan import Filter, Join, OuterJoin, Plan, Project, TopK, Union, Window
from planner.scalar import Call, Cast, ColumnRef, Literal, Scalar
from planner.scalars import columns, conjuncts, move

_FLIPPED = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_FORM = "write ON a.key = b.key AND a.at >= b.at"


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The condition: pairs of keys, and the left time compared with the right one. Right scalars are over the right side alone."""

    keys: tuple[tuple[Scalar, Scalar], ...]
    left: Scalar
    operator: str
    right: Scalar


def asof_join(left: Plan, right: Plan, conditions: tuple[Scalar, ...], outer: bool, node: exp.Expr, text: Text) -> Plan:
    """The join's rows: the columns of both sides. outer: left rows without a partner are kept, with NULLs.

    SqlError unless the conditions are equalities of both sides and one comparison of times.
    """
    nearest = _nearest(conditions, len(left.types), node, text)
    right, places = _one_for_each_time(right, nearest)
    left, found = _with_time(left, right, nearest, places)
    width, keys = len(left.types) - len(nearest.keys) - 1, len(nearest.keys)
    pairs = tuple(
        (_column(left, width + i), _column(right, place, len(left.types))) for i, place in enumerate((*places, found))
    )
    joined: Plan = OuterJoin(left, right, pairs) if outer else Join((left, right), pairs)
    begin = width + keys + 1
    kept = [*range(width), *range(begin, begin + len(right.types) - keys - 1)]
    return Project(joined, tuple(_column(joined, place) for place in kept))


def _column(plan: Plan, place: int, offset: int = 0) -> ColumnRef:
    return ColumnRef(place + offset, plan.types[place], f"#{place + offset}")


def _refs(plan: Plan) -> tuple[ColumnRef, ...]:
    return tuple(_column(plan, place) for place in range(len(plan.types)))


def _nearest(conditions: tuple[Scalar, ...], width: int, node: exp.Expr, text: Text) -> _Nearest:
    keys: list[tuple[Scalar, Scalar]] = []
    times: list[tuple[Scalar, str, Scalar]] = []
    for part in (part for condition in conditions for part in conjuncts(condition)):
        sides = [{index < width for index in columns(arg)} for arg in part.args] if isinstance(part, Call) else []
        if (
            not isinstance(part, Call)
            or part.function not in ("=", *_FLIPPED)
            or sides not in ([{True}, {False}], [{False}, {True}])
        ):
            raise text.unsupported(node, "this condition of an ASOF JOIN", _FORM)
        first, second = part.args if sides[0] == {True} else part.args[::-1]
        first, second = _alike(first, move(second, lambda index: index - width), node, text)
        if part.function == "=":
            keys.append((first, second))
        else:
            times.append((first, part.function if sides[0] == {True} else _FLIPPED[part.function], second))
    if len(times) != 1:
        raise text.error(node, f"ASOF JOIN needs one comparison of times, and has {len(times)}", _FORM)
    try:
        functions.resolve_aggregate("max", [times[0][0].type])
    except FunctionError:
        raise text.unsupported(node, f"ASOF JOIN by {times[0][0].type}", "compare times or numbers") from None
    return _Nearest(tuple(keys), *times[0])


def _alike(left: Scalar, right: Scalar, node: exp.Expr, text: Text) -> tuple[Scalar, Scalar]:
    """Both as one type."""
    try:
        common = functions.common_type([left.type, right.type], "ASOF JOIN")
    except FunctionError as error:
        raise text.error(node, error.message, error.hint or None) from None
    one, other = (side if side.type == common else Cast(side, common) for side in (left, right))
    return one, other


def _one_for_each_time(right: Plan, nearest: _Nearest) -> tuple[Plan, tuple[int, ...]]:
    """The right rows that may be partners, keys and time behind their columns: one for each of these; and where the keys are."""
    width, own = len(right.types), tuple(key for _, key in nearest.keys)
    wide = Project(right, (*_refs(right), *own, nearest.right))
    places = tuple(range(width, width + len(own) + 1))
    there = Filter(wide, tuple(Call("is_not_null", (_column(wide, place),), BOOLEAN) for place in places))
    return TopK(there, places, (), 1), places[:-1]


def _with_time(left: Plan, right: Plan, nearest: _Nearest, places: tuple[int, ...]) -> tuple[Plan, int]:
    """The left rows, keys and their partner's time behind their columns; and where that time is in the right rows."""
    width, keys, time = len(left.types), len(nearest.keys), nearest.right.type
    at = places[-1] + 1 if places else len(right.types) - 1
    mine = (*_refs(left), *(key for key, _ in nearest.keys), nearest.left, Literal(None, time), Literal(0, INTEGER))
    nothing = (Literal(None, type_) for type_ in left.types)
    its: tuple[Scalar, ...] = (*nothing, *(_column(right, place) for place in (*places, at, at)), Literal(1, INTEGER))
    both = Union((Project(left, mine), Project(right, its)))
    backwards = nearest.operator in ("<", "<=")
    order = [Order(width + keys, backwards, True)]
    if nearest.operator in ("<", ">"):
        order.append(Order(width + keys + 2))  # left rows stand before right ones of their time, and do not see them
    best = WindowCall("min" if backwards else "max", width + keys + 1, time)
    seen = Window(both, tuple(range(width, width + keys)), tuple(order), (best,))
    own = Filter(seen, (Call("=", (_column(seen, width + keys + 2), Literal(0, INTEGER)), BOOLEAN),))
    kept = [*range(width + keys), width + keys + 3]
    return Project(own, tuple(_column(own, place) for place in kept)), at
