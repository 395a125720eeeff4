"""Lists, maps and records: Materialize's documented results, and PostgreSQL's for the arrays and rows that they are like."""

from __future__ import annotations

import pytest

from planner import PlanErrors
from planner.document import result_of, rows_of
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

RESULTS = {
    "LIST[[1,2],[3]]": "{{1,2},{3}}",
    "LIST[LIST['a', 'b'], LIST['c']][1]": "{a,b}",
    "LIST[['a', 'b'], ['c']][1][5]": None,
    "LIST[['a', 'b'], ['c']][0]": None,
    "LIST[1,2,3,4,5][2:4]": "{2,3,4}",
    "LIST[1,2,3,4,5][:3]": "{1,2,3}",
    "LIST[1,2,3,4,5][3:]": "{3,4,5}",
    "LIST[1,2,3,4,5][10:]": "{}",
    "LIST[1,2,3,4,5][2:10]": "{2,3,4,5}",
    "LIST[1,2,3,4,5][2:][2:3]": "{3,4}",
    "LIST[[1,2],[3,4]][2:][1][2]": "4",
    "LIST[['a', 'white space'], [NULL, ''], ['escape\"m\\e', 'x,y']]": '{{a,"white space"},{NULL,""},{"escape\\"m\\\\e","x,y"}}',
    '\'{ "{brackets}", "\\"quotes\\"", \\\\slashes\\\\, \\ leading space, trailing space\\ , \\NULL }\'::text list': (
        '{"{brackets}","\\"quotes\\"","\\\\slashes\\\\"," leading space","trailing space ","NULL"}'
    ),
    "'{2001-02-03, 2004-05-06}'::date list": "{2001-02-03,2004-05-06}",
    "'{{1.5,NULL},{2.25}}'::numeric(38,2) list list": "{{1.50,NULL},{2.25}}",
    "LIST[[1.5, NULL],[2.25]]::int list list": "{{2,NULL},{2}}",
    "'{{1},{},NULL}'::int list list": "{{1},{},NULL}",
    "'{{a=>1},{}}'::map[text=>int] list": "{{a=>1},{}}",
    "'{\"[2:3]={1,2}\",{1,2}}'::int[] list": '{"[2:3]={1,2}",{1,2}}',
    "ARRAY[1, NULL]::bigint list": "{1,NULL}",
    "ARRAY[1.5, 2]::int list": "{2,2}",
    "LIST[]::int list": "{}",
    "LIST[1] || '{5,6}'": "{1,5,6}",
    "LIST[1] || 2.5": "{1.0,2.5}",
    "0 || LIST[1]": "{0,1}",
    "LIST[LIST[1]] || LIST[2]": "{{1},{2}}",
    "LIST[2] || LIST[LIST[1]]": "{{2},{1}}",
    "LIST[1] || NULL": "{1}",
    "list_append(NULL::int list, 3)": "{3}",
    "list_cat(NULL, LIST[1])": "{1}",
    "list_prepend(NULL, LIST[1])": "{NULL,1}",
    "list_remove(LIST[1, NULL, 2, NULL], NULL)": "{1,2}",
    "list_length(LIST[]::int list)": "0",
    "list_length(NULL::int list)": None,
    "list_length_max(LIST[[1],[1,2,3]], 1)": "2",
    "list_length_max(LIST[[1],[1,2,3]], 2)": "3",
    "list_length_max(LIST[[[1,2],[3]],[[4]]], 3)": "2",
    "list_length_max(LIST[NULL]::int list list, 2)": None,
    "list_n_layers(LIST[[1],[2]])": "2",
    "LIST[1,2,3] @> LIST[3,1]": "true",
    "LIST[4] <@ LIST[1,2]": "false",
    "LIST[1] = LIST[1.0]": "true",
    "LIST[1, NULL] = LIST[1, NULL]": "true",
    "LIST[1,2] < LIST[1,2,0]": "true",
    "LIST[[2]] > LIST[[1,9],[9]]": "true",
    "2 = ANY (LIST[1,2])": "true",
    "2 > ALL (list_append(LIST[1,2], NULL))": "false",
    "'a' LIKE ANY (LIST['b%', 'a%'] || 'c'::text)": "true",
    "LIST[1,2] IN (LIST[2,1], LIST[1,2])": "true",
    "LIST(SELECT x FROM generate_series(1, 5) AS x WHERE x > 1 ORDER BY x DESC LIMIT 3)": "{5,4,3}",
    "LIST(SELECT 1 WHERE false)": "{}",
    "LIST[interval '1 mon', interval '30 days']": '{"1 mon","30 days"}',
    "LIST[interval '1 mon'][1]": "1 mon",
    "pg_typeof(LIST[LIST[1]])": "integer list list",
    "pg_typeof(LIST[ARRAY[1], array [2]])": "integer[] list",
    "pg_typeof(LIST[[1], [2]])": "integer list list",
    "to_jsonb(LIST[[1],[2,NULL]])": "[[1], [2, null]]",
    "MAP['a' => 1, 'b' => 2]": "{a=>1,b=>2}",
    "MAP['a' => ['b' => 'c']]": "{a=>{b=>c}}",
    "MAP['b' => 1, 'a' => 2, 'b' => 3]": "{a=>2,b=>3}",
    "MAP['x y' => 'a=>b', '' => NULL]": '{""=>NULL,"x y"=>"a=>b"}',
    "MAP['a' => ['b' => 1], 'c' => ['d' => 2]] -> 'a' -> 'b'": "1",
    "MAP['a' => 1] -> 'c'": None,
    "MAP['a' => NULL::int] -> 'a'": None,
    "MAP['a' => 1.9, 'b' => 2.0] ? 'a'": "true",
    "MAP['a' => ['aa' => 1.9]] ? 'aa'": "false",
    "MAP['a' => 1] ? NULL": None,
    "MAP['a' => 1, 'b' => 2] ?& ARRAY['b', 'a']": "true",
    "MAP['a' => 1, 'b' => 2] ?& ARRAY['c', 'b']": "false",
    "MAP['a' => 1, 'b' => 2] ?| ARRAY['c', 'b']": "true",
    "MAP['a' => 1, 'b' => 2] ?| ARRAY['c', 'd', '1']": "false",
    "MAP['a' => 1, 'b' => 2] @> MAP['a' => 1]": "true",
    "MAP['a' => 1, 'b' => 2] <@ MAP['a' => 1]": "false",
    "MAP['a' => 1] = MAP['a' => 1.0]": "true",
    "map_length(MAP['a' => 1, 'b' => 2])": "2",
    "map_length(MAP[]::map[text=>int])": "0",
    "map_build(LIST[ROW('a', 1), ROW('b', 2), ROW('a', 3)])": "{a=>3,b=>2}",
    "map_build(LIST[ROW(NULL::text, 1), NULL])": "{}",
    "'{a=>123.4, b=>111.1}'::map[text=>double]": "{a=>123.4,b=>111.1}",
    "'{a=>{b=>{c=>d}}}'::map[text=>map[text=>map[text=>text]]]": "{a=>{b=>{c=>d}}}",
    "'{a=>{b=>{1,2}}}'::map[text=>map[text=>int list]] -> 'a' -> 'b'": "{1,2}",
    "MAP(SELECT x::text, x * 2 FROM generate_series(1, 3) AS x ORDER BY 2 DESC LIMIT 2)": "{2=>4,3=>6}",
    "to_jsonb(MAP['a' => 1, 'b\"' => NULL])": '{"a": 1, "b\\"": null}',
    "to_jsonb(ROW(1, 'x', LIST[true]))": '{"f1": 1, "f2": "x", "f3": [true]}',
    "(ROW(1, ROW('a', 2))).f2": "(a,2)",
    "((ROW(1, ROW('a', 2))).f2).f1": "a",
    "ROW(1, 2)::text || 'x'": "(1,2)x",
    "ARRAY(SELECT ROW(1, 'a b'))": '{"(1,\\"a b\\")"}',
    "ARRAY[interval '1 mon', interval '-1 day', NULL]": '{"1 mon","-1 days",NULL}',
    "(ARRAY[interval '1 mon'])[1]": "1 mon",
    "ARRAY[interval '29 days', interval '1 day'] < ARRAY[interval '1 mon']": "true",
    "interval '30 days' = ANY ('{1 mon}'::interval[])": "true",
}


