"""Relations of the service itself: pg_catalog, information_schema and headwater, computed when somebody asks.

Always true: they are read like views, by the same planner and operators; their rows are made from the published views, the
sources' columns and the status of now. Deliberately unknown: SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from dataflow import scalars
from dataflow.delta import Delta
from dataflow.types import TEXT, Column, ColumnType, Schema
from serve.reads import Published
from serve.status import ServiceStatus, StatusSource


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of system relations are made from.

    sources: the columns of each source, once they are known. system: those of the system relations. service: its name.
    """

    published: Published | None
    sources: Mapping[str, Schema]
    status: StatusSource
    system: Mapping[str, Schema]
    service: str

    def now(self) -> ServiceStatus:
        """The status of now."""
        return self.status()


Row = tuple[object, ...]


@dataclass(frozen=True)
class SystemRelation:
    """One relation: its qualified name, its columns as `oid bigint, relname text`, and what makes its rows."""

    name: str
    columns: str
    rows: Callable[[Facts], Iterable[Row]]

    @cached_property
    def schema(self) -> Schema:
        """The columns."""
        pairs = (column.strip().split(" ", 1) for column in self.columns.split(",") if column.strip())
        return tuple(Column(name, ColumnType.parse(type_)) for name, type_ in pairs)

    def delta(self, facts: Facts) -> Delta:
        """The rows as columns."""
        rows = list(self.rows(facts))
        columns = tuple(_column([row[index] for row in rows], column.type) for index, column in enumerate(self.schema))
        return Delta(columns, np.ones(len(rows), np.int64))


def _column(values: list[object], type_: ColumnType) -> pa.Array:
    """Values as a column; arrays are given as PostgreSQL's text of them."""
    if type_.element is None:
        return pa.array(values, type_.arrow)
    return scalars.parse(pa.array(values, TEXT.arrow), len(values), type_)[0]


class Relations:
    """All system relations of one service."""

    def __init__(self, status: StatusSource, relations: Sequence[SystemRelation], service: str) -> None:
        self._status = status
        self._service = service
        self._relations = {relation.name: relation for relation in relations}
        self.sources: Mapping[str, Schema] = {}
        """The columns of the sources; set once they are known."""

    def schemas(self) -> dict[str, Schema]:
        """The columns of each, by qualified name."""
        return {name: relation.schema for name, relation in self._relations.items()}

    def rows(self, name: str, published: Published | None) -> Delta:
        """The rows of one, now. KeyError when there is none of this name."""
        facts = Facts(published, self.sources, self._status, self.schemas(), self._service)
        return self._relations[name].delta(facts)
