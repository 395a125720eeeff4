"""Tables as TPC-DS's own generator makes them: dsdgen, as DuckDB packages it, in an environment of its own.

Always true: the same scale gives the same rows; they are made once and kept in `.cache/`. Deliberately left out:
c_last_review_date, which dsdgen gives as a key and no query reads, is NULL.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.tpcds import CACHE, SCHEMAS
from tests.bench.tpcds_tables import FACTS, RETURNS
from tests.servers.environments import Environment

_VERSION = "1.5.5"
_DSDGEN = Environment("dsdgen", (f"duckdb=={_VERSION}", f"duckdb-extension-tpcds=={_VERSION}"))

_SCRIPT = """\
import pathlib, sys
import duckdb, duckdb_extension_tpcds
(extension,) = pathlib.Path(duckdb_extension_tpcds.__file__).parent.rglob("*.duckdb_extension")
database = duckdb.connect()
database.execute(f"LOAD '{extension}'")
database.execute(f"CALL dsdgen(sf={sys.argv[1]})")
database.execute(f"EXPORT DATABASE '{sys.argv[2]}' (FORMAT parquet)")
"""


def generate(scale: float) -> dict[str, pa.Table]:
    """Every table, with the columns `event` (-1 where the table does not stream in) and `diff`. OSError when it cannot be made."""
    folder = CACHE / f"dsdgen-{scale:g}"
    if not folder.exists():
        if reason := _DSDGEN.install():
            raise OSError(f"no dsdgen: {reason}")
        half = folder.with_suffix(".part")
        subprocess.run([str(_DSDGEN.python), "-c", _SCRIPT, str(scale), str(half)], check=True)
        half.rename(folder)
    return {name: _typed(name, pq.read_table(folder / f"{name}.parquet")) for name in SCHEMAS}


def _typed(name: str, made: pa.Table) -> pa.Table:
    rows = len(made)
    columns = [
        made[column.name].combine_chunks().cast(column.type.arrow)
        if column.name in made.column_names
        else pa.nulls(rows, column.type.arrow)
        for column in SCHEMAS[name]
    ]
    when = np.arange(rows) if name in FACTS or name in RETURNS else np.full(rows, -1)
    names = ["event", "diff", *(column.name for column in SCHEMAS[name])]
    return pa.table([pa.array(when), pa.array(np.ones(rows, np.int64)), *columns], names)
