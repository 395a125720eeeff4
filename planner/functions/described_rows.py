"""What each aggregate, window function and table function does, in a line, with an example: the rest of docs/functions.md's source.

Always true: every name of the registries is here once; each example runs in the tests, on our engine and, but for those in `OWN`,
on PostgreSQL. Aggregates and window functions are over the rows of TABLE. Deliberately unknown here: results, as in `described`.
"""

from __future__ import annotations

TABLE = "(VALUES (1, 'a', 10, 1.5), (2, 'a', 20, 2.5), (3, 'b', 40, 4.0), (4, 'b', NULL, 4.5)) AS t (id, kind, x, y)"
"""The rows of the examples, in FROM."""

OWN = frozenset(
    (
        *("max_by", "min_by", "arg_max", "arg_min", "date_bin_hopping", "csv_extract", "regexp_extract"),
        *("list_agg", "map_agg"),
    )
)
"""Functions that PostgreSQL has not."""

AGGREGATES_TABLE = r"""
count | how many values are not NULL; of * how many rows | count(x)
sum | their sum; NULL of none | sum(x)
avg | their mean | avg(y)
min | the least | min(kind)
max | the greatest | max(y)
bool_and | whether all are true | bool_and(x > 5)
bool_or | whether one is | bool_or(x > 35)
every | the same as bool_and | every(y > 1)
stddev | the standard deviation of a sample | stddev(x)
stddev_samp | the same | stddev_samp(y)
stddev_pop | of a whole population | stddev_pop(id)
variance | the variance of a sample | variance(x)
var_samp | the same | var_samp(y)
var_pop | of a whole population | var_pop(id)
corr | the correlation of pairs (y, x) of which neither is NULL; so below | corr(y, 2 * y)
covar_pop | the covariance of a whole population | covar_pop(id, y)
covar_samp | of a sample | covar_samp(id, y)
regr_count | how many pairs | regr_count(x, y)
regr_avgx | the mean of the second | regr_avgx(y, id)
regr_avgy | the mean of the first | regr_avgy(y, id)
regr_sxx | squares of the second around its mean, added up | regr_sxx(y, id)
regr_syy | squares of the first | regr_syy(y, id)
regr_sxy | products | regr_sxy(y, id)
regr_slope | the slope of the line nearest to the pairs | regr_slope(2 * y, y)
regr_intercept | where it meets the axis | regr_intercept(2 * y, y)
regr_r2 | the square of the correlation | regr_r2(2 * y, y)
string_agg | texts joined with a delimiter | string_agg(kind, ', ' ORDER BY id DESC)
array_agg | an array of the values, NULLs too; NULL of none | array_agg(x ORDER BY id DESC)
list_agg | a list of the values, NULLs too | list_agg(x ORDER BY id DESC)
map_agg | a map of keys and values; of several with one key the last | map_agg(kind, x ORDER BY id)
jsonb_agg | a jsonb array of the values, NULLs too | jsonb_agg(x ORDER BY id)
jsonb_object_agg | a jsonb object of keys and values; of several with one key the last | jsonb_object_agg(id, kind ORDER BY id)
bit_and | the bits that all values have | bit_and(x)
bit_or | the bits that one has | bit_or(x)
bit_xor | the bits that an odd number of them have | bit_xor(id)
percentile_cont | the value so far through the order, between two if need be | percentile_cont(0.5) WITHIN GROUP (ORDER BY x)
percentile_disc | the first value that is as far | percentile_disc(0.5) WITHIN GROUP (ORDER BY y)
mode | the most frequent value, of several the first | mode() WITHIN GROUP (ORDER BY kind)
max_by | the value where another is the greatest | max_by(kind, y)
min_by | where it is the least | min_by(id, y)
arg_max | the same as max_by | arg_max(id, x)
arg_min | the same as min_by | arg_min(kind, x)
"""

WINDOWS_TABLE = r"""
row_number() | the place of the row | row_number() OVER (ORDER BY y DESC)
rank() | the place of the first of its peers | rank() OVER (ORDER BY kind)
dense_rank() | the number of its group of peers | dense_rank() OVER (ORDER BY kind)
percent_rank() | its rank from 0 to 1 | percent_rank() OVER (ORDER BY kind)
cume_dist() | the share of rows up to its peers | cume_dist() OVER (ORDER BY kind)
ntile(integer) | in which of so many equal parts it is | ntile(2) OVER (ORDER BY id)
lag(any, [integer], [any]) | some rows before; else the default | lag(id, 1, 0) OVER (PARTITION BY kind ORDER BY id)
lead(any, [integer], [any]) | some rows after; else the default | lead(id) OVER (ORDER BY id)
first_value(any) | the value of the frame's first row | first_value(y) OVER (PARTITION BY kind ORDER BY y DESC)
last_value(any) | of its last row | last_value(id) OVER (ORDER BY kind)
nth_value(any, integer) | of its n-th row | nth_value(id, 2) OVER (ORDER BY id)
"""

TABLES_TABLE = r"""
generate_series | numbers from one to another, or times a step apart | generate_series(1, 10, 4)
date_bin_hopping | where the windows begin that a time is in | date_bin_hopping('1 h', '2 h', timestamp '2024-05-17 10:37')
unnest | elements of an array or list, pairs of a map; of several, in FROM, side by side | unnest('{{1,2},{3,NULL}}'::int[])
generate_subscripts | the places of a dimension; with true backwards | generate_subscripts('{a,b,c}'::text[], 1)
regexp_matches | what parentheses hold of the first match; of each with the flag g | regexp_matches('a1 b2', '(\w)(\d)', 'g')
regexp_split_to_table | the parts of a text between the matches of a pattern | regexp_split_to_table('a1b22c', '\d+')
string_to_table | the parts of a text between delimiters | string_to_table('a,b', ',')
csv_extract | the records of a text of comma-separated values that have so many fields | csv_extract(2, 'a,"b,c"')
regexp_extract | what the groups of a pattern hold in the first match, one column each | regexp_extract('(\w+)=(\d+)', 'total=42')
jsonb_array_elements | the elements of an array | jsonb_array_elements('[1, {"a": 2}]')
jsonb_array_elements_text | the same as texts | jsonb_array_elements_text('["x", null]')
jsonb_each | keys and values of an object | jsonb_each('{"a": 1, "b": "x"}')
jsonb_each_text | the same as texts | jsonb_each_text('{"a": 1, "b": "x"}')
jsonb_object_keys | the keys | jsonb_object_keys('{"a": 1, "b": 2}')
"""


def lines(table: str) -> list[tuple[str, str, str]]:
    """The name or form, the meaning and the example of each line."""
    found = []
    for line in table.strip().splitlines():
        name, meaning, example = line.split(" | ", 2)
        found.append((name, meaning, example))
    return found


def queries() -> dict[str, str]:
    """By name, the query whose rows are the example's result; each of its columns is a text."""
    found = {name: f"SELECT ({example})::text AS x FROM {TABLE}" for name, _, example in lines(AGGREGATES_TABLE)}
    for form, _, example in lines(WINDOWS_TABLE):
        found[form.partition("(")[0]] = f"SELECT id::text AS i, ({example})::text AS x FROM {TABLE}"
    for name, _, example in lines(TABLES_TABLE):
        columns = ("k", "v") if name.startswith("jsonb_each") or name.endswith("_extract") else ("k",)
        shown = ", ".join(f"{column}::text AS {column}" for column in columns)
        found[name] = f"SELECT {shown} FROM {example} AS f ({', '.join(columns)})"
    return found
