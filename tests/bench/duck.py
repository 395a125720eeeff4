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
        """Compare an answer with DuckDB's as multisets; the number of rows. ValueError when they differ."""
        compare(self._database, self._workload.name, self._workload.reference, answer)
        return int(answer.num_rows)


def compare(database: duckdb.DuckDBPyConnection, name: str, query: str, answer: pa.Table) -> None:
    """Compare an answer with DuckDB's to the query as multisets. ValueError when they differ.

    Fractions are compared to nine digits: DuckDB's averages are floats, ours are exact.
    """
    database.execute(f"CREATE OR REPLACE TEMP TABLE wanted AS {query}")
    database.register("given", answer)
    kinds = [kind for _, kind, *_ in database.execute("DESCRIBE wanted").fetchall()]
    names = [f"c{i}" for i in range(len(kinds))]
    (rows,) = database.execute("SELECT count(*) FROM wanted").fetchone() or (0,)
    if rows != answer.num_rows:
        raise ValueError(f"{name}: {answer.num_rows} rows, but DuckDB has {rows}")
    floats = {column for column, kind in zip(names, kinds, strict=True) if kind in ("DOUBLE", "FLOAT")}
    order = ", ".join(sorted(names, key=lambda column: column in floats))
    typed = ", ".join(f"{column}::{kind} AS {column}" for column, kind in zip(names, kinds, strict=True))
    sides = [
        f"(SELECT {typed} FROM {table} AS t({', '.join(names)}) ORDER BY {order}) AS {table[0]}"
        for table in ("given", "wanted")
    ]
    near = "coalesce(abs(g.{0} - w.{0}) <= 1e-9 * abs(w.{0}), false)"
    unlike = " OR ".join(
        f"g.{c} IS DISTINCT FROM w.{c}" + (f" AND NOT {near.format(c)}" if c in floats else "") for c in names
    )
    differ = database.execute(f"SELECT * FROM {' POSITIONAL JOIN '.join(sides)} WHERE {unlike}").fetchall()
    if differ:
        raise ValueError(f"{name}: {len(differ)} of {rows} rows are not DuckDB's, for example {differ[0]}")
