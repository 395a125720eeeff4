"""What the file declares, apart from how its sources are read: columns, keys, views, functions, and the dataflow of all that.

Always true: it follows from the settings and the sources' columns. Deliberately unknown: the catalog that SQL makes beside it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from config.settings import Settings, Sink, Source, parse_duration
from dataflow.step import Dataflow
from dataflow.types import Schema
from planner.functions.user import Functions
from planner.views import PlannedViews, build_dataflow


@dataclass(frozen=True)
class Declared:
    """What the file declares.

    schemas: of the sources. upserts: key positions of those with an upsert envelope; append_only: those without. views, keys: the
    views' SQL, and the columns that each is indexed by. functions: what SQL may call besides the registry's. connections: their
    properties as clients get them. sources, sinks: as the file says. histories: milliseconds for which a view's past is kept.
    users: who may log in. database: what names may be written behind.
    """

    schemas: Mapping[str, Schema]
    upserts: Mapping[str, tuple[int, ...]]
    append_only: Collection[str]
    views: Mapping[str, str]
    keys: Mapping[str, tuple[str, ...]]
    functions: Functions = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    sources: Mapping[str, Source] = field(default_factory=dict)
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    histories: Mapping[str, int] = field(default_factory=dict)
    users: Collection[str] = ()
    database: str = ""

    @property
    def names(self) -> set[str]:
        """Every relation of the file."""
        return {*self.schemas, *self.views}


def declare(
    settings: Settings,
    schemas: Mapping[str, Schema],
    functions: Functions,
    views: Collection[str],
    connections: Mapping[str, Mapping[str, str]] | None = None,
) -> Declared:
    """What the settings declare of the sources whose columns are known, and of some of the views.

    connections: as clients get them, where they are not as the file has them.
    """
    sources = {name: source for name, source in settings.sources.items() if name in schemas}
    upserts = {
        name: tuple([column.name for column in schemas[name]].index(key) for key in source.key)
        for name, source in sources.items()
        if source.envelope == "upsert"
    }
    # A record of a source without an envelope is a row that stays.
    stays = [name for name, source in sources.items() if source.envelope == "none"]
    chosen = {name: view for name, view in settings.views.items() if name in views}
    return Declared(
        schemas,
        upserts,
        stays,
        {name: view.sql for name, view in chosen.items()},
        {name: tuple(view.key) for name, view in chosen.items()},
        functions,
        connections if connections is not None else settings.kafka,
        settings.sources,
        settings.sinks,
        {name: round(1000 * (parse_duration(view.retain_history) or 0)) for name, view in chosen.items()},
        tuple(settings.serve.users),
        settings.name,
    )


def build_base(planned: PlannedViews, declared: Declared) -> Dataflow:
    """The dataflow of the file's views. planned: these views, perhaps among others."""
    own = PlannedViews(
        tuple(name for name in planned.order if name in declared.views),
        planned.schemas,
        planned.plans,
        planned.definitions,
        planned.bound,
    )
    indexes = {
        name: tuple([column.name for column in planned.schemas[name]].index(column) for column in declared.keys[name])
        for name in own.order
    }
    upserts = declared.upserts
    return build_dataflow(
        own, declared.schemas, upserts, indexes, time.perf_counter, declared.append_only, shown=upserts
    )
