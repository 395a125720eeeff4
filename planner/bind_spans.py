"""Spans of time as table functions: every row of a relation beside the span that it is in, as columns window_start and window_end.

    tumble(orders, at, INTERVAL '1 hour')                        spans of an hour, each row in one
    hop(orders, at, INTERVAL '10 min', INTERVAL '1 hour')        spans of an hour that begin every ten minutes
    session(orders, at, INTERVAL '10 min', customer)             a customer's rows up to the first pause of more than ten minutes

Always true: each is a query of functions that are there (`_QUERIES`), so it is as incremental as that: a late row that joins two
sessions changes the rows of the second. Rows without a time are in no span. A session ends a pause after its last row.
"""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from planner.parse import Text, instead, parse
from planner.relation import Environment, Relation

_EPOCH = "timestamp '1970-01-01'"
_QUERIES = {
    "tumble": f"SELECT *, date_bin(size_, time_, {_EPOCH}) AS window_start, date_bin(size_, time_, {_EPOCH}) + size_ AS window_end "
    "FROM relation_ WHERE time_ IS NOT NULL",
    "hop": "SELECT *, window_start + size_ AS window_end "
    "FROM relation_ CROSS JOIN date_bin_hopping(slide_, size_, time_) AS spans_ (window_start)",
    "session": """SELECT *, max(time_) OVER (PARTITION BY keys_, window_start) + size_ AS window_end FROM (
        SELECT columns_, max(begins_) OVER (PARTITION BY keys_ ORDER BY time_) AS window_start FROM (
            SELECT *, CASE WHEN lag(time_) OVER (PARTITION BY keys_ ORDER BY time_) + size_ < time_ IS NOT FALSE
                THEN time_ END AS begins_
            FROM relation_ WHERE time_ IS NOT NULL))""",
}
_FORMS = {
    "tumble": "tumble(relation, time column, INTERVAL '1 hour')",
    "hop": "hop(relation, time column, INTERVAL '10 minutes', INTERVAL '1 hour')",
    "session": "session(relation, time column, INTERVAL '10 minutes', key column, ...)",
}
_INTERVALS = {"tumble": ("size_",), "hop": ("slide_", "size_"), "session": ("size_",)}


def is_span(node: exp.Expr) -> bool:
    """Whether an item of FROM is one of these calls."""
    call = node.this if isinstance(node, exp.Table) else None
    return isinstance(call, exp.Anonymous) and isinstance(call.this, str) and call.this.lower() in _QUERIES


def bind_span(node: exp.Expr, env: Environment) -> tuple[Relation, str]:
    """The rows of such a call, and the name of the table where there is no alias. SqlError when its arguments are others."""
    text = env.text
    text.only(node, "this", "alias", "joins")
    call = node.this
    text.only(call, "this", "expressions")
    name = call.this.lower()
    given = call.expressions
    intervals = _INTERVALS[name]
    least = 2 + len(intervals)
    if len(given) < least or (len(given) > least and name != "session"):
        raise text.error(call, f"{name} takes {least} arguments, not {len(given)}", f"write {_FORMS[name]}")
    if not all(isinstance(one, exp.Column) for one in (given[1], *given[least:])):
        raise text.error(call, f"{name} takes columns of the relation as time and keys", f"write {_FORMS[name]}")
    relation = _relation(given[0], call, name, text)
    parts = {
        "time_": [given[1]],
        "keys_": given[least:],
        **{p: [g] for p, g in zip(intervals, given[2:], strict=False)},
    }
    if name == "session":
        whole = env.bind_query(exp.select("*").from_(relation.copy()), env.alone())
        parts["columns_"] = [exp.column(exp.to_identifier(column, quoted=True)) for column, _, _ in whole.columns]
    query = instead(_parsed(name), call, {"relation_": [relation], **parts})
    return env.bind_query(query, env.alone()), name


@cache
def _parsed(name: str) -> exp.Expr:
    return parse(Text("", _QUERIES[name]))


def _relation(node: exp.Expr, call: exp.Expr, name: str, text: Text) -> exp.Expr:
    """The relation that an argument names, or the subquery that it is."""
    if isinstance(node, exp.Subquery):
        return node
    if isinstance(node, exp.Column) and node.args.get("db") is None and isinstance(node.this, exp.Identifier):
        return exp.Table(this=node.this.copy(), db=node.args["table"].copy() if node.args.get("table") else None)
    raise text.error(call, f"{name} takes a relation first", f"write {_FORMS[name]}")
