"""CREATE TABLE ... AS: the table that a query's columns and rows make.

Always true: the rows are those of one time, no earlier than when the statement came. Deliberately unknown: how a table is made.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dataflow.delta import Delta
from dataflow.rows import concat_deltas
from dataflow.types import Column, ColumnType, Schema
from serve.definitions import Definition
from serve.pg.state import State
from serve.pg.write import MAX_WRITE_BYTES
from serve.sql.changes import ColumnDefinition, CreateTable, CreateTableAs
from serve.sql.dml import insert_query
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared


def table_of(state: State, asked: CreateTableAs, check: Callable[[], None]) -> CreateTable:
    """The table, with the rows of now. QueryError when there is no such query, or too much of it. check: ends it early."""
    try:
        prepared = state.queries.prepare(asked.query)
    except QueryError as error:
        error.position = None if error.position is None else error.position + asked.begin
        raise
    if prepared.query.parameters:
        raise QueryError("42P02", "there is no parameter $1", hint="write the value")
    table = Definition(asked.name, "table", _columns(asked, prepared))
    columns = tuple(ColumnDefinition(column.name, str(column.type), True, "") for column in table.schema)
    moment = state.queries.current()
    if moment is None:
        raise QueryError("57P03", "no table can be made yet", hint="try again")
    prepared = state.queries.fresh(state.queries.prepare(insert_query(table, (), None, asked.query)), moment)
    rows = Delta.empty(prepared.types)
    if asked.with_data:
        parts, size = [rows], 0
        for batch in state.queries.run(prepared, state.values(prepared.query.needs, moment), moment, check):
            size += sum(int(column.nbytes) for column in batch.columns)
            if size > MAX_WRITE_BYTES:
                limit = f"what a table is made with may have {MAX_WRITE_BYTES >> 20} MiB"
                raise QueryError("54000", limit, hint="make it WITH NO DATA, and INSERT in several statements")
            parts.append(Delta(tuple(batch.columns), np.ones(batch.rows, np.int64)))
        rows = concat_deltas(parts)
    if prepared.types != [column.type for column in table.schema]:
        raise QueryError(
            "0A000", f"the columns of {asked.name} cannot be what the query's are", hint="cast them in the query"
        )
    return CreateTable(asked.name, columns, (), (), asked.if_not_exists, f"SELECT {len(rows)}", rows)


def _columns(asked: CreateTableAs, prepared: Prepared) -> Schema:
    """The columns of the table. QueryError for one that no table can have."""
    found = prepared.query.columns
    if len(asked.columns) > len(found):
        raise QueryError("42601", "CREATE TABLE AS specifies too many column names")
    names = [*asked.columns, *(name for name, _, _ in found[len(asked.columns) :])]
    columns = list[Column]()
    for name, (_, type_, _) in zip(names, found, strict=True):
        try:
            columns.append(Column(name, ColumnType.parse(str(type_)), True))
        except ValueError:
            raise QueryError("42P16", f'column "{name}" has type {type_}, which no table keeps') from None
    return tuple(columns)
