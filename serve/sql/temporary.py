"""What a session's queries are over that has temporary views: the catalog of all, and before it what is its own.

A temporary view is text, planned over what there was before it: it may be called as what it reads, and hides that from then on.
Always true: nobody else sees one, and nothing of it is durable; what all have is the same for the session as for others. With
another catalog beneath, each is planned anew, and one that is no longer possible is not there.
Deliberately unknown: sessions, and when one ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.catalog import TEMPORARY, Catalog, known_as, quoted, schema_and_name, written
from planner.errors import SqlError
from planner.plans import relations
from planner.query import plan_collection, plan_query
from planner.views import renamed_columns
from serve.definitions import Definition, Definitions, key_of
from serve.reads import Published
from serve.sql.changes import CreateView
from serve.sql.errors import QueryError, from_plan
from serve.sql.names import Names
from serve.sql.queries import Queries
from serve.sql.schemas import TEMPORARY_OID

FIRST_OID = 1 << 24
"""Above the oids of all that SQL makes for everybody."""

MOST = 100
"""Temporary views of one session: all of them are planned anew when the catalog changes."""

_OIDS = itertools.count(FIRST_OID)
_VERSIONS = itertools.count(-2, -1)
"""Versions of catalogs that a session sees: below those of everybody's, so that no plan is taken for another's."""


@dataclass(frozen=True, slots=True)
class Made:
    """A temporary view."""

    view: CreateView
    oid: int

    @property
    def name(self) -> str:
        """By what it is known."""
        return self.view.name


class Temporary:
    """Some temporary views. It never changes: with other ones it is another."""

    def __init__(self, shared: Queries, made: tuple[Made, ...] = ()) -> None:
        """shared: everybody's queries."""
        self.shared = shared
        self._made = made
        self.queries = shared.seeing(self)
        """Queries that see these views too."""
        # Each is a pair of what it was made from and what was made, swapped whole: several threads ask.
        self._known: tuple[Definitions, Definitions] | None = None
        self._shown: tuple[Published, Published] | None = None

    # What is there.

    def current(self) -> Published | None:
        """The last complete time, with what is temporary; None before the first."""
        base = self.shared.current()
        return None if base is None else self.over(base)

    def over(self, base: Published) -> Published:
        """One of everybody's times, with what is temporary."""
        shown = self._shown
        if shown is None or shown[0] is not base:
            known = self._known
            if known is None or known[0] is not base.definitions:
                known = self._known = base.definitions, self._planned(base)[0]
            shown = self._shown = base, replace(base, definitions=known[1])
        return shown[1]

    @property
    def stale(self) -> bool:
        """Whether `current` has to plan, which takes a while: the catalog beneath is another one."""
        base = self.shared.current()
        return base is not None and (self._known is None or self._known[0] is not base.definitions)

    def known(self, name: str) -> str:
        """By what the object is known that a statement calls so."""
        own = known_as(TEMPORARY, name)
        return own if any(one.name == own for one in self._made) else name

    def of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that are of what is temporary."""
        there = {one.name for one in self._made}
        return tuple(name for name in names if self.known(name) in there)

    # How it becomes another.

    def create(self, change: CreateView) -> tuple[Temporary, str]:
        """With one more view; a notice if it is there already. QueryError when it is not possible."""
        base = self.shared.current()
        if base is None:
            raise QueryError("57P03", "no view can be made yet", hint="try again")
        there = next((one for one in self._made if one.name == change.name), None)
        if there is not None and not change.replace:
            what = f'relation "{schema_and_name(change.name)[1]}" already exists'
            if change.if_not_exists:
                return self, f"{what}, skipping"
            raise QueryError("42P07", what)
        if there is None and len(self._made) >= MOST:
            raise QueryError("53400", f"a session may have {MOST} temporary views", hint="drop some")
        one = Made(change, next(_OIDS) if there is None else there.oid)
        made = tuple(one if other is there else other for other in self._made)
        found = Temporary(self.shared, made if there is not None else (*made, one))
        known = self._known if there is None and self._known and self._known[0] is base.definitions else None
        definitions, mistakes = found._planned(base, known and known[1])
        found._known = base.definitions, definitions
        if (error := mistakes.get(change.name)) is not None:
            wrong = from_plan(error, change.query)
            wrong.position = None if wrong.position is None else wrong.position + change.begin
            raise wrong
        return found, ""

    def drop(self, kind: str, names: Iterable[str], cascade: bool) -> Temporary:
        """Without these views, and with `cascade` without those that read them. QueryError when others do."""
        if kind != "view":
            raise QueryError("42809", f'"{next(iter(names))}" is not a {kind}', hint="use DROP VIEW")
        gone = {self.known(name) for name in names}
        if (now := self.current()) is not None:
            readers = [name for name in now.definitions.dependents(gone) if schema_and_name(name)[0] == TEMPORARY]
            if readers and not cascade:
                raise QueryError(
                    "2BP01", f"cannot drop view {min(gone)} because other objects depend on it",
                    detail="\n".join(f"view {reader} reads it" for reader in readers),
                    hint="use DROP ... CASCADE to drop the dependent objects too",
                )  # fmt: skip
            gone |= set(readers)
        return Temporary(self.shared, tuple(one for one in self._made if one.name not in gone))

    def check_permanent(self, sql: str) -> None:
        """QueryError when a view for everybody would read what is temporary. What else is wrong with it is for others to say."""
        names = self.queries.names(self.current())
        try:
            read = relations(plan_query(sql, names.catalog).bound)
        except SqlError:
            return
        if own := sorted(name for name in read if schema_and_name(name)[0] == TEMPORARY):
            raise QueryError(
                "42P16", f"a view for everybody cannot read {own[0]}, which is temporary",
                hint="make it TEMPORARY too, or write public before the name",
            )  # fmt: skip

    # How it is planned.

    def _planned(self, base: Published, upon: Definitions | None = None) -> tuple[Definitions, Mapping[str, SqlError]]:
        """What there is over a catalog, and what is wrong with those views that are not. upon: with all but the last of them."""
        below = base.definitions
        names: Names = self.shared.names(base)
        catalog = Catalog(names.catalog.relations, below.functions, {*below.schemas, TEMPORARY}, below.database)
        inline, found, wrong = dict(names.inline), dict((upon or below).objects), dict[str, SqlError]()
        for one in self._made[:-1] if upon is not None else ():
            if (there := found.get(one.name)) is not None and there.plan is not None:
                inline[one.name] = there.plan
                catalog.add(one.name, there.schema)
        for one in self._made if upon is None else self._made[-1:]:
            view = one.view
            try:
                read = frozenset(relations(plan_query(view.query, catalog).bound))
                plan, schema, parameters = plan_collection(view.query, catalog, (), inline)
                if parameters:
                    raise SqlError("", "there is no parameter $1", hint="a view has no parameters")
                schema = renamed_columns(view.name, schema, view.columns)
            except SqlError as error:
                wrong[view.name] = error
                continue
            columns = f" ({', '.join(map(quoted, view.columns))})" if view.columns else ""
            create = f"CREATE TEMPORARY VIEW {written(view.name)}{columns} AS {view.query}"
            found[view.name] = Definition(view.name, "view", schema, plan, create, view.query, read, oid=one.oid)
            inline[view.name] = plan
            catalog.add(view.name, schema)
        schema_of = Definition(TEMPORARY, "schema", (), create=f"CREATE SCHEMA {TEMPORARY}", oid=TEMPORARY_OID)
        beside = {**below.beside, key_of("schema", TEMPORARY): schema_of}
        return replace(below, version=next(_VERSIONS), objects=found, beside=beside), wrong
