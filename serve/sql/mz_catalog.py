"""mz_catalog and mz_internal: as much of Materialize's catalog as its clients ask for: dbt-materialize, above all.

Always true: it says what pg_catalog says; ids are opaque text, and those of one object are the same in every relation. There is one
database, named after the service, one cluster with one replica. Deliberately unknown: SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.catalog import TEMPORARY, known_as, schema_and_name
from planner.functions.system import OWNER_OID
from planner.functions.types import type_name as long_name
from serve.definitions import Definition
from serve.sql.pg_catalog import DATABASE_OID, Named, definitions_of, relations, roles
from serve.sql.schemas import CLUSTER, SYSTEM, namespaces
from serve.sql.system import Facts, Row, SystemRelation
from serve.sql.types import modifier, oid

_DATABASE, _CLUSTER, _REPLICA, _ROLE = f"u{DATABASE_OID}", "u1", "u1", f"u{OWNER_OID}"
_KINDS = {"r": "table", "v": "view", "m": "materialized-view", "f": "source"}
_PRIVILEGES = None
"""Nothing is granted one by one."""


@dataclass(frozen=True)
class _Object:
    """One object. relation: as pg_class has it, unless it is an index or none. definition: None for the system's own."""

    id: str
    oid: int
    schema: str
    name: str
    type: str
    relation: Named | None = None
    definition: Definition | None = None

    @property
    def create(self) -> str | None:
        """The statement that makes it, where there is one."""
        return self.definition.create or None if self.definition is not None else None


def _objects(facts: Facts) -> Iterator[_Object]:
    definitions = definitions_of(facts)
    for r in relations(facts):
        prefix = "s" if r.system else "u"
        own = None if r.system else definitions.objects.get(r.known)
        yield _Object(f"{prefix}{r.oid}", r.oid, r.schema, r.name, _KINDS[r.kind], r, own)
        for index in r.indexes:
            number, name = index.oid, index.name
            found = definitions.objects.get(known_as(r.schema, name))
            yield _Object(f"{prefix}{number}", number, r.schema, name, "index", None, found)
    for one in definitions.beside.values():
        if one.kind not in ("cluster", "database", "role", "schema"):
            # What the file declares has no number.
            id_ = f"u{one.oid}" if one.oid else f"u{one.kind}.{one.name}"
            yield _Object(id_, one.oid, *schema_and_name(one.name), one.kind, None, one)


def _of(facts: Facts, *types: str) -> Iterator[_Object]:
    return (one for one in _objects(facts) if one.type in types)


def _schema_id(facts: Facts, schema: str) -> str:
    if schema == TEMPORARY:
        return "0"
    return f"{'s' if schema in SYSTEM else 'u'}{namespaces(definitions_of(facts))[schema]}"


def _mz_schemas(facts: Facts) -> Iterator[Row]:
    for name, number in namespaces(definitions_of(facts)).items():
        database = None if name in (*SYSTEM, TEMPORARY) else _DATABASE
        yield (_schema_id(facts, name), number, database, name, _ROLE, _PRIVILEGES)


def _mz_roles(facts: Facts) -> Iterator[Row]:
    for number, name in roles(facts):
        yield (f"u{number}", number, name, True)


def _mz_objects(facts: Facts) -> Iterator[Row]:
    for one in _objects(facts):
        cluster = _CLUSTER if one.type in ("index", "materialized-view", "sink", "source") else None
        yield (one.id, one.oid, _schema_id(facts, one.schema), one.name, one.type, _ROLE, cluster, _PRIVILEGES)


def _mz_relations(facts: Facts) -> Iterator[Row]:
    kinds = frozenset(_KINDS.values())
    return (row for row in _mz_objects(facts) if row[4] in kinds)


def _mz_columns(facts: Facts) -> Iterator[Row]:
    for one in _objects(facts):
        columns = one.relation.columns if one.relation is not None else ()
        defaults = one.definition.defaults if one.definition is not None else {}
        for place, column in enumerate(columns, 1):
            type_ = column.type
            kind = (long_name(type_), defaults.get(column.name), oid(type_), modifier(type_))
            yield (one.id, column.name, place, column.nullable, *kind)


def _mz_tables(facts: Facts) -> Iterator[Row]:
    for one in _of(facts, "table"):
        yield (one.id, one.oid, _schema_id(facts, one.schema), one.name, _ROLE, _PRIVILEGES, one.create)


def _mz_views(facts: Facts) -> Iterator[Row]:
    for one in _of(facts, "view"):
        query = one.relation.query if one.relation is not None else ""
        yield (one.id, one.oid, _schema_id(facts, one.schema), one.name, query or None, _ROLE, _PRIVILEGES, one.create)


def _mz_materialized_views(facts: Facts) -> Iterator[Row]:
    for one in _of(facts, "materialized-view"):
        query = one.relation.query if one.relation is not None else ""
        where = (_schema_id(facts, one.schema), one.name, _CLUSTER)
        yield (one.id, one.oid, *where, query or None, _ROLE, _PRIVILEGES, one.create)


def _mz_outside(facts: Facts, type_: str) -> Iterator[Row]:
    """Sources and sinks: all of them are Kafka's."""
    for one in _of(facts, type_):
        where = (_schema_id(facts, one.schema), one.name)
        yield (one.id, one.oid, *where, "kafka", _CLUSTER, _ROLE, _PRIVILEGES, one.create)


