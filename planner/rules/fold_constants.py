"""Compute what does not depend on a row, once, by the same code that would have computed it for every row.

    SELECT a + (1 + 2) FROM t WHERE TRUE        ->  SELECT a + 3 FROM t

An expression that fails is left as it is: it is an error of the rows that reach it, and there may be none.
"""

from __future__ import annotations

from dataclasses import replace

from dataflow.types import BOOLEAN
from planner.literals import ConstantError, evaluate
from planner.plan import Constant, Filter, OuterJoin, Plan, Project, SemiJoin, Union
from planner.plans import rewrite_plan, rewrite_scalars
from planner.scalar import Call, Case, ColumnRef, Literal, Parameter, Scalar
from planner.scalars import arguments, conjuncts, with_arguments

_CELLS = (ColumnRef, Literal)
_TRUE, _FALSE = Literal(True, BOOLEAN), Literal(False, BOOLEAN)


def fold_constants(plan: Plan) -> Plan:
    """Fold every scalar, then what the scalars decide: filters that always or never pass, lists of constant rows."""
    return rewrite_plan(plan, _fold)


def _fold(plan: Plan) -> Plan:
    match plan:
        case Filter():
            return _filter(plan)
        case Project():
            return _project(Project(plan.input, tuple(map(fold, plan.outputs))))
        case Union():
            return _union(plan)
        case OuterJoin() | SemiJoin():
            return _conditions(plan)
        case _:
            return rewrite_scalars(plan, fold)


def _filter(plan: Filter) -> Plan:
    folded = [part for predicate in plan.predicates for part in conjuncts(fold(predicate))]
    if any(isinstance(p, Literal) and p.value is not True for p in folded):
        return Constant((), plan.types)
    left = tuple(dict.fromkeys(p for p in folded if p != _TRUE))
    return Filter(plan.input, left) if left else plan.input


def _conditions(plan: OuterJoin | SemiJoin) -> Plan:
    """A join's conditions without those that are always TRUE; with one that never is, no right row is a partner."""
    folded = [part for predicate in plan.on for part in conjuncts(fold(predicate))]
    never = any(isinstance(p, Literal) and p.value is not True for p in folded)
    on = tuple(dict.fromkeys(p for p in folded if p != _TRUE))
    equal = tuple((fold(left), fold(right)) for left, right in plan.equal)
    if never and not (isinstance(plan, OuterJoin) and plan.full):
        return replace(plan, right=Constant((), plan.right.types), equal=(), on=())
    return replace(plan, equal=equal, on=on)


def _project(plan: Project) -> Plan:
    if not isinstance(plan.input, Constant) or not all(isinstance(o, _CELLS) for o in plan.outputs):
        return plan
    rows = tuple(
        tuple(row[o.index] if isinstance(o, ColumnRef) else o.value for o in plan.outputs if isinstance(o, _CELLS))
        for row in plan.input.rows
    )
    return Constant(rows, plan.types)


def _union(plan: Union) -> Plan:
    """Unions within unions as one, its constant rows in one place, and without inputs that have no rows."""
    inputs = [below for one in plan.inputs for below in (one.inputs if isinstance(one, Union) else (one,))]
    others: list[Plan] = [below for below in inputs if not isinstance(below, Constant)]
    rows = tuple(row for below in inputs if isinstance(below, Constant) for row in below.rows)
    if rows or not others:
        others.append(Constant(rows, plan.types))
    return others[0] if len(others) == 1 else Union(tuple(others))


def fold(scalar: Scalar) -> Scalar:
    """The scalar with its constant parts computed."""
    folded = with_arguments(scalar, tuple(map(fold, arguments(scalar))))
    if isinstance(folded, ColumnRef | Literal | Parameter):
        return folded
    if isinstance(folded, Call) and folded.function in ("and", "or"):
        folded = _connective(folded)
    if isinstance(folded, Case):
        folded = _case(folded)
    if isinstance(folded, ColumnRef | Literal) or not all(isinstance(a, Literal) for a in arguments(folded)):
        return folded
    try:
        return evaluate(folded) or folded
    except ConstantError:
        return folded


def _connective(call: Call) -> Scalar:
    """AND without TRUE, OR without FALSE; FALSE and TRUE decide them, whatever the other arguments are."""
    decides, neutral = (_FALSE, _TRUE) if call.function == "and" else (_TRUE, _FALSE)
    if decides in call.args:
        return decides
    left = tuple(arg for arg in call.args if arg != neutral)
    if not left:
        return neutral
    return left[0] if len(left) == 1 else Call(call.function, left, call.type)


def _case(case: Case) -> Scalar:
    """CASE without branches that are never taken, ending at the first that always is."""
    branches: list[tuple[Scalar, Scalar]] = []
    default = case.default
    for condition, value in case.branches:
        if condition == _TRUE:
            default = value
            break
        if not isinstance(condition, Literal):
            branches.append((condition, value))
    return Case(tuple(branches), default, case.type) if branches else default
