"""information_schema: the SQL standard's catalog, as tools ask for it.

Always true: it says what pg_catalog says. Deliberately unknown: SQL.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataflow.types import Kind
from planner.functions.types import type_name as long_name
from serve.sql.pg_catalog import definitions_of, relations
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
        for place, column in enumerate(r.columns, 1):
            type_ = column.type
            nullable = "YES" if column.nullable else "NO"
            scale = type_.scale if type_.kind is Kind.NUMERIC else None
            limits = (type_.length, type_.precision, scale)
            yield (
                facts.service,
                r.schema,
                r.name,
                column.name,
                place,
                None,
                nullable,
                long_name(type_),
                *limits,
                type_name(type_),
            )


def _schemata(facts: Facts) -> Iterator[Row]:
    for name in namespaces(definitions_of(facts)):
        yield (facts.service, name, "headwater")


def _views(facts: Facts) -> Iterator[Row]:
    for r in relations(facts):
        if r.kind == "v" and not r.system:
            yield (facts.service, r.schema, r.name, r.query or None, "NO", "NO")


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
        "numeric_scale integer, udt_name text",
        _columns,
    ),
    SystemRelation("information_schema.schemata", "catalog_name text, schema_name text, schema_owner text", _schemata),
    SystemRelation(
        "information_schema.views",
        "table_catalog text, table_schema text, table_name text, view_definition text, check_option text, is_updatable text",
        _views,
    ),
)