def _mz_indexes(facts: Facts) -> Iterator[Row]:
    definitions = definitions_of(facts)
    for r in relations(facts):
        for index in r.indexes:
            number, name = index.oid, index.name
            found = definitions.objects.get(known_as(r.schema, name))
            create = found.create or None if found is not None else None
            prefix = "s" if r.system else "u"
            yield (f"{prefix}{number}", number, name, f"{prefix}{r.oid}", _CLUSTER, _ROLE, create)


def _mz_beside(facts: Facts, type_: str) -> Iterator[Row]:
    for one in _of(facts, type_):
        yield (one.id, one.oid, _schema_id(facts, one.schema), one.name, _ROLE, _PRIVILEGES)


def _mz_comments(facts: Facts) -> Iterator[Row]:
    for one in _objects(facts):
        if one.definition is None:
            continue
        if one.definition.comment:
            yield (one.id, one.type, None, one.definition.comment)
        for place, column in enumerate(one.relation.columns if one.relation is not None else (), 1):
            if column.name in one.definition.column_comments:
                yield (one.id, one.type, place, one.definition.column_comments[column.name])


def _mz_object_dependencies(facts: Facts) -> Iterator[Row]:
    definitions = definitions_of(facts)
    ids = {id(one.definition): one.id for one in _objects(facts) if one.definition is not None}
    every = definitions.every
    for one in every.values():
        for key in sorted(one.reads):
            if id(one) in ids and (read := every.get(key)) is not None and id(read) in ids:
                yield (ids[id(one)], ids[id(read)])


def _mz_hydration_statuses(facts: Facts) -> Iterator[Row]:
    published = facts.published
    for one in _of(facts, "index", "materialized-view", "source", "table", "view"):
        if published is None or one.definition is None:
            continue
        known = known_as(one.schema, one.name)
        view = published.indexes.get(known) if one.type == "index" else published.relation(known)
        if view is not None:
            yield (one.id, _REPLICA, view.state == "ready")


_OBJECT = "id text, oid bigint, schema_id text, name text"
_SQL = "owner_id text, privileges text, create_sql text"
_OUTSIDE = f"{_OBJECT}, type text, cluster_id text, {_SQL}"

MZ_RELATIONS = (
    SystemRelation(
        "mz_catalog.mz_databases",
        "id text, oid bigint, name text, owner_id text, privileges text",
        lambda facts: [(_DATABASE, DATABASE_OID, facts.service, _ROLE, _PRIVILEGES)],
    ),
    SystemRelation(
        "mz_catalog.mz_schemas",
        "id text, oid bigint, database_id text, name text, owner_id text, privileges text",
        _mz_schemas,
    ),
    SystemRelation(
        "mz_catalog.mz_roles",
        "id text, oid bigint, name text, inherit boolean",
        _mz_roles,
    ),
    SystemRelation(
        "mz_catalog.mz_clusters",
        "id text, name text, owner_id text, privileges text, managed boolean, size text, replication_factor bigint",
        lambda _: [(_CLUSTER, CLUSTER, _ROLE, _PRIVILEGES, True, None, 1)],
    ),
    SystemRelation(
        "mz_catalog.mz_cluster_replicas",
        "id text, name text, cluster_id text, size text, owner_id text",
        lambda _: [(_REPLICA, "r1", _CLUSTER, None, _ROLE)],
    ),
    SystemRelation(
        "mz_catalog.mz_objects",
        f"{_OBJECT}, type text, owner_id text, cluster_id text, privileges text",
        _mz_objects,
    ),
    SystemRelation(
        "mz_catalog.mz_relations",
        f"{_OBJECT}, type text, owner_id text, cluster_id text, privileges text",
        _mz_relations,
    ),
    SystemRelation(
        "mz_catalog.mz_columns",
        "id text, name text, position bigint, nullable boolean, type text, default text, type_oid bigint, type_mod integer",
        _mz_columns,
    ),
    SystemRelation("mz_catalog.mz_tables", f"{_OBJECT}, {_SQL}", _mz_tables),
    SystemRelation("mz_catalog.mz_views", f"{_OBJECT}, definition text, {_SQL}", _mz_views),
    SystemRelation(
        "mz_catalog.mz_materialized_views",
        f"{_OBJECT}, cluster_id text, definition text, {_SQL}",
        _mz_materialized_views,
    ),
    SystemRelation("mz_catalog.mz_sources", _OUTSIDE, lambda facts: _mz_outside(facts, "source")),
    SystemRelation("mz_catalog.mz_sinks", _OUTSIDE, lambda facts: _mz_outside(facts, "sink")),
    SystemRelation(
        "mz_catalog.mz_indexes",
        "id text, oid bigint, name text, on_id text, cluster_id text, owner_id text, create_sql text",
        _mz_indexes,
    ),
    SystemRelation(
        "mz_catalog.mz_connections",
        f"{_OBJECT}, owner_id text, privileges text",
        lambda facts: _mz_beside(facts, "connection"),
    ),
    SystemRelation(
        "mz_catalog.mz_secrets",
        f"{_OBJECT}, owner_id text, privileges text",
        lambda facts: _mz_beside(facts, "secret"),
    ),
    SystemRelation(
        "mz_internal.mz_comments", "id text, object_type text, object_sub_id integer, comment text", _mz_comments
    ),
    SystemRelation(
        "mz_internal.mz_object_dependencies", "object_id text, referenced_object_id text", _mz_object_dependencies
    ),
    SystemRelation(
        "mz_internal.mz_hydration_statuses", "object_id text, replica_id text, hydrated boolean", _mz_hydration_statuses
    ),
)
