"""Make join keys of equalities between two inputs of a join, whether they were written in ON, USING or WHERE.

    SELECT * FROM t, u WHERE t.a = u.b      ->  Join t.a = u.b  instead of every row with every row

Both sides get one type in memory: numerics of unlike scale meet at the larger one.
"""

from __future__ import annotations

from planner.functions import common_type
from planner.plan import Filter, Join, Plan, rewrite_plan
from planner.rules.push_filters import input_of
from planner.scalar import Call, Cast, Scalar


def extract_keys(plan: Plan) -> Plan:
    """Turn what can be keys into keys, in every join that has a filter above it."""
    return rewrite_plan(plan, _extract)


def _extract(plan: Plan) -> Plan:
    if not isinstance(plan, Filter) or not isinstance(plan.input, Join):
        return plan
    offsets = plan.input.offsets
    pairs: list[tuple[Scalar, Scalar]] = []
    stay: list[Scalar] = []
    for predicate in plan.predicates:
        pair = _pair(predicate, offsets)
        if pair is None:
            stay.append(predicate)
        else:
            pairs.append(pair)
    joined = Join(plan.input.inputs, plan.input.equal + tuple(pairs))
    return Filter(joined, tuple(stay)) if stay else joined


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
