"""The three ways of asking: a view that is there before the data, a view made when they are there, and a query asked once.

Always true: all queries of a round are views of one dataflow, as in a service, so that they share what they have in common;
a query that is asked once takes the way of the PostgreSQL wire (`serve.sql.queries`), over published tables.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataflow.types import Column, Schema
from planner import PlannedViews, build_dataflow
from serve.definitions import Definitions
from serve.reads import Published
from serve.sql.catalog import RELATIONS
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared, Queries
from serve.sql.system import Relations
from tests.planner import oracle
from tests.planner.written import FUNCTIONS
from tests.serve.published import TIME, House, view


@dataclass
class Answer:
    """Rows and messages of the rows that fail; of a query asked once also the rows in their order, and its columns."""

    rows: Counter[oracle.Row]
    errors: list[str]
    ordered: list[oracle.Row] = field(default_factory=list)
    columns: tuple[Column, ...] = ()


def together(planned: Sequence[PlannedViews]) -> PlannedViews:
    """Views planned each for itself, as one plan."""
    return PlannedViews(
        tuple(name for one in planned for name in one.order),
        {name: schema for one in planned for name, schema in one.schemas.items()},
        {name: plan for one in planned for name, plan in one.plans.items()},
        {name: text for one in planned for name, text in one.definitions.items()},
        {name: plan for one in planned for name, plan in one.bound.items()},
    )


def maintained(
    planned: PlannedViews, schemas: Mapping[str, Schema], steps: Sequence[oracle.Step]
) -> dict[str, list[Answer]]:
    """Every view after every step."""
    flow = build_dataflow(planned, schemas, {}, {}, time.perf_counter)
    history: dict[str, list[Answer]] = {name: [] for name in planned.order}
    for step in steps:
        flow.step({name: oracle.delta_of(name, changes, schemas) for name, changes in step.items() if changes})
        flow.maintain(1000)
        for name, answers in history.items():
            held = flow.view(name)
            errors = held.errors().rows().columns[0].to_pylist()
            answers.append(Answer(oracle.view_rows(held.snapshot().rows()), errors))
    return history


class Door:
    """The published tables, and the queries that somebody asks once."""

    def __init__(self, tables: Mapping[str, Sequence[oracle.Row]], schemas: Mapping[str, Schema]) -> None:
        self._house = House()
        views = {
            name: view(name, {c.name: c.type for c in columns}, [columns[0].name], list(tables[name]))
            for name, columns in schemas.items()
        }
        self._house.publication.publish(Published(TIME, views, definitions=Definitions(functions=FUNCTIONS)))
        relations = Relations(lambda: self._house.status, RELATIONS, "fuzz")
        self._queries = Queries(self._house.publication, lambda: self._house.status, relations)

    def rows(self, query: str) -> list[oracle.Row]:
        """The rows in their order. QueryError where it cannot be planned, or a row cannot be computed."""
        prepared = self._queries.prepare(query)
        return self._run(prepared)

    def ask(self, query: str) -> Answer:
        """The answer, with canonical values. QueryError where it cannot be planned."""
        prepared = self._queries.prepare(query)
        columns = tuple(Column(name, type_, nullable) for name, type_, nullable in prepared.query.columns)
        try:
            rows = [tuple(map(oracle.canonical, row)) for row in self._run(prepared)]
        except QueryError as error:
            return Answer(Counter(), [error.message], [], columns)
        return Answer(Counter(rows), [], rows, columns)

    def _run(self, prepared: Prepared) -> list[oracle.Row]:
        current = self._queries.current()
        found = self._queries.look_up(prepared, {}, current)
        batches = [found] if found is not None else list(self._queries.run(prepared, {}, current, lambda: None))
        return [
            row
            for batch in batches
            for row in zip(*(oracle.values_of(column) for column in batch.columns), strict=True)
        ]
