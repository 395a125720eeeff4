"""The runner of sqllogictest files, on a file of our own: what is right counts, and what is wrong is named with its line."""

from __future__ import annotations

import hashlib

import pytest

from tests.planner.sqllogictest import play, records

FILE = """# tables
statement ok
CREATE TABLE t1(a INTEGER, b INTEGER, c VARCHAR(30))

statement ok
INSERT INTO t1 VALUES(1,-2,'x'),(2,NULL,'')

statement ok
INSERT INTO t1(c,a) VALUES('y',10)

statement ok
CREATE INDEX i1 ON t1(a)

hash-threshold 8

query I nosort
SELECT a FROM t1 ORDER BY a DESC
----
10
2
1

query IIT rowsort label-1
SELECT a, b, c FROM t1
----
1
-2
x
10
NULL
y
2
NULL
(empty)

skipif postgresql
query I nosort
SELECT nonsense
----
1

onlyif sqlite
query I nosort
SELECT nonsense
----
1

onlyif postgresql
query R nosort
SELECT avg(a) FROM t1
----
4.333

query II valuesort
SELECT a, a + 1 FROM t1
----
6 values hashing to HASH
"""


def test_a_file_is_played() -> None:
    digest = hashlib.md5(b"1\n10\n11\n2\n2\n3\n", usedforsecurity=False).hexdigest()
    score = play(FILE.replace("HASH", digest))
    assert (score.right, score.wrong) == (4, [])


def test_what_is_wrong_is_named() -> None:
    wrong = "\n\nquery I nosort\nSELECT a FROM t1 WHERE a = 1\n----\n2\n\nquery I nosort\nSELECT z FROM t1\n----\n"
    score = play(FILE + wrong)
    line = FILE.count("\n") + 3
    assert score.right == 3
    assert score.wrong[1:] == [
        f"line {line}: ['1'] instead of ['2']",
        f'line {line + 5}: column "z" does not exist',
    ]


def test_halt_ends_a_file_and_other_statements_are_no_part_of_it() -> None:
    assert len(list(records(FILE.replace("hash-threshold 8", "halt")))) == 4
    with pytest.raises(ValueError, match="no statement of this kind"):
        play("statement ok\nDROP TABLE t1\n")
