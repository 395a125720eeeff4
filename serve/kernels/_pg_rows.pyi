"""Rows as messages of the PostgreSQL wire (C++). Typed use goes through `serve.pg.rows`.

ValueError when a column does not fit its form, or when a row is longer than a message may be.
"""

import pyarrow as pa

def data_rows(columns: list[pa.Array], forms: list[tuple[int, bool]], rows: int) -> bytes: ...
def copy_rows(columns: list[pa.Array], rows: int, csv: bool, delimiter: str, null: str) -> bytes: ...
