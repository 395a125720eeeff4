"""SHOW of objects, as the query over the relations of `headwater` that it means.

    SHOW VIEWS LIKE 'rev%'      SELECT name, comment FROM (SELECT substr(name, ...) AS name, ... FROM headwater.objects
                                WHERE schema = 'public') WHERE kind = 'view' AND name LIKE 'rev%' ...

Always true: a SHOW of a setting is none of these; what is listed is of one schema, under its own name there.
Deliberately unknown: rows.
"""

from __future__ import annotations

import re

from planner.catalog import PUBLIC, known_as

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
_OWN_NAMES = (
    "SELECT {2}, CASE schema WHEN 'public' THEN name ELSE substr(name, length(schema) + 2) END AS name "
    "FROM headwater.{0} WHERE schema = {1}"
)
_KINDS = {what: what.removesuffix("s") for what in _OBJECTS if what != "objects"}
_IDENTIFIER = r"(?:\"(?:[^\"]|\"\")+\"|[A-Za-z_][\w$]*)"
_TAIL = rf"(?:\s+FROM\s+(?:{_IDENTIFIER}\.)?(?P<schema>{_IDENTIFIER}))?" r"(?:\s+LIKE\s+(?P<like>'(?:[^']|'')*'))?\s*$"
_LISTED = re.compile(
    r"\s*SHOW\s+(?P<what>OBJECTS|VIEWS|MATERIALIZED\s+VIEWS|SOURCES|TABLES|SINKS|CONNECTIONS|SECRETS|ROLES)" + _TAIL,
    re.IGNORECASE,
)
_NAME = rf"(?:(?:{_IDENTIFIER}\.)?(?P<schema>{_IDENTIFIER})\.)?(?P<name>{_IDENTIFIER})"
_INDEXES = re.compile(rf"\s*SHOW\s+INDEXES(?:\s+(?:ON|FROM)\s+{_NAME})?\s*$", re.IGNORECASE)
_COLUMNS = re.compile(rf"\s*SHOW\s+COLUMNS\s+FROM\s+{_NAME}\s*$", re.IGNORECASE)
_CREATE = re.compile(
    rf"\s*SHOW\s+CREATE\s+(?P<kind>MATERIALIZED\s+VIEW|VIEW|INDEX|SOURCE|TABLE|SINK|CONNECTION)\s+{_NAME}\s*$",
    re.IGNORECASE,
)
_FIXED = {
    "schemas": "SELECT nspname AS name, comment FROM pg_namespace LEFT JOIN headwater.objects ON kind = 'schema' "
    "AND name = nspname ORDER BY nspname",
    "databases": "SELECT name, comment FROM headwater.objects WHERE kind = 'database'",
    "clusters": "SELECT c.name, r.name || ' (' || coalesce(r.size, 'all') || ')' AS replicas, o.comment FROM mz_clusters c "
    "JOIN mz_cluster_replicas r ON r.cluster_id = c.id LEFT JOIN headwater.objects o ON o.kind = 'cluster' AND o.name = c.name",
    "cluster replicas": "SELECT c.name AS cluster, r.name AS replica, r.size, true AS ready, NULL::text AS comment "
    "FROM mz_clusters c JOIN mz_cluster_replicas r ON r.cluster_id = c.id",
}
_SINGLE = re.compile(r"\s*SHOW\s+(?P<what>SCHEMAS|DATABASES|CLUSTERS|CLUSTER\s+REPLICAS)\s*$", re.IGNORECASE)


def show_query(sql: str) -> str | None:
    """The SELECT that a SHOW of objects means; None for anything else. sql: without comments."""
    if found := _SINGLE.match(sql):
        return _FIXED[" ".join(found["what"].lower().split())]
    if found := _LISTED.match(sql):
        what = " ".join(found["what"].lower().split())
        conditions = [f"kind = '{_KINDS[what]}'"] if what in _KINDS else []
        conditions += [f"name LIKE {found['like']}"] if found["like"] else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        own = _OWN_NAMES.format("objects", _text(found["schema"] or PUBLIC), "kind, comment")
        return f"SELECT {_OBJECTS[what]} FROM ({own}) AS o{where} ORDER BY name"
    if found := _INDEXES.match(sql):
        where = f' WHERE "on" = {_known(found)}' if found["name"] else ""
        own = _OWN_NAMES.format("indexes", _text(found["schema"] or PUBLIC), '"on", key, comment')
        return f'SELECT name, "on", key, comment FROM ({own}) AS i{where} ORDER BY name'
    if found := _COLUMNS.match(sql):
        return f"SELECT name, nullable, type, comment FROM headwater.columns WHERE object = {_known(found)} ORDER BY position"
    if found := _CREATE.match(sql):
        kind = " ".join(found["kind"].lower().split())
        return f"SELECT name, create_sql FROM headwater.objects WHERE name = {_known(found)} AND kind = '{kind}'"
    return None


def _known(found: re.Match[str]) -> str:
    """The name by which an object is known, as a string literal."""
    schema = _bare(found["schema"]) if found["schema"] else None
    return _literal(known_as(schema, _bare(found["name"])))


def _text(identifier: str) -> str:
    """An identifier as a string literal."""
    return _literal(_bare(identifier))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _bare(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.lower()
