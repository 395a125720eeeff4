"""Names, types and grouping: what PostgreSQL accepts, and its text where it does not, at the right place."""

from __future__ import annotations

import pytest

from dataflow.types import Schema
from planner import PlanErrors, plan_views
from tests.planner.oracle import schema

TABLES: dict[str, Schema] = {
    "orders": schema(
        id="bigint not null", customer="text", amount="numeric(12,2)", qty="integer", at="timestamptz", ok="boolean"
    ),
    "customers": schema(id="bigint not null", name="text", doc="jsonb"),
    "Mixed": schema(camelCase="text", plain="integer"),
}


def columns(query: str) -> str:
    """The view's columns as `name type, name type not null`."""
    found = plan_views(TABLES, {"v": query}).schemas["v"]
    return ", ".join(f"{c.name} {c.type}{'' if c.nullable else ' not null'}" for c in found)


def errors(query: str) -> list[str]:
    """The errors as `line:column message (hint)`."""
    with pytest.raises(PlanErrors) as caught:
        plan_views(TABLES, {"v": query})
    return [f"{e.line}:{e.column} {e.message}" + (f" ({e.hint})" if e.hint else "") for e in caught.value.errors]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT ID, Customer FROM Orders", "id bigint not null, customer text"),
        ('SELECT "camelCase", PLAIN FROM "Mixed"', "camelCase text, plain integer"),
        ('SELECT plain AS "Plain" FROM "Mixed" AS M WHERE m.plain > 1', "Plain integer"),
        ("SELECT count(*), sum(qty), avg(qty) FROM orders", "count bigint not null, sum bigint, avg numeric"),
        ("SELECT sum(id) AS a, sum(amount) AS b FROM orders", "a numeric, b numeric"),
        ("SELECT qty + id AS a, amount * 2 AS b, -qty AS c FROM orders", "a bigint, b numeric, c integer"),
        ("SELECT qty::numeric(10,3) AS a, CAST(qty AS real) AS b FROM orders", "a numeric(10,3), b real"),
        (
            "SELECT 1 AS a, 3000000000 AS b, 1.5 AS c, 'x' AS d, NULL AS e, TRUE AS f",
            "a integer not null, b bigint not null, c numeric not null, d text not null, e text, f boolean not null",
        ),
        ("SELECT doc -> 'a' AS a, doc ->> 'a' AS b FROM customers", "a jsonb, b text"),
        ("SELECT CASE WHEN ok THEN 1 ELSE 2.5 END, coalesce(qty, id) FROM orders", "case numeric, coalesce bigint"),
        ("SELECT qty::text, id + 1, upper(customer) FROM orders", "qty text, ?column? bigint, upper text"),
        ("SELECT '1'::int, 2::bigint FROM orders", "int4 integer not null, int8 bigint not null"),
        ("SELECT x.* FROM (SELECT id, qty FROM orders) AS x (a)", "a bigint not null, qty integer"),
        (
            "SELECT * FROM orders JOIN customers USING (id)",
            "id bigint not null, customer text, amount numeric(12,2), "
            "qty integer, at timestamptz, ok boolean, name text, doc jsonb",
        ),
        ("SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c USING (id)", "id bigint not null, c bigint"),
        ("SELECT o.id, c.id AS c FROM orders o RIGHT JOIN customers c USING (id)", "id bigint, c bigint not null"),
        ("SELECT id, o.id AS o FROM orders o FULL JOIN customers c USING (id)", "id bigint not null, o bigint"),
        ("SELECT o.id, c.doc FROM orders o NATURAL LEFT JOIN customers c", "id bigint not null, doc jsonb"),
        ("SELECT qty AS id FROM orders GROUP BY qty", "id integer"),
        ("SELECT qty + 1 AS q, count(*) AS n FROM orders GROUP BY q", "q integer, n bigint not null"),
        ("SELECT sum(qty + 1) + qty + 1 AS x FROM orders GROUP BY qty + 1, qty", "x bigint"),
        ("SELECT 1 AS x UNION ALL SELECT NULL", "x integer"),
        ("SELECT NULL AS x UNION ALL SELECT 2.5", "x numeric"),
        ("SELECT column1, column2 FROM (VALUES (1, 'a'), (2.5, NULL)) AS v", "column1 numeric, column2 text"),
    ],
)
def test_columns(query: str, expected: str) -> None:
    assert columns(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "SELECT id FROM orders LEFT JOIN customers USING (nope)",
            '1:50 column "nope" specified in USING clause does not exist in left table',
        ),
        (
            "SELECT DISTINCT id FROM orders ORDER BY qty",
            "1:41 for SELECT DISTINCT, ORDER BY expressions must appear in select list "
            "(add it to the select list, or use GROUP BY)",
        ),
        (
            "SELECT DISTINCT ON (id) id FROM orders ORDER BY qty, id",
            "1:49 SELECT DISTINCT ON expressions must match initial ORDER BY expressions "
            "(order by DISTINCT ON's expressions first)",
        ),
        ("SELECT id FROM orders ORDER BY 2", "1:32 ORDER BY position 2 is not in select list"),
        ("SELECT id FROM orders LIMIT -1", "1:29 LIMIT must not be negative"),
        ("SELECT id FROM orders LIMIT 'x'", '1:29 invalid input syntax for type bigint: "x"'),
        (
            "SELECT id FROM orders WHERE id IN (SELECT id, qty FROM orders)",
            "1:36 subquery has too many columns (select one expression)",
        ),
        (
            "SELECT id FROM orders WHERE id = (SELECT id, qty FROM orders)",
            "1:34 subquery must return only one column (select one expression)",
        ),
        (
            "SELECT (SELECT max(c.id) FROM customers c WHERE c.name = o.customer) AS m FROM orders o GROUP BY id",
            '1:8 subquery uses ungrouped column "o.customer" from outer query (add o.customer to GROUP BY)',
        ),
        (
            "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.name = o.nope)",
            "1:80 column o.nope does not exist",
        ),
        ("SELECT custmer FROM orders", '1:8 column "custmer" does not exist (did you mean "customer"?)'),
        ("SELECT o.custmer FROM orders o", '1:8 column o.custmer does not exist (did you mean "customer"?)'),
        ("SELECT id FROM order_s", '1:16 relation "order_s" does not exist (did you mean "orders"?)'),
        (
            "SELECT id FROM orders, customers",
            '1:8 column reference "id" is ambiguous (write customers.id or orders.id)',
        ),
        ("SELECT c.id FROM orders o", '1:8 missing FROM-clause entry for table "c" (there is o)'),
        (
            "SELECT orders.id FROM orders o",
            '1:8 invalid reference to FROM-clause entry for table "orders" '
            '(perhaps you meant to reference the table alias "o")',
        ),
        (
            'SELECT camelCase FROM "Mixed"',
            '1:8 column "camelcase" does not exist '
            '(names without quotes are lower case; write "camelCase" in double quotes)',
        ),
        (
            "SELECT plain FROM Mixed",
            '1:19 relation "mixed" does not exist '
            '(names without quotes are lower case; write "Mixed" in double quotes)',
        ),
        (
            "SELECT 1 AS x FROM orders, orders",
            '1:28 table name "orders" specified more than once (give one of them another name: ... AS orders_2)',
        ),
        (
            "SELECT customer, amount FROM orders GROUP BY customer",
            '1:18 column "orders.amount" must appear in the GROUP BY '
            "clause or be used in an aggregate function (add orders.amount to GROUP BY, or write max(orders.amount))",
        ),
        (
            "SELECT qty, count(*) FROM orders",
            '1:8 column "orders.qty" must appear in the GROUP BY clause or be used in an '
            "aggregate function (add orders.qty to GROUP BY, or write max(orders.qty))",
        ),
        ("SELECT qty FROM orders GROUP BY 2", "1:33 GROUP BY position 2 is not in select list"),
        (
            "SELECT qty FROM orders GROUP BY 'x'",
            "1:33 non-integer constant in GROUP BY (name a column, or give its position)",
        ),
        (
            "SELECT qty FROM orders WHERE sum(qty) > 1",
            "1:30 aggregate functions are not allowed in WHERE (use HAVING to filter groups)",
        ),
        (
            "SELECT sum(count(*)) AS x FROM orders",
            "1:12 aggregate function calls cannot be nested (aggregate in a subquery in FROM first)",
        ),
        ("SELECT count(*) AS n FROM orders GROUP BY sum(qty)", "1:43 aggregate functions are not allowed in GROUP BY"),
        (
            "SELECT o.id FROM orders o JOIN customers c ON count(*) = 1",
            "1:47 aggregate functions are not allowed in JOIN conditions",
        ),
        ("SELECT id FROM orders WHERE qty", "1:29 argument of WHERE must be type boolean, not type integer"),
        ("SELECT id FROM orders WHERE ok AND qty", "1:36 argument of AND must be type boolean, not type integer"),
        ("SELECT id FROM orders WHERE NOT customer", "1:33 argument of NOT must be type boolean, not type text"),
        (
            "SELECT CASE WHEN qty THEN 1 END AS x FROM orders",
            "1:18 argument of CASE/WHEN must be type boolean, not type integer",
        ),
        ("SELECT 'abc'::int AS x", '1:8 invalid input syntax for type integer: "abc"'),
        ("SELECT id FROM orders WHERE qty = 'two'", '1:29 invalid input syntax for type integer: "two"'),
        ("SELECT ok::timestamptz AS x FROM orders", "1:8 cannot cast type boolean to timestamptz"),
        (
            "SELECT id FROM orders UNION SELECT id, name FROM customers",
            "1:29 each UNION query must have the same number of columns (the first has 1, the second 2)",
        ),
        (
            "SELECT id, id FROM orders",
            '1:1 column "id" specified more than once (give one of them another name with AS)',
        ),
        (
            "SELECT o.id FROM orders o JOIN customers c",
            "1:27 syntax error: JOIN without ON or USING (add ON condition, or write CROSS JOIN)",
        ),
        (
            "SELECT o.id FROM orders o JOIN customers c USING (qty)",
            '1:51 column "qty" specified in USING clause does not exist in right table (there is doc, id, name)',
        ),
        (
            "SELECT c.name FROM orders o, customers c JOIN orders p ON p.id = o.id",
            "1:66 invalid reference to FROM-clause "
            'entry for table "o" (there is an entry for table "o", but it cannot be referenced from this part of the query)',
        ),
        ("SELECT * FROM (SELECT o.id) x, orders o", '1:23 missing FROM-clause entry for table "o"'),
        ("SELECT sum(customer) AS s FROM orders", "1:8 function sum(text) does not exist"),
        ("SELECT count() AS n FROM orders", "1:8 count(*) must be used to call a parameterless aggregate function"),
        ("SELECT uper(customer) AS u FROM orders", "1:8 function uper(text) does not exist"),
        ("SELECT id FROM s.orders", '1:16 schema "s" does not exist (write orders alone)'),
        (
            "WITH x AS (SELECT 1 AS a), x AS (SELECT 2 AS a) SELECT a FROM x",
            '1:28 WITH query name "x" specified more than once',
        ),
        (
            "SELECT a FROM (VALUES (1, 2)) AS v (a, b, c)",
            '1:31 table "v" has 2 columns available but 3 columns specified',
        ),
        ("SELECT *", "1:8 SELECT * with no tables specified is not valid"),
        ("SELECT", "1:1 SELECT needs at least one column (write SELECT * or the columns)"),
        ("SELECT id FROM orders WHERE", "1:28 syntax error at end of input"),
        ("SELECT id, FROM orders", '1:12 syntax error at or near "FROM"'),
        ("", "1:1 there is no query (write SELECT ... FROM ...)"),
    ],
)
def test_errors(query: str, expected: str) -> None:
    (error,) = errors(query)
    # The functions' own tests hold their hints.
    assert error == expected or error.startswith(expected + " (")


def test_every_mistake_of_a_query_at_once() -> None:
    assert errors("SELECT foo,\n  upper(qty),\n  id\nFROM orders\nWHERE bar > 1")[0].startswith('1:8 column "foo"')
    found = errors("SELECT foo,\n  upper(qty),\n  id\nFROM orders\nWHERE bar > 1")
    assert [error.split(" ")[0] for error in found] == ["1:8", "2:3", "5:7"]


def test_nesting_has_a_limit() -> None:
    deep = "SELECT " + "(" * 5000 + "1" + ")" * 5000 + " AS x"
    assert "nested too deeply" in errors(deep)[0]
    long = " AND ".join(["qty > 1"] * 5000)
    assert columns(f"SELECT qty FROM orders WHERE {long}") == "qty integer"
