"""What names mean to a query: the relations of one version of the catalog, which indexes they have, and which may be read.

Always true: relations of the service itself are there in every version. Deliberately unknown: queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.catalog import Catalog, written
from planner.plan import Plan
from planner.query import Keyed
from serve.reads import Published, PublishedView
from serve.sql.errors import QueryError
from serve.sql.system import Relations


@dataclass(frozen=True)
class Names:
    """What one version of the catalog lets queries read. inline: what reading a view means that is not kept.

    rounds: by relation, the columns that an index is by: in the first round its own, in the others those of further indexes,
    whose names are in `indexes`.
    """

    version: int
    catalog: Catalog
    inline: Mapping[str, Plan]
    rounds: tuple[Mapping[str, tuple[int, ...]], ...]
    indexes: tuple[Mapping[str, str], ...]

    def index(self, published: Published, source: Keyed) -> PublishedView:
        """The index that is by a key; QueryError while it hydrates."""
        for keys, indexes in zip(self.rounds, self.indexes, strict=True):
            if keys.get(source.relation) == source.columns:
                name = indexes.get(source.relation)
                found = published.relation(source.relation) if name is None else published.indexes[name]
                assert found is not None
                return ready(found)
        raise QueryError("XX000", f"no index of {source.relation} is by the key that a plan reads")


def names_of(published: Published | None, relations: Relations) -> Names:
    """The relations that there are; before the first time only the service's own."""
    system = relations.schemas()
    if published is None:
        return Names(0, Catalog(system), {}, (), ())
    definitions = published.definitions
    kept = {**published.sources, **published.views}
    inline = {name: one.plan for name, one in published.definitions.objects.items() if one.plan is not None}
    schemas = {name: view.schema for name, view in kept.items()}
    schemas |= {name: published.definitions.objects[name].schema for name in inline}
    rounds: list[dict[str, tuple[int, ...]]] = [{name: view.key for name, view in kept.items() if view.key}]
    indexes: list[dict[str, str]] = [{}]
    for name, index in published.indexes.items():
        on = published.definitions.objects[name].on
        place = next((i for i, round_ in enumerate(rounds) if on not in round_), len(rounds))
        if place == len(rounds):
            rounds.append({})
            indexes.append({})
        rounds[place][on], indexes[place][on] = index.key, name
    catalog = Catalog({**schemas, **system}, definitions.functions, definitions.schemas, definitions.database)
    return Names(published.definitions.version, catalog, inline, tuple(rounds), tuple(indexes))


def readable(name: str, published: Published | None) -> PublishedView | None:
    """A view that may be read; None when the name is the system's. QueryError while it hydrates."""
    view = published.relation(name) if published is not None else None
    if view is None and published is not None and (source := published.definitions.objects.get(name)) is not None:
        raise QueryError(
            "0A000",
            f'{source.kind} "{name}" is not kept: only what is made of it can be read',
            hint=f"write CREATE INDEX ON {written(name)} (...), or materialize the view that reads it",
        )
    return None if view is None else ready(view)


def ready(view: PublishedView) -> PublishedView:
    """The view. QueryError while it hydrates."""
    if view.state != "ready":
        raise QueryError("57P03", f"view {view.name} is {view.state}", detail=view.reason or None, hint="try again")
    return view
