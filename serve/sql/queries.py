"""Queries over the published views: planned once, kept for the next time, run as a dataflow of one step.

    SELECT customer, total FROM revenue WHERE customer = $1     the index of `revenue` answers: no dataflow
    SELECT sum(total) FROM revenue                              the rows of `revenue` are one delta through a graph of its own

Always true: a run reads one `Published`, so all its rows are of one time; the tick thread waits for nobody. What is computed for
each part of the rows by itself comes out part by part, else a result has at most MAX_RESULT_BYTES.
Deliberately unknown: who asks, in which thread this runs, and how values are written.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from dataflow.delta import Delta
from dataflow.kernels import _rows
from dataflow.once import Once
from dataflow.rows import concat_deltas, consolidate
from dataflow.types import STRINGS, ColumnType, Kind, Schema
from planner.catalog import PUBLIC, TEMPORARY, Catalog, known_as, written
from planner.compile import compile_scalar
from planner.errors import SqlError
from planner.explain import Explanation
from planner.plan import Constant, Project
from planner.query import (
    Keyed,
    Lookup,
    Query,
    Values,
    is_linear,
    lookup_of,
    lower,
    plan_collection,
    plan_query,
    schemas,
)
from planner.scalar import Cast, Literal, Parameter, Scalar
from planner.scalars import rewrite, walk
from serve.definitions import Definition
from serve.reads import Published, lookup, pieces
from serve.sql.changes import Change, Changed, Changer, Transaction, Written
from serve.sql.errors import QueryError, from_count, from_plan, from_row
from serve.sql.explained import as_run, explained, valued
from serve.sql.names import Names, names_of, readable
from serve.sql.results import Batch, check_size, computed, cut, one, ordered, take
from serve.sql.system import Relations
from serve.status import StatusSource
from serve.subscribe.options import Subscribed

KEPT_PLANS = 1000
"""Plans kept for texts that come again."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A planned query and its text. lookup: how it is read by key, if it is nothing else. version: of the definitions."""

    sql: str
    query: Query
    lookup: Lookup | None
    version: int = 0

    @property
    def types(self) -> list[ColumnType]:
        """The types of the result's columns."""
        return [type_ for _, type_, _ in self.query.columns]


class Times(Protocol):
    """Who has the last complete time."""

    def current(self) -> Published | None:
        """It; None before the first. Any thread."""
        ...


