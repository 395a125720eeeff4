"""SQL whose relations have other names, with the relations' new ones: only the names change, and nothing else of the text.

    SELECT orders.id FROM orders      orders is renamed to bills      SELECT orders.id FROM bills AS orders

Always true: columns keep what they are qualified by, so nothing else has to change; what cannot be told apart is refused.
Deliberately unknown: whether the new text means the same (who renames compares the plans).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlglot import exp

from planner.catalog import known_as, quoted, schema_and_name, spelling, written
from planner.parse import Text, parse, start

_PART = r'(?:"(?:[^"]|"")*"|[A-Za-z_][\w$]*)'
_CHAIN = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})*")


def renamed(view: str, sql: str, names: Mapping[str, str]) -> str:
    """The query of a view after relations were renamed: `names` says by the name a relation was known by what it is known by.

    SqlError when a relation to be renamed cannot be told from something else, or the text cannot be read.
    """
    text = Text(view, sql)
    tree = parse(text)
    ctes = {spelling(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
    found: list[tuple[int, int, str]] = []
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue
        schema = spelling(table.args["db"]) if table.args.get("db") else None
        own = spelling(table.this)
        to = names.get(known_as(schema, own))
        if to is None:
            continue
        if schema is None and own in ctes:
            raise text.error(table, f'"{own}" is a relation and a common table expression, which cannot be told apart')
        begin = start(table)
        chain = _CHAIN.match(sql, begin) if begin is not None else None
        if chain is None or not chain[0].rstrip('"').lower().endswith(own.lower()):
            raise text.error(table, f'the name "{own}" cannot be found in the text')
        alias = f" AS {quoted(own)}" if not table.args.get("alias") and schema_and_name(to)[1] != own else ""
        found.append((chain.start(), chain.end(), written(to) + alias))
    for begin, end, name in sorted(found, reverse=True):
        sql = sql[:begin] + name + sql[end:]
    return sql
