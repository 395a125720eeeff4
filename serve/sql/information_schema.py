"""information_schema: the SQL standard's catalog, as tools ask for it.

Always true: it says what pg_catalog says. Deliberately unknown: SQL.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataflow.types import Kind
from planner.functions.types import type_name as long_name
from serve.sql.pg_catalog import Index, Named, definitions_of, relations
from serve.sql.schemas import namespaces
from serve.sql.system import Facts, Row, SystemRelation
from serve.sql.types import type_name

_KINDS = {"f": "FOREIGN", "r": "SYSTEM TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}


def _tables(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        table = r.kind == "r" and not r.system
        yield (
            facts.service,
            r.schema,
            r.name,
            "BASE TABLE" if table else _KINDS[r.kind],
            "YES" if table else "NO",
            "NO",
        )


def _columns(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        table = r.kind == "r" and not r.system
        for place, column in enumerate(r.columns, 1):
            type_ = column.type
            nullable = "YES" if column.nullable else "NO"
            scale = type_.scale if type_.kind is Kind.NUMERIC else None
            limits = (type_.length, type_.precision, scale)
            default = r.defaults.get(column.name)
            yield (
                *(facts.service, r.schema, r.name, column.name, place, default, nullable, long_name(type_), *limits),
                *(facts.service, "pg_catalog", type_name(type_), str(place)),
                *("NO", "NEVER", "YES" if table else "NO"),
            )


def _constraints(facts: Facts) -> Iterator[tuple[Named, Index]]:
    """Keys that a constraint has made, as the standard knows them."""
    for r in relations(facts):
        yield from ((r, index) for index in r.indexes if index.constraint)


def _table_constraints(facts: Facts) -> Iterator[Row]:
    for r, index in _constraints(facts):
        what = "PRIMARY KEY" if index.primary else "UNIQUE"
        yield (facts.service, r.schema, index.name, facts.service, r.schema, r.name, what, "NO", "NO", "YES")
    for r in relations(facts):
        for name in r.checks:
            yield (facts.service, r.schema, name, facts.service, r.schema, r.name, "CHECK", "NO", "NO", "YES")


def _check_constraints(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        yield from ((facts.service, r.schema, name, condition) for name, condition in r.checks.items())


def _key_columns(facts: Facts) -> Iterator[Row]:
    for r, index in _constraints(facts):
        for place, at in enumerate(index.key, 1):
            name = r.columns[at].name
            yield (facts.service, r.schema, index.name, facts.service, r.schema, r.name, name, place, None)


def _constraint_columns(facts: Facts) -> Iterator[Row]:
    for r, index in _constraints(facts):
        for at in index.key:
            yield (*(facts.service, r.schema, r.name, r.columns[at].name), *(facts.service, r.schema, index.name))


def _schemata(facts: Facts) -> Iterator[Row]:
    for name in namespaces(definitions_of(facts)):
        yield (facts.service, name, "headwater")


def _views(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        if r.kind == "v" and not r.system:
            yield (facts.service, r.schema, r.name, r.query or None, "NO", "NO")


_CONSTRAINT = "constraint_catalog text, constraint_schema text, constraint_name text"
_TABLE = "table_catalog text, table_schema text, table_name text"

INFORMATION_SCHEMA_RELATIONS = (
    SystemRelation(
        "information_schema.tables",
        "table_catalog text, table_schema text, table_name text, table_type text, is_insertable_into text, is_typed text",
        _tables,
    ),
    SystemRelation(
        "information_schema.columns",
        "table_catalog text, table_schema text, table_name text, column_name text, ordinal_position integer, "
        "column_default text, is_nullable text, data_type text, character_maximum_length integer, numeric_precision integer, "
        "numeric_scale integer, udt_catalog text, udt_schema text, udt_name text, dtd_identifier text, is_identity text, "
        "is_generated text, is_updatable text",
        _columns,
    ),
    SystemRelation("information_schema.schemata", "catalog_name text, schema_name text, schema_owner text", _schemata),
    SystemRelation(
        "information_schema.views",
        "table_catalog text, table_schema text, table_name text, view_definition text, check_option text, is_updatable text",
        _views,
    ),
    SystemRelation(
        "information_schema.table_constraints",
        f"{_CONSTRAINT}, {_TABLE}, constraint_type text, is_deferrable text, initially_deferred text, enforced text",
        _table_constraints,
    ),
    SystemRelation("information_schema.check_constraints", f"{_CONSTRAINT}, check_clause text", _check_constraints),
    SystemRelation(
        "information_schema.key_column_usage",
        f"{_CONSTRAINT}, {_TABLE}, column_name text, ordinal_position integer, position_in_unique_constraint integer",
        _key_columns,
    ),
    SystemRelation(
        "information_schema.constraint_column_usage", f"{_TABLE}, column_name text, {_CONSTRAINT}", _constraint_columns
    ),
    SystemRelation(
        "information_schema.referential_constraints",
        f"{_CONSTRAINT}, unique_constraint_catalog text, unique_constraint_schema text, unique_constraint_name text, "
        "match_option text, update_rule text, delete_rule text",
        lambda _facts: (),
    ),
)