@pytest.mark.parametrize("example", RESULTS)
def test_results(example: str) -> None:
    assert result_of(example) == RESULTS[example]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("'{1,x}'::int list", 'invalid input syntax for type integer: "x"'),
        ("'{1,,2}'::int list", 'malformed list literal: "{1,,2}"'),
        ("'{{1},2}'::int list", "malformed list literal"),
        ("'{a=>1'::map[text=>int]", "malformed map literal"),
        ("'{NULL=>1}'::map[text=>int]", "malformed map literal"),
        ("ARRAY[[1],[2]]::int list", "arrays of more than one dimension are no lists"),
        ("list_length_max(LIST[1], 2)", "invalid layer: there are layers 1 to 1"),
    ],
)
def test_values_that_are_none(example: str, message: str) -> None:
    with pytest.raises((ValueError, PlanErrors), match=message.replace("{", r"\{")):
        result_of(example)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("LIST['foo'][1][2]", "cannot subscript type text"),
        ("LIST[1] = LIST['a'::text]", "operator does not exist: integer list = text list"),
        ("LIST[1, 'a'::text]", "cannot be matched"),
        ("LIST[1]::map[text=>int]", "cannot cast type integer list to map"),
        ("'(1,2)'::text::map[int=>int]", "map keys are text"),
        ("map_build(LIST[1])", "does not exist"),
        ("ROW(1, 2) = ROW(1, 2, 3)", "unequal number of entries"),
        ("(SELECT ROW(1)) = '(1)'", "has no literal"),
    ],
)
def test_mistakes(example: str, message: str) -> None:
    with pytest.raises(PlanErrors, match=message):
        result_of(example)