class Queries:
    """Plans and runs queries. `prepare` and `look_up` are quick; `run` may take long, and may be called in any thread."""

    def __init__(
        self,
        publication: Times,
        status: StatusSource,
        relations: Relations,
        changer: Changer | None = None,
    ) -> None:
        """publication: the last complete time. changer: who changes the catalog; None: nobody does."""
        self._publication = publication
        self._changer = changer
        self._status = status
        self._relations = relations
        self._kept: OrderedDict[tuple[int, str, tuple[ColumnType | None, ...]], Prepared] = OrderedDict()
        self._lock = threading.Lock()
        self._names: Names | None = None

    def current(self) -> Published | None:
        """The last complete time; None before the first."""
        return self._publication.current()

    def seeing(self, times: Times) -> Queries:
        """Other queries, over other times."""
        return Queries(times, self._status, self._relations, self._changer)

    def prepare(self, sql: str, given: Sequence[ColumnType | None] = ()) -> Prepared:
        """Plan a query, or find its plan. QueryError with the first mistake."""
        if (found := self.known(sql, given)) is not None:
            return found
        return self._prepare(sql, given, self.current())

    def _prepare(self, sql: str, given: Sequence[ColumnType | None], published: Published | None) -> Prepared:
        names = self.names(published)
        try:
            query = plan_query(sql, names.catalog, given, names.inline)
        except SqlError as error:
            raise self._explained(from_plan(error, sql)) from None
        look_up = (
            None if query.order else next(filter(None, (lookup_of(query.plan, keys) for keys in names.rounds)), None)
        )
        made = Prepared(sql, query, look_up, names.version)
        if published is not None:
            with self._lock:
                self._kept[names.version, sql, tuple(given)] = made
                if len(self._kept) > KEPT_PLANS:
                    self._kept.popitem(last=False)
        return made

    def known(self, sql: str, given: Sequence[ColumnType | None] = ()) -> Prepared | None:
        """The plan of a query that was planned before, with the catalog as it is; None when it was not."""
        published = self._publication.current()
        return self._find(0 if published is None else published.definitions.version, sql, given)

    def _find(self, version: int, sql: str, given: Sequence[ColumnType | None]) -> Prepared | None:
        key = version, sql, tuple(given)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        return found

    def subscribed(self, sql: str, given: Sequence[ColumnType | None] = ()) -> Subscribed:
        """Plan a query that somebody subscribes to. QueryError with the first mistake."""
        names = self.names(self.current())
        try:
            plan, schema, parameters = plan_collection(sql, names.catalog, given, names.inline)
        except SqlError as error:
            raise self._explained(from_plan(error, sql)) from None
        return Subscribed(repr(plan), plan, schema, parameters)

    @staticmethod
    def filled(subscribed: Subscribed, values: Values) -> Subscribed:
        """What is subscribed to once the values of its parameters are known. QueryError when they cannot be those."""
        if not subscribed.parameters:
            return subscribed
        plan = valued(subscribed.plan, values)
        return Subscribed(repr(plan), plan, subscribed.schema)

    def fresh(self, prepared: Prepared, published: Published | None) -> Prepared:
        """The query, planned for the catalog of what is read. QueryError when that gives it other columns."""
        if published is None or published.definitions.version == prepared.version:
            return prepared
        given, version = prepared.query.parameters, published.definitions.version
        again = self._find(version, prepared.sql, given) or self._prepare(prepared.sql, given, published)
        if again.query.columns != prepared.query.columns:
            raise QueryError("0A000", "cached plan must not change result type", hint="prepare the statement again")
        return again

    def objects(self) -> Mapping[str, Definition]:
        """What the catalog has now, by name."""
        published = self.current()
        return {} if published is None else published.definitions.objects

    def object(self, name: str) -> Definition | None:
        """What a name in a statement means now: what is temporary hides what has it in `public`, unless that is written."""
        published = self.current()
        if published is None:
            return None
        objects, bare = published.definitions.objects, name.removeprefix(f"{PUBLIC}.")
        hiding = objects.get(known_as(TEMPORARY, name)) if bare is name else None
        found, view = hiding or objects.get(bare), published.views.get(bare)
        return Definition(bare, "view", view.schema) if found is None and view is not None else found

    def explained(self, prepared: Prepared, values: Values) -> Explanation:
        """How a query is computed."""
        published = self.current()
        growing = frozenset[str]() if published is None else published.definitions.growing
        return explained(prepared.query, prepared.lookup, values, self.names(published), growing)

    def row(self, prepared: Prepared) -> tuple[Scalar, ...] | None:
        """The scalars of a query that reads nothing and makes one row of constants and parameters, as INSERT's does; else None."""
        plan, query = prepared.query.plan, prepared.query
        if (
            not (isinstance(plan, Project) and plan.input == Constant(((),), ()))
            or query.order
            or query.limit is not None
        ):
            return None
        simple = all(isinstance(node, Literal | Parameter | Cast) for output in plan.outputs for node in walk(output))
        return plan.outputs if simple else None

    def constant(self, prepared: Prepared, values: Values) -> Batch | None:
        """The one row of such a query; None for any other. Quick."""
        row = self.row(prepared)
        return None if row is None else Batch(tuple(_array(output, values) for output in row), 1)

    def over(self, sql: str, given: Sequence[ColumnType | None], name: str, schema: Schema) -> Prepared:
        """Plan a query that reads, besides what there is, rows that are given as a relation of this name; for `returned`."""
        names = self.names(self.current())
        catalog = Catalog({**names.catalog.relations, name: schema}, names.catalog.functions)
        try:
            return Prepared(sql, plan_query(sql, catalog, given, names.inline), None, names.version)
        except SqlError as error:
            raise self._explained(from_plan(error, sql)) from None

    def returned(
        self, prepared: Prepared, values: Values, name: str, rows: Delta, published: Published | None = None
    ) -> list[Batch]:
        """A query over rows that are given, in the place of what the relation holds. published: where it reads others."""
        plan = valued(prepared.query.plan, values) if prepared.query.needs else prepared.query.plan
        reads = schemas(plan)
        given = {one: rows if one == name else self._rows(one, {}, published) for one in reads}
        result = computed(Once(lower(plan, reads), lambda: None, time.perf_counter), given)
        return list(cut(consolidate(result), 0, None))

    def write(self, transaction: Transaction) -> Future[Written]:
        """See `serve.sql.changes.Changer`."""
        if self._changer is None:
            raise QueryError("0A000", "writing is not supported here")
        return self._changer.write(transaction)

    def change(self, changes: Sequence[Change], check: Callable[[], None], try_only: bool = False) -> Future[Changed]:
        """See `serve.sql.changes.Changer`."""
        if self._changer is None:
            raise QueryError("0A000", f"{changes[-1].tag} is not supported: the catalog does not change here")
        return self._changer.change(changes, check, try_only)

    def look_up(self, prepared: Prepared, values: Values, published: Published | None) -> Batch | None:
        """The rows of a query that is a read by key; None for any other query."""
        if prepared.lookup is None or published is None:
            return None
        key = [_array(scalar, values) for scalar in prepared.lookup.source.key]
        offset, limit = _bounds(prepared.query, values)
        return self.by_key(prepared, key, published, offset, limit)

    def finder(self, prepared: Prepared) -> _rows.Finder | None:
        """What finds the rows of a query that is a read by key, now; None for another query, one planned for another catalog, and
        while a reader has more to be told than rows.
        """
        published = self._publication.current()
        if published is None or prepared.lookup is None or prepared.version != published.definitions.version:
            return None
        source = prepared.lookup.source
        place = source.relation, source.columns
        try:
            return published.finders[place]
        except KeyError:
            view = published.relation(source.relation)
            found = None
            if view is not None and view.state == "ready" and not view.errors.total:
                with contextlib.suppress(QueryError):  # an index that hydrates
                    found = self.names(published).index(published, source).rows.finder
            return published.finders.setdefault(place, found)

    def by_key(
        self,
        prepared: Prepared,
        key: Sequence[pa.Array],
        published: Published,
        offset: int = 0,
        limit: int | None = None,
    ) -> Batch:
        """The rows of a query that is a read by key, for a key (arrays of one)."""
        assert prepared.lookup is not None
        found = lookup(self.names(published).index(published, prepared.lookup.source), key)
        columns = tuple([found.columns[index] for index in prepared.lookup.columns])
        single = len(found) == 1 and found.diffs[0] == 1
        if offset == 0 and (limit is None or limit >= len(found)) and (single or bool((found.diffs == 1).all())):
            return Batch(columns, len(found))
        rows = next(cut(Delta(columns, found.diffs), offset, limit), None)
        return rows or Batch(tuple(column.slice(0, 0) for column in columns), 0)

    def run(
        self, prepared: Prepared, values: Values, published: Published | None, check: Callable[[], None]
    ) -> Iterator[Batch]:
        """The result, piece by piece, none of them empty. `check` is called often; what it raises ends the run.

        QueryError when a row cannot be computed, a view cannot be read yet, or the result is too large.
        """
        query = prepared.query
        offset, limit = _bounds(query, values)
        plan, by_key = as_run(query, values, self.names(published))
        reads = schemas(plan)
        node = lower(plan, reads)
        once = Once(node, check, time.perf_counter)
        width = len(query.columns)
        if is_linear(plan) and not by_key and (view := readable(next(iter(reads)), published)) is not None:
            parts = (computed(once, {view.name: piece}) for piece in pieces(view.rows))
            if not query.order:
                yield from take((Delta(part.columns[:width], part.diffs) for part in parts), offset, limit, check)
                return
            kept = [part for part in parts if len(part)]
            result = concat_deltas(kept) if kept else Delta.empty(node.types)
        else:
            result = computed(once, {name: self._rows(name, by_key, published) for name in reads})
        check_size(result)
        check()
        result = ordered(result, node.types, query.order) if query.order else consolidate(result)
        check()
        yield from cut(Delta(result.columns[:width], result.diffs), offset, limit)

    def sources(self, prepared: Prepared, published: Published) -> frozenset[str]:
        """The sources that a query reads, directly or through views."""
        found = (published.relation(name) for name in schemas(prepared.query.plan))
        return frozenset[str]().union(*(view.sources for view in found if view is not None))

    def warnings(self, prepared: Prepared, published: Published | None) -> list[str]:
        """What a reader of these views should know: rows that could not be computed and are missing."""
        found = []
        for name in sorted(prepared.query.reads):
            view = published.relation(name) if published is not None else None
            if view is not None and view.errors.total:
                found.append(f"{view.errors.total} rows of view {name} could not be computed and are left out")
        return found

    def names(self, published: Published | None) -> Names:
        """What names mean, kept as long as the catalog is the same."""
        names = self._names
        if names is None or published is None or names.version != published.definitions.version:
            names = names_of(published, self._relations)
            if published is not None:
                self._names = names
        return names

    def _explained(self, error: QueryError) -> QueryError:
        """The error; for a relation that is not there yet, or is a source, the reason."""
        if error.code != "42P01":
            return error
        if self._publication.current() is None:
            reason = self._status().reason or None
            return QueryError(
                "57P03", "no view can be read yet", detail=reason, hint="try again", position=error.position
            )
        for source in self._status().sources:
            if f'"{source}"' in error.message:
                return QueryError(
                    "0A000",
                    f'source "{source}" is not kept: only views can be read',
                    hint=f"write CREATE INDEX ON {written(source)} (...), or read a view of it",
                    position=error.position,
                )
        return error

    def _rows(self, name: str, by_key: Mapping[str, Keyed], published: Published | None) -> Delta:
        """What a relation holds, or its rows of one key."""
        if (source := by_key.get(name)) is not None:
            assert published is not None
            return lookup(self.names(published).index(published, source), [_array(scalar, {}) for scalar in source.key])
        view = readable(name, published)
        if view is None:
            return self._relations.rows(name, published)
        runs = [Delta(run.columns, run.diffs) for run in view.rows.runs]
        return concat_deltas(runs) if runs else Delta.empty([column.type for column in view.schema])


def _bounds(query: Query, values: Values) -> tuple[int, int | None]:
    try:
        return query.count(query.offset, values, "OFFSET") or 0, query.count(query.limit, values, "LIMIT")
    except ValueError as error:
        raise from_count(error) from None


def _array(scalar: Scalar, values: Values) -> pa.Array:
    """A constant as an array of one."""
    if isinstance(scalar, Parameter):
        scalar = values[scalar.name]
    elif not isinstance(scalar, Literal):
        scalar = rewrite(scalar, lambda node: values[node.name] if isinstance(node, Parameter) else None)
    if isinstance(scalar, Literal) and (scalar.type.kind in _AS_IS or scalar.value is None):
        return one(scalar.value, scalar.type)
    made, errors = compile_scalar(scalar).evaluate((), 1)
    if errors is not None and errors[0].is_valid:
        raise from_row(str(errors[0]))
    return made


_AS_IS = frozenset({Kind.BOOLEAN, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT, *STRINGS})
"""Kinds whose literals hold the value itself, and not its text."""
