"""What each scalar function and operator does, in a line, with an example: the source of docs/functions.md.

Always true: every name of the registry is here once, under one heading; each example runs in the tests, on our engine and on
PostgreSQL. Deliberately unknown here: signatures (the registry) and results (computed when the page is made).
"""

from __future__ import annotations

from dataclasses import dataclass

_TABLE = r"""
## Logic and choice
and | true when all are; false decides even beside an error | true AND NULL
or | true when one is; true decides even beside an error | false OR true
not | the opposite | NOT false
is_null | whether a value is missing | NULL IS NULL
is_not_null | whether there is a value | 1 IS NOT NULL
is_true | true, and never NULL | (1 = 1) IS TRUE
is_not_true | false or NULL | NULL IS NOT TRUE
is_false | false, and never NULL | (1 = 2) IS FALSE
is_not_false | true or NULL | NULL IS NOT FALSE
is_unknown | whether a boolean is NULL | (NULL = 1) IS UNKNOWN
is_not_unknown | whether a boolean is not NULL | (1 = 1) IS NOT UNKNOWN
coalesce | the first value that is not NULL; what stands behind it is not computed | coalesce(NULL, 2, 3)
nullif | NULL when both are equal, else the first | nullif(5, 5)
mz_error_if_null | the value; where that is NULL, an error of these words | mz_error_if_null(5, 'no number')
greatest | the largest value, NULLs passed over | greatest(1, NULL, 3)
least | the smallest value, NULLs passed over | least(1, NULL, 3)
num_nulls | how many are NULL | num_nulls(1, NULL, 'a')
num_nonnulls | how many are not | num_nonnulls(1, NULL, 'a')
## Comparison
= | equal; numbers by value, text by bytes, intervals by length | 1 = 1.0
<> | not equal | 'a' <> 'b'
< | less | date '2024-01-01' < date '2024-01-02'
<= | less or equal | 1 <= 1
> | greater; NaN is above every number | 'NaN'::float8 > 1
>= | greater or equal | interval '1 month' >= interval '30 days'
is_distinct_from | not equal, NULL being a value | 1 IS DISTINCT FROM NULL
is_not_distinct_from | equal, NULL being a value | NULL IS NOT DISTINCT FROM NULL
in | equal to one of a list | 3 IN (1, 2, 3)
## Numbers
+ | sum; a date plus days; times plus intervals | date '2024-01-31' + interval '1 month'
- | difference, or the negative; a document without a key or element | timestamp '2024-03-01' - timestamp '2024-02-28 12:00'
* | product; an interval so many times | 2.5 * 4
/ | quotient; of integers cut towards zero | 7 / 2
% | remainder, with the sign of the first | -7 % 3
mod | the same as % | mod(7, 3)
^ | power | 2 ^ 10
power | power | power(2.0, 3)
pow | power | pow(2.0, 3)
abs | without its sign | abs(-5)
sign | -1, 0 or 1 | sign(-2.5)
ceil | the next whole number above | ceil(1.2)
ceiling | the next whole number above | ceiling(-1.2)
floor | the next whole number below | floor(-1.2)
round | to so many digits, halves away from zero (of doubles to even) | round(2.345, 2)
trunc | cut to so many digits | trunc(-1.99)
sqrt | square root | sqrt(2.25)
cbrt | cube root | cbrt(27)
exp | e to the power | exp(0.0)
ln | natural logarithm | ln(1.0)
log | logarithm to base 10, or of the second to the base of the first | log(2, 64)
log10 | logarithm to base 10 | log10(1000)
div | whole quotient of numerics | div(7.5, 2)
gcd | greatest common divisor | gcd(12, 18)
lcm | least common multiple | lcm(4, 6)
width_bucket | which of so many equal buckets between two bounds | width_bucket(5.35, 0, 10, 5)
pi | the number | pi()
degrees | radians as degrees | degrees(pi())
radians | degrees as radians | radians(180)
sin | sine | sin(0)
sind | sine of degrees | sind(30)
cosd | cosine of degrees | cosd(60)
tand | tangent of degrees | tand(45)
cotd | cotangent of degrees | cotd(45)
asind | arc sine in degrees | asind(0.5)
acosd | arc cosine in degrees | acosd(0.5)
atand | arc tangent in degrees | atand(1)
atan2d | arc tangent of y / x in degrees | atan2d(1, -1)
cos | cosine | cos(0)
tan | tangent | tan(0)
cot | cotangent | round(cot(1)::numeric, 6)
asin | inverse sine | asin(0)
acos | inverse cosine | acos(1)
atan | inverse tangent | atan(0)
atan2 | angle of the point (second, first) | atan2(0, 1)
sinh | hyperbolic sine | sinh(0)
cosh | hyperbolic cosine | cosh(0)
tanh | hyperbolic tangent | tanh(0)
asinh | inverse hyperbolic sine | asinh(0)
acosh | inverse hyperbolic cosine | acosh(1)
atanh | inverse hyperbolic tangent | atanh(0)
& | bits that both have | 12 & 10
| | bits that one has | 12 | 10
# | bits that exactly one has | 12 # 10
~ | bits the other way round; of texts: matches a regular expression | 'headwater' ~ '^h.*r$'
<< | bits moved left | 1 << 4
>> | bits moved right, the sign kept | -16 >> 2
to_hex | hexadecimal digits | to_hex(255)
to_number | a number from a text by a pattern | to_number('1,234.5-', '9G999D9S')
factorial | the product of all whole numbers up to it | factorial(20)
scale | digits behind the point | scale(1.50)
min_scale | digits behind the point that it needs | min_scale(1.50)
trim_scale | without zeros at the end behind the point | trim_scale(1.50)
## Text
|| | texts, bytes or documents joined; NULL with NULL | 'head' || 'water'
concat | texts of all values joined, NULLs passed over | concat('a', NULL, 1, true)
concat_ws | the same with a separator | concat_ws(', ', 'a', NULL, 'b')
length | characters of a text, bytes of a bytea | length('größe')
char_length | characters | char_length('größe')
character_length | characters | character_length('größe')
octet_length | bytes | octet_length('größe')
bit_length | bits | bit_length('abc')
upper | in capitals | upper('abc')
lower | in small letters | lower('ABC')
initcap | every word with a capital | initcap('hello WORLD')
substring | from a place on, so many characters | substring('headwater' FROM 5 FOR 3)
substr | the same | substr('headwater', 5)
left | the first characters; negative: all but the last | left('headwater', 4)
right | the last characters; negative: all but the first | right('headwater', 5)
position | where a part begins, 0 when it does not | position('water' IN 'headwater')
strpos | the same, the text first | strpos('headwater', 'water')
starts_with | whether a text begins so | starts_with('headwater', 'head')
trim | without blanks, or the given characters, at both ends | trim(BOTH 'x' FROM 'xxaxx')
btrim | the same | btrim('  a ')
ltrim | at the beginning | ltrim('xxa', 'x')
rtrim | at the end | rtrim('axx', 'x')
lpad | filled or cut to a length, at the beginning | lpad('7', 3, '0')
rpad | filled or cut to a length, at the end | rpad('ab', 4, '.')
replace | every occurrence of a part | replace('a-b-c', '-', '+')
translate | character by character | translate('12345', '143', 'ax')
overlay | some characters replaced | overlay('Txxxxas', 'hom', 2, 4)
repeat | so many times | repeat('ab', 3)
reverse | from back to front | reverse('abc')
split_part | the n-th part between separators; negative counts from the end | split_part('a,b,c', ',', 2)
ascii | the first character's code point | ascii('A')
chr | the character of a code point | chr(8364)
like | matches a pattern of % and _ | 'headwater' LIKE 'head%'
not_like | does not match | 'headwater' NOT LIKE '%x%'
ilike | matches in any case | 'Headwater' ILIKE 'HEAD_____'
not_ilike | does not match in any case | 'Headwater' NOT ILIKE '%X%'
similar_to | the whole text matches: LIKE's % and _, with alternatives and brackets | 'abc' SIMILAR TO '_(b)+[a-c]'
~* | matches a regular expression in any case | 'HEAD' ~* '^h'
!~ | does not match a regular expression | 'abc' !~ '[0-9]'
!~* | does not match in any case | 'ABC' !~* '^x'
regexp_like | matches a regular expression | regexp_like('abc', 'b')
regexp_count | how many times it matches | regexp_count('banana', 'an')
regexp_instr | where it matches, from a place on the n-th time | regexp_instr('order 42 of 7', '[0-9]+', 1, 2)
regexp_substr | the first match | regexp_substr('order 42 of 7', '[0-9]+')
regexp_replace | the first match, or with g all matches, replaced | regexp_replace('2024-02-29', '(\d+)-(\d+)', '\2/\1')
format | by a pattern, which is a constant: %s a text, %L a literal | format('%2$s-%1$s %-5s|%L', 7, true, 'it''s')
quote_literal | as a text in quotes | quote_literal('it''s')
quote_nullable | the same, of NULL the word | quote_nullable(NULL)
quote_ident | a name as SQL writes it, in quotes where it needs them | quote_ident('Order lines')
parse_ident | the names in a qualified name; with false what follows it may be anything | parse_ident('Public."My view"')
md5 | digest as hexadecimal text | md5('abc')
sha224 | digest | encode(sha224('abc'::bytea), 'hex')
sha256 | digest | encode(sha256('abc'::bytea), 'hex')
sha384 | digest | left(encode(sha384('abc'::bytea), 'hex'), 16)
sha512 | digest | left(encode(sha512('abc'::bytea), 'hex'), 16)
encode | bytes as hex, base64 or escape | encode('abc'::bytea, 'base64')
decode | bytes from hex, base64 or escape | decode('616263', 'hex')
convert_from | the text of bytes in utf8 or latin1 | convert_from('\xfc'::bytea, 'latin1')
convert_to | a text's bytes in utf8 or latin1 | convert_to('ü', 'latin1')
normalize | in a Unicode normalization form: NFC, NFD, NFKC, NFKD | length(normalize('ü', NFD))
get_byte | the byte at a place, from 0 | get_byte('abc'::bytea, 1)
set_byte | the bytes with another one at a place | set_byte('abc'::bytea, 1, 65)
get_bit | the bit at a place, from the first byte's lowest | get_bit('abc'::bytea, 3)
set_bit | the bytes with another bit | set_bit('abc'::bytea, 1, 1)
bit_count | how many bits are set | bit_count('abc'::bytea)
constant_time_eq | whether both are equal, in a time that does not say where they differ | constant_time_eq('secret', 'secret')
digest | by md5, sha1, sha224, sha256, sha384 or sha512 | encode(digest('abc', 'sha1'), 'hex')
hmac | a digest with a key | encode(hmac('abc', 'key', 'md5'), 'hex')
crc32 | checksum of a text's or of bytes | crc32('abc')
seahash | the 64-bit hash of that name, without a sign | seahash('to be or not to be')
kafka_murmur2 | the hash by which Kafka's clients choose partitions, not negative | kafka_murmur2('foobar') % 12
uuid_generate_v5 | a uuid of a namespace and a name | uuid_generate_v5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'example.com')
pg_size_pretty | a number of bytes for people | pg_size_pretty(123456789::bigint)
pg_size_bytes | the number of bytes of such a text | pg_size_bytes('1.5 MB')
pg_typeof | the name of a value's type | pg_typeof(1.5)
## Dates and times
extract | a field of a date, time, timestamp or interval | extract(quarter FROM date '2024-05-01')
date_part | the same as a double | date_part('hour', time '10:30')
date_trunc | cut down to a unit | date_trunc('month', timestamp '2024-05-17 10:00')
date_bin | the beginning of the bin a timestamp is in | date_bin('15 min', timestamp '2024-05-17 10:37', timestamp '2024-01-01')
age | difference in years, months and days | age(timestamp '2024-05-17', timestamp '2023-12-25')
justify_hours | 24 hours as days | justify_hours(interval '50 hours')
justify_days | 30 days as months | justify_days(interval '65 days')
justify_interval | both | justify_interval(interval '65 days 50 hours')
make_date | a date of year, month and day | make_date(2024, 2, 29)
make_time | a time of hour, minute and seconds | make_time(10, 30, 1.5)
make_timestamptz | the same in a zone | make_timestamptz(2024, 2, 29, 10, 30, 0, 'Europe/Paris')
make_timestamp | a timestamp of its parts | make_timestamp(2024, 2, 29, 10, 30, 0)
make_interval | an interval of years, months, weeks, days, hours, minutes, seconds | make_interval(0, 1, 0, 10)
timezone | AT TIME ZONE: the wall clock of a zone, or its instant | timestamptz '2024-07-01 12:00+00' AT TIME ZONE 'Europe/Paris'
to_timestamp | seconds since 1970, or a text by a constant pattern | to_timestamp('29 Feb 2024 3:04 pm', 'DD Mon YYYY HH:MI am')
to_date | a text by a pattern, which is a constant | to_date('2024/2/9', 'YYYY/MM/DD')
isfinite | whether it is a time; here each is | isfinite(date '2024-02-29')
try_parse_monotonic_iso8601_timestamp | the timestamp, or NULL | try_parse_monotonic_iso8601_timestamp('2024-02-29T15:04:05.123Z')
to_char | a time, an interval or a number by a pattern | to_char(timestamp '2024-02-29 15:04:05', 'FMDay DD Mon YYYY HH12:MI AM')
## Arrays
array | an array of its arguments, of arrays one with a dimension more | ARRAY[[1, 2], [3, NULL]]
array_subscript | the element at a place, from 1; NULL where there is none | ('{a,b,c}'::text[])[2]
array_slice | the part from one place to another | ('{1,2,3,4}'::int[])[2:3]
any | whether the operator is true for one of the elements | 'abc' LIKE ANY ('{a%,x%}')
all | whether it is for every one | 3 > ALL (ARRAY[1, 2])
&& | whether two arrays have an element in common | ARRAY[1, 2] && ARRAY[2, 3]
array_append | an element at the end; `\|\|` does the same | array_append(ARRAY[1, 2], 3)
array_prepend | an element in front | array_prepend(0, ARRAY[1, 2])
array_cat | one array behind the other | array_cat(ARRAY[1, 2], ARRAY[3])
array_remove | without the elements that are equal | array_remove(ARRAY[1, 2, 1], 1)
array_replace | one element for another | array_replace(ARRAY[1, 2, 1], 1, 5)
array_position | the first place of an element, from the third argument on | array_position(ARRAY['a', 'b', 'a'], 'a', 2)
array_positions | all its places | array_positions(ARRAY['a', 'b', 'a'], 'a')
array_length | how many elements a dimension has | array_length(ARRAY[1, 2, 3], 1)
array_lower | the first place of a dimension | array_lower('[0:2]={1,2,3}'::int[], 1)
array_upper | the last one | array_upper('[0:2]={1,2,3}'::int[], 1)
array_ndims | how many dimensions | array_ndims(ARRAY[[1, 2], [3, 4]])
array_dims | the places of each dimension | array_dims(ARRAY[[1, 2, 3], [4, 5, 6]])
cardinality | how many elements in all | cardinality(ARRAY[[1, 2], [3, 4]])
array_fill | an array of one value, with so many in each dimension | array_fill(7, ARRAY[2, 3])
trim_array | without the last elements | trim_array(ARRAY[1, 2, 3, 4], 2)
array_to_string | elements joined with a delimiter, NULLs left out or shown as a text | array_to_string(ARRAY[1, NULL, 3], ',', '*')
string_to_array | a text cut at a delimiter | string_to_array('a,b,,c', ',', '')
array_to_json | the array as jsonb | array_to_json(ARRAY[[1, 2], [3, NULL]])::jsonb
regexp_match | what the parentheses of a pattern hold in its first match | regexp_match('order 42 of 7', '(\d+) of (\d+)')
regexp_split_to_array | a text cut at the matches of a pattern | regexp_split_to_array('a1b22c', '\d+')
## Documents (jsonb)
-> | a member or element; NULL when there is none | '{"a": [1, 2]}'::jsonb -> 'a' -> 0
->> | the same as text | '{"a": "x"}'::jsonb ->> 'a'
? | whether a key, or a text in an array, is there | '{"a": 1}'::jsonb ? 'a'
@> | contains | '{"a": 1, "b": 2}'::jsonb @> '{"b": 2}'
<@ | is contained | '[1]'::jsonb <@ '[1, 2]'
jsonb_typeof | object, array, string, number, boolean or null | jsonb_typeof('[1]'::jsonb)
jsonb_array_length | elements | jsonb_array_length('[1, 2, 3]'::jsonb)
jsonb_extract_path | the value at the end of a path of keys | jsonb_extract_path('{"a": {"b": 5}}'::jsonb, 'a', 'b')
jsonb_extract_path_text | the same as text | jsonb_extract_path_text('{"a": {"b": "x"}}'::jsonb, 'a', 'b')
to_jsonb | any value as jsonb | to_jsonb(date '2024-02-29')
jsonb_build_object | of keys and values in turns | jsonb_build_object('id', 7, 'tags', jsonb_build_array('a', NULL))
jsonb_build_array | of values | jsonb_build_array(1, 'a', true)
jsonb_set | with another value at a path; false: not where there is none | jsonb_set('{"a": [1, 2]}'::jsonb, '{a,1}', '5')
jsonb_insert | with a new key, or an element before a place; true: behind it | jsonb_insert('{"a": [1, 2]}'::jsonb, '{a,1}', '5')
#- | without what is at a path | '{"a": [1, 2]}'::jsonb #- '{a,0}'
?| | whether one of some keys is there | '{"a": 1}'::jsonb ?| ARRAY['a', 'b']
?& | whether all of them are | '{"a": 1}'::jsonb ?& ARRAY['a', 'b']
jsonb_strip_nulls | without members that are null | jsonb_strip_nulls('{"a": null, "b": [null]}'::jsonb)
jsonb_pretty | with line breaks | jsonb_pretty('{"a": 1}'::jsonb)
## Lists, maps and records
list | LIST[a, b] as a function; elements may be lists of any length | LIST[[1, 2], [3]]
list_subscript | l[i] as a function, from 1; NULL beyond the end | LIST[['a', 'b'], ['c']][1][2]
list_slice | l[i:j] as a function; each slice is of what those before it gave | LIST[1, 2, 3, 4, 5][2:][2:3]
list_append | with an element more | list_append(LIST[1, 2], 3)
list_prepend | with an element before | list_prepend(1, LIST[2, 3])
list_cat | one after the other | list_cat(LIST[1, 2], LIST[2, 3])
list_remove | without all elements equal to one | list_remove(LIST[1, 2, 1], 1)
list_length | elements | list_length(LIST[[1], [2, 3], [4]])
list_length_max | the most elements that a list of a layer has | list_length_max(LIST[[1], [2, 3]], 2)
list_n_layers | layers | list_n_layers(LIST[[1], [2, 3]])
list_ndims | the same | list_ndims(LIST[1])
map | MAP[k => v] as a function; of equal keys the last counts | MAP['a' => 1, 'b' => 2]
map_build | of a list of records of a key and a value | map_build(LIST[ROW('a', 1), ROW('b', 2)])
map_length | pairs | map_length(MAP['a' => 1, 'b' => 2])
row | ROW(a, b) as a function | ROW(1, 'a', NULL)
record_field | (r).f2 as a function | (ROW(1, 'a')).f2
"""


OWN = frozenset(
    (
        *(
            "constant_time_eq",
            "crc32",
            "digest",
            "hmac",
            "kafka_murmur2",
            "mz_error_if_null",
            "seahash",
            "uuid_generate_v5",
        ),
        "try_parse_monotonic_iso8601_timestamp",
        *("list", "list_subscript", "list_slice", "list_append", "list_prepend", "list_cat", "list_remove"),
        *(
            "list_length",
            "list_length_max",
            "list_n_layers",
            "list_ndims",
            "map",
            "map_build",
            "map_length",
        ),
    )
)
"""Functions that PostgreSQL has not, or only in extensions."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One function: the heading of its section, what it does, an example in SQL."""

    heading: str
    meaning: str
    example: str


def _read() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    heading = ""
    for line in _TABLE.strip().splitlines():
        if line.startswith("## "):
            heading = line[3:]
            continue
        name, meaning, example = line.split(" | ", 2)
        if name in found:
            raise ValueError(f"{name} is described twice")
        found[name] = Entry(heading, meaning, example)
    return found


DESCRIBED = _read()
"""By the registry's name, in the order of the page."""