def test_rows_of_lists_and_maps() -> None:
    assert rows_of("SELECT key, u.value::text FROM (SELECT MAP['a' => 1, 'b' => NULL] AS m) t, unnest(t.m) u") == [
        ("a", "1"),
        ("b", None),
    ]
    assert rows_of("SELECT u::text FROM unnest(LIST[[1], NULL, [2, 3]]) u") == [("{1}",), ("{2,3}",), (None,)]
    assert rows_of(
        "SELECT list_agg(x ORDER BY x DESC)::text, list_agg(x) FILTER (WHERE x > 9)::text AS n, "
        "map_agg('k' || x % 2, x ORDER BY x)::text FROM generate_series(1, 3) AS x"
    ) == [("{3,2,1}", None, "{k0=>2,k1=>3}")]
    assert rows_of("SELECT (r).*, (r).f2 AS again FROM (SELECT ROW('a', 'b') AS r) t") == [("a", "b", "b")]


LIKE_ARRAYS = (
    "LIST[3, NULL, 1] || LIST[2]",
    "LIST['a', NULL, 'x y', ''] || 'NULL'::text",
    "LIST[1, 2] < LIST[1, NULL]",
    "LIST[NULL::int] = LIST[NULL::int]",
    "LIST[1, 2] @> LIST[2, 2]",
    "(LIST[5, 6, 7])[2]",
    "(LIST[5, 6, 7])[2:9]",
    "(LIST[5, 6, 7])[3:2]",
    "greatest(LIST[1, 2], LIST[1], LIST[0, 9])",
    "to_jsonb(LIST[1.5, NULL])",
)
ROWS = (
    "ROW(1, 'a', NULL)",
    "ROW('', 'x,y', 'q\"\\', '(', NULL, true)",
    "ROW(ROW(1, ' '), ARRAY['a b', NULL])",
    "(SELECT ROW(1, NULL::int)) = (SELECT ROW(1, NULL::int))",
    "(SELECT ROW(1, 2)) < (SELECT ROW(1, NULL::int))",
    "(SELECT ROW(1, 2)) >= (SELECT ROW(1, 2))",
    "r IS NULL",
    "r IS NOT NULL",
    "s IS NULL",
    "s IS NOT NULL",
    "r = s",
    "r < s",
    "array_agg(r ORDER BY r)",
    "count(DISTINCT r)",
    "to_jsonb(r)",
    "(array_agg(s))[1]",
)


@pytest.mark.postgres
def test_lists_without_gaps_are_like_arrays_and_records_like_rows(postgres: PostgresServer) -> None:
    ours = [result_of(example) for example in LIKE_ARRAYS]
    with postgres.connect() as connection:
        theirs = ask(connection, [example.replace("LIST", "ARRAY") for example in LIKE_ARRAYS])
    assert ours == [answer.value for answer in theirs]
    given = "SELECT ROW(1, NULL::int) AS r, ROW(NULL::int, NULL::int) AS s"
    queries = [f"(SELECT {example} FROM ({given}) t)" for example in ROWS]
    ours = [result_of(query) for query in queries]
    with postgres.connect() as connection:
        theirs = ask(connection, queries)
    assert ours == [answer.value for answer in theirs]
