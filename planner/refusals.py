"""What users of PostgreSQL and Materialize write that a view cannot hold yet: its name, and what to write instead.

Only words are here. That a construct is refused does not depend on this list: the binder refuses whatever it does not read.
"""

from __future__ import annotations

from sqlglot import exp

_WORDS: dict[str, tuple[str, str | None]] = {
    "Filter": ("FILTER", "write sum(CASE WHEN condition THEN value END) or count(CASE WHEN condition THEN 1 END)"),
    "WithinGroup": ("WITHIN GROUP", None),
    "IgnoreNulls": ("IGNORE NULLS", None),
    "RespectNulls": ("RESPECT NULLS", None),
    "Distinct": ("DISTINCT inside an aggregate", "aggregate over (SELECT DISTINCT ...) in FROM"),
    "Ordered": (
        "ORDER BY here",
        "a set has no order: ORDER BY without LIMIT has no effect, and is allowed at the end of a query",
    ),
    "Order": (
        "ORDER BY here",
        "a set has no order: ORDER BY without LIMIT has no effect, and is allowed at the end of a query",
    ),
    "order": (
        "ORDER BY here",
        "a set has no order: ORDER BY without LIMIT has no effect, and is allowed at the end of a query",
    ),
    "Limit": ("LIMIT here", "write it at the end of the query"),
    "Offset": ("OFFSET here", "write it at the end of the query"),
    "Fetch": ("FETCH here", "write it at the end of the query"),
    "Lock": ("FOR UPDATE", "remove it: views take no locks"),
    "Lateral": ("LATERAL here", "write LATERAL (SELECT ...)"),
    "Unnest": ("unnest", None),
    "Qualify": ("QUALIFY", "filter in an outer SELECT"),
    "Into": ("SELECT INTO", "write CREATE TABLE name AS SELECT ...; in the service's file a view's name is its key"),
    "TableSample": ("TABLESAMPLE", "filter on a column instead"),
    "Pivot": ("PIVOT", "write one CASE inside an aggregate for each column"),
    "Any": ("ANY here", "write it behind an operator: a = ANY (...)"),
    "All": ("ALL here", "write it behind an operator: a > ALL (...)"),
    "Subquery": ("a subquery here", "put the subquery in FROM or in WITH and join it"),
    "Select": ("a subquery here", "put the subquery in FROM or in WITH and join it"),
    "Array": ("an array", None),
    "Bracket": ("a subscript", "use -> for jsonb"),
    "Tuple": ("a row value", "compare the columns one by one"),
    "Struct": ("a row value", None),
    "ToMap": ("a map", None),
    "Placeholder": ("a parameter", "write the value itself"),
    "Parameter": ("a parameter", "write the value itself"),
    "Collate": ("COLLATE", "text compares by its bytes (collation C)"),
    "CurrentTimestamp": (
        "current_timestamp",
        "filter with mz_now() in WHERE, or compare with a time that the messages carry",
    ),
    "CurrentDate": ("current_date", "filter with mz_now() in WHERE, or compare with a date that the messages carry"),
    "CurrentTime": ("current_time", "filter with mz_now() in WHERE, or compare with a time that the messages carry"),
    "Localtime": ("localtime", "filter with mz_now() in WHERE, or compare with a time that the messages carry"),
    "Localtimestamp": (
        "localtimestamp",
        "filter with mz_now() in WHERE, or compare with a time that the messages carry",
    ),
    "CurrentUser": ("current_user", None),
    "SessionUser": ("session_user", None),
    "Alias": ("AS here", None),
    "by_name": ("BY NAME", "put the columns in the same order"),
    "kind": ("SELECT AS", None),
    "Values": ("VALUES here", "write SELECT ... UNION ALL SELECT ..."),
    "except_": ("* EXCEPT", "list the columns"),
    "replace": ("* REPLACE", "list the columns"),
    "rename": ("* RENAME", "list the columns with AS"),
    "only": ("ONLY", "remove it: there is no table inheritance"),
    "Star": ("* here", None),
    "BitString": ("a bit string", None),
    "HexString": ("a hexadecimal bit string", "for bytea write '\\x...'::bytea"),
    "National": ("a national string", "write the string without N"),
    "Operator": ("OPERATOR(...)", "write the operator itself"),
    "Dot": ("a qualified call or field", "write the name without what stands before the dot"),
    "Kwarg": ("a named argument", "give the arguments by position"),
    "Lambda": ("a lambda", None),
    "Insert": ("INSERT", None),
    "Update": ("UPDATE", None),
    "Delete": ("DELETE", None),
}

_NOW = "filter with mz_now() in WHERE, or compare with a time that the messages carry"
CLOCKS: dict[str, str] = {
    "now": _NOW,
    "clock_timestamp": _NOW,
    "statement_timestamp": _NOW,
    "transaction_timestamp": _NOW,
    "localtimestamp": _NOW,
    "timeofday": _NOW,
    "random": "use a hash of a column",
    "gen_random_uuid": "let the producer write the id",
    "nextval": "let the producer write the number",
    "current_setting": "write the value itself",
}
"""Functions whose answer does not depend on the row alone, or that are no scalar functions, with what to do instead."""


def wording(node: object, argument: str = "") -> str:
    """What a person calls this node (or the argument that it is)."""
    for key in (argument, type(node).__name__):
        if key in _WORDS:
            return _WORDS[key][0]
    if isinstance(node, exp.Func):
        return f"{node.sql_name().lower()}()"
    return f"{type(node).__name__}" if isinstance(node, exp.Expr) else str(node)


def hint_for(node: object, argument: str = "") -> str | None:
    """What to write instead, where there is something."""
    for key in (argument, type(node).__name__):
        if key in _WORDS:
            return _WORDS[key][1]
    return None
