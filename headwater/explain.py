"""`headwater explain`: what a view is computed from, how, and what is known of it.

For each view its columns, the keys that are proved unique, whether its rows only ever come, the functions in Python that it
calls, the plan, the operators with their arrangements, those shared with other views said so, and what grows without end.
Nothing is connected to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.catalog import Catalog
from headwater.declared import declare
from headwater.errors import HeadwaterError
from headwater.explainer import Explainer
from headwater.world import World
from planner.explain import STAGES, Explanation
from planner.monotonic import append_only
from planner.plans import user_functions

if TYPE_CHECKING:
    from headwater.check import Checked


@dataclass(frozen=True, slots=True)
class Explained:
    """A view of the file, explained, and what is known of it."""

    name: str
    head: str
    columns: Sequence[tuple[str, str]]
    unique: Sequence[Sequence[str]]
    functions: Sequence[str]
    grows: bool
    how: Explanation

    def lines(self, stages: Sequence[str]) -> Iterator[str]:
        """The text."""
        yield self.head
        yield f"  columns: {', '.join(f'{name} {type_}' for name, type_ in self.columns)}"
        keys = [f"({', '.join(key)})" if key else "one row at most" for key in self.unique]
        yield f"  unique: {' or '.join(keys) or 'nothing proved'}"
        if self.functions:
            yield f"  functions in Python: {'; '.join(self.functions)}"
        yield f"  append-only: {'yes' if self.grows else 'no'}"
        for stage in stages:
            yield f"  {_TITLES[stage]}:"
            yield from (f"    {line}" for line in self.how.stages[stage].lines())
        yield from (f"  hint: {hint}" for hint in self.how.hints)

    def document(self, stages: Sequence[str]) -> dict[str, Any]:
        """What JSON has of it."""
        return {
            "view": self.name,
            "columns": dict(self.columns),
            "unique": self.unique,
            "functions": self.functions,
            "append_only": self.grows,
            **{stage: self.how.stages[stage].document() for stage in stages},
            "hints": self.how.hints,
        }


_TITLES = {"logical": "logical plan", "optimized": "plan", "physical": "operators"}


def explain(checked: Checked, view: str | None = None, form: str = "text", stage: str | None = None) -> str:
    """The text, or with `form` json the JSON, for one view or for all.

    stage: one of `planner.explain.STAGES`; without it the optimized plan and the operators, in JSON all.
    HeadwaterError when there is no such view or its columns are not known.
    """
    settings, planned = checked.settings, checked.planned
    if view is not None and view not in planned.plans:
        if view in settings.views:
            raise HeadwaterError(f"view {view} cannot be explained: its columns come from the schema registry")
        raise HeadwaterError(f"read {view}, no such view; there are {', '.join(settings.views) or 'none'}")
    world = World(declare(settings, checked.schemas, checked.functions, planned.order), Catalog())
    explainer = Explainer(world)
    found = [_explained(world, explainer, name) for name in planned.order if view in (None, name)]
    if form == "json":
        return json.dumps([one.document(STAGES if stage is None else (stage,)) for one in found], indent=2)
    stages = STAGES[1:] if stage is None else (stage,)
    return "\n\n".join("\n".join(one.lines(stages)) for one in found)


def _explained(world: World, explainer: Explainer, name: str) -> Explained:
    planned = world.planned
    grows = set(world.declared.append_only)
    for one in planned.order:
        if append_only(planned.plans[one], grows):
            grows.add(one)
    return Explained(
        name,
        explainer.base.explain(name).split("\n", 1)[0],
        [(column.name, str(column.type)) for column in planned.schemas[name]],
        [sorted(key) for key in world.unique(name)],
        sorted(set(map(str, user_functions(planned.plans[name])))),
        name in grows,
        explainer.explain(name),
    )
