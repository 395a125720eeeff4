"""SHOW of objects, as the query over the relations of `headwater` that it means.

    SHOW VIEWS LIKE 'rev%'          SELECT name, comment FROM headwater.objects WHERE kind = 'view' AND name LIKE 'rev%' ...

Always true: a SHOW of a setting is none of these. Deliberately unknown: rows.
"""

from __future__ import annotations

import re

_OBJECTS = {
    "objects": "name, kind AS type, comment",
    "views": "name, comment",
    "materialized views": "name, comment",
    "sources": "name, comment",
    "tables": "name, comment",
    "sinks": "name, comment",
    "connections": "name, comment",
    "secrets": "name, comment",
    "roles": "name, comment",
}
_KINDS = {what: what.removesuffix("s") for what in _OBJECTS if what != "objects"}
_TAIL = r"(?:\s+FROM\s+(?:\w+\.)?\"?public\"?)?(?:\s+LIKE\s+(?P<like>'(?:[^']|'')*'))?\s*$"
_LISTED = re.compile(
    r"\s*SHOW\s+(?P<what>OBJECTS|VIEWS|MATERIALIZED\s+VIEWS|SOURCES|TABLES|SINKS|CONNECTIONS|SECRETS|ROLES)" + _TAIL,
    re.IGNORECASE,
)
_NAME = r"(?:\"?public\"?\.)?(?P<name>\"(?:[^\"]|\"\")+\"|[A-Za-z_][\w$]*)"
_INDEXES = re.compile(rf"\s*SHOW\s+INDEXES(?:\s+(?:ON|FROM)\s+{_NAME})?\s*$", re.IGNORECASE)
_COLUMNS = re.compile(rf"\s*SHOW\s+COLUMNS\s+FROM\s+{_NAME}\s*$", re.IGNORECASE)
_CREATE = re.compile(
    rf"\s*SHOW\s+CREATE\s+(?P<kind>MATERIALIZED\s+VIEW|VIEW|INDEX|SOURCE|TABLE|SINK|CONNECTION)\s+{_NAME}\s*$",
    re.IGNORECASE,
)
_FIXED = {
    "schemas": "SELECT nspname AS name, NULL::text AS comment FROM pg_namespace ORDER BY nspname",
    "databases": "SELECT datname AS name, NULL::text AS comment FROM pg_database",
    "clusters": "SELECT 'default' AS name, NULL::text AS comment",
}
_SINGLE = re.compile(r"\s*SHOW\s+(?P<what>SCHEMAS|DATABASES|CLUSTERS)\s*$", re.IGNORECASE)


def show_query(sql: str) -> str | None:
    """The SELECT that a SHOW of objects means; None for anything else. sql: without comments."""
    if found := _SINGLE.match(sql):
        return _FIXED[found["what"].lower()]
    if found := _LISTED.match(sql):
        what = " ".join(found["what"].lower().split())
        conditions = [f"kind = '{_KINDS[what]}'"] if what in _KINDS else []
        conditions += [f"name LIKE {found['like']}"] if found["like"] else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {_OBJECTS[what]} FROM headwater.objects{where} ORDER BY name"
    if found := _INDEXES.match(sql):
        where = f' WHERE "on" = {_text(found["name"])}' if found["name"] else ""
        return f'SELECT name, "on", key, comment FROM headwater.indexes{where} ORDER BY name'
    if found := _COLUMNS.match(sql):
        where = f"object = {_text(found['name'])}"
        return f"SELECT name, nullable, type, comment FROM headwater.columns WHERE {where} ORDER BY position"
    if found := _CREATE.match(sql):
        kind = " ".join(found["kind"].lower().split())
        where = f"name = {_text(found['name'])} AND kind = '{kind}'"
        return f"SELECT name, create_sql FROM headwater.objects WHERE {where}"
    return None


def _text(name: str) -> str:
    """An identifier as a string literal."""
    bare = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
    return "'" + bare.replace("'", "''") + "'"
