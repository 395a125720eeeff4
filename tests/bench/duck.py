"""DuckDB on the same rows: the peer that recomputes everything, and the judge of every answer. One thread."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench.numbers import now
from tests.bench.workloads import Workload


class Duck:
    """A database in memory that is given the workload's rows in order of arrival."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._database = duckdb.connect(config={"threads": 1})
        for name, stored in workload.tables.items():
            columns = pa.schema([(c.name, c.type.arrow) for c in workload.schemas[stored]])
            self._database.register("empty", columns.empty_table())
            self._database.execute(f"CREATE TABLE {name} AS FROM empty")

    def load(self, data: Mapping[str, pa.Table], begin: int, end: int) -> None:
        """Add the rows of the events from `begin` up to `end`; deletes go by the first column, which must be unique."""
        for name, stored in self._workload.tables.items():
            table = data[stored].filter((pc.field("event") >= begin) & (pc.field("event") < end))
            key = self._workload.schemas[stored][0].name
            self._database.register("changes", table)
            if not len(table):
                continue
            self._database.execute(f"INSERT INTO {name} SELECT * EXCLUDE (event, diff) FROM changes WHERE diff > 0")
            self._database.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM changes WHERE diff < 0)")

    def recompute(self) -> float:
        """Seconds for the whole answer, from scratch, as Arrow."""
        began = now()
        self._database.sql(self._workload.reference).to_arrow_table()
        return now() - began

    def check(self, answer: pa.Table) -> int:
        """Compare an answer with DuckDB's as multisets; the number of rows. ValueError when they differ.

        Fractions are compared to four digits: DuckDB's averages are floats, ours are exact.
        """
        self._database.execute(f"CREATE OR REPLACE TEMP TABLE wanted AS {self._workload.reference}")
        self._database.register("given", answer)
        columns = self._database.execute("DESCRIBE wanted").fetchall()
        names = [row[0] for row in self._database.execute("DESCRIBE given").fetchall()]
        wanted = ", ".join(_plain(name, kind) for name, kind, *_ in columns)
        given = ", ".join(_plain(name, kind) for name, (_, kind, *_) in zip(names, columns, strict=True))
        for left, right in (
            (f"{given} FROM given", f"{wanted} FROM wanted"),
            (f"{wanted} FROM wanted", f"{given} FROM given"),
        ):
            extra = self._database.execute(f"SELECT {left} EXCEPT ALL SELECT {right}").fetchall()
            if extra:
                raise ValueError(f"{self._workload.name}: {len(extra)} rows only in ({left}), for example {extra[:2]}")
        return int(answer.num_rows)


def _plain(name: str, kind: str) -> str:
    if kind in ("DOUBLE", "FLOAT"):
        return f"round({name}::DOUBLE, 4)"
    return f"{name}::HUGEINT" if kind == "HUGEINT" else f"{name}::{kind}"
