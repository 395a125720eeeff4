"""Every construct that a view cannot hold is refused at its place, with its name; nothing is silently left out."""

from __future__ import annotations

import pytest

from planner import PlanErrors, SqlError, plan_views
from tests.planner.oracle import schema

TABLES = {"t": schema(a="integer", b="text", c="jsonb", d="timestamptz"), "u": schema(a="integer", e="boolean")}

REFUSED = [
    # query with ^ before the place, a part of the message, a part of the hint
    ("SELECT ^lag(a) IGNORE NULLS OVER (ORDER BY a) AS n FROM t", "IGNORE NULLS", ""),
    ("SELECT upper(b) ^OVER (ORDER BY a) AS n FROM t", "upper is not a window function", ""),
    ("SELECT sum(^DISTINCT a) OVER () AS n FROM t", "DISTINCT is not implemented for window functions", "subquery"),
    ("SELECT sum(rank() OVER (ORDER BY a)) ^OVER () AS n FROM t", "cannot be nested", "subquery"),
    ("SELECT sum(rank() OVER (ORDER BY a)) AS n FROM t", "cannot contain window function", ""),
    ("SELECT rank() FILTER (WHERE a > 1) OVER (ORDER BY a) AS n FROM t", "FILTER is not implemented", ""),
    ("SELECT ^lag() OVER (ORDER BY a) AS n FROM t", "lag takes 1 to 3 arguments, not 0", ""),
    ("SELECT nth_value(a, ^'x'::text) OVER (ORDER BY a) AS n FROM t", "takes an integer", "cast"),
    ("SELECT sum(a) OVER (PARTITION BY b GROUPS 1 PRECEDING) AS n FROM t", "GROUPS mode requires an ORDER BY", ""),
    ("SELECT sum(a) OVER (RANGE 1 PRECEDING) AS n FROM t", "requires exactly one ORDER BY column", ""),
    ("SELECT sum(a) OVER (ORDER BY b RANGE ^1 PRECEDING) AS n FROM t", "not supported for column type text", ""),
    ("SELECT sum(a) OVER (ORDER BY d RANGE ^INTERVAL '1 month' PRECEDING) AS n FROM t", "months", "days"),
    ("SELECT sum(a) OVER (ORDER BY a ROWS ^-1 PRECEDING) AS n FROM t", "must not be negative", ""),
    ("SELECT sum(a) OVER (ORDER BY a ROWS ^a PRECEDING) AS n FROM t", "no constant", "number"),
    ("SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) AS n FROM t", "cannot have preceding rows", ""),
    ("SELECT sum(a) OVER (ROWS UNBOUNDED FOLLOWING) AS n FROM t", "cannot be UNBOUNDED FOLLOWING", ""),
    ("SELECT sum(a) OVER ^w AS n FROM t", 'window "w" does not exist', "WINDOW"),
    ("SELECT sum(a) OVER (w ORDER BY b) AS n FROM t WINDOW w AS (ORDER BY a)", "cannot override ORDER BY", ""),
    ("SELECT a FROM t WHERE row_number() ^OVER (ORDER BY a) = 1", "not allowed in WHERE", "outer SELECT"),
    ("SELECT ^row_number() AS n FROM t", "row_number requires an OVER", "OVER"),
    ("SELECT row_number() OVER (ORDER BY ^c) AS n FROM t", "jsonb", "->>"),
    ("SELECT a FROM t ORDER BY ^c LIMIT 1", "jsonb", "->>"),
    ("SELECT a FROM t ^FETCH FIRST 3 ROWS WITH TIES", "WITH TIES", "ROWS ONLY"),
    ("SELECT a FROM t LIMIT ^(SELECT max(a) FROM u)", "a subquery in LIMIT", ""),
    ("SELECT (SELECT ^max(t.a) FROM u) AS x FROM t", "outer query", "outside"),
    ("SELECT t.a FROM t ^LEFT SEMI JOIN u ON t.a = u.a", "LEFT SEMI JOIN", "EXISTS"),
    ("SELECT t.a FROM t ^LEFT ANTI JOIN u ON t.a = u.a", "LEFT ANTI JOIN", "EXISTS"),
    ("SELECT t.a FROM t ^ASOF FULL JOIN u ON t.a >= u.a", "ASOF FULL JOIN", "write ASOF JOIN, or ASOF LEFT JOIN"),
    ("SELECT a FROM t ^FOR UPDATE", "FOR UPDATE", ""),
    ("SELECT a FROM t WHERE a = ANY (^b)", "requires array on right side", "subquery"),
    ("SELECT a FROM t WHERE ^a + ANY (SELECT a FROM u) > 1", "ANY or ALL with this operator", "LIKE"),
    ("SELECT a FROM t WHERE a = ANY (^SELECT a, e FROM u)", "too many columns", "one expression"),
    ("SELECT a FROM t WHERE ^(a, b) = (1, 'x', 2)", "unequal number of entries", "as many"),
    ("SELECT a FROM t WHERE ^(a, b) || 'x' = 'y'", "a row value", "compare"),
    ("SELECT a FROM t WHERE (a, b) IN (^1, 2)", "row value", "(a, b)"),
    ("SELECT ^grouping(a) AS g FROM t", "GROUPING must be grouping expressions", "GROUP BY"),
    ("SELECT a FROM t WHERE ^grouping(a) = 0 GROUP BY a", "grouping operations are not allowed in WHERE", ""),
    ("SELECT count(*) FROM t GROUP BY CUBE (^a, a, a, a, a, a, a, a, a, a, a, a, a)", "CUBE is limited to 12", ""),
    ("SELECT count(*) FROM t GROUP BY CUBE (a, b, d), CUBE (^c, a, b, d, c, a)", "too many grouping sets", "leave"),
    ("SELECT ^string_agg(b) AS n FROM t", "string_agg takes 2 arguments, not 1", "delimiter"),
    ("SELECT ^string_agg(a, ',') AS n FROM t", "string_agg(integer, ", ""),
    ("SELECT ^string_agg(DISTINCT b, ',' ORDER BY a) AS n FROM t", "ORDER BY expressions must appear in", ""),
    ("SELECT sum(a ORDER BY ^c) AS n FROM t", "jsonb", "->>"),
    ("SELECT ^percentile_cont(0.5) AS n FROM t", "WITHIN GROUP is required", "ORDER BY"),
    ("SELECT percentile_cont(^1.5) WITHIN GROUP (ORDER BY a) AS n FROM t", "1.5 is not between 0 and 1", ""),
    ("SELECT percentile_disc(ARRAY[0.5, ^2]) WITHIN GROUP (ORDER BY a) AS n FROM t", "2 is not between 0 and 1", ""),
    ("SELECT percentile_cont(^a) WITHIN GROUP (ORDER BY a) AS n FROM t", "no constant", "number"),
    ("SELECT ^sum(a) WITHIN GROUP (ORDER BY a) AS n FROM t", "not an ordered-set aggregate", ""),
    ("SELECT max_by(b, ^c) AS n FROM t", "jsonb", "->>"),
    ("SELECT ^mode() WITHIN GROUP (ORDER BY a) OVER (ORDER BY a) AS n FROM t", "OVER is not supported", ""),
    ("SELECT t.a FROM t ^RIGHT JOIN LATERAL (SELECT u.a FROM u WHERE u.a = t.a) x ON true", "LATERAL", "INNER or LEFT"),
    ("SELECT t.a FROM t, (SELECT u.a FROM u WHERE u.a = ^t.a) x", 'missing FROM-clause entry for table "t"', ""),
    ("SELECT ^to_char(d, b) AS x FROM t", "to_char needs a constant pattern", "quotes"),
    ("SELECT ^to_date(b, 'YYYY-Q') AS x FROM t", '"Q" cannot be read by a pattern', "YYYY, "),
    ("SELECT ^format(b, a) AS x FROM t", "format() needs a constant pattern", "quotes"),
    ("SELECT ^format('%s of %s', a) AS x FROM t", "too few arguments for format()", "asks for 2"),
    ("SELECT ^format('%d', a) AS x FROM t", 'unrecognized format() type specifier "d"', "%%"),
    ("SELECT ^jsonb_build_object('a') AS x FROM t", "even number of elements", "turns"),
    ("SELECT ^jsonb_agg(a, b) AS x FROM t", "takes 1 argument", "jsonb_agg(value)"),
    ("SELECT ^corr(a) AS x FROM t", "corr takes 2 arguments, not 1", "corr(y, x)"),
    ("SELECT c #> ^b AS x FROM t", "a path that is no constant", "{a,0,b}"),
    ("WITH RECURSIVE ^x AS (SELECT a + 1 AS a FROM x) SELECT a FROM x", "UNION [ALL] recursive-term", ""),
    (
        "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT x.a FROM x JOIN ^x y ON true) SELECT a FROM x",
        "once",
        "MUTUALLY",
    ),
    ("WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT max(a) FROM ^x) SELECT a FROM x", "own term", "MUTUALLY"),
    ("WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL ^SELECT a + 0.5 FROM x) SELECT a FROM x", "type integer in", "cast"),
    ("WITH MUTUALLY RECURSIVE x (a int) AS (^SELECT b FROM t) SELECT a FROM x", "declares integer but", "cast"),
    ("WITH MUTUALLY RECURSIVE x ^AS (SELECT 1) SELECT a FROM x", "syntax error", ""),
    ("^WITH MUTUALLY RECURSIVE (RECURSION LIMIT 0) x (a int) AS (SELECT 1) SELECT a FROM x", "at least 1", ""),
    ("SELECT a FROM t WHERE ^mz_now() > b", "timestamp with time zone > text", "cast"),
    ("SELECT ^now() AS n FROM t", "now()", "messages"),
    ("SELECT ^current_timestamp AS n FROM t", "current_timestamp", "messages"),
    ("SELECT ^current_date AS n FROM t", "current_date", "messages"),
    ("SELECT ^random() AS n FROM t", "random()", "hash"),
    ("SELECT a FROM t WHERE ^generate_series(1, a) = 1", "not allowed in WHERE", "FROM"),
    ("SELECT sum(^generate_series(1, a)) AS n FROM t", "cannot contain set-returning", "FROM"),
    ("SELECT CASE WHEN a > 1 THEN ^generate_series(1, a) END AS n FROM t", "not allowed in CASE", "FROM"),
    ("SELECT ^generate_series(1, generate_series(1, a)) AS n FROM t", "another one's arguments", "FROM"),
    ("SELECT ^jsonb_each(c) AS n FROM t", "jsonb_each() in a select list", "FROM t, jsonb_each"),
    ("SELECT g FROM ^generate_series(1, 'x'::text) AS g", "generate_series(integer, text) does not exist", "cast"),
    ("SELECT g FROM ^nosuch('x') AS g", "function nosuch(unknown) does not exist", "did you mean"),
    ("SELECT ^ROW() AS x FROM t", "a record without fields", "ROW(1)"),
    ("SELECT ^(ROW(a, b)).f3 AS x FROM t", "not found in record", "f1, f2"),
    ("SELECT ARRAY^[LIST[a]] AS x FROM t", "arrays of integer list", "text"),
    ("SELECT ^LIST[] AS x FROM t", "type of empty list", "LIST[]::integer list"),
    ("SELECT MAP[^a => b] AS x FROM t", "map keys must be text", "cast"),
    ("SELECT ^INTERVAL '10:20' MINUTE TO SECOND AS x FROM t", "minute to second", "unit"),
    ("SELECT b::^interval day AS x FROM t", "interval with a field", "date_trunc"),
    ("SELECT ^age(d) AS x FROM t", "reads the clock", "both"),
    ("SELECT ^$1 AS x FROM t", "parameter", "value"),
    ("SELECT ^:x AS x FROM t", "parameter", "value"),
    ('SELECT ^b COLLATE "C" AS x FROM t', "COLLATE", ""),
    ("SELECT a FROM t ^GROUP BY ALL", "GROUP BY ALL", "list"),
    ("SELECT a FROM t ^TABLESAMPLE SYSTEM (10)", "TABLESAMPLE", ""),
    ("SELECT a ^INTO x FROM t", "SELECT INTO", ""),
    ("SELECT a FROM t ^QUALIFY a > 1", "QUALIFY", ""),
    ("SELECT * EXCEPT (^a) FROM t", "* EXCEPT", "list"),
    ("SELECT a::^timetz AS y FROM t", "timetz", "timestamptz"),
    ("SELECT a::^varchar(0) AS x FROM t", "length is 1", ""),
    ("SELECT a::^text(3) AS x FROM t", "text(3)", "without a length"),
    ("SELECT b::^json AS x FROM t", "json", "jsonb"),
    ("SELECT ^b'101' AS x FROM t", "bit string", ""),
    ("SELECT a FROM ^ONLY t", "ONLY", ""),
    ("SELECT a FROM t WHERE a OPERATOR(pg_catalog.+) 1 > 2", "", ""),
    ("SELECT ^pg_catalog.upper(b) AS x FROM t", "qualified", "without"),
    ("SELECT ^a[0] AS x FROM t", "subscript", "jsonb"),
    ("^INSERT INTO t VALUES (1)", "INSERT", ""),
    ("^CREATE VIEW x AS SELECT 1", "CREATE", "only the SELECT"),
    ("SELECT a FROM t; ^SELECT a FROM u", "one query", ""),
    ("SELECT TRY_CAST(a AS text) AS x FROM t", "", ""),
    ("SELECT a FROM t PIVOT (sum(a) FOR b IN ('x'))", "", ""),
    ("SELECT a FROM t UNION BY NAME SELECT a FROM u", "", ""),
    ("SELECT a FROM t SEMI JOIN u ON t.a = u.a", "", ""),
    ("SELECT a FROM t CROSS APPLY u", "", ""),
    ("SELECT IF(a > 1, 1, 2) AS x FROM t", "", ""),
    ("SELECT x -> x + 1 AS y FROM t", "", ""),
    ("SELECT upper(b => 'x') AS y FROM t", "", ""),
    ("SELECT STRUCT(1) AS y FROM t", "", ""),
    ("SELECT first_value(a) IGNORE NULLS AS y FROM t", "", ""),
    ("FROM t SELECT a", "", ""),
    ("FROM t", "", ""),
    ("SELECT TOP 3 a FROM t", "", ""),
    ("SELECT a FROM t FOR SYSTEM_TIME AS OF '2026-01-01'", "", ""),
    ("SELECT a FROM t START WITH a = 1 CONNECT BY a = 2", "", ""),
    ("SELECT AS STRUCT a FROM t", "", ""),
    ("SELECT a FROM t CLUSTER BY a", "", ""),
    ("SELECT a FROM t SORT BY a", "", ""),
    ("SELECT a FROM t AS OF 12", "", ""),
    ("SELECT /* x */ a, FROM t", "syntax error", ""),
    ("SELECT a FROM t |> WHERE a > 1", "", ""),
    ("SELECT a FROM t^@idx", "parameter", ""),
    ("SELECT a FROM t^,", "syntax error", ""),
]


def refused(query: str) -> SqlError:
    with pytest.raises(PlanErrors) as caught:
        plan_views(TABLES, {"v": query})
    return caught.value.errors[0]


@pytest.mark.parametrize(("marked", "message", "hint"), REFUSED)
def test_refused(marked: str, message: str, hint: str) -> None:
    query = marked.replace("^", "", 1)
    error = refused(query)
    assert message in error.message
    assert hint in (error.hint or "")
    if "^" in marked and message:
        assert (error.line, error.column) == (1, marked.index("^") + 1)


def test_position_counts_lines() -> None:
    error = refused("SELECT a,\n  b\nFROM t\n  FOR UPDATE")
    assert (error.line, error.column) == (4, 3)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a = 1 = e FROM u",
        "SELECT -a ^ 2 + 1 < 2 < 3 AS x FROM t",
        "SELECT b ~ 'x' || 'y' AS x FROM t",
        "SELECT ~ a + 1 AS x FROM t",
    ],
)
def test_operators_that_sqlglot_reads_otherwise_than_postgres(query: str) -> None:
    assert "another order" in refused(query).message
