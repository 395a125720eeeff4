"""What dashboards ask of the catalog before anybody asks for rows: Grafana's query editor and Metabase's synchronization.

Always true: a question has the constructs of the tool's own, so that a catalog that answers it answers the tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.serve.pg.door import Door

VISIBLE = """quote_ident(table_schema) IN (
  SELECT CASE WHEN trim(path[n]) = '"$user"' THEN user ELSE trim(path[n]) END
  FROM generate_series(
      array_lower(string_to_array(current_setting('search_path'), ','), 1),
      array_upper(string_to_array(current_setting('search_path'), ','), 1)
    ) AS n, string_to_array(current_setting('search_path'), ',') path)"""

GRAFANA = {
    "version": ("SELECT current_setting('server_version_num')::int/100 AS version", [(1500,)]),
    "timescale": ("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", []),
    "tables": (
        f"""SELECT CASE WHEN {VISIBLE} THEN quote_ident(table_name)
                   ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
            FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', 'headwater')
              AND table_name LIKE '%e%'
            ORDER BY CASE WHEN {VISIBLE} THEN 0 ELSE 1 END, 1 LIMIT 4""",
        [("broken",), ("changed",), ("late",), ("numbers",)],
    ),
    "columns": (
        f"""SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
            WHERE CASE WHEN array_length(parse_ident('revenue'), 1) = 2
              THEN quote_ident(table_schema) = (parse_ident('revenue'))[1] AND quote_ident(table_name) = (parse_ident('revenue'))[2]
              ELSE quote_ident(table_name) = 'revenue' AND {VISIBLE} END""",
        [("customer", "text"), ("total", "numeric"), ("orders", "bigint")],
    ),
    "series": (
        """SELECT floor(extract(epoch FROM moment)/60)*60 AS "time", word AS metric, count(*) AS value FROM kinds
           WHERE moment BETWEEN '2020-01-02T03:00:00Z' AND '2020-03-02T03:10:00.5Z' GROUP BY 1, 2 ORDER BY 1, 2""",
        [(1582938120, "ä\n\t\"'\\", 1)],
    ),
}  # fmt: skip

METABASE: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "enums": (
        """SELECT nspname, typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
           WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e)""",
        [],
    ),
    "tables": (
        """SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END
             AS type, d.description AS description, stat.n_live_tup AS estimated_row_count
           FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
             LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
             LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname
           WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind in ('r', 'p', 'v', 'f', 'm')
             AND n.nspname IN ('public') AND c.relname > 'o'
           ORDER BY type ASC, schema ASC, name ASC""",
        [("public", "revenue", "VIEW", None, None), ("public", "twice", "VIEW", None, None)],
    ),
    "fields": (
        """SELECT c.column_name AS name,
             CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', c.udt_name)
               ELSE FORMAT('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
             c.ordinal_position - 1 AS place, pk.column_name IS NOT NULL AS "pk?",
             COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT))
               AS REGCLASS) AS OID), c.ordinal_position) AS comment,
             (column_default IS NULL OR LOWER(column_default) = 'null') AND is_nullable = 'NO'
               AND NOT ((column_default IS NOT NULL AND column_default LIKE '%nextval(%') OR is_identity <> 'NO') AS required
           FROM information_schema.columns AS c LEFT JOIN (
             SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
             INNER JOIN information_schema.key_column_usage AS kc
               ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
             WHERE tc.constraint_type = 'PRIMARY KEY') AS pk
             ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name
           WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN ('public')
             AND c.table_name = 'twice'
           UNION ALL
           SELECT pa.attname, FORMAT('%s', pt.typname), pa.attnum - 1, FALSE, NULL, FALSE
           FROM pg_catalog.pg_class AS pc INNER JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace
             INNER JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = pc.oid
             INNER JOIN pg_catalog.pg_type AS pt ON pt.oid = pa.atttypid
           WHERE pc.relkind = 'm' AND pa.attnum >= 1 ORDER BY place""",
        [("n", "int4", 0, False, None, False)],
    ),
    "foreign keys": (
        """SELECT fk_table.relname, fk_column.attname, pk_table.relname, pk_column.attname FROM pg_constraint AS c
             INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
             INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
             INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
             INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
           WHERE c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey)""",
        [],
    ),
    "indexes": (
        """SELECT tmp.table_name, TRIM(BOTH '"' FROM PG_CATALOG.PG_GET_INDEXDEF(tmp.ci_oid, tmp.pos, FALSE)) AS field_name FROM (
             SELECT ct.relname AS table_name, ci.oid AS ci_oid, (INFORMATION_SCHEMA._PG_EXPANDARRAY(i.indkey)).n AS pos
             FROM pg_catalog.pg_class AS ct INNER JOIN pg_catalog.pg_index AS i ON ct.oid = i.indrelid
               INNER JOIN pg_catalog.pg_class AS ci ON ci.oid = i.indexrelid
             WHERE PG_CATALOG.PG_GET_EXPR(i.indpred, i.indrelid) IS NULL) AS tmp
           WHERE tmp.pos = 1 ORDER BY 1""",
        [("changed", "id"), ("numbers", "id"), ("revenue", "customer")],
    ),
    "privileges": (
        """WITH seen AS (
             SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table,
               pg_catalog.has_any_column_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'select')
                 AS select,
               pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"."' || t.objectname || '"', 'delete') AS delete
             FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables
               UNION SELECT schemaname, viewname FROM pg_catalog.pg_views
               UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t
             WHERE t.schemaname !~ '^pg_' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
           SELECT s.* FROM seen s WHERE s.table = 'twice'""",
        [(None, "public", "twice", True, True)],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def client(door: Door) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(host=door.host, port=door.port, user="ada", dbname="shop", autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("asked", GRAFANA)
def test_grafana(client: psycopg.Connection[Any], asked: str) -> None:
    query, rows = GRAFANA[asked]
    assert client.execute(query).fetchall() == rows


@pytest.mark.parametrize("asked", METABASE)
def test_metabase(client: psycopg.Connection[Any], asked: str) -> None:
    query, rows = METABASE[asked]
    assert client.execute(query).fetchall() == rows
