"""Make join keys of equalities between two inputs of a join, whether they were written in ON, USING or WHERE.

    SELECT * FROM t, u WHERE t.a = u.b      ->  Join t.a = u.b  instead of every row with every row

Both sides get one type in memory: numerics of unlike scale meet at the larger one.
"""

from __future__ import annotations

from dataclasses import replace

from planner.functions import common_type
from planner.plan import Filter, Join, OuterJoin, Pairs, Plan, SemiJoin, sides
from planner.plans import rewrite_plan
from planner.rules.push_filters import input_of
from planner.scalar import Call, Cast, Scalar


def extract_keys(plan: Plan) -> Plan:
    """Turn what can be keys into keys, in every join with conditions in it or above it."""
    return rewrite_plan(plan, _extract)


def _extract(plan: Plan) -> Plan:
    match plan:
        case Filter(input=Join(null_safe=False) as join):
            pairs, stay = _split(plan.predicates, join.offsets)
            joined = replace(join, equal=join.equal + pairs)
            return Filter(joined, stay) if stay else joined
        case OuterJoin(null_safe=False) | SemiJoin(null_safe=False):
            pairs, stay = _split(plan.on, sides(plan))
            return replace(plan, equal=plan.equal + pairs, on=stay)
        case _:
            return plan


def _split(predicates: tuple[Scalar, ...], offsets: tuple[int, ...]) -> tuple[Pairs, tuple[Scalar, ...]]:
    """The predicates that can be keys, and the others."""
    found = [(predicate, _pair(predicate, offsets)) for predicate in predicates]
    return tuple(pair for _, pair in found if pair is not None), tuple(p for p, pair in found if pair is None)


def _pair(predicate: Scalar, offsets: tuple[int, ...]) -> tuple[Scalar, Scalar] | None:
    if not isinstance(predicate, Call) or predicate.function != "=":
        return None
    left, right = predicate.args
    sides = input_of(left, offsets), input_of(right, offsets)
    if None in sides or sides[0] == sides[1]:
        return None
    if left.type.arrow != right.type.arrow:
        common = common_type([left.type, right.type])
        left, right = (arg if arg.type.arrow == common.arrow else Cast(arg, common) for arg in (left, right))
    return left, right
