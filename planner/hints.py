"""What to do about a mistake, from its message and the text around it, where whoever found it could not say more.

Always true: a hint is a phrase that says what to write; the messages are PostgreSQL's words, so a few patterns know them all.
Deliberately unknown: the syntax tree, names and types.
"""

from __future__ import annotations

import difflib
import re

_EXAMPLES = {
    "integer": "42",
    "bigint": "42",
    "smallint": "42",
    "numeric": "12.50",
    "double precision": "1.5e3",
    "real": "1.5",
    "boolean": "true or false",
    "date": "'2026-01-31'",
    "time": "'10:30:00'",
    "timestamp": "'2026-01-31 10:30:00'",
    "timestamp with time zone": "'2026-01-31 10:30:00+00'",
    "timestamptz": "'2026-01-31 10:30:00+00'",
    "interval": "'1 day 02:30:00'",
    "json": """'{"a": 1}'""",
    "jsonb": """'{"a": 1}'""",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
}
"""A value of each type, as it is written."""

_USUAL = (
    (r"^argument of .* must be type boolean", "compare it with a value, such as = 1, or write IS NOT NULL"),
    (r"^(GROUP BY|ORDER BY|DISTINCT ON) position", "count the columns of the select list from 1, or name the column"),
    (r"^LIMIT must not be negative", "leave LIMIT out for all rows"),
    (r"^OFFSET must not be negative", "write 0, or leave OFFSET out"),
    (r"^date/time field value out of range", "write dates as '2026-01-31', year first"),
    (r"^cannot cast type (.*) to ", "cast to text first, and from text to what you want, if its text can be read so"),
    (r"^aggregate functions are not allowed in GROUP BY", "group by columns, and aggregate in the select list"),
    (r"^syntax error: IN needs", "list the values: IN (1, 2)"),
    (r"^WITH query name .* specified more than once", "give one of them another name"),
    (r"^table .* has \d+ columns available", "name as many columns as the query has, or fewer"),
    (r"^function count takes one argument", "write count(*) for rows, or count(a) for the values of one column"),
    (r"^syntax error: OUTER JOIN", "write LEFT JOIN"),
)

ELSEWHERE = {
    "ifnull": "coalesce(a, b)",
    "nvl": "coalesce(a, b)",
    "isnull": "a IS NULL, or coalesce(a, b)",
    "if": "CASE WHEN a THEN b ELSE c END",
    "iif": "CASE WHEN a THEN b ELSE c END",
    "decode": "CASE a WHEN b THEN c END",
    "datediff": "the difference of two dates: b - a",
    "dateadd": "a + INTERVAL '1 day'",
    "date_add": "a + INTERVAL '1 day'",
    "date_sub": "a - INTERVAL '1 day'",
    "group_concat": "string_agg(a, ',')",
    "listagg": "string_agg(a, ',')",
    "getdate": "mz_now(), in a condition",
    "sysdate": "mz_now(), in a condition",
    "len": "length(a)",
    "charindex": "strpos(a, b)",
    "instr": "strpos(a, b)",
    "lcase": "lower(a)",
    "ucase": "upper(a)",
    "strftime": "to_char(a, 'YYYY-MM-DD')",
    "date_format": "to_char(a, 'YYYY-MM-DD')",
    "year": "extract(year FROM a)",
    "month": "extract(month FROM a)",
    "day": "extract(day FROM a)",
    "json_extract": "a -> 'b', or a ->> 'b' for text",
    "json_value": "a ->> 'b'",
    "approx_count_distinct": "count(DISTINCT a)",
    "median": "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)",
    "any_value": "min(a), or max(a)",
}
"""Functions of other databases, and what to write instead."""

_CLAUSES = ("SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "JOIN", "UNION", "VALUES", "WITH")
_NAMED = ("FROM", "JOIN", "AS", ",", ".", "(")
"""Words behind which a name may stand that looks like a keyword."""


def usual(message: str) -> str | None:
    """The hint of a message that came without one; None when no pattern knows it."""
    if found := re.match(r"^invalid input syntax for type ([a-z ]+)", message):
        kind = found.group(1).strip()
        return f"write {kind} as in {_EXAMPLES[kind]}" if kind in _EXAMPLES else None
    return next((hint for pattern, hint in _USUAL if re.search(pattern, message)), None)


def elsewhere(name: str) -> str | None:
    """What to write for a function that other databases have."""
    return f"write {ELSEWHERE[name]}" if name in ELSEWHERE else None


def syntax(sql: str, offset: int) -> str:
    """What may be wrong where reading stopped, from the words before and after."""
    before, after = sql[:offset].rstrip(), sql[offset:]
    words = re.findall(r"\w+|[^\w\s]", before)
    last = words[-1].upper() if words else ""
    if last in ("GROUP", "ORDER", "PARTITION"):
        return f"write {last} BY"
    if (wrong := _misspelt(words)) is not None:
        return wrong
    if after.strip() == ")" and words[0].upper() == "WITH":
        return "write the query that reads it after the parenthesis"
    if after.startswith("`") or before.endswith("`"):
        return 'names stand in double quotes, or in none: "id"'
    if last == ",":
        return "remove the comma before it, or write what should follow"
    if last == "TOP":
        return "write LIMIT at the end of the query"
    if last == "%" or after.startswith("%"):
        return "patterns and other texts stand in single quotes: '%a%'"
    if (after[:1] in "=<>!" and after) or last in "=<>!":
        return "the comparisons are =, <>, <, <=, > and >="
    if not after.strip():
        return _open(words) or f"write what should follow {words[-1] if words else 'here'}"
    return _open(words) or "a comma, an operator or a keyword may be missing before it"


def _open(words: list[str]) -> str | None:
    left = words.count("(") - words.count(")")
    return f"{left} opening parenthes{'is is' if left == 1 else 'es are'} not closed yet" if left > 0 else None


def _misspelt(words: list[str]) -> str | None:
    """A first word, or one of the last two, that is nearly a keyword."""
    for place in (0, len(words) - 1, len(words) - 2):
        named = place > 0 and words[place - 1].upper() in _NAMED
        word = words[place].upper() if 0 <= place < len(words) and not named else ""
        close = difflib.get_close_matches(word, _CLAUSES, n=1, cutoff=0.7)
        if word not in _CLAUSES and close and len(word) > 3:
            return f"did you mean {close[0]} instead of {words[place]}?"
    return None
