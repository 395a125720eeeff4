"""Take out of an OR what all of its alternatives ask for, and what each of them asks of one input of a join.

    WHERE (t.a = u.a AND t.b = 1) OR (t.a = u.a AND u.c = 2)    ->  WHERE t.a = u.a AND (t.b = 1 OR u.c = 2)
    WHERE (t.b = 1 AND u.c = 2) OR (t.b = 3 AND u.c = 4)        ->  the same, and t.b = 1 OR t.b = 3, and u.c = 2 OR u.c = 4

The first makes keys of equalities that would else be asked of every row with every row; the second lets fewer rows into a join.
"""

from __future__ import annotations

from dataclasses import replace

from dataflow.types import BOOLEAN
from planner.plan import Filter, Join, OuterJoin, Plan, SemiJoin
from planner.plans import rewrite_plan
from planner.rules.push_filters import input_of
from planner.scalar import Call, Scalar
from planner.scalars import can_fail, conjuncts


def factor_conditions(plan: Plan) -> Plan:
    """Split the alternatives of every filter and of every join's own conditions."""
    return rewrite_plan(plan, _factor)


def _factor(plan: Plan) -> Plan:
    match plan:
        case Filter():
            predicates = _common(plan.predicates)
            if isinstance(plan.input, Join):
                predicates += tuple(p for whole in predicates for p in _implied(whole, plan.input.offsets))
            return Filter(plan.input, tuple(dict.fromkeys(predicates)))
        case OuterJoin() | SemiJoin():
            return replace(plan, on=_common(plan.on))
        case _:
            return plan


def _common(predicates: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """The predicates with what is in all alternatives of an OR beside it."""
    found: list[Scalar] = []
    for predicate in predicates:
        alternatives = _alternatives(predicate)
        shared = [p for p in alternatives[0] if not can_fail(p) and all(p in other for other in alternatives[1:])]
        if len(alternatives) == 1 or not shared:
            found.append(predicate)
            continue
        rests = [tuple(p for p in one if p not in shared) for one in alternatives]
        found += shared
        if all(rests):
            found.append(_any(rests))
    return tuple(found)


def _implied(predicate: Scalar, offsets: tuple[int, ...]) -> list[Scalar]:
    """What an OR over several inputs of a join asks of single ones, where every alternative asks something of it."""
    alternatives = _alternatives(predicate)
    if len(alternatives) == 1 or input_of(predicate, offsets) is not None:
        return []
    found: list[Scalar] = []
    for side in range(len(offsets) - 1):
        asked = [tuple(p for p in one if input_of(p, offsets) == side and not can_fail(p)) for one in alternatives]
        if all(asked):
            found.append(_any(asked))
    return found


def _alternatives(predicate: Scalar) -> list[tuple[Scalar, ...]]:
    """The alternatives of an OR, each as its conjuncts; a predicate that is none is the only one."""
    if isinstance(predicate, Call) and predicate.function == "or":
        return [parts for arg in predicate.args for parts in _alternatives(arg)]
    return [conjuncts(predicate)]


def _any(alternatives: list[tuple[Scalar, ...]]) -> Scalar:
    each = dict.fromkeys(one[0] if len(one) == 1 else Call("and", one, BOOLEAN) for one in alternatives)
    return next(iter(each)) if len(each) == 1 else Call("or", tuple(each), BOOLEAN)
