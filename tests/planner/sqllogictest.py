"""SQLite's sqllogictest files, through the door that the PostgreSQL wire uses: `python -m tests.planner.sqllogictest FOLDER`.

    statement ok                        query III rowsort
    CREATE TABLE t1(a INTEGER, ...)     SELECT a, b, c FROM t1
                                        ----
                                        30 values hashing to 3c13dee48d9356ae19af2515e05e6b54

Always true: tables are what CREATE TABLE and INSERT made of them so far; each query is planned, run and compared as the file says,
and one that is refused, fails or differs counts against the file. Deliberately left out: the corpus, which is not ours to keep
(the files select1 to select5 of any copy of the sqllogictest repository), and statements that no query file here needs.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from dataflow.types import Column, ColumnType, Schema
from serve.sql.errors import QueryError
from tests.planner.fuzz_ways import Door

LEAST = 0.999
"""The share of a corpus that must be right."""


@dataclass(frozen=True)
class Record:
    """A statement or a query. kinds: a letter for each column, I, R or T; empty for a statement. wanted: the answer's lines."""

    line: int
    sql: str
    kinds: str = ""
    order: str = "nosort"
    wanted: tuple[str, ...] = ()


@dataclass
class Score:
    """How many queries of a file were right, and what was not."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)


def records(text: str) -> Iterator[Record]:
    """The records of a file that are meant for PostgreSQL."""
    line = 0
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [one for one in block.split("\n") if not one.startswith("#")]
        first, line = line + 1 + len(block) - len(block.lstrip("\n")), line + block.count("\n") + 2
        conditions = [one.split() for one in lines if one.startswith(("skipif", "onlyif"))]
        lines = [one for one in lines if one and not one.startswith(("skipif", "onlyif", "hash-threshold"))]
        skipped = any((word == "skipif") == (name == "postgresql") for word, name, *_ in conditions)
        if not lines or skipped:
            continue
        if lines[0].startswith("halt"):
            return
        head = lines[0].split()
        if head[0] == "statement":
            yield Record(first, "\n".join(lines[1:]))
        elif head[0] == "query":
            cut = lines.index("----") if "----" in lines else len(lines)
            order = head[2] if len(head) > 2 else "nosort"
            yield Record(first, "\n".join(lines[1:cut]), head[1], order, tuple(lines[cut + 1 :]))


class Database:
    """Tables that statements fill, and a door to ask at."""

    def __init__(self) -> None:
        self._schemas: dict[str, Schema] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._door: Door | None = None

    def execute(self, sql: str) -> None:
        """CREATE TABLE, CREATE INDEX (which changes no answer) or INSERT. ValueError for anything else."""
        tree = sqlglot.parse_one(sql, dialect="postgres")
        match tree:
            case exp.Create(this=exp.Schema()) if tree.kind == "TABLE":
                name = tree.this.this.name.lower()
                columns = [c for c in tree.this.expressions if isinstance(c, exp.ColumnDef)]
                self._schemas[name] = tuple(
                    Column(c.name.lower(), ColumnType.parse(c.args["kind"].sql("postgres").lower())) for c in columns
                )
                self._rows[name] = []
            case exp.Create() if tree.kind == "INDEX":
                pass
            case exp.Insert():
                self._insert(tree)
            case _:
                raise ValueError(f"no statement of this kind is read here: {sql[:60]}")
        self._door = None

    def _insert(self, tree: exp.Insert) -> None:
        into = tree.this
        name = (into.this if isinstance(into, exp.Schema) else into).name.lower()
        names = [column.name for column in self._schemas[name]]
        given = [one.name.lower() for one in into.expressions] if isinstance(into, exp.Schema) else names
        for row in tree.expression.expressions:
            values = dict(zip(given, map(_constant, row.expressions), strict=True))
            self._rows[name].append(tuple(values.get(column) for column in names))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows. QueryError where it cannot be answered."""
        if self._door is None:
            self._door = Door(self._rows, self._schemas)
        return self._door.rows(sql)


def _constant(node: exp.Expr) -> Any:
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -_constant(node.this)
    return node.name if node.args.get("is_string") else int(node.name)


def formatted(value: Any, kind: str) -> str:
    """A value as the files write it. kind: I, R or T."""
    if value is None:
        return "NULL"
    if kind == "I":
        return str(int(value))
    if kind == "R":
        return f"{Decimal(str(value)):.3f}"
    return str(value) or "(empty)"


def answer(record: Record, rows: list[tuple[Any, ...]]) -> list[str]:
    """The lines of an answer, as the record wants them."""
    written = [[formatted(value, kind) for value, kind in zip(row, record.kinds, strict=True)] for row in rows]
    if record.order == "rowsort":
        written.sort()
    values = [value for row in written for value in row]
    if record.order == "valuesort":
        values.sort()
    if len(record.wanted) == 1 and " values hashing to " in record.wanted[0]:
        digest = hashlib.md5("".join(f"{value}\n" for value in values).encode(), usedforsecurity=False).hexdigest()
        return [f"{len(values)} values hashing to {digest}"]
    return values


def play(text: str, most: int | None = None) -> Score:
    """Run a file, or its first `most` queries."""
    database, score = Database(), Score()
    for record in records(text):
        if not record.kinds:
            database.execute(record.sql)
            continue
        if most is not None and score.right + len(score.wrong) >= most:
            break
        try:
            got = answer(record, database.query(record.sql))
        except QueryError as error:
            score.wrong.append(f"line {record.line}: {error.message}")
            continue
        except Exception as error:  # noqa: BLE001 - a crash is a wrong answer, and the next query is asked
            score.wrong.append(f"line {record.line}: {type(error).__name__}: {error}")
            continue
        if got == list(record.wanted):
            score.right += 1
        else:
            score.wrong.append(f"line {record.line}: {got[:4]} instead of {list(record.wanted[:4])}")
    return score


def main() -> int:
    """Run every file; 1 when fewer than LEAST of all queries were right."""
    parser = argparse.ArgumentParser("tests.planner.sqllogictest", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with select1.test and the like")
    parser.add_argument("--files", default="select*.test")
    parser.add_argument("--most", type=int, help="queries of each file")
    arguments = parser.parse_args()
    right = total = 0
    for path in sorted(arguments.folder.glob(arguments.files)):
        began = time.perf_counter()
        score = play(path.read_text(), arguments.most)
        right, total = right + score.right, total + score.right + len(score.wrong)
        for wrong in score.wrong[:20]:
            print(f"{path.name}, {wrong}")
        seconds = time.perf_counter() - began
        print(f"{path.name}: {score.right} right, {len(score.wrong)} wrong, {seconds:.1f} s", flush=True)
    if not total:
        print(f"no {arguments.files} in {arguments.folder}: give the folder of a copy of the sqllogictest files")
        return 2
    print(f"{right} of {total} right: {right / total:.2%}")
    return int(right < LEAST * total)


if __name__ == "__main__":
    sys.exit(main())
