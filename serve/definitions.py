"""What there is to read, as of one time: sources, views, indexes, and how each came to be.

Always true: definitions never change; a changed catalog is another object with a higher version, and becomes visible with the
time from which it counts. Deliberately unknown: rows, and how a definition is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dataflow.types import Schema
from planner.explain import Explanation
from planner.functions.user import Functions
from planner.plan import Plan

BESIDE = frozenset(("cluster", "connection", "database", "role", "schema", "secret", "sink"))
"""Kinds whose names are their own: the service's file may call a sink as it calls a view."""

APART = frozenset(("cluster", "database", "schema"))
"""Kinds of what is in no schema."""


def key_of(kind: str, name: str) -> str:
    """By what an object is found among all: relations and indexes by their names."""
    return f"\t{kind}\t{name}" if kind in BESIDE else name


def name_of(key: str) -> str:
    """The name in a key."""
    return key.rpartition("\t")[2]


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """Columns of a table of which no two rows have the same values; a row with a NULL among them has the same as no other.

    name: the constraint's, or the unique index's. places: of the columns. index: the index that finds them, empty where the table's
    own rows are by them. constraint: it is one, and no index alone.
    """

    name: str
    places: tuple[int, ...]
    primary: bool = False
    index: str = ""
    constraint: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """One object.

    kind: `source`, `table`, `view`, `materialized view`, `index`, or one of BESIDE. plan: of a view that is not kept: what reading
    it means. create: the statement that made it; empty for what the service's file declares. reads: the keys of the objects that it
    reads directly. on, key: of an index, its relation and that one's columns; on of a sink too; key of a table: what its rows are
    kept by. keys: of a table, the primary one first. checks: of a table, by name, what has to be true of its rows.
    defaults: of a table, by column, the expressions of values that are not given. explained: says how it is computed, made when
    asked for. oid: pg_class's; 0 where it follows from the names in the file. broken: why it cannot be used.
    """

    name: str
    kind: str
    schema: Schema
    plan: Plan | None = None
    create: str = ""
    query: str = ""
    reads: frozenset[str] = frozenset()
    on: str = ""
    key: tuple[int, ...] = ()
    oid: int = 0
    comment: str = ""
    column_comments: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[UniqueKey, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    explained: Callable[[], Explanation] | None = field(default=None, compare=False, repr=False)

    @property
    def declared(self) -> bool:
        """Whether the service's file declares it."""
        return not self.create


@dataclass(frozen=True, slots=True)
class Definitions:
    """All objects of one version of the catalog: relations and indexes by name, those of BESIDE by key; and the functions that the
    service brings along. database: what their names may be written behind. growing: the relations whose rows become more and more.
    """

    version: int = 0
    objects: Mapping[str, Definition] = field(default_factory=dict)
    beside: Mapping[str, Definition] = field(default_factory=dict)
    functions: Functions = field(default_factory=dict)
    growing: frozenset[str] = frozenset()
    database: str = ""

    @property
    def schemas(self) -> dict[str, Definition]:
        """The schemas that SQL made, by name."""
        return {one.name: one for one in self.beside.values() if one.kind == "schema"}

    @property
    def every(self) -> dict[str, Definition]:
        """All of them, by key."""
        return {**self.objects, **self.beside}

    def find(self, kind: str, name: str) -> Definition | None:
        """The object that a statement about this kind means."""
        return (self.beside if kind in BESIDE else self.objects).get(key_of(kind, name))

    def taken(self, name: str) -> Definition | None:
        """What has this name already, whatever it is, but for what is in no schema."""
        keys = [name, *(key_of(kind, name) for kind in sorted(BESIDE - APART))]
        every = self.every
        return next((every[key] for key in keys if key in every), None)

    def tables(self, names: Iterable[str]) -> frozenset[str]:
        """The tables that rows of these relations follow from."""
        found, waiting = set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.objects:
                found.add(name)
                waiting.extend(self.objects[name].reads)
        return frozenset(name for name in found if self.objects[name].kind == "table")

    def dependents(self, keys: Iterable[str]) -> list[str]:
        """The keys of objects that read some of these, directly or through others, in the order of their making; not `keys`
        themselves."""
        own, every = set(keys), self.every
        found = set(own)
        grew = True
        while grew:
            more = {key for key, one in every.items() if one.reads & found} - found
            found |= more
            grew = bool(more)
        return [key for key in every if key in found - own]
