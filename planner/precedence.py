"""Whether a syntax tree nests its operators as PostgreSQL's grammar would have nested them.

sqlglot ranks a few operators otherwise (`~`, `->`, bit operators, NOT). A tree in which every operator without parentheses ranks
higher than the operator around it is the one tree that PostgreSQL could have read; any other is refused, not re-read.
"""

from __future__ import annotations

from sqlglot import exp

_OR, _AND, _NOT, _IS, _COMPARE, _RANGE, _OTHER, _ADD, _MULTIPLY, _POWER, _ZONE, _COLLATE, _SIGN = range(1, 14)

_RANK: dict[type[exp.Expr], int] = {
    exp.Or: _OR,
    exp.And: _AND,
    exp.Not: _NOT,
    **dict.fromkeys((exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ), _IS),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), _COMPARE),
    **dict.fromkeys((exp.Between, exp.In, exp.Like, exp.ILike, exp.SimilarTo, exp.Escape), _RANGE),
    **dict.fromkeys(
        (
            exp.DPipe,
            exp.RegexpLike,
            exp.RegexpILike,
            exp.JSONExtract,
            exp.JSONExtractScalar,
            exp.JSONBExtract,
            exp.JSONBExtractScalar,
            exp.JSONBContainsTopKey,
            exp.JSONBContainsAllTopKeys,
            exp.JSONBContainsAnyTopKeys,
            exp.ArrayContainsAll,
            exp.ArrayContainedBy,
            exp.ArrayOverlaps,
            exp.BitwiseAnd,
            exp.BitwiseOr,
            exp.BitwiseXor,
            exp.BitwiseNot,
            exp.BitwiseLeftShift,
            exp.BitwiseRightShift,
        ),
        _OTHER,
    ),
    **dict.fromkeys((exp.Add, exp.Sub), _ADD),
    **dict.fromkeys((exp.Mul, exp.Div, exp.Mod), _MULTIPLY),
    exp.Pow: _POWER,
    exp.AtTimeZone: _ZONE,
    exp.Collate: _COLLATE,
    exp.Neg: _SIGN,
}

_PREFIX = (exp.Not, exp.BitwiseNot, exp.Neg)
_ALONE = {_IS, _COMPARE, _RANGE}
"""Ranks whose operators do not chain: `a = b = c` is an error in PostgreSQL."""


def misread(node: exp.Expr) -> exp.Expr | None:
    """The operand of `node` that PostgreSQL would not have put there, or None."""
    rank = _RANK.get(type(node))
    if rank is None or isinstance(node, exp.Escape):
        return None
    if isinstance(node, _PREFIX):
        inner = node.this
        return inner if _rank(inner) < rank else None
    left = node.this
    if not _closed(left) and (_rank(left) < rank or (rank in _ALONE and _rank(left) == rank)):
        return left if isinstance(left, exp.Expr) else None
    for name in ("expression", "low", "high", "zone"):
        right = node.args.get(name)
        if isinstance(right, exp.Expr) and not isinstance(right, _PREFIX) and _rank(right) <= rank:
            return right
    return None


def _rank(node: object) -> int:
    """A node's rank as an operand: what is no operator ranks above all; NOT of a range test is `x NOT IN ...`."""
    if isinstance(node, exp.Not) and isinstance(
        node.this, exp.In | exp.Between | exp.SimilarTo | exp.RegexpLike | exp.RegexpILike
    ):
        return _rank(node.this)
    return _RANK.get(type(node), 99) if isinstance(node, exp.Expr) else 99


def _closed(node: object) -> bool:
    """Whether nothing that follows could be taken into `node`: x IS NULL, x IN (...)."""
    if isinstance(node, exp.Not):
        return _closed(node.this)
    return isinstance(node, exp.In) or (
        isinstance(node, exp.Is) and isinstance(node.expression, exp.Null | exp.Boolean)
    )
